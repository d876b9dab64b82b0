"""SessionStore: the promises that every store keeps, and that callers may rely on."""

from __future__ import annotations

from a2a_session_manager.protocols.session_store import (
    BudgetKeeper,
    ChildPolicy,
    EventsPage,
    ForkEnding,
    HeadsPage,
    KeptAlive,
    LeaseKeeper,
    MessageReader,
    PageOrder,
    RepeatPolicy,
    SessionPage,
    SessionStore,
)

__all__ = [
    "BudgetKeeper",
    "ChildPolicy",
    "EventsPage",
    "ForkEnding",
    "HeadsPage",
    "KeptAlive",
    "LeaseKeeper",
    "MessageReader",
    "PageOrder",
    "RepeatPolicy",
    "SessionPage",
    "SessionStore",
]
