"""Who may write for a run: the rules of leases, without I/O. `leases.lua` has the same ones.

A run that is held takes the writes of its holder alone, who names the token of its acquisition. Time is the store's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from a2a_session_manager.exceptions import InvalidSessionOperation, LeaseLost, RunBusy
from a2a_session_manager.models.lease import LeaseClaim
from a2a_session_manager.models.session_run import RunStatus
from a2a_session_manager.storage.commit_records import EncodedCommit, LeaseRenewal
from a2a_session_manager.storage.read_records import HeadRecord
from a2a_session_manager.storage.records import EncodedEvent, HeldLease, Lease, SessionKey

# Milliseconds after its end in which a lease is not forgotten.
_REMEMBERED: Final = 3_600_000
# Milliseconds since some moment that stays.
Clock = Callable[[], int]
FindSeq = Callable[[str], int | None]


class LeaseChange(NamedTuple):
    """What becomes of the lease of a run; None ends it."""

    run_id: str
    lease: Lease | None


def wall_clock() -> int:
    """Return the time of this machine, which all its processes share."""
    return time.time_ns() // 1_000_000


def process_clock() -> int:
    """Return a time that nobody sets, for what no other process sees."""
    return time.monotonic_ns() // 1_000_000


def change_of(head: HeadRecord, commit: EncodedCommit, clock: Clock) -> LeaseChange | None:
    """Return what `commit` does to the lease of its run, None for nothing; or raise, with nothing changed.

    Raises RunBusy for a run that somebody else holds, InvalidSessionOperation for one that has ended, and LeaseLost for
    a write whose claim does not hold.
    """
    claim = commit.lease
    if claim is None:
        return None
    now, lease = clock(), head.leases.get(claim.run_id)
    if claim.step in ("acquire", "take_over"):
        return _acquired(head, commit, claim, lease, now)
    if claim.step == "vacant":
        _check_vacant(head, claim, lease, now)
        return None
    if lease is None or lease.token != claim.token or lease.until <= now:
        raise lost(head.key.id, claim, holder=holder_of(lease, claim, now), is_expired=_is_own(lease, claim))
    if claim.step == "release":
        return LeaseChange(claim.run_id, None)
    return LeaseChange(claim.run_id, renewed(lease, now)) if is_due(lease, now) else None


def apply(head: HeadRecord, change: LeaseChange) -> None:
    """Bring the leases of `head` to where `change` says."""
    if change.lease is None:
        head.leases.pop(change.run_id, None)
    else:
        head.leases[change.run_id] = change.lease


def is_due(lease: Lease, now: int) -> bool:
    """Tell whether a quarter of the lease is over: a write before that need not renew it."""
    return (lease.until - now) * 4 <= lease.milliseconds * 3


def renewed(lease: Lease, now: int) -> Lease:
    """Return the lease with all its time before it again."""
    return lease._replace(until=now + lease.milliseconds)


def renewal_of(head: HeadRecord, renewal: LeaseRenewal, clock: Clock) -> LeaseChange | None:
    """Return what a heartbeat does to the lease; None when its holder has lost it."""
    lease, now = head.leases.get(renewal.run_id), clock()
    is_held = head.creation_id == renewal.creation_id and lease is not None and lease.token == renewal.token
    if not is_held or lease is None or lease.until <= now:
        return None
    return LeaseChange(renewal.run_id, renewed(lease, now))


def remembered(leases: Mapping[str, Lease], clock: Clock) -> dict[str, Lease]:
    """Return the leases that somebody has, or had until not long ago, and is told so."""
    since = clock() - _REMEMBERED
    return {run_id: lease for run_id, lease in leases.items() if lease.until > since}


def held(lease: Lease | None, clock: Clock) -> HeldLease | None:
    """Return who holds a run now."""
    now = clock()
    return None if lease is None or lease.until <= now else HeldLease(lease.holder, lease.until - now)


def usage_commit(commit: EncodedCommit, find_seq: FindSeq) -> EncodedCommit | None:
    """Return what a store writes in the place of a refused commit: its usage, unless it is stored. None for nothing."""
    if commit.usage_of is None:
        return None
    usages = [commit.usage_of(event) for event in commit.events if has_usage(event)]
    new = [event for event in {event.id: event for event in usages}.values() if find_seq(event.id) is None]
    if not new:
        return None
    return EncodedCommit(
        events=new,
        written_at=commit.written_at,
        creation_id=commit.creation_id,
        tag=commit.tag,
        settles=commit.settles,
        windows=commit.windows,
    )


def has_usage(event: EncodedEvent) -> bool:
    """Tell whether the event adds anything to what is counted."""
    usage = event.usage
    return usage is not None and bool(usage.counters or usage.response_id is not None)


def lost(session_id: str, claim: LeaseClaim, *, holder: str | None = None, is_expired: bool = False) -> LeaseLost:
    """Return the error of a write whose claim does not hold."""
    if holder is not None:
        return LeaseLost(session_id, claim.run_id, f"was taken over by {holder or 'somebody else'}", holder=holder)
    if is_expired:
        why = f"was held for {claim.milliseconds / 1000:g} s, which ended before it was renewed"
    else:
        why = "is not held any more: somebody else has taken it over meanwhile, or it has ended"
    return LeaseLost(session_id, claim.run_id, why)


def lost_to_an_end(session_id: str, claim: LeaseClaim, status: str) -> LeaseLost:
    """Return the error of a write to a run that waited, and was ended by somebody else meanwhile."""
    return LeaseLost(session_id, claim.run_id, f"has ended as {status}")


def unknown(session_id: str, run_id: str) -> InvalidSessionOperation:
    """Return the error for a lease of a run that is not there."""
    return InvalidSessionOperation(f"session {session_id!r} has no run {run_id!r}: check the id", session_id=session_id)


def ended(session_id: str, run_id: str, status: str) -> InvalidSessionOperation:
    """Return the error for entering a run that has ended."""
    return InvalidSessionOperation(
        f"run {run_id!r} has ended as {status}: start a new run with another id", session_id=session_id
    )


def busy(key: SessionKey, run_id: str, holder: str, milliseconds_left: int) -> RunBusy:
    """Return the error for entering a run that somebody else holds."""
    return RunBusy(key.id, run_id, holder=holder, seconds_left=milliseconds_left / 1000)


def holder_of(lease: Lease | None, claim: LeaseClaim, now: int) -> str | None:
    """Return who else holds the run; None when nobody does."""
    if lease is None or lease.until <= now or lease.token == claim.token:
        return None
    return lease.holder


def _acquired(head: HeadRecord, commit: EncodedCommit, claim: LeaseClaim, lease: Lease | None, now: int) -> LeaseChange:
    run = commit.runs.get(claim.run_id) or head.runs.get(claim.run_id)
    stored = head.runs.get(claim.run_id)
    if run is None:
        raise unknown(head.key.id, claim.run_id)
    for each in (stored, run):
        if each is not None and RunStatus(each.status).is_final:
            raise ended(head.key.id, claim.run_id, each.status)
    holder = None if claim.step == "take_over" else holder_of(lease, claim, now)
    if holder is not None and lease is not None:
        raise busy(head.key, claim.run_id, holder, lease.until - now)
    if claim.milliseconds == 0:
        return LeaseChange(claim.run_id, None)
    return LeaseChange(claim.run_id, Lease(claim.token, now + claim.milliseconds, claim.milliseconds, claim.holder))


def _check_vacant(head: HeadRecord, claim: LeaseClaim, lease: Lease | None, now: int) -> None:
    run = head.runs.get(claim.run_id)
    if run is not None and RunStatus(run.status).is_final:
        raise lost_to_an_end(head.key.id, claim, run.status)
    holder = holder_of(lease, claim, now)
    if holder is not None:
        raise lost(head.key.id, claim, holder=holder)


def _is_own(lease: Lease | None, claim: LeaseClaim) -> bool:
    return lease is not None and lease.token == claim.token
