"""SyncSessionManager: a SessionManager whose verbs block, for code without an event loop."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

from a2a_session_manager.limits import DEFAULT_LIMITS, StoreLimits
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.pricing.pricer import DEFAULT_PRICER, Pricer
from a2a_session_manager.sync.blocking import Blocking, Iterating, entered
from a2a_session_manager.sync.conversation import SyncSession
from a2a_session_manager.sync.loop_thread import LoopThread

ResultT = TypeVar("ResultT")


class SyncSessionManager:
    """The sessions of a store, for code without an event loop, such as Flask, Streamlit, a script or a notebook.

    Each verb has the parameters, results and errors of the SessionManager's, and blocks the calling thread until it is
    done. All of them run on one event loop in a thread of its own, whatever thread calls; so it may be shared by the
    threads of a process. A server that forks its workers opens one in each of them.

    Args:
        sessions: the manager of the store; None means that of SessionStoreProvider's current one. Use it nowhere else
            meanwhile, or through `wait`.
    """

    append = Blocking(SessionManager.append)
    budget = Blocking(SessionManager.budget)
    budgets = Blocking(SessionManager.budgets)
    check = Blocking(SessionManager.check)
    check_all = Iterating(SessionManager.check_all)
    children = Blocking(SessionManager.children)
    children_page = Blocking(SessionManager.children_page)
    claim = Blocking(SessionManager.claim)
    commit = Blocking(SessionManager.commit)
    context_size = Blocking(SessionManager.context_size)
    copy = Blocking(SessionManager.copy)
    count = Blocking(SessionManager.count)
    create = Blocking(SessionManager.create)
    delete = Blocking(SessionManager.delete)
    diagnose = Blocking(SessionManager.diagnose)
    edit = Blocking(SessionManager.edit)
    events_page = Blocking(SessionManager.events_page)
    export_bundle = Blocking(SessionManager.export_bundle)
    follow = Iterating(SessionManager.follow)
    follow_namespace = Iterating(SessionManager.follow_namespace)
    fork = Blocking(SessionManager.fork)
    forks = Blocking(SessionManager.forks)
    forks_page = Blocking(SessionManager.forks_page)
    get_many = Blocking(SessionManager.get_many)
    get_or_create = Blocking(SessionManager.get_or_create)
    import_bundle = Blocking(SessionManager.import_bundle)
    iter_sessions = Iterating(SessionManager.iter_sessions)
    list_page = Blocking(SessionManager.list_page)
    list_sessions = Blocking(SessionManager.list_sessions)
    namespaces = Blocking(SessionManager.namespaces)
    page = Blocking(SessionManager.page)
    ping = Blocking(SessionManager.ping)
    prune = Blocking(SessionManager.prune)
    raise_budget = Blocking(SessionManager.raise_budget)
    remove_budget = Blocking(SessionManager.remove_budget)
    repair = Blocking(SessionManager.repair)
    restore = Blocking(SessionManager.restore)
    retract = Blocking(SessionManager.retract)
    runs = Blocking(SessionManager.runs)
    salvage = Blocking(SessionManager.salvage)
    save = Blocking(SessionManager.save)
    set_budget = Blocking(SessionManager.set_budget)
    set_properties = Blocking(SessionManager.set_properties)
    set_title = Blocking(SessionManager.set_title)
    tree = Blocking(SessionManager.tree)
    unfinished_runs = Iterating(SessionManager.unfinished_runs)
    unset_properties = Blocking(SessionManager.unset_properties)
    usage = Blocking(SessionManager.usage)
    void_hold = Blocking(SessionManager.void_hold)

    def __init__(self, sessions: SessionManager | None = None) -> None:
        self._wrapped = SessionManager() if sessions is None else sessions
        self._loop = LoopThread()
        self._owns_loop = True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._wrapped!r}>"

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        limits: StoreLimits = DEFAULT_LIMITS,
        pricer: Pricer = DEFAULT_PRICER,
        indexed: Sequence[str] = (),
    ) -> Self:
        """Return a manager that opens and closes a store of its own.

        The parameters and errors are those of SessionManager.from_url.
        """
        return cls(SessionManager.from_url(url, limits=limits, pricer=pricer, indexed=indexed))

    @property
    def sessions(self) -> SessionManager:
        """The manager that this one wraps; its verbs are awaited by `run` and `wait`."""
        return self._wrapped

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def namespace(self, name: str) -> Self:
        """Return a manager of one namespace, over the same store and the same loop; it needs no closing.

        The `name` and the errors are those of SessionManager.namespace.
        """
        inside = type(self)(self._wrapped.namespace(name))
        inside._loop, inside._owns_loop = self._loop, False
        return inside

    @contextmanager
    def open(
        self,
        id: str | None = None,
        *,
        last: int | None = 0,
        parent_id: str | None = None,
        properties: Mapping[str, Any] | None = None,
    ) -> Iterator[SyncSession]:
        """Open the session of this id, or create it, for `with`.

        The parameters and errors are those of SessionManager.open.
        """
        opening = self._wrapped.open(id, last=last, parent_id=parent_id, properties=properties)
        with entered(self._loop, opening) as inside:
            yield SyncSession(inside, self._loop)

    def get(self, id: str, *, last: int | None = None, message_type: Any = None) -> Session[Any]:
        """Return the session with its visible events, oldest first.

        The parameters and errors are those of SessionManager.get.
        """
        return self._loop.run(self._wrapped.get(id, last=last, message_type=message_type))

    def events(self, session: Session[Any] | str, **which: Any) -> list[SessionEvent[Any]]:
        """Return the visible events, oldest first; the parameters and errors are those of SessionManager.events."""
        return self._loop.run(self._wrapped.events(session, **which))

    def events_by_id(
        self, session: Session[Any] | str, *event_ids: str, message_type: Any = None
    ) -> list[SessionEvent[Any] | None]:
        """Return the events of `event_ids` in the order given, None for each one that was never appended.

        The parameters and errors are those of SessionManager.events_by_id.
        """
        return self._loop.run(self._wrapped.events_by_id(session, *event_ids, message_type=message_type))

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Run `work`, a coroutine over `sessions`, on the loop of this manager, and return its result.

        See LoopThread.run.
        """
        return self._loop.run(work)

    async def wait(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Run `work`, a coroutine over `sessions`, on this manager's loop, for a caller on another loop, also of trio.

        `await blocking.wait(blocking.sessions.append("trip", event))`; see LoopThread.wait.
        """
        return await self._loop.wait(work)

    def close(self) -> None:
        """Close the store if `from_url` opened it, and end the loop; that of a namespace stays. Twice is fine."""
        if self._owns_loop and not self._loop.is_closed:
            self._loop.run(self._wrapped.aclose())
            self._loop.close()
