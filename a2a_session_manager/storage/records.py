"""What crosses the border between the verbs and a backend: ids, numbers and encoded bytes, no models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from a2a_session_manager.exceptions import SessionManagerError
from a2a_session_manager.identifiers import commit_tag

# (first seq, last seq), both inclusive; a list of them is sorted, merged and disjoint.
Range = tuple[int, int]
Counters = dict[str, int]
# (model, source) → counters
Totals = dict[tuple[str, str], Counters]


class SessionKey(NamedTuple):
    """Which session; two namespaces never share one, whatever the ids look like."""

    namespace: str
    id: str


class UsageDelta(NamedTuple):
    """What one event adds to the totals."""

    model: str
    source: str
    counters: Counters


class EncodedEvent(NamedTuple):
    """An event as bytes; its seq is the store's to give, so the bytes do not hold it."""

    id: str
    data: bytes
    run_id: str | None
    usage: UsageDelta | None


class StoredRun(NamedTuple):
    """A run as bytes, with the status that decides whether it may still move."""

    status: str
    data: bytes


class EncodedRetraction(NamedTuple):
    """Which events to hide: ids, or the last so many visible ones, or all after a seq; one of the three."""

    event_ids: tuple[str, ...] = ()
    last: int | None = None
    after: int | None = None


class Guard(NamedTuple):
    """What a write expects of the session: its revision and, if that is known, the tag that its last commit left."""

    revision: int
    tag: str = ""


@dataclass(slots=True)
class EncodedCommit:
    """One commit, ready to be written. A None among `state` or `properties` unsets its key.

    `written_at` is in microseconds since the epoch, by the writer's clock. `write_id` is None only for a
    commit of nothing but events, whose own ids make it repeatable. `creation_id` names the session's life
    that is meant; None takes whichever is there. `tag` is random and stays in the head until the next commit: where
    time has gone back, by a restore or a failover, a revision comes again with another one.
    """

    events: Sequence[EncodedEvent] = ()
    state: Mapping[str, bytes | None] = field(default_factory=dict)
    properties: Mapping[str, bytes | None] = field(default_factory=dict)
    runs: Mapping[str, StoredRun] = field(default_factory=dict)
    retraction: EncodedRetraction | None = None
    written_at: int = 0
    write_id: str | None = None
    expected_revision: int | None = None
    expected_tag: str = ""
    creation_id: str | None = None
    tag: str = field(default_factory=commit_tag)

    @property
    def guard(self) -> Guard | None:
        """What the commit expects, None for nothing."""
        return None if self.expected_revision is None else Guard(self.expected_revision, self.expected_tag)

    @property
    def is_append(self) -> bool:
        """True for events and nothing else."""
        return bool(self.events) and not (self.state or self.properties or self.runs or self.retraction)

    @property
    def size(self) -> int:
        """About how many bytes the commit brings, names and ids among them."""
        size = sum([len(event.data) for event in self.events])
        if not self.is_append:
            for values in (self.state, self.properties):
                size += sum(len(key) + len(data or b"") for key, data in values.items())
            size += sum(len(run_id) + len(run.data) for run_id, run in self.runs.items())
            size += sum(map(len, self.retraction.event_ids)) if self.retraction is not None else 0
        return size

    @property
    def is_empty(self) -> bool:
        return not (self.events or self.state or self.properties or self.runs or self.retraction)


class Parent(NamedTuple):
    """The session a new one goes under, as it was read: the store checks that this life of it still exists."""

    id: str
    creation_id: str
    root_id: str
    depth: int


class Creation(NamedTuple):
    """The birth of a session: its random creation id names this life of the id.

    Of one that was imported, `updated_at` is when it was last active where it comes from; else it is `created_at`.
    """

    creation_id: str
    created_at: int
    parent: Parent | None = None
    updated_at: int | None = None

    @property
    def active_at(self) -> int:
        """When the session counts as last active, at its birth."""
        return self.created_at if self.updated_at is None else self.updated_at


class Receipt(NamedTuple):
    """A commit's answer. `seqs` are those of its events, in order; `hidden` is what this commit hid. `is_change`
    tells whether this commit made `revision`, or found it and changed nothing. `updated_at` is when the session was
    last active, after this commit, and `tag` what its last commit left, "" where that cannot be told.

    `is_repeat` tells that its write id was known: the answer is the first result, and `seqs` holds a 0 for an
    event that is not stored. `was_sent_before` tells that this very call may have made the commit itself, by a try
    whose answer was lost.
    """

    revision: int
    last_seq: int
    is_change: bool
    seqs: Sequence[int]
    hidden: Sequence[Range] = ()
    is_repeat: bool = False
    updated_at: int = 0
    tag: str = ""
    was_sent_before: bool = False


class EventsKnown(SessionManagerError):
    """The answer to a commit that brings events whose ids are stored already: nothing of it was written.

    `seqs` holds the seq of each of its events, 0 for a new one; `revision`, `last_seq` and `updated_at` are the
    session's. The verbs compare what is stored, and send the rest. `was_sent_before` as in Receipt.
    """

    def __init__(
        self, session_id: str, *, revision: int, last_seq: int, seqs: Sequence[int], updated_at: int, tag: str
    ) -> None:
        super().__init__(f"session {session_id!r} holds events of this commit already", session_id=session_id)
        self.revision = revision
        self.last_seq = last_seq
        self.seqs = seqs
        self.updated_at = updated_at
        self.tag = tag
        self.was_sent_before = False


class FirstResult(NamedTuple):
    """What a store remembers of a write id: enough to answer it again."""

    revision: int
    last_seq: int
    is_change: bool
    hidden: tuple[Range, ...]


class StoredEvent(NamedTuple):
    """An event as it lies in the log, with the revision of the commit that brought it."""

    seq: int
    revision: int
    data: bytes


class StoredRetraction(NamedTuple):
    """A retraction in its place: after the event numbered `after_seq`, by the commit `revision`."""

    revision: int
    after_seq: int
    hidden: tuple[Range, ...]


@dataclass(slots=True)
class HeadRecord:
    """All of a session but its log. Depth is 1 for a root; times are microseconds since the epoch.

    `updated_at` is moved by commits with events, runs, state or retractions, and by no others.
    `runs` keeps the order of first commit, and so does `unfinished`: the ids of those that may still move.
    A backend that loads a head without its ranges of `hidden` counts `hidden_events` instead.
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
    hidden: list[Range] = field(default_factory=list)
    hidden_events: int | None = None
    totals: Totals = field(default_factory=dict)
    run_totals: dict[str, Counters] = field(default_factory=dict)


@dataclass(slots=True)
class LoadedSession:
    """A head with the events that were asked for, oldest first, and the child ids of a full read.

    The events are taken once: a backend may make each of them only then.
    """

    head: HeadRecord
    events: Iterable[StoredEvent] = ()
    child_ids: Sequence[str] = ()


class LogPage(NamedTuple):
    """A stretch of the log: events in order, hidden ones included, and what the session hides now.

    `retractions` are those placed at or after the page's start and before its last event, or up to the end
    of the log when `is_last`. `revision` is the session's, and `tag` what the commit that made it left; "" where a
    backend keeps none, and then a follower does not notice another commit that comes under the same revision.
    """

    creation_id: str
    revision: int
    events: Sequence[StoredEvent]
    retractions: Sequence[StoredRetraction]
    hidden: Sequence[Range]
    is_last: bool
    tag: str = ""


class TreeTotals(NamedTuple):
    """What a root's tree has spent, and which life of the root it is."""

    creation_id: str
    totals: Totals


class TreeNode(NamedTuple):
    """A place in a tree; a tree lists them in creation order, the root first."""

    id: str
    parent_id: str | None
