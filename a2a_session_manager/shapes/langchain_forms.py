"""The three forms in which LangChain's messages are written: the same content, in different places."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from a2a_session_manager.shapes.normal_form import Role
from a2a_session_manager.shapes.shape import RawMessage

# Who speaks in a message of each type; in one of the type chat, its role says it.
ROLES: Final[Mapping[str, Role]] = {
    "human": "user",
    "ai": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
    "chat": "other",
    "remove": "other",
}
_MARKS: Final = frozenset({"additional_kwargs", "response_metadata", "tool_call_id"})


class Form(NamedTuple):
    """How messages are written.

    Args:
        name: what the form is called here.
        open: returns a message's type, such as ai, and what holds its content; None for a message of another form.
        close: returns a message of such a body, in place of the body of the message that it was read from, if any.
    """

    name: str
    open: Callable[[Mapping[str, Any]], tuple[str, Mapping[str, Any]] | None]
    close: Callable[[Mapping[str, Any], Mapping[str, Any]], RawMessage]


def _open_dict(message: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    data = message.get("data")
    if not isinstance(data, Mapping) or "content" not in data or "role" in message:
        return None
    kind = _type(message.get("type"))
    return (kind, data) if kind in ROLES else None


def _open_flat(message: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    if "type" not in message or "content" not in message:
        return None
    kind = _type(message["type"])
    if kind not in ROLES or (kind != "chat" and "role" in message):
        return None
    # Many things are of a type such as system.
    return (kind, message) if kind in ("human", "ai") or not _MARKS.isdisjoint(message) else None


def _open_object(message: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    if "lc" not in message:
        return None
    path, kwargs = message.get("id"), message.get("kwargs")
    if not isinstance(path, list) or not path or not isinstance(kwargs, Mapping):
        return None
    kind = _type(path[-1])
    return (kind, kwargs) if kind in ROLES and "content" in kwargs else None


def _type(name: Any) -> str:
    """Return the type of a message that a type or a class names, such as ai for AIMessageChunk."""
    return name.removesuffix("Chunk").removesuffix("Message").lower() if isinstance(name, str) else ""


def _close_dict(body: Mapping[str, Any], raw: Mapping[str, Any]) -> RawMessage:
    return {**(raw or {"type": body["type"]}), "data": dict(body)}


def _close_flat(body: Mapping[str, Any], raw: Mapping[str, Any]) -> RawMessage:
    return dict(body)


def _close_object(body: Mapping[str, Any], raw: Mapping[str, Any]) -> RawMessage:
    if raw:
        return {**raw, "kwargs": dict(body)}
    name = f"{'AI' if body['type'] == 'ai' else str(body['type']).title()}Message"
    return {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", name], "kwargs": dict(body)}


FORMS: Final = (
    Form("langchain", _open_dict, _close_dict),
    Form("langchain-flat", _open_flat, _close_flat),
    Form("langchain-object", _open_object, _close_object),
)
