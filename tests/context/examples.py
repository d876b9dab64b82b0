"""Short messages of several formats, and the view of a few of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from a2a_session_manager.context.findings import INTERRUPTED
from a2a_session_manager.context.matching import Said
from a2a_session_manager.context.prompt import prompt_of, view_of
from a2a_session_manager.context.view import MessageView

Json = dict[str, Any]

ASK: Json = {"role": "user", "content": "Weather in Oslo?"}
STOP: Json = {"role": "user", "content": "Are you there?"}
SAY: Json = {"role": "assistant", "content": "It rains."}
HELLO: Json = {"role": "assistant", "content": "Hello!"}
INSTRUCT: Json = {"role": "system", "content": "Be brief."}
# What stands for the result of the call `c1`.
INTERRUPTION: Json = {"role": "tool", "tool_call_id": "c1", "content": INTERRUPTED, "name": "weather"}


def call(*call_ids: str, text: str | None = None, city: str = "Oslo") -> Json:
    """Return a message of OpenAI's chat format that calls the tool `weather` once for each id."""
    function = {"name": "weather", "arguments": f'{{"city": "{city}"}}'}
    made = [{"id": each, "type": "function", "function": function} for each in call_ids]
    return {"role": "assistant", "content": text, "tool_calls": made}


def result(call_id: str, text: str = "rain") -> Json:
    return {"role": "tool", "tool_call_id": call_id, "content": text}


def uses(*call_ids: str, thinking: str | None = None) -> Json:
    """Return a message of Anthropic's format that calls the tool `weather` once for each id."""
    thought = [] if thinking is None else [{"type": "thinking", "thinking": thinking, "signature": "sig"}]
    made = [{"type": "tool_use", "id": each, "name": "weather", "input": {"city": "Oslo"}} for each in call_ids]
    return {"role": "assistant", "content": [*thought, *made]}


def used(*results: Json) -> Json:
    return {"role": "user", "content": list(results)}


def tool_result(call_id: str, text: str = "rain") -> Json:
    return {"type": "tool_result", "tool_use_id": call_id, "content": text}


def block(text: str) -> Json:
    return {"type": "text", "text": text}


def said(*messages: Json, run_ids: Sequence[str | None] | None = None) -> Said:
    """Return messages as those of the events 1, 2, and so on."""
    return Said(messages, range(1, len(messages) + 1), run_ids or [None] * len(messages))


def view(*messages: Json, run_ids: Sequence[str | None] | None = None, format: str | None = None) -> MessageView:
    """Return the view of messages that are stored as the events 1, 2, and so on."""
    return view_of(prompt_of(said(*messages, run_ids=run_ids), format), format, "chat")


def gemini(role: str, *parts: Json) -> Json:
    return {"role": role, "parts": list(parts)}


def function_call(city: str) -> Json:
    return {"functionCall": {"name": "weather", "args": {"city": city}}}


def function_response(text: str) -> Json:
    return {"functionResponse": {"name": "weather", "response": {"output": text}}}
