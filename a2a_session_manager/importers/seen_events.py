"""SeenEvents: whether a file holds an event twice; what it has to remember lies in a file, and takes no memory."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.serialization.plain_json import dumped

_TABLE: Final = "CREATE TABLE seen (id INTEGER PRIMARY KEY, said INTEGER NOT NULL)"
_NOT_DURABLE: Final = "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-4000"


class SeenEvents:
    """Remembers of each event its id and what it says, as 16 bytes."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="a2a-sessions-")
        path = Path(self._directory.name, "seen")
        self._seen = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._seen.executescript(f"{_NOT_DURABLE}; {_TABLE}")

    def repeats(self, session_id: str, events: Sequence[SessionEvent[Any]]) -> list[bool | None]:
        """Return of each event whether it came before; None where another one of its id did."""
        found: list[bool | None] = []
        self._seen.execute("BEGIN")
        for event in events:
            mark, said = _number(f"{session_id}\0{event.id}".encode(errors="surrogatepass")), _number(_content(event))
            before = self._seen.execute("SELECT said FROM seen WHERE id = ?", (mark,)).fetchone()
            if before is None:
                self._seen.execute("INSERT INTO seen VALUES (?, ?)", (mark, said))
            found.append(False if before is None else True if before[0] == said else None)
        self._seen.execute("COMMIT")
        return found

    def close(self) -> None:
        """Forget everything."""
        self._seen.close()
        self._directory.cleanup()


def _number(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), signed=True)


def _content(event: SessionEvent[Any]) -> bytes:
    return dumped([event.message, event.source, event.type, event.task_id])
