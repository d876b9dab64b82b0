"""How a session began, as the first line of its log, its checkpoint and its tree tell it, and in which format."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from a2a_session_manager.models.forked_from import ForkedFrom
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.storage.commit_records import Creation, Fork, Parent
from a2a_session_manager.storage.file.stored_shapes import check_creation, check_fork
from a2a_session_manager.storage.read_records import HeadRecord
from a2a_session_manager.storage.records import PlacedSummary, Range, Segment, SessionKey, StoredCompaction

FORMAT: Final = 1
# A release that knows no forks would read the part of a fork that lies in its own log for the whole, and a tree's forks
# for children. So what makes a fork names this format, in its log and in its tree; all else stays in the other one.
FORK_FORMAT: Final = 2
# A release that knows no budgets would let them be overlooked. So a tree's lines of budgets name this format, and so
# do the lines of logs that settle a hold.
BUDGET_FORMAT: Final = 3


class Border(NamedTuple):
    """The record that holds the last event that a fork inherits from a log: where it starts, and its checksum.

    They tell that the log up to there is what it was: one that was cut, and written to again, has other records there.
    """

    start: int
    checksum: int


class CreationRecord(NamedTuple):
    """What the first line of a log says of its session; a root's `root_creation_id` is its own creation id.

    A fork has a `fork`, and a border for each of its segments.
    """

    key: SessionKey
    creation_id: str
    created_at: int
    parent_id: str | None
    root_id: str
    root_creation_id: str
    depth: int
    updated_at: int | None = None
    fork: Fork | None = None
    borders: tuple[Border, ...] = ()


def creation_record(
    key: SessionKey, creation: Creation, head: HeadRecord, root_creation_id: str, borders: tuple[Border, ...] = ()
) -> CreationRecord:
    """Return what a new log begins with."""
    return CreationRecord(
        key,
        creation.creation_id,
        creation.created_at,
        head.parent_id,
        head.root_id,
        root_creation_id,
        head.depth,
        creation.updated_at,
        creation.fork,
        borders,
    )


def creation_of(creation: CreationRecord) -> Creation:
    """Return the creation that a creation records."""
    parent = None
    if creation.parent_id is not None:
        parent = Parent(creation.parent_id, "", creation.root_id, creation.depth - 1)
    return Creation(creation.creation_id, creation.created_at, parent, creation.updated_at, creation.fork)


def format_of(creation: CreationRecord) -> int:
    """Return the format of what tells of a session."""
    return FORMAT if creation.fork is None else FORK_FORMAT


def creation_fields(creation: CreationRecord) -> list[Any]:
    """Return a creation as JSON values, but for what makes it a fork."""
    namespace, session_id = creation.key
    return [namespace_field(namespace), session_id, *creation[1:8]]


def fork_fields(creation: CreationRecord) -> dict[str, Any] | None:
    """Return what makes a creation a fork as JSON values; None for any other one."""
    fork = creation.fork
    if fork is None:
        return None
    segments = [[*segment, *border] for segment, border in zip(fork.segments, creation.borders, strict=True)]
    return {
        "from": fork.source,
        "segments": segments,
        "hidden": fork.hidden,
        "compactions": fork.compactions,
        "placed": fork.placed,
    }


def creation_from(fields: list[Any], fork: dict[str, Any] | None = None) -> CreationRecord:
    """Return the creation that `creation_fields` and `fork_fields` gave. Raises ValueError for what they never give."""
    check_creation(fields)
    namespace, session_id, *rest = fields
    creation = CreationRecord(SessionKey(namespace_from(namespace), session_id), *rest)
    if fork is None:
        return creation
    check_fork(fork, creation.parent_id, creation.depth)
    taken = Fork(
        ForkedFrom(*fork["from"]),
        tuple(Segment(*segment[:4]) for segment in fork["segments"]),
        _ranges(fork["hidden"]),
        tuple(StoredCompaction(seq, first, last, _ranges(pins)) for seq, first, last, pins in fork["compactions"]),
        tuple(PlacedSummary(*placed) for placed in fork["placed"]),
    )
    return creation._replace(fork=taken, borders=tuple(Border(*segment[4:]) for segment in fork["segments"]))


def namespace_field(namespace: Namespace) -> Any:
    """Return a namespace as a JSON value: one that is not nested as its name, "" for the default one."""
    return list(namespace) if len(namespace) > 1 else "".join(namespace)


def namespace_from(field: Any) -> Namespace:
    """Return the namespace that `namespace_field` gave."""
    return tuple(field) if isinstance(field, list) else (field,) if field else ()


class UnknownFormatError(ValueError):
    """The file was written by a newer release."""

    def __init__(self, version: int) -> None:
        super().__init__(f"format {version}")
        self.version = version


def check_format(version: Any) -> None:
    """Raise UnknownFormatError for a newer one, ValueError for what is none."""
    if type(version) is not int or version < 1:
        raise ValueError("no format")
    if version > BUDGET_FORMAT:
        raise UnknownFormatError(version)


def _ranges(pairs: Any) -> tuple[Range, ...]:
    return tuple((first, last) for first, last in pairs)
