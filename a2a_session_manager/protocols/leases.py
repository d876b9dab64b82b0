"""LeaseKeeper: what a store promises that keeps leases of runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any, Protocol, runtime_checkable

from a2a_session_manager.models.lease import LeaseClaim
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.unfinished_run import UnfinishedRun
from a2a_session_manager.protocols.session_store import SessionStore


class KeptAlive(Protocol):
    """A lease that is renewed while somebody refers to this; `is_lost` once a renewal or a write found it gone."""

    is_lost: bool

    def stop(self) -> None:
        """Renew it no more."""


@runtime_checkable
class LeaseKeeper(Protocol):
    """A store that keeps leases of runs. Through other stores, a run is entered with `lease=None`."""

    def claiming(self, claim: LeaseClaim) -> SessionStore:
        """Return this store for the writes of one run: each write to a session that was read makes `claim`, in the same
        step. It needs no closing.

        Then a write raises RunBusy for a run that somebody else holds, and LeaseLost when the claim does not hold; of
        that write, the usage alone is stored, once.
        """
        ...

    async def claim(self, session: Session[Any], claim: LeaseClaim) -> None:
        """Make `claim` alone: no revision moves. Raises RunBusy, LeaseLost, SessionNotFound, and
        InvalidSessionOperation for a run that has ended."""
        ...

    def unfinished_runs(self, *, older_than: float | timedelta | None = None) -> AsyncGenerator[UnfinishedRun, None]:
        """Yield the runs that have not ended, of all sessions of the namespace, with who holds each; in no order.

        With `older_than`, in seconds or as a timedelta, only those that began before that long. The heads of all
        sessions are read, 100 at a time. A run that begins or ends meanwhile may be missed.
        """
        ...

    def keep_alive(self, session: Session[Any], claim: LeaseClaim) -> KeptAlive:
        """Renew the lease that `claim` has acquired, until `stop` is called or nobody refers to what this returns."""
        ...
