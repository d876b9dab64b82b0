"""Where sessions are kept: the stores, and what it takes to write another one."""

from __future__ import annotations

from a2a_session_manager.protocols import SessionPage, SessionStore
from a2a_session_manager.provider import SessionStoreProvider
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.base import BaseSessionStore
from a2a_session_manager.storage.limits import StoreLimits
from a2a_session_manager.storage.memory import InMemorySessionStore
from a2a_session_manager.storage.url import store_from_url

SessionStoreInterface = BaseSessionStore

__all__ = [
    "Backend",
    "BaseSessionStore",
    "InMemorySessionStore",
    "SessionPage",
    "SessionStore",
    "SessionStoreInterface",
    "SessionStoreProvider",
    "StoreLimits",
    "store_from_url",
]
