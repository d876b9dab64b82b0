"""What providers refuse: their published rules for a list of messages, over plain JSON and without the project's code.

Each rule is one that a provider documents, or that its error messages state.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Json = dict[str, Any]

_ID = re.compile(r"[a-zA-Z0-9_-]+")


def faults(format: str, messages: Sequence[Json]) -> list[str]:
    """Return what a provider would refuse in `messages` of a format; an empty list for a prompt that it takes."""
    return list(_RULES[format](messages))


def pair_faults(messages: Sequence[Json]) -> list[str]:
    """Return what is wrong in messages of any formats: each call needs its one result before anybody else speaks."""
    return list(_in_pairs(map(spoken, messages)))


class Spoken(NamedTuple):
    """Who speaks in a message, the calls that it makes, and those that it answers.

    The role is "tool" for nothing but results. An answer may be several messages, where `is_item`.
    """

    role: str
    calls: list[str]
    results: list[str]
    is_item: bool = False


def spoken(message: Json) -> Spoken:
    """Return what any format's message does, by the marks that its format is published with."""
    return next(found for reader in _READERS if (found := reader(message)) is not None)


# OpenAI: https://platform.openai.com/docs/api-reference/chat/create


def _openai(messages: Sequence[Json]) -> Iterator[str]:
    yield from _in_pairs(map(spoken, messages))
    for at, message in enumerate(messages):
        if message["role"] not in ("system", "developer", "user", "assistant", "tool", "function"):
            yield f"{at}: unknown role {message['role']}"
        if message["role"] != "assistant":
            if message.get("content") is None:
                yield f"{at}: content is null"
        elif message.get("tool_calls") == []:
            yield f"{at}: tool_calls is an empty array"
        elif not any(message.get(key) for key in ("content", "tool_calls", "function_call", "refusal", "audio")):
            yield f"{at}: an assistant message without content and calls"
        if message.get("content") == []:
            yield f"{at}: content is an empty array"


# OpenAI's Responses: https://platform.openai.com/docs/guides/function-calling and /reasoning


def _responses(items: Sequence[Json]) -> Iterator[str]:
    yield from _in_pairs(map(spoken, items), is_placed=False)
    for at, item in enumerate(items):
        if item.get("type") == "reasoning":
            after = next((each for each in items[at + 1 :] if each.get("type") != "reasoning"), {})
            is_output = after.get("role") == "assistant" or str(after.get("type")).endswith("_call")
            if not is_output:
                yield f"{at}: reasoning without its required following item"
        if item.get("type", "message") == "message" and not item.get("content"):
            yield f"{at}: a message without content"


# Anthropic: https://docs.anthropic.com/en/api/messages and /docs/build-with-claude/tool-use


def _anthropic(messages: Sequence[Json]) -> Iterator[str]:
    for at, message in enumerate(messages):
        if message["role"] not in ("user", "assistant"):
            yield f"{at}: role {message['role']}"
        if not message["content"]:
            yield f"{at}: all messages must have non-empty content"
    turns = _turns(messages, _blocks)
    if turns and turns[0][0] != "user":
        yield "the first message must use the user role"
    for at, (role, blocks) in enumerate(turns):
        yield from (f"turn {at}: {fault}" for fault in _anthropic_turn(role, blocks, turns[at + 1 : at + 2]))
        if role == "user":
            made = [each["id"] for each in turns[at - 1][1] if each.get("type") == "tool_use"] if at else []
            yield from (f"turn {at}: {fault}" for fault in _answers(made, _ids(blocks, "tool_result", "tool_use_id")))


def _anthropic_turn(role: str, blocks: Sequence[Json], following: Sequence[Any]) -> Iterator[str]:
    kinds = [block.get("type") for block in blocks]
    if any(kind == "text" and not block["text"].strip() for kind, block in zip(kinds, blocks, strict=True)):
        yield "text content blocks must contain non-whitespace text"
    if role == "assistant":
        calls = _ids(blocks, "tool_use", "id")
        if len(set(calls)) < len(calls):
            yield "tool_use ids must be unique"
        if calls and not following:
            yield "tool_use without tool_result blocks immediately after"
        if kinds[-1:] and kinds[-1] in ("thinking", "redacted_thinking"):
            yield "the final block cannot be thinking"
        yield from (f"id {each}" for each in calls if not _ID.fullmatch(each))
        hosted = _ids(blocks, "server_tool_use", "id")
        brought = [block["tool_use_id"] for block in blocks if str(block.get("type")).endswith("_tool_result")]
        yield from (f"{each} without its server tool use" for each in brought if each not in hosted)
    elif "tool_result" in kinds and "tool_result" in kinds[kinds.count("tool_result") :]:
        yield "tool_result blocks have to come first"
    if any(kind in ("tool_use", "thinking", "server_tool_use") for kind in kinds) and role == "user":
        yield "a user's turn with an assistant's blocks"


def _blocks(message: Json) -> list[Json]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _ids(blocks: Iterable[Json], kind: str, key: str) -> list[str]:
    return [block[key] for block in blocks if block.get("type") == kind]


# Gemini: https://ai.google.dev/gemini-api/docs/function-calling


def _gemini(contents: Sequence[Json]) -> Iterator[str]:
    if contents and contents[0].get("role", "user") != "user":
        yield "please ensure that multiturn requests begin with a user role"
    for at, content in enumerate(contents):
        if content.get("role", "user") not in ("user", "model", "function"):
            yield f"{at}: please use a valid role: user, model"
        if not content.get("parts"):
            yield f"{at}: contents.parts must not be empty"
        if any(part.get("text") == "" and not _either(part, "thoughtSignature") for part in content.get("parts") or ()):
            yield f"{at}: a part without data"
        calls = _functions(content, "functionCall")
        before = contents[at - 1] if at else {}
        if calls and before.get("role", "user") == "model":
            yield f"{at}: function call turn has to come after a user turn or a function response turn"
        after = contents[at + 1] if at + 1 < len(contents) else {}
        if Counter(calls) != Counter(_functions(after, "functionResponse")):
            yield f"{at}: the number of function response parts has to equal that of function call parts"
        if at == 0 and _functions(content, "functionResponse"):
            yield "0: function response turn has to come after a function call turn"


def _functions(content: Json, key: str) -> list[Any]:
    parts = (_either(part, key) for part in content.get("parts") or ())
    return [(part.get("id"), part["name"]) for part in parts if part is not None]


def _either(part: Json, key: str) -> Any:
    snake_case = re.sub(r"(?=[A-Z])", "_", key).lower()
    return part[key] if part.get(key) is not None else part.get(snake_case)


# Bedrock: https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-call.html


def _bedrock(messages: Sequence[Json]) -> Iterator[str]:
    if messages and messages[0]["role"] != "user":
        yield "a conversation must start with a user message"
    for at, message in enumerate(messages):
        role, blocks = message["role"], message["content"]
        if role not in ("user", "assistant"):
            yield f"{at}: role {role}"
        if at and role == messages[at - 1]["role"]:
            yield f"{at}: a conversation must alternate between user and assistant roles"
        if not blocks:
            yield f"{at}: the content field is empty"
        if any("text" in block and not block["text"].strip() for block in blocks):
            yield f"{at}: the text field is blank"
        made = _tools(messages[at - 1], "toolUse") if at else []
        if role == "user":
            yield from (f"{at}: {fault}" for fault in _answers(made, _tools(message, "toolResult")))
        elif _tools(message, "toolUse") and at + 1 == len(messages):
            yield f"{at}: expected toolResult blocks"


def _tools(message: Json, kind: str) -> list[str]:
    return [block[kind]["toolUseId"] for block in message["content"] if kind in block]


# AI SDK: https://ai-sdk.dev/docs/reference/ai-sdk-errors/ai-missing-tool-results-error


def _ai_sdk(messages: Sequence[Json]) -> Iterator[str]:
    yield from _in_pairs(map(spoken, messages))
    roles = ("system", "user", "assistant", "tool")
    yield from (f"{at}: role {each['role']}" for at, each in enumerate(messages) if each["role"] not in roles)


def _ai_sdk_ui(messages: Sequence[Json]) -> Iterator[str]:
    for at, message in enumerate(messages):
        for part in message.get("parts", ()):
            if "toolCallId" in part and not str(part.get("state")).startswith("output-"):
                yield f"{at}: tool results are missing for the tool call {part['toolCallId']}"


# The others say of calls what OpenAI does: AG-UI, OpenTelemetry (gen_ai), LangChain, pydantic-ai.


def _paired(messages: Sequence[Json]) -> Iterator[str]:
    yield from _in_pairs(map(spoken, messages))


def _in_pairs(said: Iterable[Spoken], *, is_placed: bool = True) -> Iterator[str]:
    """Yield what is wrong with calls and results; with `is_placed`, nobody may speak between them."""
    wanted: Counter[str] = Counter()
    at = 0
    for at, each in enumerate(said):
        if each.role == "assistant":
            if wanted and is_placed and not each.is_item:
                yield f"{at}: calls are not followed by their results: {sorted(wanted)}"
                wanted.clear()
            wanted.update(each.calls)
        for call_id in each.results:
            if not wanted[call_id]:
                yield f"{at}: a result without its call, or a second one: {call_id}"
            wanted[call_id] -= 1
        wanted = +wanted
        if each.role not in ("assistant", "tool") and wanted and is_placed:
            yield f"{at}: calls are not followed by their results: {sorted(wanted)}"
            wanted.clear()
    if wanted:
        yield f"{at}: calls have no results: {sorted(wanted)}"


def _answers(made: Sequence[str], answered: Sequence[str]) -> Iterator[str]:
    if Counter(made) != Counter(answered):
        yield f"results {sorted(answered)} for the calls {sorted(made)}"


def _turns(messages: Sequence[Json], blocks: Callable[[Json], list[Json]]) -> list[tuple[str, list[Json]]]:
    """Return messages as turns: those of one role in a row are one."""
    turns: list[tuple[str, list[Json]]] = []
    for message in messages:
        if turns and turns[-1][0] == message["role"]:
            turns[-1][1].extend(blocks(message))
        else:
            turns.append((message["role"], blocks(message)))
    return turns


# Reading any format, by what its documentation shows.


def _roled(role: Any, calls: Iterable[Any], results: Iterable[Any], *, is_more: bool, is_item: bool = False) -> Spoken:
    calls, results = list(map(str, calls)), list(map(str, results))
    role = {"model": "assistant", "ai": "assistant"}.get(role, role)
    return Spoken("tool" if results and not is_more and role != "assistant" else role, calls, results, is_item)


def _read_item(item: Json) -> Spoken | None:
    match item.get("type"):
        case "function_call":
            return Spoken("assistant", [item["call_id"]], [], True)
        case "function_call_output":
            return Spoken("tool", [], [item["call_id"]], True)
        case "reasoning" | "web_search_call":
            return Spoken("assistant", [], [], True)
        case "message" if "role" in item and "stop_reason" not in item:
            return Spoken(item["role"], [], [], True)
    return None


def _read_gemini(content: Json) -> Spoken | None:
    parts = content.get("parts")
    if not isinstance(parts, list) or any("type" in part or "part_kind" in part for part in parts) or "kind" in content:
        return None
    calls = [call_id or name for call_id, name in _functions(content, "functionCall")]
    results = [call_id or name for call_id, name in _functions(content, "functionResponse")]
    return _roled(content.get("role", "user"), calls, results, is_more=len(results) < len(parts))


def _read_blocks(message: Json) -> Spoken | None:
    """Read Anthropic's, Bedrock's, and AI SDK's messages, whose calls and results are blocks of the content."""
    content = message.get("content")
    if not isinstance(content, list) or "tool_calls" in message or "tool_call_id" in message or "type" in message:
        return None
    blocks: list[Json] = [block for block in content if isinstance(block, dict)]
    calls = [*_ids(blocks, "tool_use", "id"), *_ids(blocks, "tool-call", "toolCallId")]
    results = [*_ids(blocks, "tool_result", "tool_use_id"), *_ids(blocks, "tool-result", "toolCallId")]
    calls += [block["toolUse"]["toolUseId"] for block in blocks if "toolUse" in block]
    results += [block["toolResult"]["toolUseId"] for block in blocks if "toolResult" in block]
    return _roled(message["role"], calls, results, is_more=len(results) < len(content))


def _read_parts(message: Json) -> Spoken | None:
    """Read AI SDK's UIMessage, OpenTelemetry's and pydantic-ai's messages, whose parts have a type or a kind."""
    parts = message.get("parts")
    if not isinstance(parts, list):
        return None
    role = message.get("role") or {"request": "user", "response": "assistant"}[message["kind"]]
    calls = [part["toolCallId"] for part in parts if "toolCallId" in part]
    results = [part["toolCallId"] for part in parts if str(part.get("state")).startswith("output-")]
    calls += [part["id"] for part in parts if part.get("type") == "tool_call"]
    results += [part["id"] for part in parts if part.get("type") == "tool_call_response"]
    calls += [part["tool_call_id"] for part in parts if part.get("part_kind") == "tool-call"]
    results += [part["tool_call_id"] for part in parts if part.get("part_kind") == "tool-return"]
    return _roled(role, calls, results, is_more=len(results) < len(parts))


def _read_langchain(message: Json) -> Spoken | None:
    data = message.get("data")
    if not isinstance(data, Mapping):
        return None
    if message["type"] == "tool":
        return Spoken("tool", [], [data["tool_call_id"]])
    role = {"human": "user"}.get(message["type"], message["type"])
    return _roled(role, [each["id"] for each in data.get("tool_calls") or ()], (), is_more=True)


def _read_chat(message: Json) -> Spoken:
    """Read OpenAI's and AG-UI's messages, and whatever nobody knows."""
    is_ag_ui = "toolCalls" in message or message.get("role") == "reasoning"
    calls = [each["id"] for key in ("tool_calls", "toolCalls") for each in message.get(key) or ()]
    results = [message[key] for key in ("tool_call_id", "toolCallId") if key in message]
    role = {"reasoning": "assistant"}.get(str(message.get("role")), message.get("role"))
    return _roled(role, calls, results, is_more=not results, is_item=is_ag_ui)


_READERS: tuple[Callable[[Json], Spoken | None], ...] = (
    _read_item,
    _read_gemini,
    _read_parts,
    _read_langchain,
    _read_blocks,
    _read_chat,
)
_RULES: dict[str, Callable[[Sequence[Json]], Iterator[str]]] = {
    "openai": _openai,
    "responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "bedrock": _bedrock,
    "ai_sdk": _ai_sdk,
    "ai_sdk_ui": _ai_sdk_ui,
    "ag_ui": _paired,
    "otel": _paired,
    "langchain": _paired,
    "pydantic_ai": _paired,
}
