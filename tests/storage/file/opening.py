"""x"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from a2a_session_manager.storage.file import FileSessionStore
from a2a_session_manager.storage.file.log import LogFile


async def created(store: FileSessionStore, *session_ids: str) -> None:
    for session_id in session_ids:
        await store.create(session_id)


def open_in(directory: Path) -> list[str]:
    """Return the files in the directory that this process has open."""
    links = [os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
    return [target for link in links if os.path.lexists(link) and str(directory) in (target := os.readlink(link))]


def log_in(store: FileSessionStore, session_id: str) -> LogFile:
    backend: Any = store._open_backend
    log: LogFile = backend._directory.log(store._key(session_id))
    return log
