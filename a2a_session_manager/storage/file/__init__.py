"""FileSessionStore: sessions in a directory, safe among tasks, threads and processes of one machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.storage.base import BaseSessionStore
from a2a_session_manager.storage.file.backend import FileBackend
from a2a_session_manager.storage.gone import refuse_gone
from a2a_session_manager.storage.limits import DEFAULT_LIMITS, StoreLimits
from a2a_session_manager.tokens.pricing import DEFAULT_PRICER, Pricer

__all__ = ["Durability", "FileSessionStore", "create_file_session_store", "from_url"]

Durability = Literal["process", "disk"]


class FileSessionStore(BaseSessionStore):
    """One append-only log per session.

    With `durability="process"` an acknowledged write survives `kill -9`; with `"disk"` power loss too.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        durability: Durability = "process",
        limits: StoreLimits = DEFAULT_LIMITS,
        pricer: Pricer = DEFAULT_PRICER,
        **gone: object,
    ) -> None:
        refuse_gone(gone)
        if durability not in ("process", "disk"):
            raise InvalidSessionOperation(f"durability={durability!r} is unknown: take 'process' or 'disk'")
        super().__init__(FileBackend(Path(directory), durable=durability == "disk"), limits=limits, pricer=pricer)


def from_url(url: str, limits: StoreLimits, pricer: Pricer) -> FileSessionStore:
    """Return a store for `file:DIRECTORY`, relative or absolute, with `?durability=disk` where wanted."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    durability = options.pop("durability", "process")
    if parts.netloc not in ("", "localhost") or not parts.path:
        raise InvalidSessionOperation(f"store URL {url!r} names no local directory: take file:./sessions")
    if options:
        raise InvalidSessionOperation(f"store URL {url!r} has unknown options {sorted(options)}: known: durability")
    if durability == "disk":
        return FileSessionStore(unquote(parts.path), durability="disk", limits=limits, pricer=pricer)
    if durability != "process":
        raise InvalidSessionOperation(f"durability={durability!r} is unknown: take 'process' or 'disk'")
    return FileSessionStore(unquote(parts.path), limits=limits, pricer=pricer)


def create_file_session_store(
    directory: str | os.PathLike[str] = "./sessions", *, durability: Durability = "process", **gone: object
) -> FileSessionStore:
    """Return a store over `directory`, which is made on first use."""
    refuse_gone(gone)
    return FileSessionStore(directory, durability=durability)
