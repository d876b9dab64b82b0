"""What the catalog of a namespace is told of its sessions: each record is one line of its journal.

The catalog is what the records come to, in their order. Whoever writes one holds the session's log or its tree, so that
the records of one session are in the order of what they tell.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from a2a_session_manager.serialization.plain_json import dumped, parsed
from a2a_session_manager.storage import page_rules
from a2a_session_manager.storage.read_records import HeadRecord

_LONGEST_VALUE: Final = 64
_LONGEST_TITLE: Final = 512
# Stands for a title that is too long to be kept, or damaged: only the session's head tells what is in it.
LONG_TITLE: Final = "\0"


class Kind(StrEnum):
    """What a record tells.

    CREATES, ACTIVE, CHANGES and DELETES are written ahead of what they tell, which may not come about: they take
    nothing away that pages find the session by. CHANGED is written after a commit, SURE by whoever holds the session's
    tree.
    """

    CREATES = "c"
    ACTIVE = "a"
    CHANGES = "v"
    CHANGED = "e"
    SURE = "s"
    DELETES = "d"
    GONE = "g"
    # How far a rebuild has come, and that the catalog has all sessions.
    PROGRESS = "p"
    WHOLE = "w"


class CatalogEntry(NamedTuple):
    """What pages find a session by: of each indexed property, and of the title, one value, or more of two moments."""

    creation_id: str
    id: str
    root_id: str
    is_listed_as_root: bool
    created_at: int
    updated_at: int
    values: Sequence[tuple[str, str]]
    titles: Sequence[str]


def entry_of(head: HeadRecord, indexed: Iterable[str], *changes: Mapping[str, bytes | None]) -> CatalogEntry:
    """Return the entry of a head, with the values that commits have changed on the way to it."""
    stages = [*changes, head.properties]
    values = {
        (name, value_text(value)): None
        for name in indexed
        for stage in stages
        if (value := stage.get(name)) is not None
    }
    titles = {text: None for stage in stages if (text := _title_text(stage.get("title")))}
    return CatalogEntry(
        head.creation_id,
        head.key.id,
        head.root_id,
        head.begins_at_root,
        head.created_at,
        head.updated_at,
        tuple(values),
        tuple(titles),
    )


def value_text(data: bytes) -> str:
    """Return the text that stands for the bytes of a property's value: the bytes, or a digest, which is no JSON."""
    if len(data) <= _LONGEST_VALUE:
        return data.decode()
    return f"#{hashlib.blake2b(data, digest_size=16).hexdigest()}"


def encoded_entry(kind: Kind, entry: CatalogEntry) -> bytes:
    """Return a record of one session."""
    return dumped([kind, *entry])


def encoded_ids(kind: Kind, creation_ids: Sequence[str]) -> bytes:
    """Return a record of the deletion of sessions."""
    return dumped([kind, *creation_ids])


def encoded_progress(kind: Kind, generation: str, place: str) -> bytes:
    """Return a record of a rebuild of the generation."""
    return dumped([kind, generation, place])


def decoded(payload: bytes) -> tuple[Kind, list[Any]]:
    """Return the kind of a record and what it tells. Raises ValueError for what is none."""
    fields = parsed(payload)
    if type(fields) is not list or not fields:
        raise ValueError("no record")
    return Kind(fields[0]), fields[1:]


def entry_from(fields: list[Any]) -> CatalogEntry:
    """Return the entry that a record tells of. Raises ValueError for what is none."""
    creation_id, session_id, root_id, is_listed_as_root, created_at, updated_at, values, titles = fields
    texts = [creation_id, session_id, root_id, *titles, *(text for pair in values for text in pair)]
    if not all(type(text) is str for text in texts) or type(created_at) is not int or type(updated_at) is not int:
        raise ValueError("no entry")
    pairs = [(name, value) for name, value in values]
    return CatalogEntry(
        creation_id, session_id, root_id, bool(is_listed_as_root), created_at, updated_at, pairs, titles
    )


def _title_text(data: bytes | None) -> str:
    if data is None or not data.startswith(b'"'):
        return ""
    try:
        title = page_rules.folded(str(parsed(data)))
    except ValueError:
        return LONG_TITLE
    return LONG_TITLE if len(title) > _LONGEST_TITLE else title
