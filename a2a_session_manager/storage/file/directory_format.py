"""What says that a directory is one of ours, in which format it is, and whether a store works there."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.serialization.plain_json import parsed
from a2a_session_manager.storage.file import descriptors
from a2a_session_manager.storage.file.atomic_files import read_regular, sync_directory, sync_file
from a2a_session_manager.storage.file.descriptors import private_opener
from a2a_session_manager.storage.file.os_errors import translated

_FORMAT_FILE = "format.json"
_IN_USE = "in-use"
_IN_USE_TEXT = "A store works here. Backups leave this file out: without it, a directory is taken for one.\n"
# Format 1 has no catalogs: whoever wrote there without telling one would make pages short.
_FORMAT = 2
_OLDEST_FORMAT = 1
_FORMAT_TEXT = f'{{"a2a_session_manager": {_FORMAT}}}\n'


def has_format(path: Path) -> bool:
    """Tell whether a store has prepared the directory before."""
    return (path / _FORMAT_FILE).exists()


def prepare_format(path: Path, *, durable: bool) -> bool:
    """Write the format file, or check the one that is there; tell whether this is a copy that was never in use."""
    marker = path / _FORMAT_FILE
    if not marker.exists():
        _refuse_old_data(path)
        # The mark comes before the format file: nobody must take a new directory for a copy.
        _mark_as_in_use(path, durable=durable)
        # It is renamed into place: another process must not find half of it.
        new = path / f"{_FORMAT_FILE}.{uuid4().hex}"
        with open(new, "x", opener=private_opener) as file:
            file.write(_FORMAT_TEXT)
        if durable:
            sync_file(new)
        os.replace(new, marker)
    else:
        with translated(marker):
            _check_format_text(marker, read_regular(marker))
    return not (path / _IN_USE).exists()


def raise_format(path: Path, *, durable: bool) -> None:
    """Refuse earlier releases from now on, which would not do what this one is about to rest on."""
    marker = path / _FORMAT_FILE
    with translated(marker):
        data = read_regular(marker)
        if _format_named(data) != _OLDEST_FORMAT:
            return
        # It stays the same file: whoever brings a copy in order holds it.
        fd = os.open(marker, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.pwrite(fd, b"%d" % _FORMAT, data.index(b"%d" % _OLDEST_FORMAT))
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)


@contextmanager
def taking_into_use(path: Path, *, durable: bool) -> Iterator[bool]:
    """Hold a copy against others who open it, and mark it as in use afterwards; yields whether we are the first."""
    fd = descriptors.opened(path / _FORMAT_FILE, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        if (path / _IN_USE).exists():
            yield False
            return
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        yield True
        _mark_as_in_use(path, durable=durable)
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)
        descriptors.close(fd)


def remedy_for_a_lost_part(path: Path) -> str:
    """Return what to do where files do not fit each other: damage, or a copy of several moments."""
    if (path / _IN_USE).exists():
        return (
            f"restore it from a backup; or, if {path} was copied while a store worked there, remove "
            f"{_IN_USE} from the copy and open it again"
        )
    return f"{path} is a copy that nobody has opened yet: open it once where it may be written to"


def bring_to_disk(path: Path) -> None:
    """Sync what every promise rests on: the process that made the directory may have died before that."""
    sync_file(path / _FORMAT_FILE)
    sync_directory(path)
    with suppress(PermissionError):  # a folder that we may pass through, but not read, is not ours to sync
        sync_directory(path.parent)


def _mark_as_in_use(path: Path, *, durable: bool) -> None:
    new = path / f"{_IN_USE}.{uuid4().hex}"
    with open(new, "x", opener=private_opener) as file:
        file.write(_IN_USE_TEXT)
    if durable:
        sync_file(new)
    os.replace(new, path / _IN_USE)
    if durable:
        sync_directory(path)


def _refuse_old_data(path: Path) -> None:
    old = next((each for each in path.glob("*.json") if each.name != _FORMAT_FILE), None)
    if old is not None:
        raise StoreUnavailable(
            f"{path} holds sessions of release 0.1 ({old.name}): take an empty directory, "
            "and read the old files with json to import them"
        )


def _check_format_text(marker: Path, data: bytes) -> None:
    """Raise StoreUnavailable unless `marker` names the format of this release."""
    version = _format_named(data)
    if version is not None and version > _FORMAT:
        raise StoreUnavailable(
            f"{marker} names format {version}, of a newer release: upgrade a2a_session_manager, or, if none was ever "
            "used here, restore it from a backup"
        )
    if version is None or version < _OLDEST_FORMAT:
        raise StoreUnavailable(
            f"{marker} is damaged, at byte {_first_difference(data)}: restore it from a backup, or write "
            f"{_FORMAT_TEXT.strip()} into it if this release wrote the directory; nothing was changed"
        )


def _format_named(data: bytes) -> int | None:
    try:
        document = parsed(data)
    except ValueError:
        return None
    version = document.get("a2a_session_manager") if isinstance(document, dict) else None
    return version if type(version) is int else None


def _first_difference(data: bytes) -> int:
    pairs = enumerate(zip(data, _FORMAT_TEXT.encode(), strict=False))
    return next((at for at, (found, right) in pairs if found != right), min(len(data), len(_FORMAT_TEXT)))
