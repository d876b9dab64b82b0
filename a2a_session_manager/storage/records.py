"""What the verbs and a backend hand to each other: ids, numbers and encoded bytes, no models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from a2a_session_manager.exceptions import SessionManagerError
from a2a_session_manager.identifiers import random_bits
from a2a_session_manager.models.counted_response import CountedResponse
from a2a_session_manager.models.lease import LeaseClaim

# (first seq, last seq), both inclusive; a list of them is sorted, merged and disjoint.
Range = tuple[int, int]
Counters = dict[str, int]
# (model, source) → counters
Totals = dict[tuple[str, str], Counters]


class SessionKey(NamedTuple):
    """Names a session. The same id in two namespaces names two sessions."""

    namespace: str
    id: str


class UsageDelta(NamedTuple):
    """What the usage of one event adds to the totals.

    `response_id` names the response that it is of, None where nobody said. `counted` is what is counted of that
    response from this event on, where an earlier one had a usage of it: then `counters` are what this one adds, and not
    what it says. None elsewhere.
    """

    model: str
    source: str
    counters: Counters
    response_id: str | None = None
    counted: CountedResponse | None = None


class EncodedEvent(NamedTuple):
    """An event as bytes. They do not hold its seq, which the store assigns."""

    id: str
    data: bytes
    run_id: str | None
    usage: UsageDelta | None


class StoredRun(NamedTuple):
    """A run as bytes, with its status, which tells whether it may still change."""

    status: str
    data: bytes


class EncodedRetraction(NamedTuple):
    """Which events to hide: by their ids, the `last` so many visible ones, or all `after` a seq; one of the three."""

    event_ids: tuple[str, ...] = ()
    last: int | None = None
    after: int | None = None


class EncodedRestoration(NamedTuple):
    """Which hidden events to show again: by their ids, or as what the commit of a write id hid; one of the two."""

    event_ids: tuple[str, ...] = ()
    write_id: str | None = None


class EncodedCompaction(NamedTuple):
    """What an event of a commit stands for as a summary: the events `first` to `last`, but for those in `pins`.

    `hidden` is the digest of what is hidden between them. Without a range, 0 and 0, the summary stands where what its
    commit hides stood.
    """

    event_id: str
    first: int = 0
    last: int = 0
    pins: tuple[Range, ...] = ()
    hidden: str = ""

    @property
    def is_compaction(self) -> bool:
        return self.last > 0


class StoredCompaction(NamedTuple):
    """A summary, which is the event `seq`, of the events `first` to `last`, but for those in `pins`."""

    seq: int
    first: int
    last: int
    pins: tuple[Range, ...] = ()


class PlacedSummary(NamedTuple):
    """A summary without a range, which is the event `seq`, and the seq where it stands."""

    seq: int
    place: int


class Guard(NamedTuple):
    """What a write expects of the session: its revision and, unless it is "", the tag of its last commit."""

    revision: int
    tag: str = ""


def _new_tag() -> str:
    """Return 32 random bits as hex digits, which tell two commits of the same revision apart."""
    return f"{random_bits(32):08x}"


@dataclass(slots=True)
class EncodedCommit:
    """One commit, ready to be written.

    Attributes:
        state, properties: the encoded values by key; None removes the key.
        written_at: microseconds since the epoch, by the writer's clock.
        write_id: None only for a commit of nothing but events, whose own ids make it repeatable.
        creation_id: the incarnation of the session that is meant; None means whichever has the id now.
        compactions: what those of the events stand for that are summaries.
        tag: random bits that stay in the head until the next commit. After a restore or a failover that lost commits,
            a revision number may come a second time; then it has another tag.
        lease: what the commit claims of the lease of its run.
        usage_of: makes, of an event that has a usage, the one that is stored in its place when the claim is refused.
    """

    events: Sequence[EncodedEvent] = ()
    state: Mapping[str, bytes | None] = field(default_factory=dict)
    properties: Mapping[str, bytes | None] = field(default_factory=dict)
    runs: Mapping[str, StoredRun] = field(default_factory=dict)
    retraction: EncodedRetraction | None = None
    restoration: EncodedRestoration | None = None
    written_at: int = 0
    write_id: str | None = None
    expected_revision: int | None = None
    expected_tag: str = ""
    creation_id: str | None = None
    compactions: Sequence[EncodedCompaction] = ()
    tag: str = field(default_factory=_new_tag)
    lease: LeaseClaim | None = None
    usage_of: Callable[[EncodedEvent], EncodedEvent] | None = None

    @property
    def guard(self) -> Guard | None:
        """What the commit expects of the session; None for nothing."""
        return None if self.expected_revision is None else Guard(self.expected_revision, self.expected_tag)

    @property
    def is_append(self) -> bool:
        """True for a commit that has events and nothing else."""
        return bool(self.events) and not self.brings_more

    @property
    def brings_more(self) -> bool:
        """True for a commit that has anything beside events."""
        return bool(self.state or self.properties or self.runs or self.compactions) or self.changes_hidden

    @property
    def changes_hidden(self) -> bool:
        """True for a commit that hides events, or shows hidden ones again."""
        return self.retraction is not None or self.restoration is not None

    @property
    def size(self) -> int:
        """About how many bytes the commit adds, including keys and ids."""
        size = 0
        for event in self.events:  # a plain loop: each commit is measured when it is queued, and most bring one event
            size += len(event.data)
        if not self.is_append:
            for values in (self.state, self.properties):
                size += sum(len(key) + len(data or b"") for key, data in values.items())
            size += sum(len(run_id) + len(run.data) for run_id, run in self.runs.items())
            for chosen in (self.retraction, self.restoration):
                size += sum(map(len, chosen.event_ids)) if chosen is not None else 0
        return size

    @property
    def is_empty(self) -> bool:
        return not (self.events or self.brings_more)


class Lease(NamedTuple):
    """Who holds a run, as a store keeps it: until when in milliseconds of the store's own clock, and for how long."""

    token: str
    until: int
    milliseconds: int
    holder: str


class HeldLease(NamedTuple):
    """Who holds a run, and how long from now."""

    holder: str
    milliseconds_left: int


class LeaseRenewal(NamedTuple):
    """A lease to be renewed by a heartbeat."""

    key: SessionKey
    creation_id: str
    run_id: str
    token: str


class Parent(NamedTuple):
    """The parent of a new session, as it was read. The store checks that this incarnation of it still exists."""

    id: str
    creation_id: str
    root_id: str
    depth: int


class Creation(NamedTuple):
    """How a session is created. Its random creation id names this incarnation of the session id.

    Times are microseconds since the epoch. Only an imported session has an `updated_at`: when it was last active.
    """

    creation_id: str
    created_at: int
    parent: Parent | None = None
    updated_at: int | None = None

    @property
    def active_at(self) -> int:
        """When the session was last active, as of its creation."""
        return self.created_at if self.updated_at is None else self.updated_at


class Receipt(NamedTuple):
    """The answer to a commit.

    Attributes:
        revision, last_seq: those of the session after the commit.
        is_change: True when the commit made `revision`; False when it changed nothing.
        seqs: the seqs of the commit's events, in their order; 0 for an event of a repeat that is not stored.
        hidden: the seqs that this commit hid.
        is_repeat: the write id was known already, and this is the first result.
        updated_at: when the session was last active, in microseconds since the epoch.
        tag: that of the session's last commit; "" when it is unknown.
        was_sent_before: an earlier try of this very call, whose answer was lost, may have made the commit.
        restored: the seqs that this commit showed again.
        creation_id: the incarnation of the session; None may stand in that of a commit that hid and restored nothing.
        is_recounted: what the usages of the commit's events added to the totals is not what they say, since a response
            among them was counted before; or it is not known.
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
    restored: Sequence[Range] = ()
    creation_id: str | None = None
    is_recounted: bool = False


class EventsKnown(SessionManagerError):
    """The answer to a commit that brings events whose ids are stored already: nothing of it was written.

    `seqs` has the seq of each event of the commit, 0 for a new one; `revision`, `last_seq` and `updated_at` are the
    session's. The verbs compare the stored events with these, and send the rest. `was_sent_before` is as in Receipt.
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
    """What a store remembers for a write id, to answer it again, and to undo its retraction.

    `is_pop` tells that it claimed the newest events by `last=`.
    """

    revision: int
    last_seq: int
    is_change: bool
    hidden: tuple[Range, ...]
    restored: tuple[Range, ...] = ()
    is_pop: bool = False


class StoredEvent(NamedTuple):
    """An event in the log, with the revision of the commit that added it."""

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


class TreeNode(NamedTuple):
    """A session in a tree. A tree lists them in creation order, the root first."""

    id: str
    parent_id: str | None
