"""Tool calls and their results as chat messages."""

from __future__ import annotations

from typing import Any

from a2a_session_manager.context.messages import ChatMessage
from a2a_session_manager.limits import DEFAULT_LIMITS
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.serialization.values import encode_value, inline_or_thread


async def as_text(value: Any, what: str) -> str:
    """Return text as it is and anything else as JSON text, off the loop when it is heavy. Raises InvalidEvent."""
    if isinstance(value, str):
        return value
    data = await inline_or_thread(lambda check: encode_value(value, check, what), DEFAULT_LIMITS)
    return data.decode()


def call_message(name: str, arguments: str, call_id: str) -> ChatMessage:
    """Return the assistant's message that calls one tool; `arguments` are JSON text."""
    call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def result_message(name: str, content: str, call_id: str) -> ChatMessage:
    """Return the tool's answer to a call."""
    return {"role": "tool", "tool_call_id": call_id, "name": name, "content": content}


def is_call_of(event: SessionEvent[Any], call_id: str) -> bool:
    """Tell whether `event` holds the call that `call_id` names."""
    message = event.message
    calls = message.get("tool_calls") if isinstance(message, dict) else None
    return isinstance(calls, list) and any(isinstance(call, dict) and call.get("id") == call_id for call in calls)
