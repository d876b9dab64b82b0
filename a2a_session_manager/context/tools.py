"""Tool calls and their results as chat messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from a2a_session_manager.context.messages import ChatMessage, json_text
from a2a_session_manager.models.session_event import SessionEvent


def call_message(name: str, args: Mapping[str, Any] | str | None, call_id: str) -> ChatMessage:
    """Return the assistant's message that calls one tool; text arguments go in as they are."""
    arguments = args if isinstance(args, str) else json_text(dict(args or {}), "args")
    call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def result_message(name: str, result: Any, call_id: str) -> ChatMessage:
    """Return the tool's answer to a call; what is not text goes in as JSON text."""
    content = result if isinstance(result, str) else json_text(result, "result")
    return {"role": "tool", "tool_call_id": call_id, "name": name, "content": content}


def is_call_of(event: SessionEvent[Any], call_id: str) -> bool:
    """Tell whether `event` holds the call that `call_id` names."""
    message = event.message
    calls = message.get("tool_calls") if isinstance(message, dict) else None
    return isinstance(calls, list) and any(isinstance(call, dict) and call.get("id") == call_id for call in calls)
