"""AgentsSession: the Session of openai-agents, stored as one of ours."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, Any, Self

from agents import Agent, ModelResponse, RunHooks, SessionSettings
from anyio.abc import AsyncResource

from a2a_session_manager.concurrency.retries import retry_if_unknown
from a2a_session_manager.context.compacted import placed
from a2a_session_manager.context.forking import OpenPolicy
from a2a_session_manager.context.reading import newest_messages
from a2a_session_manager.exceptions import InvalidSessionOperation, SessionAlreadyExists, SessionNotFound
from a2a_session_manager.identifiers import checked_id, hidden_id, new_id
from a2a_session_manager.integrations.openai_agents.items import (
    after_the_last_answer,
    event_from_item,
    items_in,
    items_of,
)
from a2a_session_manager.integrations.openai_agents.usage import agent_of, usage_event
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models import arguments
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.event_message import MessageColumns
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.protocols import SessionStore

if TYPE_CHECKING:
    from agents import RunContextWrapper, RunErrorDetails, TResponseInputItem
    from agents.result import RunResultBase

_CREATE_TRIES = 8


class AgentsSession(AsyncResource):
    """The `Session` of openai-agents over one of ours, which is created with its first item.

    Items come back as they were given, newest last; other events of the session are not items. The verbs raise what
    SessionStore says, and RuntimeError once the session's own store is closed.

    Args:
        session_id: the id of our session.
        sessions: the manager of the store. It stays open; only what `from_url` opened is closed by `aclose`.
        run_id: the id of a run that the items and the usage belong to.
        session_settings: the framework's; its `limit` is the one of `get_items` without a limit.
    """

    def __init__(
        self,
        session_id: str,
        sessions: SessionManager,
        *,
        run_id: str | None = None,
        session_settings: SessionSettings | None = None,
    ) -> None:
        self.session_id = checked_id(session_id, "session id")
        self.session_settings = session_settings
        self._sessions = sessions
        self._run_id = run_id
        self._owns_sessions = False
        self._is_closed = False

    @classmethod
    def from_url(
        cls, session_id: str, url: str, *, session_settings: SessionSettings | None = None, **options: Any
    ) -> Self:
        """Return a session over a store of its own, which `aclose` closes.

        `url` is such as `file:./sessions`; see `store_from_url`. `session_settings` are the framework's, `options` the
        others of the class. Raises InvalidSessionOperation for a bad URL or id.
        """
        session = cls(session_id, SessionManager.from_url(url), session_settings=session_settings, **options)
        session._owns_sessions = True
        return session

    @property
    def store(self) -> SessionStore:
        """The store that the session is in."""
        return self._sessions.store

    async def ensure_created(self) -> str:
        """Create the session, if it is not there yet, and return its id."""
        self._check_open()
        await self._sessions.get_or_create(self.session_id, last=0)
        return self.session_id

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Return the newest `limit` items, oldest first; without a limit, as many as `session_settings` says, or all.

        Raises InvalidSessionOperation for a negative limit.
        """
        self._check_open()
        if limit is None and self.session_settings is not None:
            limit = self.session_settings.limit
        if limit is not None and limit < 0:
            raise InvalidSessionOperation(f"limit={limit} cannot be negative: take 0 or more")
        return (await self._newest(limit, compacted=True)).messages

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Append all `items` in one commit, or none of them. Raises InvalidEvent for one that is no JSON object."""
        self._check_open()
        if items:
            await self._append([event_from_item(item, self._run_id) for item in items])

    async def pop_item(self) -> TResponseInputItem | None:
        """Hide the newest item and return it, or None when there is none. Two callers never get the same item."""
        self._check_open()
        while newest := await self._newest(1):
            if claimed := items_of(await self._retract(newest.ids[0])):
                return claimed[0]
        return None

    async def clear_session(self) -> None:
        """Hide every event of the session; what was spent stays in the totals."""
        self._check_open()
        await self._retract(after=0)

    async def retract_unanswered(self) -> list[TResponseInputItem]:
        """Hide the items after the last assistant message, and return them, oldest first.

        After a failed or cancelled run, these are the items without an answer: the user's message, and tool calls with
        their results. To try again, run with them as the input.
        """
        self._check_open()
        unanswered = after_the_last_answer(list(await self._newest(None)))
        return items_of(await self._retract(*(event.id for event in unanswered))) if unanswered else []

    async def branch(
        self,
        *,
        before_turn: int | None = None,
        at: int | str | None = None,
        new_id: str | None = None,
        on_open: OpenPolicy = "refuse",
    ) -> Self:
        """Return a session that goes on from a point of this one; what comes to one of them later, the other never has.

        It uses this session's store, which stays open until this session is closed. See SessionManager.fork, also for
        the errors.

        Args:
            before_turn: the branch has what is before the user's message of this number, counted from 2; running with
                another message edits it, and with the same one answers it anew.
            at: instead of that, the seq or the id of the last event that both share. None means the newest.
            new_id: the id of the branch; None makes a random one. A retry with it returns the same branch.
            on_open: a point between a call and its result is refused by default; with "interrupt", the branch begins
                with a result that says "interrupted".
        """
        self._check_open()
        if before_turn is not None:
            if at is not None:
                raise InvalidSessionOperation("say where to branch in one way: before_turn= or at=")
            at = await self._seq_before(before_turn)
        forked = await self._sessions.fork(self.session_id, at=at, new_id=new_id, on_open=on_open)
        branch = copy(self)
        branch.session_id, branch._owns_sessions = forked.id, False
        return branch

    async def record_usage(
        self, result: RunResultBase | RunErrorDetails, *, model: str | None = None, id: str | None = None
    ) -> list[SessionEvent[Any]]:
        """Append an event with the usage of each model response of a run, and return these events.

        Call it once for each result, or with an `id`, from which the ids of the events are derived, so that a repeated
        call changes nothing. `result` may be the `run_data` of a failed run's error. `model` is needed when a RunConfig
        or the framework's default chose the model, and not the agent: without a name, requests stay without a price.
        """
        self._check_open()
        first = new_id() if id is None else id
        events = [
            usage_event(response, agent_of(response, result), model, self._run_id, f"{first}:{number}")
            for number, response in enumerate(result.raw_responses, 1)
        ]
        return await self._append(events) if events else []

    async def aclose(self) -> None:
        """Close the store if this session has opened it; every later verb then raises RuntimeError."""
        if self._owns_sessions:
            self._is_closed = True
            await self._sessions.aclose()

    def _check_open(self) -> None:
        if self._is_closed:
            raise RuntimeError(f"{type(self).__name__} is closed")

    async def _newest(self, limit: int | None, *, compacted: bool = False) -> MessageColumns:
        """Return the newest `limit` items, reading further back when other events are between them.

        With `compacted`, the messages of a summary are items in the place of those that it stands for.
        """
        last = limit
        while last != 0:
            try:
                tail = await newest_messages(self._sessions.store, self.session_id, last=last, compacted=compacted)
            except SessionNotFound:
                break
            items = items_in(placed(tail) if compacted else tail.messages, tail.compaction)
            if limit is None or last is None:
                return items
            if len(items) >= limit or not tail.earlier_events:
                return items[-limit:]
            last *= 2
        return MessageColumns()

    async def _seq_before(self, turn: int) -> int:
        """Return the seq of the last visible event before the user's message of this number."""
        everything = (await newest_messages(self._sessions.store, self.session_id, last=None)).messages
        items = items_in(everything)
        asked = [seq for seq, message in zip(items.seqs, items.messages, strict=True) if message.get("role") == "user"]
        if not 1 < arguments.whole_number("before_turn", turn) <= len(asked):
            raise InvalidSessionOperation(
                f"before_turn={turn}: session {self.session_id!r} has {len(asked)} messages of the user, and a "
                "branch begins before the second one or later: take another one, or a new session",
                session_id=self.session_id,
            )
        return everything.seqs[everything.seqs.index(asked[turn - 1]) - 1]

    async def _append(self, events: Sequence[SessionEvent[Any]]) -> list[SessionEvent[Any]]:
        store = self._sessions.store
        for _ in range(_CREATE_TRIES):
            try:
                return await retry_if_unknown(lambda: store.append(self.session_id, *events))
            except SessionNotFound:
                pass
            try:
                session = await retry_if_unknown(
                    lambda: store.create(self.session_id, change=SessionChange(events=events))
                )
            except SessionAlreadyExists:
                continue  # another writer did, or our reply was lost: every event has its id
            return session.events
        raise SessionNotFound(self.session_id)

    async def _retract(self, *event_ids: str, after: int | None = None) -> list[SessionEvent[Any]]:
        store, write_id = self._sessions.store, hidden_id()
        try:
            return await retry_if_unknown(
                lambda: store.retract(self.session_id, *event_ids, after=after, write_id=write_id)
            )
        except SessionNotFound:
            return []


class UsageHooks(RunHooks[Any]):
    """Records the usage of every model response as it comes, also of runs that fail or are cancelled later.

    Use it in place of `session.record_usage`: `Runner.run(agent, "Hello", session=session, hooks=UsageHooks(session))`.
    Agents that are used as tools have hooks of their own. `model` is needed when a RunConfig or the framework's default
    chose the model, and not the agent: without a name, requests stay without a price.
    """

    def __init__(self, session: AgentsSession, *, model: str | None = None) -> None:
        self._session = session
        self._model = model

    async def on_llm_end(self, context: RunContextWrapper[Any], agent: Agent[Any], response: ModelResponse) -> None:
        """Append an event with the usage of `response`; the framework calls this."""
        await self._session._append([usage_event(response, agent, self._model, self._session._run_id, new_id())])
