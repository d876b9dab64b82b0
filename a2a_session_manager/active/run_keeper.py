"""RunKeeper: a run's block: how far it is, and the record that is kept in step with it."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Literal

from a2a_session_manager.active.run_lease import RunLease
from a2a_session_manager.concurrency.cancellation import finish_after
from a2a_session_manager.concurrency.retries import retry_if_unknown
from a2a_session_manager.exceptions import BudgetExceeded, InvalidSessionOperation, LeaseLost, RunBusy, SessionNotFound
from a2a_session_manager.identifiers import hidden_id
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.lease import BusyPolicy
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_run import RunStatus, SessionRun
from a2a_session_manager.protocols import SessionStore
from a2a_session_manager.storage.observer import WatchedRun
from a2a_session_manager.storage.store import BaseSessionStore

# A run that is held is looked for again so many seconds later, or when its lease ends, if that is earlier.
_LOOKS_EVERY: Final = 0.5
_SHORTEST_PAUSE: Final = 0.02


class RunKeeper:
    """Writes `record` when the run starts, moves and ends; `session` is brought in step each time.

    `lease` is that of the run, in seconds. `stage` is how far the block is.
    """

    def __init__(
        self, store: SessionStore, session: Session[Any], record: SessionRun, lease: float | None = None
    ) -> None:
        self._store = store
        self._session = session
        self._written: SessionRun | None = None
        self._watched: WatchedRun | None = None
        self.stage: Literal["new", "entering", "open", "left"] = "new"
        self.record = record
        self.lease = RunLease(store, session, record.id, lease)

    async def enter(self, busy: BusyPolicy, *, may_resume: bool) -> None:
        """Begin the block: start the run, or go on with it where it stands; one that was left before goes on.

        `busy` says what to do while somebody else holds the run.
        """
        if self.stage in ("entering", "open"):
            raise self._refused("is entered already: take another one for another block, chat.run(…)")
        before, self.stage = self.stage, "entering"
        try:
            await self._begin(busy, may_resume=may_resume or before == "left")
        except BaseException:
            self.stage = before
            raise
        self.stage = "open"

    async def leave(self, exc: BaseException | None) -> None:
        """End the block, and record how it ended."""
        self.stage = "left"
        await self.end(exc)

    def refusal(self) -> InvalidSessionOperation:
        """Return the error of a verb that writes outside the block, with the remedy."""
        if self.stage != "left":
            return self._refused("has not begun: enter the run first: async with chat.run(…)")
        if self.record.status is RunStatus.WAITING:
            return self._refused(f"waits: enter the run first: async with chat.run(id={self.record.id!r})")
        return self._refused(
            f"has ended as {self.record.status}: start another one, async with chat.run(…); "
            "what a model said meanwhile is kept by append_late()"
        )

    async def _begin(self, busy: BusyPolicy, *, may_resume: bool) -> None:
        while True:
            if may_resume:
                await self.take_up()
            try:
                await self.start(take_over=busy == "take_over", is_new=not may_resume)
                break
            except RunBusy as error:
                if busy != "wait":
                    raise
                pause = max(min(error.seconds_left, _LOOKS_EVERY), _SHORTEST_PAUSE)
            await asyncio.sleep(pause)
        if isinstance(self._store, BaseSessionStore):
            self._watched = self._store.watch_run(self._session.id, self.record)

    async def take_up(self) -> None:
        """Go on with the run of this id where it stands in the store, if it is there and has not ended."""
        current = await self._store.get(self._session.id, last=0)
        if current is None:
            raise SessionNotFound(self._session.id)
        stored = next((run for run in current.runs if run.id == self.record.id), None)
        if stored is None:
            return
        if stored.status.is_final:
            raise InvalidSessionOperation(
                f"run {stored.id!r} has ended as {stored.status}: start a new run with another id",
                session_id=self._session.id,
            )
        self.record = stored
        self._written = stored.model_copy(deep=True)

    async def start(self, *, take_over: bool = False, is_new: bool = True) -> None:
        """Acquire the lease and record that the run is running, unless that is what was taken up."""
        if self.record.status is not RunStatus.RUNNING:
            self.record.mark_running()
        self.lease.begin(take_over=take_over, is_new=is_new)
        try:
            if self.record == self._written:
                await self.lease.acquire_alone()
            else:
                await self._write()
        except asyncio.CancelledError as cancelled:
            # The block never begins, so nobody else would end a run whose start has been written.
            self.lease.leave()
            await self.end(cancelled)
            raise
        self.lease.hold()

    async def wait(self) -> None:
        """Record that the run waits, and give its lease up."""
        self.record.mark_waiting()
        self.lease.give_up()
        try:
            await self._write()
        except BaseException:
            self.lease.take_back()
            raise
        self.lease.leave()

    async def go_on(self) -> None:
        """Acquire the lease and record that the run continues after waiting."""
        self.record.mark_running()
        self.lease.begin(take_over=False, is_new=False)
        try:
            await self._write()
        except BaseException as error:
            if isinstance(error, RunBusy | InvalidSessionOperation):  # it waits on, or somebody else has ended it
                self.record.mark_waiting()
            self.lease.take_back()
            raise
        self.lease.hold()

    async def end(self, exc: BaseException | None) -> None:
        """Record how the block ended; a write that fails is a note on the error that ended the block."""
        try:
            await self._record_end(exc)
        except BaseException as failure:
            self._end_watch(failure)
            raise
        self._end_watch(exc)

    async def _record_end(self, exc: BaseException | None) -> None:
        if isinstance(exc, LeaseLost) and exc.run_id == self.record.id:
            self.lease.drop()  # how it ends is for somebody else to say
            return
        self._move_to_end(exc)
        try:
            if self.record != self._written:
                self.lease.end()
                failed = f"run {self.record.id!r} could not be recorded as {self.record.status}"
                await finish_after(exc, self._write(), failed=failed)
        finally:
            self.lease.drop()

    async def _write(self) -> None:
        """Commit the record as it is."""
        written = self.record.model_copy(deep=True)
        change, write_id, store = SessionChange(runs=[written]), hidden_id(), self.lease.store
        await retry_if_unknown(lambda: store.commit(self._session, change, write_id=write_id))
        self._written = written

    def _end_watch(self, error: BaseException | None) -> None:
        watched, self._watched = self._watched, None
        if watched is not None:
            watched.end(self.record, error)

    def _move_to_end(self, exc: BaseException | None) -> None:
        record = self.record
        if record.status.is_final or (exc is None and record.status is RunStatus.WAITING):
            return
        if isinstance(exc, BudgetExceeded):  # it can go on when there is room again
            if record.status is not RunStatus.WAITING:
                record.mark_waiting()
        elif exc is None:
            record.mark_completed()
        elif isinstance(exc, Exception):
            record.mark_failed(exc, error_type=type(exc).__name__)
        else:
            record.mark_cancelled(str(exc) or None)
            record.error_type = type(exc).__name__

    def _refused(self, why: str) -> InvalidSessionOperation:
        return InvalidSessionOperation(f"run {self.record.id!r} {why}", session_id=self._session.id)
