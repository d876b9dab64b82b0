"""Conversations as ChatGPT exports them: a tree of nodes, each with a message; their tools have no ids of calls."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from a2a_session_manager.foreign_records.held import Held, joined_texts, text_of
from a2a_session_manager.shapes.shape import RawMessage

_ROLES: Final = frozenset({"user", "assistant", "system", "tool"})
# Kinds of content that were said as text: what else there is, such as thoughts and memories, was not.
_TEXTS: Final = {
    "code": "text",
    "execution_output": "text",
    "system_error": "text",
    "tether_quote": "text",
    "sonic_webpage": "text",
    "tether_browsing_display": "result",
}
_POINTERS: Final = frozenset({"image_asset_pointer", "audio_asset_pointer", "video_container_asset_pointer"})
_EVERYBODY: Final = "all"


def is_conversation(record: Mapping[str, Any]) -> bool:
    """Tell whether a record is an exported conversation."""
    mapping = record.get("mapping")
    return isinstance(mapping, Mapping) and all(isinstance(node, Mapping) for node in mapping.values())


def messages_of(record: Mapping[str, Any]) -> Iterator[Held]:
    """Yield the messages of the branch that was shown last."""
    call_id: str | None = None
    for node_id in path_to(record["mapping"], record.get("current_node")):
        message = record["mapping"][node_id].get("message")
        if not isinstance(message, Mapping) or (said := message_of(message, call_id)) is None:
            continue
        call_id = call_made_by(message) or call_id
        yield Held(said, None, model_of(message), text_of(message.get("id")), time_of(message))


def path_to(mapping: Mapping[str, Any], node_id: Any) -> list[str]:
    """Return the ids of the nodes from the root to a node; of none or an unknown one, to the newest leaf."""
    if not isinstance(node_id, str) or node_id not in mapping:
        leaves = [each for each, node in mapping.items() if not children_of(mapping, node)]
        node_id = max(leaves, key=lambda leaf: time_of(mapping[leaf].get("message") or {}) or 0, default=None)
    path: dict[str, None] = {}
    while isinstance(node_id, str) and node_id in mapping and node_id not in path:
        path[node_id] = None
        node_id = mapping[node_id].get("parent")
    return list(reversed(path))


def children_of(mapping: Mapping[str, Any], node: Mapping[str, Any]) -> list[str]:
    """Return the ids of the nodes that follow one, as far as they are there."""
    children = node.get("children")
    found = (each for each in children if isinstance(each, str)) if isinstance(children, list) else ()
    return [each for each in dict.fromkeys(found) if each in mapping]


def message_of(message: Mapping[str, Any], call_id: str | None) -> RawMessage | None:
    """Return a node's message as one of OpenAI's chat format; None for what nobody said.

    `call_id` is the call that a tool's message answers, as `call_made_by` names it.
    """
    author, content = message.get("author"), message.get("content")
    role = author.get("role") if isinstance(author, Mapping) else None
    said = _content(content) if isinstance(content, Mapping) else None
    if not isinstance(role, str) or role not in _ROLES or said is None:
        return None
    if role == "tool":
        return {"role": "tool", "tool_call_id": call_id, "content": said} if call_id is not None else None
    if (made := call_made_by(message)) is None:
        return {"role": role, "content": said}
    arguments = said if isinstance(said, str) else json.dumps(said)
    function = {"name": message["recipient"], "arguments": _as_object(arguments)}
    return {"role": role, "content": None, "tool_calls": [{"id": made, "type": "function", "function": function}]}


def call_made_by(message: Mapping[str, Any]) -> str | None:
    """Return the id of a message that calls a tool, which is the call's; None for any other one."""
    author, recipient = message.get("author"), text_of(message.get("recipient"))
    is_call = recipient not in (None, _EVERYBODY) and isinstance(author, Mapping) and author.get("role") == "assistant"
    return text_of(message.get("id")) if is_call else None


def model_of(message: Mapping[str, Any]) -> str | None:
    """Return the name of the model that said something."""
    author, metadata = message.get("author"), message.get("metadata")
    is_answer = isinstance(author, Mapping) and author.get("role") == "assistant"
    return text_of(metadata.get("model_slug")) if is_answer and isinstance(metadata, Mapping) else None


def time_of(message: Mapping[str, Any]) -> float | None:
    """Return when a message was made, in seconds since 1970."""
    time = message.get("create_time")
    return time if isinstance(time, int | float) and not isinstance(time, bool) else None


def _content(content: Mapping[str, Any]) -> str | list[RawMessage] | None:
    kind = content.get("content_type")
    if isinstance(kind, str) and kind in _TEXTS:
        text = content.get(_TEXTS[kind])
        return text if isinstance(text, str) else None
    parts = content.get("parts")
    if kind not in ("text", "multimodal_text") or not isinstance(parts, list):
        return None
    if all(isinstance(part, str) for part in parts):
        return joined_texts(parts)
    return [_part(part) for part in parts if isinstance(part, str | Mapping)]


def _part(part: str | Mapping[str, Any]) -> RawMessage:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    pointer = text_of(part.get("asset_pointer"))
    if part.get("content_type") in _POINTERS and pointer is not None:
        return {"type": "image_url", "image_url": {"url": pointer}} if "image" in part["content_type"] else dict(part)
    spoken = part.get("text")  # of a transcription
    return {"type": "text", "text": spoken} if isinstance(spoken, str) else dict(part)


def _as_object(arguments: str) -> str:
    """Return arguments as the JSON text of an object: what Python is given is code."""
    try:
        is_object = isinstance(json.loads(arguments), dict)
    except (ValueError, RecursionError):
        is_object = False
    return arguments if is_object else json.dumps({"input": arguments}, ensure_ascii=False)
