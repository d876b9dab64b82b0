"""The stores that a test of something above them runs on, each opened twice for one that reads cold."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from a2a_session_manager.storage import BaseSessionStore, InMemorySessionStore
from a2a_session_manager.storage.file import FileSessionStore

# Opens a store at a place: another one at the same place has what the first one wrote.
OpenStore = Callable[[], AbstractAsyncContextManager[BaseSessionStore]]


def opener(name: str, place: Path) -> OpenStore:
    """Return what opens the store called `name`, again and again over the same data below `place`."""
    if name == "memory":
        return _memory()
    return lambda: FileSessionStore(place)


# A store adds its name here.
NAMES = ["memory", "file"]


def _memory() -> OpenStore:
    only = InMemorySessionStore()

    @asynccontextmanager
    async def again() -> AsyncIterator[BaseSessionStore]:
        yield only

    return again
