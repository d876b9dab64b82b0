"""What a backend returns of a session that is stored: ids, numbers and encoded bytes, no models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from a2a_session_manager.budgets.blocks import Block
from a2a_session_manager.models.forked_from import ForkedFrom
from a2a_session_manager.models.forked_from import TreeNode as TreeNode
from a2a_session_manager.storage.records import (
    Counters,
    Lease,
    PlacedSummary,
    Range,
    Segment,
    SessionKey,
    StoredCompaction,
    StoredRun,
    Totals,
)


class NamespacePage(NamedTuple):
    """One page of the names directly below a namespace; `cursor` asks for the next one, and is None on the last."""

    names: list[str]
    cursor: str | None


class StoredEvent(NamedTuple):
    """An event in the log, with the revision of the commit that added it; those that a fork inherits came with 1."""

    seq: int
    revision: int
    data: bytes


class StoredRetraction(NamedTuple):
    """What the commit `revision` hid, and what it restored; its place in the log is after the event `after_seq`."""

    revision: int
    after_seq: int
    hidden: tuple[Range, ...]
    restored: tuple[Range, ...] = ()


@dataclass(slots=True)
class HeadRecord:
    """All of a session but its log.

    Attributes:
        depth: 1 for a root.
        created_at, updated_at: microseconds since the epoch. Commits with events, runs, state, retractions or
            restorations move `updated_at`; others do not.
        runs, unfinished: the runs, and the ids of those that may still change; both in the order of first commit.
        leases: who holds runs, by their ids; a backend may keep them elsewhere.
        hidden: the seqs of events that are hidden now.
        hidden_events: how many events are retracted, from a backend that loads a head without `hidden`.
        compactions: those that were not ended, the one first that reaches furthest.
        placed: the summaries that stand elsewhere than in their own place.
        blocks: what was spent in the newest windows of budgets; a backend may keep them elsewhere.
        forked_from: where a fork begins; None for any other session.
        segments: where the events lie that a fork inherits, oldest first and without a gap. They count in `last_seq`,
            and in nothing that is spent.
    """

    key: SessionKey
    creation_id: str
    parent_id: str | None
    root_id: str
    depth: int
    created_at: int
    updated_at: int
    revision: int = 0
    tag: str = ""
    last_seq: int = 0
    state: dict[str, bytes] = field(default_factory=dict)
    properties: dict[str, bytes] = field(default_factory=dict)
    runs: dict[str, StoredRun] = field(default_factory=dict)
    unfinished: dict[str, None] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)
    hidden: list[Range] = field(default_factory=list)
    hidden_events: int | None = None
    compactions: list[StoredCompaction] = field(default_factory=list)
    placed: list[PlacedSummary] = field(default_factory=list)
    totals: Totals = field(default_factory=dict)
    run_totals: dict[str, Counters] = field(default_factory=dict)
    blocks: dict[str, Block] = field(default_factory=dict)
    forked_from: ForkedFrom | None = None
    segments: tuple[Segment, ...] = ()

    @property
    def inherited(self) -> int:
        """How many events lie in other logs, all of them before the session's own; 0 for what is no fork."""
        return self.segments[-1].last_seq if self.segments else 0

    @property
    def begins_at_root(self) -> bool:
        """True for a root, and for a fork of one, or of a fork of one: nothing but forks lies in between."""
        return self.depth - len(self.segments) == 1


@dataclass(slots=True)
class LoadedSession:
    """A head with the requested events, oldest first, and for a whole head the child ids.

    `events` can be iterated once: a backend may make each event only then.
    """

    head: HeadRecord
    events: Iterable[StoredEvent] = ()
    child_ids: Sequence[str] = ()


class RecordBlock(NamedTuple):
    """The bytes of some events in a row, apart by tabs, which none of them holds: JSON escapes them."""

    length: int
    data: bytes


class LogTail(NamedTuple):
    """The newest visible events of a session, oldest first, without its head; `earlier_events` are visible, too.

    `records` are their bytes, in step with `seqs`: no object an event, for they come by the thousand. A backend that
    has many side by side gives them as `blocks` instead, and no `records`. `summaries` are those that stand elsewhere
    than in their own place, each with the seq where it does, and more that are not here; `compaction`, where it is for
    a view, is the one that counts, which is among them.
    """

    creation_id: str
    seqs: Sequence[int]
    records: Sequence[bytes]
    earlier_events: int
    blocks: Sequence[RecordBlock] = ()
    summaries: Mapping[int, int] = {}
    compaction: StoredCompaction | None = None


class LogPage(NamedTuple):
    """A page of the log.

    Attributes:
        creation_id, revision: those of the session.
        events: in order, hidden ones too.
        retractions: those made from the page's start until before its last event, restorations too, in the order of
            their commits; on the last page, all later ones too.
        hidden: the seqs of all events that are hidden now.
        is_last: there are no events after these.
        tag: that of the session's last commit. A backend that has none returns ""; then a follower does not notice when
            another commit gets the same revision.
    """

    creation_id: str
    revision: int
    events: Sequence[StoredEvent]
    retractions: Sequence[StoredRetraction]
    hidden: Sequence[Range]
    is_last: bool
    tag: str = ""


class FoundEvents(NamedTuple):
    """Events that were looked for by their ids.

    Attributes:
        creation_id: that of the session.
        events: those that are stored, by their ids, as far as they make a page.
        unread: the ids of the stored ones that there was no room for.
        hidden: the seqs of those of `events` that are hidden now.
    """

    creation_id: str
    events: Mapping[str, StoredEvent]
    unread: Sequence[str]
    hidden: Sequence[Range]


class TreeTotals(NamedTuple):
    """What a root's tree has spent, and the creation id of the root."""

    creation_id: str
    totals: Totals
