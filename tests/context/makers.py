"""Messages of every format, each marked so that a test finds it again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
# A call by its id, and the argument it is made with; a result by the id of its call, and what it says.
Pairs = Sequence[tuple[str, str]]


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
