"""RunLease: the lease of an open run: acquired, kept alive, given up, and claimed by each of the run's writes."""

from __future__ import annotations

from typing import Any, TypeGuard

from a2a_session_manager.concurrency.retries import retry_if_unknown
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.models.lease import LeaseClaim, acquisition
from a2a_session_manager.models.session import Session
from a2a_session_manager.protocols import KeptAlive, LeaseKeeper, SessionStore


class RunLease:
    """The lease of the run `run_id`, for `seconds`; None for a run that is entered without one.

    `store` is what the run's writes go through, as things stand.
    """

    def __init__(self, store: SessionStore, session: Session[Any], run_id: str, seconds: float | None) -> None:
        self.store = store
        self._plain_store = store
        self._session = session
        self._run_id = run_id
        self._seconds = seconds
        self._claim: LeaseClaim | None = None
        self._kept_alive: KeptAlive | None = None

    @property
    def is_lost(self) -> bool:
        """Whether a heartbeat or a refused write has found that somebody else has the run, or nobody."""
        return self._kept_alive is not None and self._kept_alive.is_lost

    def begin(self, *, take_over: bool, is_new: bool) -> None:
        """Let the next write acquire the lease; a run that `is_new` and needs none writes as any other writer."""
        self._claim = None
        if self._seconds is not None or not is_new:
            self._set(acquisition(self._run_id, self._seconds, take_over=take_over))

    async def acquire_alone(self) -> None:
        """Acquire the lease where nothing else is to be written."""
        claim, store = self._claim, self._plain_store
        if claim is not None and _keeps_leases(store):
            await retry_if_unknown(lambda: store.claim(self._session, claim))

    def hold(self) -> None:
        """Claim the lease, which was acquired, in each write from now on, and keep it alive."""
        if self._claim is None or self._seconds is None:
            self.drop()
            return
        store = self._plain_store
        self._set(self._claim._replace(step="hold"))
        assert _keeps_leases(store), "only a store that keeps leases has given one"
        self._kept_alive = store.keep_alive(self._session, self._claim)

    def give_up(self) -> None:
        """Let the next write give the lease up."""
        if self._claim is not None:
            self._set(self._claim._replace(step="release"))

    def end(self) -> None:
        """Let the run's last write give the lease up, if there is one."""
        if self._kept_alive is not None:
            self.give_up()

    def take_back(self) -> None:
        """Hold the lease on, after all: the write that was to give it up, or to acquire it, has failed."""
        if self._claim is not None:
            self._set(self._claim._replace(step="hold" if self._kept_alive is not None else "vacant"))

    def lose(self) -> None:
        """Remember that a write was refused: a lease that is gone never comes back."""
        if self._kept_alive is not None:
            self._kept_alive.is_lost = True

    def leave(self) -> None:
        """Write on without a lease, as long as nobody else holds the run."""
        self._stop()
        if self._claim is not None:
            self._set(self._claim._replace(step="vacant"))

    def drop(self) -> None:
        """Let the lease be, whoever has it, and write like any other writer."""
        self._stop()
        self._claim, self.store = None, self._plain_store

    def _set(self, claim: LeaseClaim) -> None:
        store = self._plain_store
        if _keeps_leases(store):
            self._claim, self.store = claim, store.claiming(claim)
        elif claim.milliseconds:
            raise InvalidSessionOperation(
                f"{type(store).__name__} keeps no leases of runs: pass lease=None, or implement LeaseKeeper",
                session_id=self._session.id,
            )

    def _stop(self) -> None:
        if self._kept_alive is not None:
            self._kept_alive.stop()
            self._kept_alive = None


def _keeps_leases(store: SessionStore) -> TypeGuard[LeaseKeeper]:
    return hasattr(store, "claiming")  # `isinstance` with a protocol takes forty times as long
