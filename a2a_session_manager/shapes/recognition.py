"""Which shape a message is of, and its normal form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from a2a_session_manager.shapes import (
    a2a,
    ag_ui,
    ai_sdk,
    ai_sdk_ui,
    anthropic,
    bedrock,
    gemini,
    langchain,
    openai_chat,
    otel,
    pydantic_ai,
    responses,
)
from a2a_session_manager.shapes.normal_form import UNKNOWN_SHAPE, Message, Other, Role, Text
from a2a_session_manager.shapes.shape import ROLES, Shape, role_named

# Those with the plainer marks come later: OpenAI's takes whatever has a role and a content.
SHAPES: Final[tuple[Shape, ...]] = (
    pydantic_ai.SHAPE,
    *langchain.SHAPES,
    responses.SHAPE,
    gemini.SHAPE,
    a2a.SHAPE,
    otel.SHAPE,
    ag_ui.SHAPE,
    ai_sdk.SHAPE,
    ai_sdk_ui.SHAPE,
    anthropic.SHAPE,
    bedrock.SHAPE,
    openai_chat.SHAPE,
)
# Of those, the ones that may have a message of no more than a role and a content.
OF_CONTENT: Final = (
    responses.SHAPE,
    gemini.SHAPE,
    ag_ui.SHAPE,
    ai_sdk.SHAPE,
    anthropic.SHAPE,
    bedrock.SHAPE,
    openai_chat.SHAPE,
)
BY_NAME: Final[Mapping[str, Shape]] = {shape.name: shape for shape in SHAPES}

_TOLD_BY_NAME: Final = frozenset({"system", "assistant"})
_SPEAKERS: Final = frozenset({"system", "user", "assistant"})
_PLAIN_KEYS: Final = frozenset({"role", "content"})
# Of the other messages of the chat format, nearly all: no other format has a role, a text and no more keys than these.
_CHAT_KEYS: Final = frozenset({*_PLAIN_KEYS, "tool_calls", "tool_call_id", "name", "refusal"})


def shape_of(message: Mapping[str, Any]) -> Shape | None:
    """Return the shape of a message; None for one that no shape knows."""
    for shape in OF_CONTENT if message.keys() == _PLAIN_KEYS else SHAPES:
        if shape.is_mine(message):
            return shape
    return None


def is_plain(message: Mapping[str, Any]) -> bool:
    """Tell whether a message is no more than a role and a text, as most are."""
    return type(message.get("content")) is str and message.keys() == _PLAIN_KEYS


def role_of(message: Mapping[str, Any]) -> Role:
    """Return who speaks in a message, without reading more of it than that takes."""
    named = message.get("role")
    role = ROLES.get(named) if isinstance(named, str) else None
    # What users and tools say is not always told by the name: some formats have results in a user's message.
    if role in _TOLD_BY_NAME or (role == "user" and is_plain(message)):
        return role
    return read_message(message).role


def read_message(message: Mapping[str, Any]) -> Message:
    """Return the normal form of a message. One that no shape knows is a single `Other`, with the role that it names."""
    content = message.get("content")
    if type(content) is str and message.keys() == _PLAIN_KEYS:
        role = ROLES.get(message["role"]) if isinstance(message["role"], str) else None
        if role is not None and role != "tool":
            return Message(role, (Text(content, content),), openai_chat.NAME, None, message)
    is_chat = (content is None or type(content) is str) and "role" in message and message.keys() <= _CHAT_KEYS
    shape = openai_chat.SHAPE if is_chat and openai_chat.SHAPE.is_mine(message) else shape_of(message)
    if shape is not None:
        return shape.read(message)
    role = role_named(message.get("role"))
    if role in _SPEAKERS and all(value is None for key, value in message.items() if key != "role"):
        return Message(role, (), UNKNOWN_SHAPE, None, message)  # what clients dump of an answer without content
    return Message(role, (Other(message),), UNKNOWN_SHAPE, None, message)
