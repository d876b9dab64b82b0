"""RunKeeper: keeps a run's record in step with the block it stands for."""

from __future__ import annotations

import asyncio
from typing import Any

from a2a_session_manager.concurrency.cancellation import finish_after
from a2a_session_manager.concurrency.retries import retry_if_unknown
from a2a_session_manager.exceptions import InvalidSessionOperation, SessionNotFound
from a2a_session_manager.identifiers import hidden_id
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_run import RunStatus, SessionRun
from a2a_session_manager.protocols import SessionStore


class RunKeeper:
    """Writes `record` when the run starts, moves and ends; `session` is brought in step each time."""

    def __init__(self, store: SessionStore, session: Session[Any], record: SessionRun) -> None:
        self._store = store
        self._session = session
        self._written: SessionRun | None = None
        self.record = record

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

    async def start(self) -> None:
        """Record that the run is running, unless that is what was taken up."""
        if self.record.status is not RunStatus.RUNNING:
            self.record.mark_running()
        elif self.record == self._written:
            return
        try:
            await self.write()
        except asyncio.CancelledError as cancelled:
            # The block never begins, so nobody else would end a run whose start has been written.
            await self.end(cancelled)
            raise

    async def end(self, exc: BaseException | None) -> None:
        """Record how the block ended; a write that fails is a note on the error that ended the block."""
        self._move_to_end(exc)
        if self.record == self._written:
            return
        failed = f"run {self.record.id!r} could not be recorded as {self.record.status}"
        await finish_after(exc, self.write(), failed=failed)

    async def write(self) -> None:
        """Commit the record as it is."""
        written = self.record.model_copy(deep=True)
        change, write_id = SessionChange(runs=[written]), hidden_id()
        await retry_if_unknown(lambda: self._store.commit(self._session, change, write_id=write_id))
        self._written = written

    def _move_to_end(self, exc: BaseException | None) -> None:
        record = self.record
        if record.status.is_final or (exc is None and record.status is RunStatus.WAITING):
            return
        if exc is None:
            record.mark_completed()
        elif isinstance(exc, Exception):
            record.mark_failed(exc, error_type=type(exc).__name__)
        else:
            record.mark_cancelled(str(exc) or None)
            record.error_type = type(exc).__name__
