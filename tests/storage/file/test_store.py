"""The file store: the contract, and what is its alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from a2a_session_manager.storage.file import FileSessionStore
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.testing import StoreContract


class TestFileSessionStore(StoreContract):
    async def open_store(self, place: Path) -> BaseSessionStore:
        return FileSessionStore(place / "sessions")

    async def open_indexed_store(self, place: Path, indexed: Sequence[str]) -> BaseSessionStore:
        return FileSessionStore(place / "sessions", indexed=indexed)

    async def damage(self, store: BaseSessionStore, session_id: str) -> None:
        await asyncio.to_thread(_flip_a_bit, log_of(store, session_id))


def log_of(store: BaseSessionStore, session_id: str) -> Path:
    """Return where the log of a session lies."""
    backend: Any = store._open_backend
    path: Path = backend._directory.log(store._key(session_id)).path
    return path


def _flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b"\t") + 5] ^= 1
    path.write_bytes(bytes(data))
