"""The errors of the library as one tree. Each names the ids that it concerns, and says what to do.

SessionManagerError
├── SessionNotFound           no such session (any more)
├── SessionAlreadyExists      the id is taken
├── SessionConflict           a guarded commit came too late; carries what was missed
├── InvalidSessionOperation   the request itself is wrong: a bad id, limit, move, parent or URL
├── InvalidEvent              an event, state value or property cannot be stored as it is
├── CorruptSession            stored bytes are damaged, or written by a newer version
├── StoreUnavailable          the store cannot be reached, or is closed
├── StoreFull                 no room is left where the store writes
├── BudgetExceeded            a budget has no room for what is asked
├── RunBusy                   somebody else holds the run that is to be entered
├── LeaseLost                 a run's write came after somebody else had taken the run, or after it had ended
└── MissingDependency         an optional package is not installed

Damage and outage never look like absence: only SessionNotFound, and None from `get`, mean that there is no session.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

__all__ = [
    "BudgetExceeded",
    "CorruptSession",
    "InvalidEvent",
    "InvalidSessionOperation",
    "LeaseLost",
    "MissingDependency",
    "RunBusy",
    "SessionAlreadyExists",
    "SessionConflict",
    "SessionManagerError",
    "SessionNotFound",
    "StoreFull",
    "StoreUnavailable",
]


class SessionManagerError(Exception):
    """The base class of every error of this library; its text is the `message`.

    Attributes:
        session_id: the session that the error is about; None when it is about none.
        is_too_large: whether the request would be fine if it were smaller.
    """

    session_id: str | None = None
    is_too_large = False

    def __init__(self, message: str, *, session_id: str | None = None, is_too_large: bool = False) -> None:
        super().__init__(message)
        self.session_id = session_id
        self.is_too_large = is_too_large

    def __reduce__(self) -> tuple[Any, ...]:
        # Process pools pickle errors. By default they are unpickled with cls(*args), which does not fit our signatures.
        return _rebuilt, (type(self), self.args, self.__dict__)


def _rebuilt(cls: type[SessionManagerError], args: tuple[Any, ...], attributes: dict[str, Any]) -> SessionManagerError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


class SessionNotFound(SessionManagerError):
    """There is no session of this id, or the one that was read has been deleted since.

    A `message` takes the place of the usual text.
    """

    def __init__(self, session_id: str, message: str | None = None) -> None:
        default = f"no session {session_id!r}: check the id and the namespace, or create it with open() or create()"
        super().__init__(message or default, session_id=session_id)


class SessionAlreadyExists(SessionManagerError):
    """A session was to be created under an id that is taken; nothing was written."""

    def __init__(self, session_id: str) -> None:
        super().__init__(
            f"session {session_id!r} exists already: read it with get() or open(), or choose another id",
            session_id=session_id,
        )


class SessionConflict(SessionManagerError):
    """Somebody else has committed since `expected_revision`; nothing was written.

    Attributes:
        expected_revision: the revision that the caller expected.
        revision: the session's current one; 0 when it does not exist.
        first_missed_seq, last_missed_seq: the first and the last event committed since; both None when only the state,
            properties or runs changed.
        missed_events: the first 100 of these events, oldest first. Each is a SessionEvent; the type is Any because
            the modules of sessions and events import this one.

    A `message` takes the place of the usual text.
    """

    def __init__(
        self,
        session_id: str,
        *,
        expected_revision: int,
        revision: int,
        first_missed_seq: int | None = None,
        last_missed_seq: int | None = None,
        missed_events: Sequence[Any] = (),
        message: str | None = None,
    ) -> None:
        super().__init__(
            f"session {session_id!r} is at revision {revision}, not at {expected_revision}: "
            "read it again and repeat the change, or let edit() do both"
            if message is None
            else message,
            session_id=session_id,
        )
        self.expected_revision = expected_revision
        self.revision = revision
        self.first_missed_seq = first_missed_seq
        self.last_missed_seq = last_missed_seq
        self.missed_events: list[Any] = list(missed_events)


class InvalidSessionOperation(SessionManagerError):
    """The request cannot be carried out as it was made: a bad id, limit, move, parent or URL; nothing was written."""


class InvalidEvent(SessionManagerError):
    """A value cannot be stored as it is; nothing was written. With `is_too_large`, it could be if it were smaller.

    Attributes:
        path: where the value is, such as `events[0].message.cost`, `state.plan` or `properties.owner`.
        event_id: the id of the event that it is in, if any.
        seq: the number of the event that is stored under this id with other content, when that is the reason.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str = "",
        event_id: str | None = None,
        seq: int | None = None,
        session_id: str | None = None,
        is_too_large: bool = False,
    ) -> None:
        super().__init__(message, session_id=session_id, is_too_large=is_too_large)
        self.path = path
        self.event_id = event_id
        self.seq = seq


class CorruptSession(SessionManagerError):
    """What is stored cannot be read back as it was written; the `message` says what is wrong.

    `seq` is the number of the damaged event, if known.
    """

    def __init__(self, session_id: str, message: str, *, seq: int | None = None) -> None:
        super().__init__(message, session_id=session_id)
        self.seq = seq


class StoreUnavailable(SessionManagerError):
    """The store did not answer, or is closed. A write may have happened: send it again with the same ids."""


class StoreFull(SessionManagerError):
    """The store has no room left; nothing of the commit was written."""


class BudgetExceeded(SessionManagerError):
    """A budget has no room for what was asked; nothing was held, and nothing was written.

    Amounts are US dollars as Decimal where `axis` is "usd", and whole numbers elsewhere.

    Attributes:
        budget_id, budget_session_id: the budget, and the session that it is of: the one asked for, or one above it.
        axis: "usd", "tokens" or "requests".
        reason: "limit"; or "unpriced" where a price is not known, and the budget says no amount for such requests.
        limit, spent, held, estimated: the limit; what was spent of it; what others may still spend; and what was sent
            without anybody having reported what it cost.
        asked: what was asked for; None where it is not known.
        holds: the ids of the holds that take room.
        resets_at: when the budget's next window begins; None for a limit for good.
    """

    def __init__(
        self,
        session_id: str,
        *,
        budget_id: str,
        budget_session_id: str,
        axis: str,
        limit: Decimal | int,
        spent: Decimal | int,
        held: Decimal | int,
        estimated: Decimal | int,
        asked: Decimal | int | None,
        reason: str = "limit",
        holds: Sequence[str] = (),
        resets_at: datetime | None = None,
    ) -> None:
        self.budget_id = budget_id
        self.budget_session_id = budget_session_id
        self.axis = axis
        self.reason = reason
        self.limit = limit
        self.spent = spent
        self.held = held
        self.estimated = estimated
        self.asked = asked
        self.holds = list(holds)
        self.resets_at = resets_at
        named = f"budget {budget_id!r} of session {budget_session_id!r}"
        if reason == "unpriced":
            what = f"{named} limits US dollars, and what a request costs is not known"
            remedy = "name its price, or say what such a request counts: set_budget(…, unpriced=…)"
        else:
            what = (
                f"{named} has no room for {asked} {axis}: of {limit}, {spent} are spent, {held} held, and "
                f"{estimated} estimated"
            )
            remedy = "raise it by raise_budget()"
            if resets_at is not None:
                remedy += f", or wait until {resets_at:%Y-%m-%d %H:%M} UTC"
        super().__init__(f"{what}: {remedy}", session_id=session_id)


class RunBusy(SessionManagerError):
    """A run is to be entered that somebody else holds; nothing was written.

    Attributes:
        run_id: the run's.
        holder: the machine and process that holds it.
        seconds_left: how long it holds it, unless it goes on with its run: a lease is renewed.
        expires_at: when that is, by the clock of this machine.
    """

    def __init__(self, session_id: str, run_id: str, *, holder: str, seconds_left: float) -> None:
        self.expires_at = datetime.now(UTC) + timedelta(seconds=seconds_left)
        super().__init__(
            f"run {run_id!r} is held by {holder or 'somebody'} until {self.expires_at:%H:%M:%S} UTC, and longer if "
            "that goes on: wait with run(id=…, busy='wait'), or enter it at once with busy='take_over'",
            session_id=session_id,
        )
        self.run_id = run_id
        self.holder = holder
        self.seconds_left = seconds_left


class LeaseLost(SessionManagerError):
    """A write of a run that its writer does not hold any more; of the write, its usage alone was stored.

    Attributes:
        run_id: the run's.
        holder: the machine and process that holds it now; None when nobody does.
        is_usage_stored: whether the usage of the write's events is stored, or there was none.

    `why` goes on from the run's id in the text, such as "is held by …".
    """

    def __init__(self, session_id: str, run_id: str, why: str, *, holder: str | None = None) -> None:
        super().__init__(
            f"run {run_id!r} {why}: nothing but the usage was written; unless it has ended, enter the run again to go "
            "on with it; keep what a model said by append_late(), without its usage",
            session_id=session_id,
        )
        self.run_id = run_id
        self.holder = holder
        self.is_usage_stored = False


class MissingDependency(SessionManagerError, ImportError):
    """An optional package is not installed; the message has the `pip install` line. It is an ImportError as well.

    `package` is the name to import, `extra` the extra of this package that installs it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed: pip install 'a2a_session_manager[{extra}]'")
        self.name = self.package = package
        self.extra = extra
