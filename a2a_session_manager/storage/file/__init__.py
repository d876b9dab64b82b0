"""FileSessionStore: sessions in a directory, safe among tasks, threads and processes of one machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal
from urllib.parse import unquote_to_bytes

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.limits import DEFAULT_LIMITS, StoreLimits
from a2a_session_manager.pricing.pricer import DEFAULT_PRICER, Pricer
from a2a_session_manager.storage.file.backend import FileBackend
from a2a_session_manager.storage.file.os_errors import translated
from a2a_session_manager.storage.pages import checked_indexed
from a2a_session_manager.storage.removed_options import reject_removed_options
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.url_parts import options_of, shown, split_url

__all__ = ["Durability", "FileSessionStore", "create_file_session_store", "from_url"]

Durability = Literal["process", "disk"]
_DURABILITIES: Final[Mapping[str, Durability]] = {"process": "process", "disk": "disk"}


class FileSessionStore(BaseSessionStore):
    """Sessions as files, one append-only log each, shared by tasks, threads and processes of one machine.

    Args:
        directory: where the files are; it is created on first use. `~` is the home directory. A relative path is below
            the working directory at the time when the store is made.
        durability: with "process", an acknowledged write survives `kill -9`; with "disk", power loss as well.
        limits: how large events and commits may be.
        pricer: gives a usage without a cost one when it is stored.
        indexed: the properties that `page` and `count` find sessions by.
        removed: options that 0.1 had, which are refused with the remedy.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        durability: Durability = "process",
        limits: StoreLimits = DEFAULT_LIMITS,
        pricer: Pricer = DEFAULT_PRICER,
        indexed: Sequence[str] = (),
        **removed: object,
    ) -> None:
        reject_removed_options(removed)
        if durability not in _DURABILITIES:
            raise InvalidSessionOperation(f"durability={durability!r} is unknown: take 'process' or 'disk'")
        self._directory = _fixed(directory)
        backend = FileBackend(self._directory, durable=durability == "disk", indexed=checked_indexed(indexed))
        super().__init__(backend, limits=limits, pricer=pricer)

    @property
    def directory(self) -> Path:
        """The directory with the sessions, absolute; it is created on first use."""
        return self._directory


def from_url(url: str, limits: StoreLimits, pricer: Pricer, indexed: Sequence[str]) -> FileSessionStore:
    """Return a store for `file:DIRECTORY`, relative or absolute, with `?durability=disk` where wanted."""
    parts = split_url(url)
    options = options_of(url, parts.query, ("durability",))
    if parts.netloc not in ("", "localhost") or not parts.path:
        raise InvalidSessionOperation(f"{shown(url)} names no local directory: take file:./sessions")
    if "?" in url and not options:
        raise InvalidSessionOperation(f"{shown(url)} holds a '?' without an option: write it as %3F")
    durability = _DURABILITIES.get(options.get("durability", "process"))
    if durability is None:
        raise InvalidSessionOperation(f"{shown(url)}: its durability is unknown: take 'process' or 'disk'")
    return FileSessionStore(_path_in(parts.path), durability=durability, limits=limits, pricer=pricer, indexed=indexed)


def create_file_session_store(
    directory: str | os.PathLike[str] = "./sessions",
    *,
    durability: Durability = "process",
    indexed: Sequence[str] = (),
    **removed: object,
) -> FileSessionStore:
    """Return a store over `directory`, which is created on first use.

    For `durability`, and `indexed`, the properties that sessions are found by, see FileSessionStore. `removed` are
    options that 0.1 had, which are refused with the remedy.
    """
    reject_removed_options(removed)
    return FileSessionStore(directory, durability=durability, indexed=indexed)


def _path_in(text: str) -> str:
    """Return the path that a URL's text stands for; only a `~` that is not percent-encoded is the home directory."""
    with _unusable_refused():
        path = os.fsdecode(unquote_to_bytes(os.fsencode(text)))
    return path if text.startswith("~") or not path.startswith("~") else f"./{path}"


def _fixed(directory: str | os.PathLike[str]) -> Path:
    """Return the directory as it is meant now, whatever the working directory is by the first use."""
    path = os.path.expanduser(os.fspath(directory))
    if path.startswith("file:"):
        raise InvalidSessionOperation(
            "FileSessionStore takes a directory: for a URL, store_from_url(…); ./file: for one called so"
        )
    with _unusable_refused():
        is_usable = bool(path) and b"\0" not in os.fsencode(path)
    if not is_usable:
        raise InvalidSessionOperation(f"the directory {path!r} cannot exist: take another one, such as ./sessions")
    if path.startswith("~"):
        raise InvalidSessionOperation(f"the directory {path!r} is in nobody's home: write ./~ for one called so")
    # The path is not resolved, because that would read directories.
    with translated(Path(path)):
        return Path(path) if os.path.isabs(path) else Path(os.getcwd(), path)


@contextmanager
def _unusable_refused() -> Iterator[None]:
    try:
        yield
    except UnicodeError as error:
        raise InvalidSessionOperation(f"the directory's name cannot be written ({error}): take another one") from error
