"""What can go wrong, as one tree: every error names its ids and says what to do.

SessionManagerError
├── SessionNotFound           no such session (any more)
├── SessionAlreadyExists      the id is taken
├── SessionConflict           a guarded commit came too late; carries what was missed
├── InvalidSessionOperation   the request itself is wrong: a bad id, limit, move, parent or URL
├── InvalidEvent              an event, state value or property cannot be stored as it is
├── CorruptSession            stored bytes are damaged, or written by a newer version
├── StoreUnavailable          the store cannot be reached, or is closed
├── StoreFull                 no room is left where the store writes
├── BudgetExceeded            a commit would break a budget
└── MissingDependency         an optional package is not installed

Damage and outage never look like absence: only SessionNotFound says that nothing is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = [
    "BudgetExceeded",
    "CorruptSession",
    "InvalidEvent",
    "InvalidSessionOperation",
    "MissingDependency",
    "SessionAlreadyExists",
    "SessionConflict",
    "SessionManagerError",
    "SessionNotFound",
    "StoreFull",
    "StoreUnavailable",
]


class SessionManagerError(Exception):
    """The root of every error of this library; `session_id` is None where no session is concerned.

    `is_too_large` says that the request would be fine if it were smaller.
    """

    session_id: str | None = None
    is_too_large = False

    def __init__(self, message: str, *, session_id: str | None = None, is_too_large: bool = False) -> None:
        super().__init__(message)
        self.session_id = session_id
        self.is_too_large = is_too_large

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions pickle by calling cls(*args); our signatures differ, and errors cross process pools.
        return _rebuilt, (type(self), self.args, self.__dict__)


def _rebuilt(cls: type[SessionManagerError], args: tuple[Any, ...], attributes: dict[str, Any]) -> SessionManagerError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


class SessionNotFound(SessionManagerError):
    """There is no session of this id, or the one a handle was made for has been deleted."""

    def __init__(self, session_id: str, message: str | None = None) -> None:
        default = f"no session {session_id!r}: check the id and the namespace, or create it with open() or create()"
        super().__init__(message or default, session_id=session_id)


class SessionAlreadyExists(SessionManagerError):
    """A session of this id exists already; nothing was written."""

    def __init__(self, session_id: str) -> None:
        super().__init__(
            f"session {session_id!r} exists already: read it with get() or open(), or choose another id",
            session_id=session_id,
        )


class SessionConflict(SessionManagerError):
    """Somebody else committed first; nothing was written.

    `revision` is the session's current one. `first_missed_seq` and `last_missed_seq` bound the events
    committed after `expected_revision` (both None when only the head changed); `missed_events` brings
    the first 100 of them, oldest first: each is a SessionEvent, which no error can name as a type, for sessions and
    events are made of modules that raise these errors.
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
    """The request contradicts the rules, whatever the store holds; nothing was written."""


class InvalidEvent(SessionManagerError):
    """A value cannot be stored as it is; nothing was written.

    `path` leads to it: `events[0].message.cost`, `state.plan`, `properties.owner`. `seq` is the number of the event
    that is stored under this id with other content, where that is the reason.
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
    """What is stored cannot be read back as it was written; `seq` is the event's number, where one is to blame."""

    def __init__(self, session_id: str, message: str, *, seq: int | None = None) -> None:
        super().__init__(message, session_id=session_id)
        self.seq = seq


class StoreUnavailable(SessionManagerError):
    """The store did not answer, or is closed. Retry with the same ids: nothing is ever doubled."""


class StoreFull(SessionManagerError):
    """The store has no room left; nothing of the commit was written."""


class BudgetExceeded(SessionManagerError):
    """The commit would spend more than its session or tree may; nothing was written."""


class MissingDependency(SessionManagerError, ImportError):
    """An optional package is not installed; the message is the `pip install` line. It is an ImportError, too."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed: pip install 'a2a_session_manager[{extra}]'")
        self.name = self.package = package
        self.extra = extra
