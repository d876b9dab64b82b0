"""The rules of a commit, without I/O: what it may do to a head, and what it does.

For backends that decide in Python. `decide` checks everything and changes nothing; `apply` then only
writes. A backend reads what `decide` needs, decides, writes the outcome in one atomic step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from a2a_session_manager.exceptions import InvalidSessionOperation, SessionConflict, SessionNotFound
from a2a_session_manager.models.session_run import RunStatus, illegal_move
from a2a_session_manager.storage import compactions, hiding, leases, ranges
from a2a_session_manager.storage.commit_records import (
    EncodedCommit,
    EventsKnown,
    FirstResult,
    Guard,
    Receipt,
    receipt_of,
)
from a2a_session_manager.storage.counted_responses import FindCounted, counted_once, is_recounted
from a2a_session_manager.storage.hiding import NO_HISTORY, FindSeq, History
from a2a_session_manager.storage.leases import Clock, LeaseChange
from a2a_session_manager.storage.read_records import HeadRecord, StoredRetraction
from a2a_session_manager.storage.records import Counters, EncodedEvent, Range, StoredRun, Totals


@dataclass(slots=True)
class CommitOutcome:
    """What a commit will do: `fresh` events get the seqs after the head's last one.

    `hidden` was visible before, and `restored` was hidden. `is_pop` is as in FirstResult.
    """

    revision: int
    fresh: Sequence[EncodedEvent]
    hidden: tuple[Range, ...]
    receipt: Receipt
    restored: tuple[Range, ...] = ()
    is_pop: bool = False
    lease: LeaseChange | None = None

    @property
    def first_result(self) -> FirstResult:
        """What a backend remembers under the commit's write id."""
        receipt = self.receipt
        return FirstResult(self.revision, receipt.last_seq, receipt.is_change, self.hidden, self.restored, self.is_pop)

    @property
    def retraction(self) -> StoredRetraction | None:
        """What a backend adds to the session's retractions; None for a commit that hid and restored nothing."""
        if not (self.hidden or self.restored):
            return None
        after_seq = self.receipt.last_seq - len(self.fresh)
        return StoredRetraction(self.revision, after_seq, self.hidden, self.restored)


def check_incarnation(head: HeadRecord, commit: EncodedCommit) -> None:
    """Refuse a commit that was meant for an earlier session of this id."""
    if commit.creation_id is not None and commit.creation_id != head.creation_id:
        raise SessionNotFound(
            head.key.id,
            f"session {head.key.id!r} was deleted, and another one has its id now: read it again with get()",
        )


def repeat(head: HeadRecord, commit: EncodedCommit, first: FirstResult, find_seq: FindSeq) -> Receipt:
    """Answer a commit whose write id is known with its first result."""
    seqs = [find_seq(event.id) or 0 for event in commit.events]
    return Receipt(
        first.revision,
        first.last_seq,
        first.is_change,
        seqs,
        first.hidden,
        is_repeat=True,
        updated_at=head.updated_at,
        tag=head.tag if first.revision == head.revision else "",
        restored=first.restored,
        creation_id=head.creation_id,
    )


def decide(
    head: HeadRecord,
    commit: EncodedCommit,
    find_seq: FindSeq,
    find_counted: FindCounted,
    history: History = NO_HISTORY,
    *,
    clock: Clock = leases.wall_clock,
) -> CommitOutcome:
    """Return what `commit` does to `head`, or raise; nothing is changed. A restoration is decided by `history`.

    The usages of the outcome's `fresh` events are what they add to the totals; see `counted_responses`.

    Raises EventsKnown when events are stored already, before anything else: a retry is never stale. Then what the lease
    of a run forbids: RunBusy, and LeaseLost, in whose place a backend writes `leases.usage_commit`. Then
    SessionConflict for a stale guard (without the missed events: the verbs add them) and InvalidSessionOperation
    for a run that would leave its end, an unknown event to retract, or what cannot be restored.
    """
    events = commit.events
    fresh: Sequence[EncodedEvent]
    seqs: Sequence[int]
    if len(events) == 1:  # as most commits have
        if known := find_seq(events[0].id):
            raise _events_known(head, [known])
        fresh, seqs = events, (head.last_seq + 1,)
    else:
        found = [find_seq(event.id) for event in events]
        if any(found):
            raise _events_known(head, found)
        fresh, seqs = _numbered(events, head.last_seq)
    lease = None if commit.lease is None else leases.change_of(head, commit, clock)
    if commit.expected_revision is not None:
        check_guard(head, commit.guard)
    if commit.runs:
        _check_runs(head, commit)
    if commit.compactions:
        compactions.check(head, commit)
    hidden = () if commit.retraction is None else hiding.newly_hidden(head, commit.retraction, find_seq)
    restored: tuple[Range, ...] = ()
    if commit.restoration is not None:
        restored = hiding.newly_restored(head, commit.restoration, find_seq, history)
    changed = hidden or restored
    # The creation of a session is a change even when it brings nothing.
    is_change = bool(fresh or changed or commit.state or commit.properties or commit.runs or head.revision == 0)
    revision = head.revision + is_change
    updated_at = last_active(head, commit, changed)
    tag = commit.tag if is_change else head.tag
    last_seq = head.last_seq + len(fresh)
    once = counted_once(fresh, find_counted)
    is_other = once is not fresh and is_recounted(once)
    receipt = receipt_of(
        (
            revision,
            last_seq,
            is_change,
            seqs,
            hidden,
            False,
            updated_at,
            tag,
            False,
            restored,
            head.creation_id,
            is_other,
        )
    )
    is_pop = commit.retraction is not None and commit.retraction.last is not None
    return CommitOutcome(revision, once, hidden, receipt, restored, is_pop, lease)


def apply(head: HeadRecord, commit: EncodedCommit, outcome: CommitOutcome) -> None:
    """Bring `head` to where `outcome` says; the log, the ids and the tree's totals are the backend's."""
    receipt = outcome.receipt
    if outcome.lease is not None:
        leases.apply(head, outcome.lease)
    if not receipt.is_change:
        return
    head.revision = receipt.revision
    head.tag = receipt.tag
    head.last_seq += len(outcome.fresh)
    head.updated_at = receipt.updated_at
    if commit.state:
        _merge(head.state, commit.state)
    if commit.properties:
        _merge(head.properties, commit.properties)
    if commit.runs:
        _put_runs(head, commit.runs)
    if outcome.hidden:
        ranges.add(head.hidden, outcome.hidden)
    if outcome.restored:
        ranges.remove(head.hidden, outcome.restored)
    if outcome.hidden or outcome.restored or commit.compactions:
        compactions.apply(head, commit, outcome.hidden, outcome.restored)
    for event in outcome.fresh:
        if event.usage is not None:
            _count_usage(head, event)


def _put_runs(head: HeadRecord, runs: Mapping[str, StoredRun]) -> None:
    for run_id, run in runs.items():
        head.runs[run_id] = run
        if RunStatus(run.status).is_final:
            head.unfinished.pop(run_id, None)
        else:
            head.unfinished.setdefault(run_id)


def last_active(head: HeadRecord, commit: EncodedCommit, changed: Sequence[Range]) -> int:
    """Return when the session of `head` was last active, after `commit`, which hides or restores the seqs `changed`.

    Never earlier than before, whatever the writers' clocks say. What a session is created with is not yet activity.
    """
    if head.revision == 0 or not (commit.events or changed or commit.state or commit.runs):
        return head.updated_at
    return max(head.updated_at + 1, commit.written_at)


def add_usage(totals: Totals, event: EncodedEvent) -> None:
    """Add what one event used to the totals of its model and source."""
    if event.usage is not None and event.usage.counters:
        cell = totals.setdefault((event.usage.model, event.usage.source), {})
        add_counters(cell, event.usage.counters)


def add_counters(total: Counters, counters: Counters) -> None:
    """Add `counters` to `total`, in place."""
    for name, count in counters.items():
        total[name] = total.get(name, 0) + count


def _count_usage(head: HeadRecord, event: EncodedEvent) -> None:
    if event.usage is not None and event.usage.counters:
        add_usage(head.totals, event)
        if event.run_id is not None:
            add_counters(head.run_totals.setdefault(event.run_id, {}), event.usage.counters)


def check_guard(head: HeadRecord, guard: Guard | None) -> None:
    """Raise SessionConflict when the session is not at the revision that `guard` expects; None expects none."""
    if guard is not None and (guard.revision != head.revision or (head.tag and guard.tag not in ("", head.tag))):
        raise late(head.key.id, guard, head.revision)


def late(session_id: str, guard: Guard, revision: int) -> SessionConflict:
    """Return the error of a write that came too late."""
    message = None
    if guard.revision == revision:
        message = (
            f"session {session_id!r} is at revision {revision}, but not at the one that was read: the store was "
            "restored, or lost its newest commits in a failover; read the session again and repeat the change"
        )
    return SessionConflict(session_id, expected_revision=guard.revision, revision=revision, message=message)


def _check_runs(head: HeadRecord, commit: EncodedCommit) -> None:
    for run_id, run in commit.runs.items():
        stored = head.runs.get(run_id)
        if stored is not None and stored.status != run.status:
            current, wanted = RunStatus(stored.status), RunStatus(run.status)
            # Steps between may have been taken without a commit, so only what no path reaches is refused.
            if current.is_final or wanted is RunStatus.PENDING:
                raise InvalidSessionOperation(illegal_move(run_id, current, wanted), session_id=head.key.id)


def _events_known(head: HeadRecord, seqs: Sequence[int | None]) -> EventsKnown:
    return EventsKnown(
        head.key.id,
        revision=head.revision,
        last_seq=head.last_seq,
        seqs=[seq or 0 for seq in seqs],
        updated_at=head.updated_at,
        tag=head.tag,
    )


def _numbered(events: Sequence[EncodedEvent], last_seq: int) -> tuple[Sequence[EncodedEvent], Sequence[int]]:
    """Return the events, each id once, and the seq of every event."""
    fresh: list[EncodedEvent] = []
    given: dict[str, int] = {}
    for event in events:
        if event.id not in given:
            fresh.append(event)
            given[event.id] = last_seq + len(fresh)
    return fresh, [given[event.id] for event in events]


def _merge(values: dict[str, bytes], changes: Mapping[str, bytes | None]) -> None:
    for key, value in changes.items():
        if value is None:
            values.pop(key, None)
        else:
            values[key] = value
