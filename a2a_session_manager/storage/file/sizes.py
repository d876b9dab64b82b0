"""How many bytes of files a session has: its log and all that lies beside it, and of a root the tree file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

from a2a_session_manager.storage.file.os_errors import translated
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.records import SessionKey

_SUFFIXES = (".log", ".ckpt", ".idx", ".leases", ".durable")


def sizes(directory: StoreDirectory, keys: Sequence[SessionKey]) -> list[int | None]:
    """Return the sum of the sizes of each session's files, as their readers see them; 0 for one that has none."""
    with translated(directory.path):
        return [sum(map(_size, _files(directory, key))) for key in keys]


def _files(directory: StoreDirectory, key: SessionKey) -> Iterator[Path]:
    log = directory.log(key)
    yield from (log.path.with_suffix(suffix) for suffix in _SUFFIXES)
    yield from takewhile(os.path.lexists, log.cut_paths())
    if log.path.with_suffix(".idx").exists():  # without it there are no tables, and no folder to search
        yield from log.path.parent.glob(f"{log.path.stem}.ids.*")
    tree = directory.tree(key).path
    yield from (tree, tree.with_suffix(".durable"), tree.with_suffix(".holds"))


def _size(path: Path) -> int:
    with suppress(FileNotFoundError, NotADirectoryError):
        return path.lstat().st_size
    return 0
