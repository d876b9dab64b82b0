"""ActiveSession and ActiveRun: what `open`, `child` and `run` give, and how children and runs are opened from them.

They share a module because each opens the other.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

from a2a_session_manager.active.conversation import ConversationVerbs
from a2a_session_manager.active.late_usage import LateUsage
from a2a_session_manager.active.log import ActiveLog
from a2a_session_manager.active.new_events import new_event
from a2a_session_manager.active.opening import open_session
from a2a_session_manager.active.run import RunVerbs
from a2a_session_manager.active.run_keeper import RunKeeper
from a2a_session_manager.context.forking import OpenPolicy, fork_conversation
from a2a_session_manager.exceptions import LeaseLost
from a2a_session_manager.identifiers import new_id, shown
from a2a_session_manager.models import arguments
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.lease import DEFAULT_LEASE, BusyPolicy, checked_busy, checked_lease
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.models.token_summary import TokenSummary
from a2a_session_manager.protocols import SessionStore


class ActiveSession(ConversationVerbs, ActiveLog):
    """An open session, which `SessionManager.open` or `child` gives; its verbs read from the store and write to it.

    `session` is the plain data: the head, and the events that were loaded or written through this object. Every verb
    that writes takes an `id` or a `write_id`; calling it again with the same one changes nothing, so that a retry is
    always safe. Every verb raises SessionNotFound when the session has been deleted meanwhile, and what SessionStore
    says of all its verbs.
    """

    async def usage(self, *, tree: bool = False) -> TokenSummary:
        """Return the tokens and the cost of the session; with `tree`, the sum of it and all sessions below it.

        What each run spent is in `by_run`, for the session alone.
        """
        return await self._store.usage(self.session, tree=tree)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {shown(self.id)}>"

    @property
    def id(self) -> str:
        """The session's id."""
        return self.session.id

    def run(
        self: ActiveLog,
        agent: str | None = None,
        *,
        id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        lease: float | None = DEFAULT_LEASE,
        busy: BusyPolicy = "refuse",
    ) -> ActiveRun:
        """Return a run for `async with`; it starts, or resumes the unfinished run of this `id`, when it is entered.

        While it is open, nobody else enters it: it holds a lease, which its writes and a heartbeat renew. Who has lost
        it, because it was taken over or because the process stood still for too long, gets LeaseLost from the next
        write. A run that waits holds none.

        Args:
            agent: the name of the agent that runs.
            id: None makes a random one.
            metadata: JSON values under string keys, stored with the run.
            lease: how many seconds the run stays held when this process dies, from 1 to 86,400. None holds nothing:
                others may enter the run at the same time.
            busy: what to do while somebody else holds the run: "refuse" raises RunBusy, which says who and until when;
                "wait" waits until it is free; "take_over" enters it at once, and the other's next write is refused.

        Entering raises InvalidSessionOperation when the run of this id has ended. Its verbs that write raise it before
        the block and after it; of what is refused then, the usage is stored all the same. See `append_late`.
        """
        self._check_may_begin()
        run = SessionRun(
            id=new_id() if id is None else id,
            agent=agent,
            metadata={} if metadata is None else arguments.values("metadata", metadata),
        )
        is_resumed = id is not None
        return ActiveRun(
            self._store,
            self.session,
            run,
            may_resume=is_resumed,
            lease=checked_lease(lease),
            busy=checked_busy(busy),
        )

    @asynccontextmanager
    async def child(
        self: ActiveLog,
        id: str | None = None,
        *,
        agent: str | None = None,
        properties: Mapping[str, Any] | None = None,
        last: int | None = 0,
    ) -> AsyncIterator[ActiveSession]:
        """Open the child session of this id, or create it, for `async with`; it has a log and totals of its own.

        Without an `id`, a new one gets a random id. `agent`, `properties` and the id of the run that it is opened from
        (`parent_run_id`) become properties of a new one. Of one that exists, the newest `last` events are read; None
        reads all. Raises InvalidSessionOperation when it exists and is not a child of this session.
        """
        self._check_may_begin()
        about = {"agent": agent, "parent_run_id": self._run_id}
        known = {name: value for name, value in about.items() if value is not None}
        change = SessionChange(
            set_properties={**known, **({} if properties is None else arguments.values("properties", properties))}
        )
        session = await open_session(self._store, id, parent=self.session, last=last, change=change)
        yield ActiveSession(self._store, session)

    async def fork(
        self,
        *,
        at: int | str | None = None,
        new_id: str | None = None,
        on_open: OpenPolicy = "refuse",
        properties: Mapping[str, Any] | None = None,
        detached: bool = False,
    ) -> ActiveSession:
        """Create a session that goes on from an event of this one, and return it open; it needs no closing.

        Neither session shows what the other does later.

        Args:
            at: the seq or the id of the last event that the fork shares; None means the newest.
            new_id: the id of the fork; None makes a random one. A retry with it returns the same fork.
            on_open: what to do about tool calls that have no result there: "refuse" them by name, or let the fork begin
                with results that say "interrupted".
            properties: those that the fork has beside the source's, or in their place.
            detached: copy the events into a new root instead, which needs its source no more.

        SessionManager.fork says more of them, and which errors it raises.
        """
        forked = await fork_conversation(
            self._store, self.session, at=at, new_id=new_id, on_open=on_open, properties=properties, detached=detached
        )
        return ActiveSession(self._store, forked)


class ActiveRun(RunVerbs, ActiveLog):
    """An open run, for `async with`, with the verbs of its session; its events have its id as `task_id`.

    When the block ends, its record says how: completed, failed by which error, cancelled, or waiting, if `mark_waiting`
    was called last. An error is raised on; if the record could not be written, the error has a note that says so. It is
    made by `run`, which explains what it is made with.
    """

    # A run opens runs and children as its session does.
    run = ActiveSession.run
    child = ActiveSession.child

    def __init__(
        self,
        store: SessionStore,
        session: Session[Any],
        run: SessionRun,
        *,
        may_resume: bool,
        lease: float | None = None,
        busy: BusyPolicy = "refuse",
    ) -> None:
        super().__init__(store, session, run.id)
        self._keeper = RunKeeper(store, session, run, lease)
        self._may_resume = may_resume
        self._busy = busy
        self._late_usage = LateUsage(store, session)

    def __repr__(self) -> str:
        agent = "" if self.record.agent is None else f" agent={shown(self.record.agent)}"
        return f"<{type(self).__name__} {shown(self.id)} {self.status}{agent} session={shown(self.session.id)}>"

    async def append_late(self, *items: object, id: str | None = None) -> list[SessionEvent[Any]]:
        """Append like `append`, and also when the block has ended, for what a model said meanwhile.

        `items` and `id` are those of `append`.
        """
        self._check_may_append()
        if self._late_usage:
            items = tuple(self._late_usage.left_out_of(new_event(item, id, self.id)) for item in items)
        return await super().append_late(*items, id=id)

    async def __aenter__(self) -> Self:
        await self._keeper.enter(self._busy, may_resume=self._may_resume)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._keeper.leave(exc)

    def check_open(self) -> None:
        """Raise InvalidSessionOperation outside the run's block."""
        if self._keeper.stage != "open":
            raise self._keeper.refusal()

    @property
    def _writable(self) -> SessionStore:
        self.check_open()
        return self._keeper.lease.store

    def _check_may_begin(self) -> None:
        self.check_open()
        if self._keeper.lease.is_lost:
            raise LeaseLost(self.session.id, self.id, "is not held any more, as a heartbeat or a write has found")

    def _check_may_append(self) -> None:
        if self._keeper.stage != "left":
            self.check_open()

    async def _append(self, events: Sequence[SessionEvent[Any]], **options: Any) -> list[SessionEvent[Any]]:
        if self._keeper.stage == "left":
            await self._late_usage.keep(events)
        try:
            return await super()._append(events, **options)
        except LeaseLost:
            self._keeper.lease.lose()
            self._late_usage.note_kept(events)
            raise
