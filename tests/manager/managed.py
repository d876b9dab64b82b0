"""A manager over a store in memory."""

from __future__ import annotations

from typing import Any

import pytest

from a2a_session_manager import (
    InMemorySessionStore,
    SessionEvent,
    SessionManager,
    TokenUsage,
)


@pytest.fixture
def store() -> InMemorySessionStore:
    return InMemorySessionStore()


@pytest.fixture
def sessions(store: InMemorySessionStore) -> SessionManager:
    return SessionManager(store)


def said(text: str, tokens: int = 0) -> SessionEvent[Any]:
    return SessionEvent(message=text, token_usage=TokenUsage(prompt_tokens=tokens, model="m"))


async def texts(sessions: SessionManager, session_id: str) -> list[Any]:
    return [event.message for event in (await sessions.get(session_id)).events]
