"""Where sessions are kept: the stores, and what it takes to write another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from a2a_session_manager.lazy import lazy_names
from a2a_session_manager.limits import StoreLimits
from a2a_session_manager.protocols import EventsPage, HeadsPage, PageOrder, SessionPage, SessionStore
from a2a_session_manager.provider import SessionStoreProvider
from a2a_session_manager.statistics import StoreStatistics
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.memory import InMemorySessionStore
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.url import store_from_url

if TYPE_CHECKING:
    from a2a_session_manager.storage.file import FileSessionStore, create_file_session_store
    from a2a_session_manager.storage.redis import RedisSessionStore, create_redis_session_store

SessionStoreInterface = BaseSessionStore

__all__ = [
    "Backend",
    "BaseSessionStore",
    "EventsPage",
    "FileSessionStore",
    "HeadsPage",
    "InMemorySessionStore",
    "PageOrder",
    "RedisSessionStore",
    "SessionPage",
    "SessionStore",
    "SessionStoreInterface",
    "SessionStoreProvider",
    "StoreLimits",
    "StoreStatistics",
    "create_file_session_store",
    "create_redis_session_store",
    "store_from_url",
]

# Imported when asked for: a store brings its own libraries, and not everybody needs all of them.
LAZY = {
    "FileSessionStore": "a2a_session_manager.storage.file",
    "create_file_session_store": "a2a_session_manager.storage.file",
    "RedisSessionStore": "a2a_session_manager.storage.redis",
    "create_redis_session_store": "a2a_session_manager.storage.redis",
}

if not TYPE_CHECKING:  # so that type checkers report a name that is not there
    __getattr__, __dir__ = lazy_names(__name__, LAZY, __all__)
    del __all__
