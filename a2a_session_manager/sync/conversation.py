"""SyncSession and SyncRun: an open session and an open run, with verbs that block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Generic, TypeVar

from a2a_session_manager.active import ActiveRun, ActiveSession
from a2a_session_manager.active.holds import DEFAULT_EXPIRES, Hold, noted_open
from a2a_session_manager.active.log import ActiveLog
from a2a_session_manager.context.forking import OpenPolicy
from a2a_session_manager.models.budget import SpendEstimate
from a2a_session_manager.models.lease import DEFAULT_LEASE, BusyPolicy
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_run import RunStatus, SessionRun
from a2a_session_manager.sync.blocking import Blocking, Iterating, entered
from a2a_session_manager.sync.loop_thread import LoopThread

WrappedT = TypeVar("WrappedT", ActiveSession, ActiveRun)


class SyncHold:
    """Room for one request, which `spend` gives: the Hold that is `wrapped`, whose verbs run on `loop`."""

    renew = Blocking(Hold.renew)

    def __init__(self, wrapped: Hold, loop: LoopThread) -> None:
        self._wrapped = wrapped
        self._loop = loop

    @property
    def id(self) -> str:
        """The id of the hold, and of the event that brings its usage."""
        return self._wrapped.id

    @property
    def is_held(self) -> bool:
        """Whether there is anything to hold: False where no budget limits the session."""
        return self._wrapped.is_held

    @property
    def is_settled(self) -> bool:
        """Whether the usage was appended."""
        return self._wrapped.is_settled

    def sent(self) -> None:
        """Say that the request went out: without a usage, what is held counts as estimated from the block's end on."""
        self._wrapped.sent()


class SyncLog(Generic[WrappedT]):
    """The verbs that an open session and an open run share, each with the parameters and errors of its async twin."""

    append = Blocking(ActiveLog.append)
    append_late = Blocking(ActiveLog.append_late)
    assistant = Blocking(ActiveLog.assistant)
    context_size = Blocking(ActiveLog.context_size)
    estimate = Blocking(ActiveLog.estimate)
    follow = Iterating(ActiveLog.follow)
    restore = Blocking(ActiveLog.restore)
    retract = Blocking(ActiveLog.retract)
    set_properties = Blocking(ActiveLog.set_properties)
    set_state = Blocking(ActiveLog.set_state)
    set_title = Blocking(ActiveLog.set_title)
    system = Blocking(ActiveLog.system)
    tool = Blocking(ActiveLog.tool)
    unset_properties = Blocking(ActiveLog.unset_properties)
    unset_state = Blocking(ActiveLog.unset_state)
    user = Blocking(ActiveLog.user)
    window = Blocking(ActiveLog.window)

    def __init__(self, wrapped: WrappedT, loop: LoopThread) -> None:
        self._wrapped: WrappedT = wrapped
        self._loop = loop

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._wrapped!r}>"

    @property
    def id(self) -> str:
        """The session's id, or the run's."""
        return self._wrapped.id

    @property
    def session(self) -> Session[Any]:
        """The plain data: the head, and the events that were loaded or written through this object."""
        return self._wrapped.session

    @property
    def state(self) -> Mapping[str, Any]:
        """The state as it is known here, which cannot be changed; `set_state` writes."""
        return self._wrapped.state

    def events(self, **which: Any) -> list[SessionEvent[Any]]:
        """Return the visible events, oldest first; the parameters and errors are those of ActiveSession.events."""
        return self._loop.run(self._wrapped.events(**which))

    def events_by_id(self, *event_ids: str, message_type: Any = None) -> list[SessionEvent[Any] | None]:
        """Return the events of `event_ids` in the order given, None for each one that was never appended.

        The parameters and errors are those of ActiveSession.events_by_id.
        """
        return self._loop.run(self._wrapped.events_by_id(*event_ids, message_type=message_type))

    @contextmanager
    def spend(
        self,
        usd: Decimal | float | str | None = None,
        *,
        tokens: int | None = None,
        estimate: SpendEstimate | None = None,
        requests: int = 1,
        id: str | None = None,
        expires: float = DEFAULT_EXPIRES,
    ) -> Iterator[SyncHold]:
        """Hold room for one request in the budgets, for `with`.

        The parameters and errors are those of ActiveSession.spend. The append that brings the usage settles it, when
        the same thread makes it.
        """
        hold = self._wrapped.spend(usd, tokens=tokens, estimate=estimate, requests=requests, id=id, expires=expires)
        with entered(self._loop, hold), noted_open(hold):
            yield SyncHold(hold, self._loop)

    @contextmanager
    def run(
        self,
        agent: str | None = None,
        *,
        id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        lease: float | None = DEFAULT_LEASE,
        busy: BusyPolicy = "refuse",
    ) -> Iterator[SyncRun]:
        """Start a run, or resume the unfinished one of this `id`, for `with`.

        The parameters and errors are those of ActiveSession.run.
        """
        run = self._wrapped.run(agent, id=id, metadata=metadata, lease=lease, busy=busy)
        with entered(self._loop, run) as inside:
            yield SyncRun(inside, self._loop)

    @contextmanager
    def child(
        self,
        id: str | None = None,
        *,
        agent: str | None = None,
        properties: Mapping[str, Any] | None = None,
        last: int | None = 0,
    ) -> Iterator[SyncSession]:
        """Open the child session of this id, or create it, for `with`.

        The parameters and errors are those of ActiveSession.child.
        """
        with entered(self._loop, self._wrapped.child(id, agent=agent, properties=properties, last=last)) as inside:
            yield SyncSession(inside, self._loop)


class SyncSession(SyncLog[ActiveSession]):
    """An open session, which `SyncSessionManager.open` gives: an ActiveSession whose verbs block."""

    check = Blocking(ActiveSession.check)
    compact = Blocking(ActiveSession.compact)
    expand = Blocking(ActiveSession.expand)
    maybe_compact = Blocking(ActiveSession.maybe_compact)
    messages = Blocking(ActiveSession.messages)
    open_calls = Blocking(ActiveSession.open_calls)
    repair = Blocking(ActiveSession.repair)
    usage = Blocking(ActiveSession.usage)

    def fork(
        self,
        *,
        at: int | str | None = None,
        new_id: str | None = None,
        on_open: OpenPolicy = "refuse",
        properties: Mapping[str, Any] | None = None,
        detached: bool = False,
    ) -> SyncSession:
        """Create a session that goes on from an event of this one, and return it open.

        The parameters and errors are those of SessionManager.fork.
        """
        forking = self._wrapped.fork(at=at, new_id=new_id, on_open=on_open, properties=properties, detached=detached)
        return SyncSession(self._loop.run(forking), self._loop)


class SyncRun(SyncLog[ActiveRun]):
    """An open run, which `SyncSession.run` gives: an ActiveRun whose verbs block."""

    mark_running = Blocking(ActiveRun.mark_running)
    mark_waiting = Blocking(ActiveRun.mark_waiting)
    messages = Blocking(ActiveRun.messages)
    usage = Blocking(ActiveRun.usage)

    @property
    def record(self) -> SessionRun:
        """The run as it is known here; changes that you make to it are written when the block ends."""
        return self._wrapped.record

    @property
    def status(self) -> RunStatus:
        """The run's status as it is known here."""
        return self._wrapped.status
