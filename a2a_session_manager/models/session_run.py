"""SessionRun: one execution in a session, and the legal moves of its status."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import ConfigDict, Field

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import Identifier, new_id
from a2a_session_manager.models.checked import CheckedModel, Moment
from a2a_session_manager.models.clock import utc_now
from a2a_session_manager.models.texts import reason_text


class RunStatus(StrEnum):
    """Where a run stands; COMPLETED, FAILED and CANCELLED are final."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether a run with this status has ended."""
        return not LEGAL_MOVES[self]


_ENDS = frozenset({RunStatus.FAILED, RunStatus.CANCELLED})
LEGAL_MOVES: dict[RunStatus, frozenset[RunStatus]] = {
    RunStatus.PENDING: _ENDS | {RunStatus.RUNNING},
    RunStatus.RUNNING: _ENDS | {RunStatus.WAITING, RunStatus.COMPLETED},
    RunStatus.WAITING: _ENDS | {RunStatus.RUNNING},
    RunStatus.COMPLETED: frozenset(),
    RunStatus.FAILED: frozenset(),
    RunStatus.CANCELLED: frozenset(),
}


class SessionRun(CheckedModel):
    """A run: one execution in a session. Its events have `task_id=run.id`.

    Its status goes from pending to running, from there to waiting and back, and to completed; from any of these to
    failed or cancelled. Any other move raises InvalidSessionOperation and changes nothing.

    Attributes:
        agent: the name of the agent that runs.
        started_at, ended_at: when it first went to running, and when it ended; None before.
        error_type: the name of the exception that ended a failed run.
        error: the text of that exception, or the reason that was given; of a very long one the beginning.
        metadata: JSON values under string keys.
    """

    model_config = ConfigDict(validate_assignment=True, extra="forbid")

    id: Identifier = Field(default_factory=new_id)
    agent: str | None = None
    status: RunStatus = RunStatus.PENDING
    started_at: Moment | None = None
    ended_at: Moment | None = None
    error_type: str | None = None
    error: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)

    def mark_running(self) -> None:
        """Start the run, or continue it after waiting."""
        self.status = RunStatus.RUNNING
        if self.started_at is None:
            self.started_at = utc_now()

    def mark_waiting(self) -> None:
        """Let the run wait for input from outside, such as a human's answer or an authorisation."""
        self.status = RunStatus.WAITING

    def mark_completed(self) -> None:
        """End the run as completed."""
        self._end(RunStatus.COMPLETED)

    def mark_failed(self, reason: object = None, *, error_type: str | None = None) -> None:
        """End the run as failed. The text of `reason`, which may be an exception, becomes `error`.

        `error_type` is the name of the exception's class.
        """
        self._end(RunStatus.FAILED)
        self.error, self.error_type = reason_text(reason), error_type

    def mark_cancelled(self, reason: object = None) -> None:
        """End the run as cancelled. The text of `reason` becomes `error`."""
        self._end(RunStatus.CANCELLED)
        self.error = reason_text(reason)

    def _end(self, status: RunStatus) -> None:
        self.status = status
        self.ended_at = utc_now()

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "status":
            value = _status(value)
            if value not in LEGAL_MOVES[self.status]:
                raise InvalidSessionOperation(illegal_move(self.id, self.status, value))
        super().__setattr__(name, value)


def _status(value: Any) -> RunStatus:
    try:
        return RunStatus(value)
    except ValueError:
        raise InvalidSessionOperation(f"{value!a} is no status of a run: take one of {', '.join(RunStatus)}") from None


def illegal_move(run_id: str, current: RunStatus, wanted: RunStatus) -> str:
    """Return the message of the error for an illegal move, which names the legal ones."""
    allowed = ", ".join(sorted(LEGAL_MOVES[current])) or "none, it has ended: start a new run"
    return f"run {run_id!r} cannot go from {current} to {wanted}; from {current} it may go to: {allowed}"
