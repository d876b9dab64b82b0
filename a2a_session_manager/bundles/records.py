"""SessionRecord: a session apart from where it is stored, as the lines of a bundle have it.

It holds no creation id and no revision, which every store gives itself; so one session has one record in all stores,
and the record always has the same bytes. A bundle has one line for each part of it:

    {"session":{…}}                       its head: ids, times, what is hidden, which summaries count
    {"property":"title","value":"Oslo"}   each of its properties, by name
    {"state":"plan","value":{…}}          each value of its state, by name
    {"run":{…}}                           each run, in the order of their first commits
    {"event":{…}}                         each event, in order, as it is stored
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from a2a_session_manager.serialization.plain_json import dumped
from a2a_session_manager.storage import ranges
from a2a_session_manager.storage.read_records import HeadRecord
from a2a_session_manager.storage.records import PlacedSummary, Range, StoredCompaction, StoredRun

# The property of a session that is being brought here, and is not whole yet. No bundle has it.
UNFINISHED: Final = "unfinished_copy"


class Source(NamedTuple):
    """Where a fork begins: after the event `seq` of the session `id`."""

    id: str
    seq: int


class Part(NamedTuple):
    """Events that a fork inherits, by their seqs, and the session that has stored them."""

    session_id: str
    first: int
    last: int


@dataclass(slots=True)
class SessionRecord:
    """All of a session but its events; times are microseconds since the epoch.

    `hidden` are merged ranges; `compactions` and `placed` are the summaries that stand for something, by their seqs.
    Of a fork, `parts` say where the events lie that it inherits, and its own ones come after these.
    """

    id: str
    parent_id: str | None
    created_at: int
    updated_at: int
    last_seq: int
    forked_from: Source | None = None
    parts: tuple[Part, ...] = ()
    hidden: list[Range] = field(default_factory=list)
    compactions: list[StoredCompaction] = field(default_factory=list)
    placed: list[PlacedSummary] = field(default_factory=list)
    properties: dict[str, bytes] = field(default_factory=dict)
    state: dict[str, bytes] = field(default_factory=dict)
    runs: dict[str, StoredRun] = field(default_factory=dict)

    @property
    def inherited(self) -> int:
        """How many events lie in the logs of other sessions."""
        return self.parts[-1].last if self.parts else 0

    @property
    def own_events(self) -> int:
        """How many events come with the record."""
        return self.last_seq - self.inherited

    def lines(self) -> Iterator[bytes]:
        """Yield the record's lines, without those of its events."""
        yield b'{"session":' + dumped(self._head()) + b"}\n"
        for name, value in sorted(self.properties.items()):
            yield value_prefix("property", name) + value + b"}\n"
        for name, value in sorted(self.state.items()):
            yield value_prefix("state", name) + value + b"}\n"
        for run in self.runs.values():
            yield RUN_PREFIX + run.data + b"}\n"

    def _head(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "parent_id": self.parent_id,
            "forked_from": self.forked_from,
            "parts": self.parts,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "last_seq": self.last_seq,
            "hidden": self.hidden,
            "compactions": sorted(self.compactions),
            "placed": sorted(self.placed),
            "properties": len(self.properties),
            "state": len(self.state),
            "runs": len(self.runs),
        }

    def renamed(self, name: Callable[[str], str]) -> SessionRecord:
        """Return the record with other ids of sessions."""
        return replace(
            self,
            id=name(self.id),
            parent_id=None if self.parent_id is None else name(self.parent_id),
            forked_from=None if self.forked_from is None else self.forked_from._replace(id=name(self.forked_from.id)),
            parts=tuple(part._replace(session_id=name(part.session_id)) for part in self.parts),
        )


RUN_PREFIX: Final = b'{"run":'
EVENT_PREFIX: Final = b'{"event":'


def value_prefix(kind: str, name: str) -> bytes:
    """Return what stands before a value, as its bytes, in the line of a property or of the state."""
    return b'{"%b":%b,"value":' % (kind.encode(), dumped(name))


def event_line(data: bytes) -> bytes:
    """Return the line of an event."""
    return EVENT_PREFIX + data + b"}\n"


def record_of(head: HeadRecord, *, top: str, inside: Container[str]) -> SessionRecord:
    """Return the record of a session that is moved with the session `top`; `inside` are the ids of all that are.

    What `top` inherits is taken for its own, as is what forks of it inherit from there.
    """
    is_top = head.key.id == top
    parts = () if is_top else _parts_inside(head, top, inside)
    source = head.forked_from
    return SessionRecord(
        id=head.key.id,
        parent_id=None if is_top else head.parent_id,
        created_at=head.created_at,
        updated_at=head.updated_at,
        last_seq=head.last_seq,
        forked_from=None if is_top or source is None else Source(source.id, source.seq),
        parts=parts,
        hidden=list(head.hidden),
        compactions=list(head.compactions),
        placed=list(head.placed),
        properties={name: value for name, value in head.properties.items() if name != UNFINISHED},
        state=dict(head.state),
        runs=dict(head.runs),
    )


def _parts_inside(head: HeadRecord, top: str, inside: Container[str]) -> tuple[Part, ...]:
    parts: list[Part] = []
    for segment in head.segments:
        owner = segment.session_id if segment.session_id in inside else top
        if parts and parts[-1].session_id == owner:
            parts[-1] = parts[-1]._replace(last=segment.last_seq)
        else:
            parts.append(Part(owner, segment.first_seq, segment.last_seq))
    return tuple(parts)


def check_record(record: SessionRecord) -> None:
    """Check what the numbers of a record say of each other. Raises ValueError, which says what is wrong."""
    last_seq, inherited = record.last_seq, record.inherited
    before = 0
    for part in record.parts:
        _check(part.first == before + 1 <= part.last, "its parts leave a gap")
        before = part.last
    _check((record.forked_from is None) == (not record.parts), "a fork without its parts")
    _check(record.forked_from is None or record.forked_from.seq == inherited, "a fork of another point")
    _check(inherited <= last_seq, "its parts are longer than the whole")
    _check(record.hidden == ranges.merged(record.hidden), "hidden ranges that are not merged")
    _check(all(0 < first <= last <= last_seq for first, last in record.hidden), "hidden events that are none")
    for seq, first, last, pins in record.compactions:
        _check(0 < first <= last < seq <= last_seq, "a summary of what is not there")
        _check(list(pins) == ranges.merged(pins), "pins that are not merged")
        _check(all(first <= one and other <= last for one, other in pins), "a pin outside of its summary")
    _check(len({each.seq for each in record.compactions}) == len(record.compactions), "two summaries in one")
    for placed in record.placed:
        _check(0 < placed.place < placed.seq <= last_seq, "a summary at no place")


def _check(is_right: bool, what: str) -> None:
    if not is_right:
        raise ValueError(what)


def record_in(head: Mapping[str, Any]) -> tuple[SessionRecord, dict[str, int]]:
    """Return the record that a head line has, without values and runs, and how many of each are to come.

    Raises ValueError for what is none.
    """
    try:
        source = head["forked_from"]
        record = SessionRecord(
            id=_text(head["id"]),
            parent_id=None if head["parent_id"] is None else _text(head["parent_id"]),
            created_at=_number(head["created_at"]),
            updated_at=_number(head["updated_at"]),
            last_seq=_count(head["last_seq"]),
            forked_from=None if source is None else Source(_text(source[0]), _count(source[1])),
            parts=tuple(Part(_text(one), _count(first), _count(last)) for one, first, last in head["parts"]),
            hidden=_ranges(head["hidden"]),
            compactions=[
                StoredCompaction(_count(seq), _count(first), _count(last), tuple(_ranges(pins)))
                for seq, first, last, pins in head["compactions"]
            ],
            placed=[PlacedSummary(_count(seq), _count(place)) for seq, place in head["placed"]],
        )
        counts = {name: _count(head[name]) for name in ("properties", "state", "runs")}
        _check(len(head) == len(record._head()), "fields that this release does not know")
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    check_record(record)
    return record, counts


def _ranges(pairs: Any) -> list[Range]:
    return [(_count(first), _count(last)) for first, last in pairs]


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError(f"{value!r:.40} is no text")
    return value


def _number(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r:.40} is no whole number")
    return value


def _count(value: Any) -> int:
    if _number(value) < 0:
        raise ValueError(f"{value} is below zero")
    return int(value)
