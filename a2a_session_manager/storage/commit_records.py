"""One commit as a backend gets it, and what it answers: ids, numbers and encoded bytes, no models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from a2a_session_manager.budgets.blocks import BlockBegin
from a2a_session_manager.budgets.settling import Settlement
from a2a_session_manager.exceptions import SessionManagerError
from a2a_session_manager.identifiers import random_bits
from a2a_session_manager.models.forked_from import ForkedFrom
from a2a_session_manager.models.lease import LeaseClaim
from a2a_session_manager.storage.records import (
    EncodedCompaction,
    EncodedEvent,
    EncodedRestoration,
    EncodedRetraction,
    PlacedSummary,
    Range,
    Segment,
    SessionKey,
    StoredCompaction,
    StoredRun,
)


class Guard(NamedTuple):
    """What a write expects of the session: its revision and, unless it is "", the tag of its last commit."""

    revision: int
    tag: str = ""


_ONE_ABOVE: Final = 1 << 32


def _new_tag() -> str:
    """Return 32 random bits as hex digits, which tell two commits of the same revision apart."""
    return hex(random_bits(32) | _ONE_ABOVE)[3:]  # a format string takes three times as long


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
        settles: the hold that ends with the commit, whose usage it brings; one that is not there is fine.
        windows: in which windows of budgets its usage counts, for a backend that stores that with the commit.
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
    settles: Settlement | None = None
    windows: tuple[BlockBegin, ...] = ()

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


_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def append_of(
    events: Sequence[EncodedEvent], written_at: int, creation_id: str | None = None, settles: Settlement | None = None
) -> EncodedCommit:
    """Return the commit of nothing but `events`."""
    # All by its place, for every append makes one: names and defaults would take as long again as the commit.
    no, tag = _NOTHING, _new_tag()
    return EncodedCommit(
        events, no, no, no, None, None, written_at, None, None, "", creation_id, (), tag, None, None, settles, ()
    )


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


class Fork(NamedTuple):
    """What a fork takes over of its source, as that was read; see `forks.py`.

    Attributes:
        source: the session that was forked, and the seq where the fork begins.
        segments: where the events up to there lie, oldest first and without a gap. The session of the last one is the
            fork's parent, and those before are above that.
        hidden: the seqs of those that are hidden.
        compactions, placed: the summaries among them that still stand for something.
    """

    source: ForkedFrom
    segments: tuple[Segment, ...]
    hidden: tuple[Range, ...] = ()
    compactions: tuple[StoredCompaction, ...] = ()
    placed: tuple[PlacedSummary, ...] = ()


class Creation(NamedTuple):
    """How a session is created. Its random creation id names this incarnation of the session id.

    Times are microseconds since the epoch. Only an imported session has an `updated_at`: when it was last active. Only
    a fork has a `fork`; state and properties come to it with its first commit. `expires` is whether the session has the
    time to live of the store, where that has one.
    """

    creation_id: str
    created_at: int
    parent: Parent | None = None
    updated_at: int | None = None
    fork: Fork | None = None
    expires: bool = True

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


# A receipt of all its fields in their order: every append makes one, and this takes half the time of the class itself.
receipt_of: Final = partial(tuple.__new__, Receipt)


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
