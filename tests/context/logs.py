"""Logs to make views of: conversations of every shape, by several writers at once, with all that goes wrong in them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

from hypothesis import strategies as st

Json = dict[str, Any]
# A call by its id, and the argument it is made with; a result by the id of its call, and what it says.
Pairs = Sequence[tuple[str, str]]


class Entry(NamedTuple):
    """A message of a log, and the run that wrote it."""

    message: Json
    run_id: str | None


@dataclass(frozen=True)
class Maker:
    """How messages of a shape are made.

    Args:
        user: what the user says.
        assistant: what the model says, after a thought or None.
        calls: the model's calls, beside a text or None.
        results: the results of some calls.
        empty: messages of the model that say nothing.
        system: what the system says; None where it has no place among the messages.
        blank: what the model says beside a blank part.
    """

    user: Callable[[str], Json]
    assistant: Callable[[str, str | None], list[Json]]
    calls: Callable[[str | None, Pairs], list[Json]]
    results: Callable[[Pairs], list[Json]]
    empty: Sequence[Json]
    system: Callable[[str], Json] | None = None
    blank: Callable[[str], Json] | None = None


def _say(role: str) -> Callable[[str], Json]:
    return lambda text: {"role": role, "content": text}


def _texts(key: str, role: str, **kind: str) -> Callable[..., Json]:
    return lambda *texts: {"role": role, key: [{**kind, "text": text} for text in texts]}


def _args(arg: str) -> Json:
    return {"q": arg}


def _name(call_id: str) -> str:
    return f"tool_{call_id}"


def _function(call_id: str, arg: str) -> Json:
    function = {"name": _name(call_id), "arguments": json.dumps(_args(arg))}
    return {"id": call_id, "type": "function", "function": function}


def _openai() -> Maker:
    def calls(text: str | None, made: Pairs) -> list[Json]:
        functions = [{"name": _name(each), "arguments": json.dumps(_args(arg))} for each, arg in made]
        listed = [
            {"id": each, "type": "function", "function": one} for (each, _), one in zip(made, functions, strict=True)
        ]
        return [{"role": "assistant", "content": text, "tool_calls": listed}]

    def assistant(text: str, thought: str | None) -> list[Json]:
        return [{**_say("assistant")(text), **({} if thought is None else {"reasoning_content": thought})}]

    def results(given: Pairs) -> list[Json]:
        return [{"role": "tool", "tool_call_id": each, "content": text} for each, text in given]

    empty = [_say("assistant")(text) for text in ("", " \n")] + [{"role": "assistant", "content": None}]
    return Maker(_say("user"), assistant, calls, results, empty, _say("system"))


def _responses() -> Maker:
    def reasoning(thought: str | None) -> list[Json]:
        summary = [{"type": "summary_text", "text": thought}]
        return [] if thought is None else [{"type": "reasoning", "id": f"rs_{thought}", "summary": summary}]

    def said(text: str) -> Json:
        content = [{"type": "output_text", "text": text, "annotations": []}]
        return {"type": "message", "role": "assistant", "id": "msg", "status": "completed", "content": content}

    def calls(text: str | None, made: Pairs) -> list[Json]:
        items: list[Json] = [] if text is None else [said(text)]
        for call_id, arg in made:
            name, arguments = _name(call_id), json.dumps(_args(arg))
            items.append({"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments})
        return items

    def results(given: Pairs) -> list[Json]:
        return [{"type": "function_call_output", "call_id": each, "output": text} for each, text in given]

    def user(text: str) -> Json:
        return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}

    def assistant(text: str, thought: str | None) -> list[Json]:
        return [*reasoning(thought), said(text)]

    empty = [{"type": "message", "role": "assistant", "content": []}, *reasoning("")]
    return Maker(user, assistant, calls, results, empty, _say("developer"))


def _anthropic() -> Maker:
    text_block = _texts("content", "assistant", type="text")

    def hosted(call_id: str) -> list[Json]:
        use = {"type": "server_tool_use", "id": f"srv_{call_id}", "name": "web_search", "input": {}}
        return [use, {"type": "web_search_tool_result", "tool_use_id": use["id"], "content": []}]

    def assistant(text: str, thought: str | None) -> list[Json]:
        signed = {"type": "thinking", "thinking": thought, "signature": f"sig {thought}"}
        said = text_block(text)
        return [said if thought is None else {**said, "content": [signed, *said["content"]]}]

    def calls(text: str | None, made: Pairs) -> list[Json]:
        blocks: list[Json] = [] if text is None else [*hosted(made[0][0]), {"type": "text", "text": text}]
        uses = [{"type": "tool_use", "id": each, "name": _name(each), "input": _args(arg)} for each, arg in made]
        return [{"role": "assistant", "content": [*blocks, *uses]}]

    def results(given: Pairs) -> list[Json]:
        blocks = [{"type": "tool_result", "tool_use_id": each, "content": text} for each, text in given]
        return [{"role": "user", "content": blocks}]

    def blank(text: str) -> Json:
        return text_block(" ", text)

    return Maker(_texts("content", "user", type="text"), assistant, calls, results, [text_block(" ")], None, blank)


def _gemini(*, has_ids: bool = True) -> Maker:
    # The provider runs code beside the calls.
    hosted: list[Json] = [{"executableCode": {"language": "PYTHON", "code": "1"}}]
    hosted.append({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}})

    def key(call_id: str) -> Json:
        return {"id": call_id, "name": _name(call_id)} if has_ids else {"name": _name(call_id)}

    def assistant(text: str, thought: str | None) -> list[Json]:
        parts = [] if thought is None else [{"text": thought, "thought": True}]
        return [{"role": "model", "parts": [*parts, {"text": text}]}]

    def calls(text: str | None, made: Pairs) -> list[Json]:
        parts = [] if text is None else [{"text": text}, *hosted]
        listed = [{"functionCall": {**key(each), "args": _args(arg)}} for each, arg in made]
        return [{"role": "model", "parts": [*parts, *listed]}]

    def results(given: Pairs) -> list[Json]:
        parts = [{"functionResponse": {**key(each), "response": {"output": text}}} for each, text in given]
        return [{"role": "user", "parts": parts}]

    model = _texts("parts", "model")
    return Maker(_texts("parts", "user"), assistant, calls, results, [model("")], None, lambda text: model("", text))


def _bedrock() -> Maker:
    text = _texts("content", "assistant")

    def assistant(said: str, thought: str | None) -> list[Json]:
        thinking = {"reasoningContent": {"reasoningText": {"text": thought, "signature": f"sig {thought}"}}}
        return [text(said) if thought is None else {"role": "assistant", "content": [thinking, {"text": said}]}]

    def calls(said: str | None, made: Pairs) -> list[Json]:
        blocks: list[Json] = [] if said is None else [{"text": said}]
        for call_id, arg in made:
            blocks.append({"toolUse": {"toolUseId": call_id, "name": _name(call_id), "input": _args(arg)}})
        return [{"role": "assistant", "content": blocks}]

    def results(given: Pairs) -> list[Json]:
        blocks = [{"toolResult": {"toolUseId": each, "content": [{"text": said}]}} for each, said in given]
        return [{"role": "user", "content": blocks}]

    return Maker(_texts("content", "user"), assistant, calls, results, [text(" ")], None, lambda said: text(" ", said))


def _ai_sdk() -> Maker:
    text = _texts("content", "assistant", type="text")

    def assistant(said: str, thought: str | None) -> list[Json]:
        thoughts = [] if thought is None else [{"type": "reasoning", "text": thought}]
        return [{"role": "assistant", "content": [*thoughts, {"type": "text", "text": said}]}]

    def calls(said: str | None, made: Pairs) -> list[Json]:
        parts: list[Json] = [] if said is None else [{"type": "text", "text": said}]
        for each, arg in made:
            parts.append({"type": "tool-call", "toolCallId": each, "toolName": _name(each), "input": _args(arg)})
        return [{"role": "assistant", "content": parts}]

    def results(given: Pairs) -> list[Json]:
        parts = [
            {
                "type": "tool-result",
                "toolCallId": each,
                "toolName": _name(each),
                "output": {"type": "text", "value": said},
            }
            for each, said in given
        ]
        return [{"role": "tool", "content": parts}]

    return Maker(_texts("content", "user", type="text"), assistant, calls, results, [text(" ")], _say("system"))


def _ag_ui() -> Maker:
    def calls(text: str | None, made: Pairs) -> list[Json]:
        functions = [{"name": _name(each), "arguments": json.dumps(_args(arg))} for each, arg in made]
        listed = [
            {"id": each, "type": "function", "function": one} for (each, _), one in zip(made, functions, strict=True)
        ]
        return [{"id": "m", "role": "assistant", **({} if text is None else {"content": text}), "toolCalls": listed}]

    def results(given: Pairs) -> list[Json]:
        return [{"id": "m", "role": "tool", "toolCallId": each, "content": text} for each, text in given]

    def assistant(text: str, thought: str | None) -> list[Json]:
        thoughts = [] if thought is None else [{"id": "r", "role": "reasoning", "content": thought}]
        return [*thoughts, {"id": "m", "role": "assistant", "content": text}]

    return Maker(_say("user"), assistant, calls, results, [{"id": "m", "role": "assistant"}], _say("system"))


def _otel() -> Maker:
    def named(role: str, said: str) -> Json:
        return {"role": role, "parts": [{"type": "text", "content": said}]}

    def assistant(said: str, thought: str | None) -> list[Json]:
        thoughts = [] if thought is None else [{"type": "reasoning", "content": thought}]
        return [{"role": "assistant", "parts": [*thoughts, {"type": "text", "content": said}]}]

    def calls(said: str | None, made: Pairs) -> list[Json]:
        parts: list[Json] = [] if said is None else [{"type": "text", "content": said}]
        for each, arg in made:
            parts.append({"type": "tool_call", "id": each, "name": _name(each), "arguments": _args(arg)})
        return [{"role": "assistant", "parts": parts}]

    def results(given: Pairs) -> list[Json]:
        parts = [{"type": "tool_call_response", "id": each, "response": said} for each, said in given]
        return [{"role": "tool", "parts": parts}]

    return Maker(lambda said: named("user", said), assistant, calls, results, [named("assistant", "")])


def _langchain() -> Maker:
    def one(kind: str, text: str, **more: Any) -> Json:
        return {"type": kind, "data": {"type": kind, "content": text, **more}}

    def calls(text: str | None, made: Pairs) -> list[Json]:
        listed = [{"id": each, "name": _name(each), "args": _args(arg), "type": "tool_call"} for each, arg in made]
        return [one("ai", text or "", tool_calls=listed)]

    def results(given: Pairs) -> list[Json]:
        return [one("tool", text, tool_call_id=each) for each, text in given]

    return Maker(
        lambda text: one("human", text),
        lambda text, _: [one("ai", text)],
        calls,
        results,
        [one("ai", "")],
        lambda text: one("system", text),
    )


def _pydantic_ai() -> Maker:
    def response(*parts: Json) -> Json:
        return {"kind": "response", "parts": list(parts)}

    def text(said: str) -> Json:
        return {"part_kind": "text", "content": said}

    def assistant(said: str, thought: str | None) -> list[Json]:
        thoughts = [] if thought is None else [{"part_kind": "thinking", "content": thought}]
        return [response(*thoughts, text(said))]

    def calls(said: str | None, made: Pairs) -> list[Json]:
        parts = [
            {"part_kind": "tool-call", "tool_call_id": each, "tool_name": _name(each), "args": _args(arg)}
            for each, arg in made
        ]
        return [response(*([] if said is None else [text(said)]), *parts)]

    def results(given: Pairs) -> list[Json]:
        parts = [
            {"part_kind": "tool-return", "tool_call_id": each, "tool_name": _name(each), "content": said}
            for each, said in given
        ]
        return [{"kind": "request", "parts": parts}]

    def user(said: str) -> Json:
        return {"kind": "request", "parts": [{"part_kind": "user-prompt", "content": said}]}

    return Maker(user, assistant, calls, results, [response()])


def _ai_sdk_ui() -> Maker:
    """Messages whose calls have their results in them; one that comes later is in nobody's log."""

    def one(role: str, *parts: Json) -> Json:
        return {"id": "m", "role": role, "parts": list(parts)}

    def text(said: str) -> Json:
        return {"type": "text", "text": said}

    def assistant(said: str, thought: str | None) -> list[Json]:
        thoughts = [] if thought is None else [{"type": "reasoning", "text": thought}]
        return [one("assistant", *thoughts, text(said))]

    def calls(said: str | None, made: Pairs) -> list[Json]:
        parts: list[Json] = [] if said is None else [text(said)]
        for at, (each, arg) in enumerate(made):
            part = {"type": f"tool-{_name(each)}", "toolCallId": each, "state": "input-available", "input": _args(arg)}
            parts.append({**part, "state": "output-available", "output": f"of {arg}"} if at % 2 else part)
        return [one("assistant", *parts)]

    return Maker(
        lambda said: one("user", text(said)), assistant, calls, lambda _: [], [one("assistant")], _say("system")
    )


MAKERS: dict[str, Maker] = {
    "openai": _openai(),
    "responses": _responses(),
    "anthropic": _anthropic(),
    "gemini": _gemini(),
    "gemini without ids": _gemini(has_ids=False),
    "bedrock": _bedrock(),
    "ai_sdk": _ai_sdk(),
    "ai_sdk_ui": _ai_sdk_ui(),
    "ag_ui": _ag_ui(),
    "otel": _otel(),
    "langchain": _langchain(),
    "pydantic_ai": _pydantic_ai(),
}

_MARK = re.compile(r"\b(?:said|arg|got|thought|told|odd)\d+\b")


def marks(value: Any) -> Counter[str]:
    """Return the words in a JSON value that a log has once."""
    return Counter(_MARK.findall(json.dumps(value).replace("\\n", " ")))


def logs(shape: str | None = None, *, has_faults: bool = True) -> st.SearchStrategy[list[Entry]]:
    """Return logs of messages of one shape, None for of several; without faults, all is in its place."""
    names = [shape] if shape is not None else sorted(MAKERS)
    return st.builds(lambda random: _Log(random, names, has_faults).entries(), st.randoms(use_true_random=False))


def log_of(random: Random, names: Sequence[str]) -> list[Entry]:
    """Return a log of messages of some shapes."""
    return _Log(random, names, has_faults=True).entries()


class _Log:
    def __init__(self, random: Random, names: Sequence[str], has_faults: bool) -> None:
        self._random = random
        self._names = names
        self._has_faults = has_faults
        self._number = 0

    def entries(self) -> list[Entry]:
        random, maker = self._random, self._maker()
        entries: list[Entry] = []
        if maker.system is not None and random.random() < 0.4:
            entries.append(Entry(maker.system(self._new("told")), None))
        if random.random() < 0.15:
            entries += [Entry(each, None) for each in maker.assistant(self._new("said"), None)]
        if random.random() < 0.85:
            entries.append(Entry(maker.user(self._new("said")), None))
        writers = random.randint(1, 3) if self._has_faults else 1
        streams = [self._stream(f"run-{number}" if random.random() < 0.8 else None) for number in range(writers)]
        while streams:
            stream = random.choice(streams)
            if not stream:
                streams.remove(stream)
            else:
                entries.append(stream.pop(0))
        return entries

    def _new(self, kind: str) -> str:
        self._number += 1
        return f"{kind}{self._number}"

    def _maker(self) -> Maker:
        return MAKERS[self._random.choice(self._names)]

    def _is(self, chance: float) -> bool:
        return self._has_faults and self._random.random() < chance

    def _stream(self, run_id: str | None) -> list[Entry]:
        messages: list[Json] = []
        for _ in range(self._random.randint(1, 4)):
            maker = self._maker()
            if self._random.random() < 0.4:
                messages.append(maker.user(self._new("said")))
            steps = [self._exchange, self._exchange, self._answer, *([self._odd] if self._has_faults else [])]
            messages += self._random.choice(steps)(maker)
        return [Entry(message, run_id) for message in messages]

    def _answer(self, maker: Maker) -> list[Json]:
        return maker.assistant(self._new("said"), self._new("thought") if self._random.random() < 0.3 else None)

    def _odd(self, maker: Maker) -> list[Json]:
        odd: list[Json] = [
            {"role": "critic", "verdict": self._new("odd")},
            {"role": "assistant", "payload": {"a": self._new("odd")}},
        ]
        choices: list[Json] = [*maker.empty, *odd]
        if maker.system is not None:
            choices.append(maker.system(self._new("told")))
        if maker.blank is not None:
            choices += [maker.blank(self._new("said"))] * 2
        return [self._random.choice(choices)]

    def _exchange(self, maker: Maker) -> list[Json]:
        random = self._random
        ids = [self._call_id() for _ in range(random.randint(1, 3))]
        if self._is(0.08):
            ids.append(ids[0])
        if maker is MAKERS["ai_sdk_ui"] or not self._is(0.08):  # there, a message is known to have each id once
            ids = list(dict.fromkeys(ids))
        calls = maker.calls(
            self._new("said") if random.random() < 0.4 else None, [(each, self._new("arg")) for each in ids]
        )
        results = self._results(maker, ids)
        messages = [*calls, *results]
        if self._is(0.1):
            messages.insert(random.randrange(len(messages) + 1), random.choice(calls))
        if self._is(0.2):
            messages.insert(random.randrange(len(messages) + 1), maker.user(self._new("said")))
        if self._is(0.1) and results:  # early, or late
            result = messages.pop()
            messages.insert(random.randrange(len(messages) + 1), result)
            messages += self._answer(maker)
        return [*messages, *(self._answer(maker) if random.random() < 0.6 else [])]

    def _call_id(self) -> str:
        if self._is(0.15):
            return self._random.choice(["again", "again2"])
        self._number += 1
        return f"call_{self._number}"

    def _results(self, maker: Maker, ids: Sequence[str]) -> list[Json]:
        given = [(each, self._new("got")) for each in ids if not self._is(0.15)]
        if self._is(0.5):
            self._random.shuffle(given)
        if self._is(0.1) and given:
            given.append((self._random.choice(given)[0], self._new("got")))
        if self._is(0.08):
            given.append((f"wrong_{self._new('got')}", self._new("got")))
        if not given:
            return []
        if self._random.random() < 0.5:
            return maker.results(given)
        return [message for each in given for message in maker.results([each])]
