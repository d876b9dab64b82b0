"""What one session is in memory: how it is written, read and waited for."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

from a2a_session_manager.exceptions import LeaseLost, SessionAlreadyExists
from a2a_session_manager.storage import commit_rules, compactions, forks, heads, leases, paging, ranges
from a2a_session_manager.storage.commit_records import EncodedCommit, FirstResult, Receipt
from a2a_session_manager.storage.counted_responses import CountedResponse, FindCounted, counted_by
from a2a_session_manager.storage.hiding import NO_HISTORY, FindSeq, History
from a2a_session_manager.storage.memory.counting import CountedResponses
from a2a_session_manager.storage.memory.head_index import Group
from a2a_session_manager.storage.memory.spending import TreeSpending
from a2a_session_manager.storage.read_records import (
    FoundEvents,
    HeadRecord,
    LoadedSession,
    LogTail,
    StoredEvent,
    StoredRetraction,
    TreeNode,
)
from a2a_session_manager.storage.records import Range, Segment, Totals


@dataclass(slots=True)
class StoredSession:
    """One session: its head, its log, and what it remembers for ever.

    The log is bytes and, in step with it, the revisions that brought them: no object for the garbage collector. It
    holds the session's own events; those that a fork inherits are in the logs of its `sources`, by their ids.
    """

    head: HeadRecord
    tree: StoredTree
    path: tuple[str, ...] = ()  # the creation ids from the root to its own
    log: list[bytes] = field(default_factory=list)
    revisions: array[int] = field(default_factory=partial(array, "Q"))
    seqs: dict[str, int] = field(default_factory=dict)
    first_results: dict[str, FirstResult] = field(default_factory=dict)
    responses: CountedResponses = field(default_factory=CountedResponses)
    retractions: list[StoredRetraction] = field(default_factory=list)
    children: dict[str, int] = field(default_factory=dict)  # id → ordinal in the tree
    forks: dict[str, int] = field(default_factory=dict)  # likewise
    sources: dict[str, StoredSession] = field(default_factory=dict)
    waiters: set[asyncio.Future[None]] = field(default_factory=set)
    groups: tuple[Group, ...] = ()  # of the index

    @property
    def size(self) -> int:
        """How many bytes its events, values and runs have."""
        values = chain(self.head.state.values(), self.head.properties.values())
        runs = (run.data for run in self.head.runs.values())
        return sum(map(len, chain(self.log, values, runs)))

    def first_receipt(self, commit: EncodedCommit) -> Receipt:
        """Answer the creation of a session that is there: only who made it may ask again."""
        first = self.first_results.get(commit.write_id or "")
        if first is None:
            raise SessionAlreadyExists(self.head.key.id)
        return commit_rules.repeat(self.head, commit, first, self.find_seq)

    def write(self, commit: EncodedCommit) -> Receipt:
        """Do what the rules say that the commit does, or answer it with the first result of its write id."""
        head = self.head
        # What the properties of these names say: every append would pay for their calls.
        find_seq, find_counted = (self._seq_of, self._counted) if head.segments else (self.seqs.get, self.responses.get)
        if commit.creation_id is not None:
            commit_rules.check_incarnation(head, commit)
        if commit.write_id is not None and (first := self.first_results.get(commit.write_id)) is not None:
            return commit_rules.repeat(head, commit, first, find_seq)
        history = NO_HISTORY if commit.restoration is None else self.history_for(commit)
        try:
            outcome = commit_rules.decide(head, commit, find_seq, find_counted, history, clock=leases.process_clock)
        except LeaseLost as lost:
            self._write_usage_alone(commit, lost)
            raise
        after_seq = head.last_seq
        commit_rules.apply(head, commit, outcome)
        for seq, event in enumerate(outcome.fresh, after_seq + 1):
            self.log.append(event.data)
            self.revisions.append(outcome.revision)
            self.seqs[event.id] = seq
            if event.usage is not None:
                commit_rules.add_usage(self.tree.totals, event)
                if event.usage.response_id is not None:
                    self.responses.put(event.usage.response_id, seq, counted_by(event.usage))
        if self.tree.spending.ledger.budgets:
            self.tree.spending.note_commit(self.path, outcome.fresh, commit.settles, leases.wall_clock())
        if (outcome.hidden or outcome.restored) and (retraction := outcome.retraction) is not None:
            self.retractions.append(retraction)
        if commit.write_id is not None:
            self.first_results[commit.write_id] = outcome.first_result
        if self.waiters:
            self.wake()
        return outcome.receipt

    @property
    def find_seq(self) -> FindSeq:
        """What finds the seq of an event by its id."""
        return self._seq_of if self.head.segments else self.seqs.get

    @property
    def find_counted(self) -> FindCounted:
        """What finds what was counted of a response."""
        return self._counted if self.head.segments else self.responses.get

    def history_for(self, commit: EncodedCommit) -> History:
        """Return what a restoration is decided by."""
        if commit.restoration is None:
            return NO_HISTORY
        return History(self.retractions, self.first_results.get(commit.restoration.write_id or ""))

    def _write_usage_alone(self, commit: EncodedCommit, lost: LeaseLost) -> None:
        usage = leases.usage_commit(commit, self.find_seq)
        if usage is not None:
            self.write(usage)
        lost.is_usage_stored = True

    def load(self, last: int | None, *, whole_head: bool) -> LoadedSession:
        """Return the head as it is now, and the newest visible events."""
        head = self.head
        tail = ranges.visible_tail(head.last_seq, head.last_seq if last is None else last, head.hidden)
        # Made one by one as they are taken: what is in the log stays there, as it is.
        events = (event for first, final in tail for event in self.events(first, final))
        return LoadedSession(
            heads.copied(head, whole_head=whole_head), events, list(self.children) if whole_head else ()
        )

    def load_until(self, seq: int | None, last: int) -> LoadedSession:
        """Return the head as it is now, and the newest visible events up to the event `seq`."""
        head = self.head
        tail = ranges.visible_tail(head.last_seq if seq is None else min(seq, head.last_seq), last, head.hidden)
        events = [event for first, final in tail for event in self.events(first, final)]
        return LoadedSession(heads.copied(head, whole_head=False), events)

    def tail(self, last: int | None) -> LogTail:
        """Return the newest visible events as they lie in the log: its list is copied, and nothing of an event."""
        head = self.head
        visible = head.last_seq - ranges.size(head.hidden)
        tail = ranges.visible_tail(head.last_seq, head.last_seq if last is None else last, head.hidden)
        if len(tail) == 1:
            [(first, final)] = tail
            records, earlier = self.records(first, final), visible - (final - first + 1)
            return LogTail(head.creation_id, range(first, final + 1), records, earlier, (), dict(head.placed))
        seqs, records = self._in(tail)
        return LogTail(head.creation_id, seqs, records, visible - len(seqs), (), dict(head.placed))

    def compacted(self, last: int | None) -> LogTail:
        """Return what a view is made of, as it lies in the log."""
        head = self.head
        if not (head.compactions or head.placed):
            return self.tail(last)
        shown = compactions.shown(head, last)
        seqs, records = self._in(shown.ranges)
        return LogTail(head.creation_id, seqs, records, shown.earlier_events, (), shown.summaries, shown.compaction)

    def events(self, first: int, final: int) -> Iterator[StoredEvent]:
        """Return the events from seq `first` to `final`, hidden ones too."""
        revisions: Sequence[int] = self.revisions[max(first - 1 - self.head.inherited, 0) : final - self.head.inherited]
        if first <= self.head.inherited:
            revisions = [forks.FIRST_REVISION] * (min(self.head.inherited, final) - first + 1) + list(revisions)
        return map(StoredEvent, range(first, final + 1), revisions, self.records(first, final))

    def records(self, first: int, final: int) -> list[bytes]:
        """Return the bytes of the events from seq `first` to `final`, hidden ones too."""
        if not self.head.segments:
            return self.log[first - 1 : final]
        found: list[bytes] = []
        for segment, start, end in forks.log_parts(self.head.segments, first, final):
            holder = self if segment is None else self.sources[segment.session_id]
            found += holder.log[start - 1 - holder.head.inherited : end - holder.head.inherited]
        return found

    def find_events(self, event_ids: Sequence[str], max_bytes: int) -> FoundEvents:
        """Return the events of these ids, the first ones that fit, and one at least."""
        find_seq = self.find_seq
        known = [(event_id, seq) for event_id in event_ids if (seq := find_seq(event_id)) is not None]
        fitting = paging.fitting((len(self.records(seq, seq)[0]) for _, seq in known), max_bytes)
        found = {event_id: next(self.events(seq, seq)) for event_id, seq in known[:fitting]}
        hidden = ranges.merged((seq, seq) for _, seq in known[:fitting] if ranges.contains(self.head.hidden, seq))
        return FoundEvents(self.head.creation_id, found, [event_id for event_id, _ in known[fitting:]], hidden)

    def records_in(self, some: Sequence[Range]) -> list[bytes]:
        """Return the bytes of the events in some ranges of seqs."""
        return [data for first, final in some for data in self.records(first, final)]

    def _in(self, some: Sequence[Range]) -> tuple[list[int], list[bytes]]:
        """Return the seqs of some ranges, and the bytes of their events."""
        seqs = [seq for first, final in some for seq in range(first, final + 1)]
        return seqs, self.records_in(some)

    def _seq_of(self, event_id: str) -> int | None:
        seq = self.seqs.get(event_id)
        if seq is not None:
            return seq
        return forks.inherited_seq(self.head.segments, lambda each: self.sources[each.session_id].seqs.get(event_id))

    def _counted(self, response_id: str) -> CountedResponse | None:
        def counted_in(segment: Segment) -> CountedResponse | None:
            return self.sources[segment.session_id].responses.as_of(response_id, segment.last_seq)

        return self.responses.get(response_id) or forks.inherited(self.head.segments, counted_in)

    def wake(self) -> None:
        """Tell all who wait for a change."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)
        self.waiters.clear()


@dataclass(slots=True)
class StoredTree:
    """What the sessions below one root share: their places and the sum of what they spent."""

    totals: Totals = field(default_factory=dict)
    nodes: dict[str, TreeNode] = field(default_factory=dict)
    created: int = 0
    spending: TreeSpending = field(default_factory=TreeSpending)
