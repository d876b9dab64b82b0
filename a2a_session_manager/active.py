"""ActiveSession and ActiveRun: a session in use, where every verb has written when it returns."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType, TracebackType
from typing import Any, Self

from a2a_session_manager.accounting.usage import usage_from
from a2a_session_manager.context.messages import ChatMessage, chat_messages, event_from_message, source_of
from a2a_session_manager.context.tail import context_size
from a2a_session_manager.context.tools import as_text, call_message, is_call_of, result_message
from a2a_session_manager.context.window import MessageWindow, message_window
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.identifier import new_id
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_run import RunStatus, SessionRun
from a2a_session_manager.models.token_summary import TokenSummary
from a2a_session_manager.opening import open_session
from a2a_session_manager.protocols import SessionStore
from a2a_session_manager.run_keeper import RunKeeper
from a2a_session_manager.tokens.counting import TokenCounter

# How far back `tool(call_id=…)` looks for its call, here and then in the store.
_CALLS_SEARCHED = 50
_EVENTS_A_SLICE = 500
_NO_RESULT: Any = object()


class ActiveLog:
    """The verbs that a session and a run share; a run's events carry its id as `task_id`.

    `session` is the plain data: the head, and what was loaded or written through here. Every verb that
    writes takes `id=` or `write_id=`: the same one again changes nothing, so a retry is always safe.
    """

    def __init__(self, store: SessionStore, session: Session[Any], run_id: str | None = None) -> None:
        self._store = store
        self._run_id = run_id
        self.session = session

    @property
    def state(self) -> Mapping[str, Any]:
        """A read-only copy of the state as last seen here; `set_state` writes."""
        return MappingProxyType(copy.deepcopy(self.session.state))

    async def user(self, content: Any, *, id: str | None = None, **fields: Any) -> SessionEvent[Any]:
        """Append what the user said: text, or a list of content parts; `fields` are further message keys."""
        return await self._say("user", content, fields, id)

    async def system(self, content: Any, *, id: str | None = None, **fields: Any) -> SessionEvent[Any]:
        """Append a system message."""
        return await self._say("system", content, fields, id)

    async def assistant(
        self,
        content: Any = None,
        *,
        model: str | None = None,
        usage: object = None,
        provider: str | None = None,
        id: str | None = None,
        **fields: Any,
    ) -> SessionEvent[Any]:
        """Append the model's answer; `fields` are further message keys, such as `tool_calls`.

        `usage` is a TokenUsage, a mapping of its fields, or a provider's usage object as it is; see `usage_from`
        for what `provider` decides. Raises InvalidEvent for anything else.
        """
        about: dict[str, Any] = {}
        if usage is not None:
            about["token_usage"] = usage_from(usage, model=model, provider=provider)
        elif model is not None:
            about["metadata"] = {"model": model}
        return await self._say("assistant", content, fields, id, **about)

    async def tool(
        self,
        name: str,
        args: Mapping[str, Any] | str | None = None,
        *,
        result: Any = _NO_RESULT,
        call_id: str | None = None,
        id: str | None = None,
    ) -> list[SessionEvent[Any]]:
        """Append a tool call and its result in one commit, and return both.

        With the `call_id` of a call that is recorded already, append the result alone; without `result`, the
        call alone. A call counts as recorded when `args` are left out, or when it is among the latest events.
        Arguments and results that are not text go in as JSON text. The call's event is named `id`, the
        result's `id` + ":result".
        """
        has_result = result is not _NO_RESULT
        is_recorded = call_id is not None and ((args is None and has_result) or await self._holds_call(call_id))
        call_id = new_id() if call_id is None else call_id
        events = []
        if not (is_recorded and has_result):
            message = call_message(name, await as_text({} if args is None else args, "args"), call_id)
            events.append(event_from_message(message, **self._fields(id)))
        if has_result:
            message = result_message(name, await as_text(result, "result"), call_id)
            events.append(event_from_message(message, **self._fields(None if id is None else f"{id}:result")))
        return await self._append(events)

    async def append(
        self,
        *items: SessionEvent[Any] | Mapping[str, Any],
        id: str | None = None,
        expected_revision: int | None = None,
    ) -> list[SessionEvent[Any]]:
        """Append events or chat messages in one commit; `id` names the event of a single item.

        With `expected_revision`, raises SessionConflict when somebody else committed since that one.
        """
        if id is not None and len(items) != 1:
            raise InvalidSessionOperation(f"id={id!r} fits one event, not {len(items)}: give each event its own id")
        events = [self._event(item, id) for item in items]
        return await self._store.append(self.session, *events, expected_revision=expected_revision)

    async def retract(
        self, *event_ids: str, last: int | None = None, after: int | None = None, write_id: str | None = None
    ) -> list[SessionEvent[Any]]:
        """Hide events, and return those this call hid; `last=1` pops, `after=0` clears."""
        return await self._store.retract(self.session, *event_ids, last=last, after=after, write_id=write_id)

    async def set_state(
        self, values: Mapping[str, Any] | None = None, /, *, write_id: str | None = None, **keys: Any
    ) -> None:
        """Set state keys, each as a whole; other keys stay as they are in the store.

        A retry with the same `write_id` takes back nothing that others have set since. A key that is called
        `write_id` goes into `values`.
        """
        change = SessionChange(set_state={**(values or {}), **keys})
        await self._store.commit(self.session, change, write_id=write_id)

    async def unset_state(self, *keys: str, write_id: str | None = None) -> None:
        """Remove state keys; one that is not there is fine. A retry takes the same `write_id`."""
        await self._store.commit(self.session, SessionChange(unset_state=keys), write_id=write_id)

    def run(
        self, agent: str | None = None, *, id: str | None = None, metadata: Mapping[str, Any] | None = None
    ) -> ActiveRun:
        """Return a run for `async with`: it starts, or resumes the unfinished one of this id, when entered."""
        run = SessionRun(id=new_id() if id is None else id, agent=agent, metadata=dict(metadata or {}))
        return ActiveRun(self._store, self.session, run, may_resume=id is not None)

    @asynccontextmanager
    async def child(
        self,
        id: str | None = None,
        *,
        agent: str | None = None,
        properties: Mapping[str, Any] | None = None,
        last: int | None = 0,
    ) -> AsyncIterator[ActiveSession]:
        """Open a child session, or create it, with a log and totals of its own.

        `agent`, `properties` and the run it comes from are kept as properties of a new one.
        """
        about = {"agent": agent, "parent_run_id": self._run_id}
        known = {name: value for name, value in about.items() if value is not None}
        change = SessionChange(set_properties={**known, **(properties or {})})
        session = await open_session(self._store, id, parent=self.session, last=last, change=change)
        yield ActiveSession(self._store, session)

    async def messages(self, *, max_tokens: int | None = None, model: str | None = None) -> list[ChatMessage]:
        """Return the visible conversation as chat messages, as they were given; with `max_tokens` its newest part.

        See `window`, which also says what was left out.
        """
        if max_tokens is not None:
            return (await self.window(max_tokens=max_tokens, model=model)).messages
        messages: list[ChatMessage] = []
        events = await self._store.events(self.session)
        for start in range(0, len(events), _EVENTS_A_SLICE):
            messages += chat_messages(events[start : start + _EVENTS_A_SLICE])
            await asyncio.sleep(0)  # a long conversation must not hold up the loop
        return messages

    async def window(
        self, *, max_tokens: int | None = None, model: str | None = None, counter: TokenCounter | None = None
    ) -> MessageWindow:
        """Return the newest part of the conversation that takes at most `max_tokens` of a prompt for `model`.

        The system messages at its start stay. Then whole exchanges, newest first, up to the first that does not
        fit: a tool call with all its results, or any other message. Without `model` the count is an estimate;
        definitions of tools are not in it. The same log gives the same window. Raises InvalidSessionOperation
        when the system messages and the newest exchange take more.
        """
        return await message_window(self._store, self.session, max_tokens=max_tokens, model=model, counter=counter)

    async def context_size(self) -> int | None:
        """Return the input and output tokens of the newest request: how full the model's context is by now.

        Not what was spent (`usage`). None before the first usage, and when the newest one sums several requests.
        """
        return await context_size(self._store, self.session)

    async def events(
        self,
        *,
        after: int = 0,
        limit: int | None = None,
        include_retracted: bool = False,
        message_type: Any = None,
    ) -> list[SessionEvent[Any]]:
        """Return visible events with a seq above `after`, oldest first, other writers' too."""
        return await self._store.events(
            self.session, after=after, limit=limit, include_retracted=include_retracted, message_type=message_type
        )

    async def usage(self, *, tree: bool = False) -> TokenSummary:
        """Return what the session spent, all its runs, with `tree` what it and all below it spent.

        What each run spent is in `by_run` of the session's own.
        """
        return await self._store.usage(self.session, tree=tree)

    def follow(self, *, after: int = 0) -> AsyncGenerator[SessionEvent[Any], None]:
        """Yield every event behind `after`, then each new one; see SessionStore.follow."""
        return self._store.follow(self.session, after=after)

    async def _say(
        self, role: str, content: Any, message_fields: Mapping[str, Any], id: str | None, **about: Any
    ) -> SessionEvent[Any]:
        about |= self._fields(id)
        if isinstance(content, str | list) and not message_fields:
            event = SessionEvent(message=content, source=source_of(role), **about)
        else:
            event = event_from_message({"role": role, "content": content, **message_fields}, **about)
        return (await self._append([event]))[0]

    async def _append(self, events: Sequence[SessionEvent[Any]]) -> list[SessionEvent[Any]]:
        return await self._store.append(self.session, *events)

    def _event(self, item: SessionEvent[Any] | Mapping[str, Any], id: str | None) -> SessionEvent[Any]:
        if isinstance(item, Mapping):
            return event_from_message(item, **self._fields(id))
        changes: dict[str, Any] = {} if id is None else {"id": id}
        if item.task_id is None and self._run_id is not None:
            changes["task_id"] = self._run_id
        return item.model_copy(update=changes) if changes else item

    def _fields(self, id: str | None) -> dict[str, Any]:
        return {"task_id": self._run_id, **({} if id is None else {"id": id})}

    async def _holds_call(self, call_id: str) -> bool:
        if any(is_call_of(event, call_id) for event in self.session.events[-_CALLS_SEARCHED:]):
            return True
        recent = await self._store.get(self.session.id, last=_CALLS_SEARCHED)
        return recent is not None and any(is_call_of(event, call_id) for event in recent.events)


class ActiveSession(ActiveLog):
    """A session that `SessionManager.open` or `child` opened."""

    @property
    def id(self) -> str:
        return self.session.id


class ActiveRun(ActiveLog):
    """A run in use, for `async with`: its record says how the block ended, and by which error."""

    def __init__(self, store: SessionStore, session: Session[Any], run: SessionRun, *, may_resume: bool) -> None:
        super().__init__(store, session, run.id)
        self._keeper = RunKeeper(store, session, run)
        self._may_resume = may_resume

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def record(self) -> SessionRun:
        """The run as it stands here; what is changed on it by hand is written when the block ends."""
        return self._keeper.record

    @property
    def status(self) -> RunStatus:
        return self.record.status

    async def mark_waiting(self) -> None:
        """Record that the run waits for somebody; a block left while waiting stays so, to be resumed by id."""
        self.record.mark_waiting()
        await self._keeper.write()

    async def mark_running(self) -> None:
        """Record that the run goes on."""
        self.record.mark_running()
        await self._keeper.write()

    async def __aenter__(self) -> Self:
        if self._may_resume:
            await self._keeper.take_up()
        await self._keeper.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._keeper.end(exc)
