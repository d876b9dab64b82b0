"""Errors of the operating system in our words, with the path and the remedy."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from a2a_session_manager.exceptions import StoreFull, StoreUnavailable

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
READ_ONLY = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn errors of the operating system into ours."""
    try:
        yield
    except OSError as error:
        raise translation(error, path) from error


def translation(error: OSError, path: Path) -> StoreFull | StoreUnavailable:
    """Return our error for one of the operating system, with the path and the remedy."""
    if error.errno in FULL:
        return StoreFull(f"{path}: no room is left ({error.strerror}): free some, then write again")
    if error.errno == errno.ELOOP:
        return StoreUnavailable(f"{path} is a symlink: replace it by the real file")
    return StoreUnavailable(f"{path}: {error.strerror}: check the path and its permissions")
