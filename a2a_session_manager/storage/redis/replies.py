"""What scripts and commands answer: lists, hashes, and the words that tell of damage."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import unquote

from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.storage.records import Range

# Any number of ranges or values as a flat list, as Lua returns them.
Flat = Sequence[Any]


def status_of(reply: Flat, session_id: str) -> bytes:
    """Return the word a script's answer begins with. Raises CorruptSession when that tells of damage."""
    status: bytes = reply[0]
    if status == b"LOST":
        what, *source = (part.decode() for part in reply[1:])
        raise lost(session_id, what if not source else f"{what}, which lie in {_shown_source(source[0])}")
    if status == b"NEWER":
        raise CorruptSession(
            session_id, f"session {session_id!r} was written by a newer release: upgrade a2a_session_manager"
        )
    return status


def _shown_source(suffix: str) -> str:
    """Return the session whose keys end in `suffix`, of which a fork is made, as an error names it."""
    return f"session {unquote(suffix[1:])!r}" if suffix else "the root of its tree"


def lost(session_id: str, what: str) -> CorruptSession:
    """Return the error for a session of which a key is missing while others are there."""
    return CorruptSession(
        session_id,
        f"session {session_id!r}: redis has lost its {what}, and the rest is there: restore it from a backup"
        # The tree is where a deletion begins.
        f"{'' if what == 'tree' else ', or delete it'}; an eviction policy other than noeviction does this",
    )


def mended(session_id: str) -> CorruptSession:
    """Return the error for a session of which a key was missing and has been put back."""
    return CorruptSession(
        session_id,
        f"session {session_id!r}: redis had lost its locator, which was put back from the index just now: read the "
        "session again, and look what else is missing; an eviction policy other than noeviction does this, or a "
        "failover",
    )


def ranges_of(bounds: Flat) -> tuple[Range, ...]:
    """Return ranges from their bounds, one after the other."""
    return tuple(pairs(bounds))


def hash_of(fields: Flat | dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Return a hash from how RESP 2 tells it; RESP 3 tells a mapping."""
    return fields if isinstance(fields, dict) else dict(pairs(fields))


def pairs(parts: Flat) -> Iterator[tuple[Any, Any]]:
    """Yield the first and second, the third and fourth, and so on."""
    each = iter(parts)
    return zip(each, each, strict=True)


def cell_of(text: str) -> tuple[str, str]:
    """Return the model and source that a field of totals is about."""
    model, source = json.loads(text)
    return model, source
