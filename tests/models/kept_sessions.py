"""A store in memory, and a session that is kept in it, and the ways of copying one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from a2a_session_manager import (
    InMemorySessionStore,
    RunStatus,
    Session,
    SessionChange,
    SessionEvent,
    SessionRun,
    TokenUsage,
)

Copying = Callable[[Session[Any]], Session[Any]]
COPIES: dict[str, Copying] = {
    "model_copy": lambda session: session.model_copy(),
    "deep model_copy": lambda session: session.model_copy(deep=True),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
}


class Plan(BaseModel):
    days: int


def said(text: str, tokens: int = 0, *, run_id: str | None = None) -> SessionEvent[Any]:
    usage = TokenUsage(prompt_tokens=tokens, model="m", cost_pico_usd=tokens * 10**12)
    return SessionEvent(message=text, token_usage=usage, task_id=run_id)


@pytest.fixture
def store() -> InMemorySessionStore:
    return InMemorySessionStore()


@pytest.fixture
async def stored(store: InMemorySessionStore) -> Session[Any]:
    """A session of two events, a run, state and a property, read from its store."""
    change = SessionChange(
        events=[said("a", 1), said("b", 2)],
        set_state={"plan": {"days": 2}},
        set_properties={"owner": "Ann"},
        runs=[SessionRun(id="r", status=RunStatus.RUNNING)],
    )
    await store.create("s", change=change)
    session = await store.get("s")
    assert session is not None
    return session
