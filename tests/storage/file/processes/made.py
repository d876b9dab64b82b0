"""Events like those of the contract's tests, for processes: they start in half the time without pytest."""

from __future__ import annotations

from typing import Any

from a2a_session_manager.identifiers import new_id
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.token_usage import TokenUsage


def said(message: str = "hello", *, id: str | None = None) -> SessionEvent[Any]:
    """Return an event of the user with `message`."""
    return SessionEvent(id=new_id() if id is None else id, message=message, source=EventSource.USER)


def spending(tokens: int, *, id: str | None = None) -> SessionEvent[Any]:
    """Return an event whose request used `tokens` prompt tokens and as many completion tokens."""
    usage = TokenUsage(prompt_tokens=tokens, completion_tokens=tokens, model="m", cost_pico_usd=tokens * 7)
    event_id = new_id() if id is None else id
    return SessionEvent(id=event_id, message="reply", source=EventSource.LLM, token_usage=usage)
