"""Stores over memory with one planted fault each, in what they promise of leases."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import replace

from a2a_session_manager.exceptions import LeaseLost
from a2a_session_manager.identifiers import new_id
from a2a_session_manager.models.lease import LeaseClaim
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.storage.commit_records import EncodedCommit, LeaseRenewal, Receipt
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.records import EncodedEvent, SessionKey


class _Claims(MemoryBackend):
    """Memory that commits what `as_taken` makes of a commit that claims a lease."""

    def as_taken(self, commit: EncodedCommit, claim: LeaseClaim) -> EncodedCommit:
        return commit

    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        return super().commit(key, commit if commit.lease is None else self.as_taken(commit, commit.lease))


class _NeverChecked(_Claims):
    def as_taken(self, commit: EncodedCommit, claim: LeaseClaim) -> EncodedCommit:
        return commit if claim.step == "acquire" else replace(commit, lease=None)


class LetsTwoOwnersWrite(BaseSessionStore):
    """Asks for the lease when a run is entered, and never again."""

    def __init__(self) -> None:
        super().__init__(_NeverChecked())


class _HeldByName(_Claims):
    def as_taken(self, commit: EncodedCommit, claim: LeaseClaim) -> EncodedCommit:
        return replace(commit, lease=claim._replace(token=claim.holder))


class TakesANameForAToken(BaseSessionStore):
    """Tells holders by their names, which come again."""

    def __init__(self) -> None:
        super().__init__(_HeldByName())


class _NeverExpires(_Claims):
    def as_taken(self, commit: EncodedCommit, claim: LeaseClaim) -> EncodedCommit:
        return replace(commit, lease=claim._replace(milliseconds=max(claim.milliseconds, 10**9)))


class ForgetsToExpire(BaseSessionStore):
    """An expired lease still writes."""

    def __init__(self) -> None:
        super().__init__(_NeverExpires())


class _Revives(MemoryBackend):
    async def renew_leases(self, renewals: Sequence[LeaseRenewal]) -> list[bool | None]:
        for each in renewals:
            stored = self._sessions.get(each.key)
            if stored is not None and (lease := stored.head.leases.get(each.run_id)) is not None:
                stored.head.leases[each.run_id] = lease._replace(token=each.token)
        return await super().renew_leases(renewals)


class RevivesALostLease(BaseSessionStore):
    """A heartbeat gives its lease back to whoever has lost it."""

    def __init__(self) -> None:
        super().__init__(_Revives())


class _Unpaid(_Claims):
    def as_taken(self, commit: EncodedCommit, claim: LeaseClaim) -> EncodedCommit:
        return replace(commit, usage_of=None)


class LosesTheUsageOfARefusedWrite(BaseSessionStore):
    """What is refused was never paid for."""

    def __init__(self) -> None:
        super().__init__(_Unpaid())


class _PaidAnew(_Claims):
    def as_taken(self, commit: EncodedCommit, claim: LeaseClaim) -> EncodedCommit:
        usage_of = commit.usage_of

        def anew(event: EncodedEvent) -> EncodedEvent:
            assert usage_of is not None
            return usage_of(event)._replace(id=new_id())

        return commit if usage_of is None else replace(commit, usage_of=anew)


class CountsTheUsageOfARefusedWriteTwice(BaseSessionStore):
    """Each try is paid for."""

    def __init__(self) -> None:
        super().__init__(_PaidAnew())


class _WritesTheRest(_Claims):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        try:
            return super().commit(key, commit)
        except LeaseLost:
            if commit.state or commit.properties:
                super().commit(key, replace(commit, events=(), lease=None))
            raise


class WritesTheRestOfARefusedCommit(BaseSessionStore):
    """Only the events of a commit are guarded."""

    def __init__(self) -> None:
        super().__init__(_WritesTheRest())


class _HoldsNothingWaiting(_Claims):
    def as_taken(self, commit: EncodedCommit, claim: LeaseClaim) -> EncodedCommit:
        return replace(commit, lease=claim._replace(step="take_over")) if claim.step == "acquire" else commit


class LetsManyResume(BaseSessionStore):
    """Whoever comes last has the run."""

    def __init__(self) -> None:
        super().__init__(_HoldsNothingWaiting())
