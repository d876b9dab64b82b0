"""SessionStore: the promises that every store keeps, and that callers may rely on; each topic has a module."""

from __future__ import annotations

from a2a_session_manager.protocols.budgets import BudgetKeeper
from a2a_session_manager.protocols.finding import SearchableStore
from a2a_session_manager.protocols.leases import KeptAlive, LeaseKeeper
from a2a_session_manager.protocols.pages import EventsPage, HeadsPage, PageOrder, SessionPage
from a2a_session_manager.protocols.reading import MessageReader, ReadableStore
from a2a_session_manager.protocols.session_store import SessionStore
from a2a_session_manager.protocols.upkeep import MaintainableStore
from a2a_session_manager.protocols.writing import ChildPolicy, ForkEnding, RepeatPolicy, WritableStore

__all__ = [
    "BudgetKeeper",
    "ChildPolicy",
    "EventsPage",
    "ForkEnding",
    "HeadsPage",
    "KeptAlive",
    "LeaseKeeper",
    "MaintainableStore",
    "MessageReader",
    "PageOrder",
    "ReadableStore",
    "RepeatPolicy",
    "SearchableStore",
    "SessionPage",
    "SessionStore",
    "WritableStore",
]
