"""ActiveWriter: the verbs that write to a session in use, from chat messages to state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from a2a_session_manager.active.reading import ActiveReader
from a2a_session_manager.context.messages import event_from_message, source_of
from a2a_session_manager.context.tools import as_text, call_message, is_call_of, result_message
from a2a_session_manager.exceptions import InvalidEvent, InvalidSessionOperation
from a2a_session_manager.identifiers import checked_id, derived_id, new_id, shown
from a2a_session_manager.models import arguments
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.protocols import RepeatPolicy, SessionStore
from a2a_session_manager.usage.provider_usage import usage_from

# How far back `tool(call_id=…)` looks for its call, here and then in the store.
_CALLS_SEARCHED = 50
_NO_RESULT: Any = object()


class ActiveWriter(ActiveReader):
    """Writes through to the store. Every verb takes `id=` or `write_id=`: the same one again changes nothing."""

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
        result's `id` + ":result"; a `call_id` that is not given follows from `id`, so that a retry says the same.
        """
        store = self._writable
        has_result = result is not _NO_RESULT
        is_recorded = call_id is not None and ((args is None and has_result) or await self._holds_call(call_id))
        if call_id is None:
            call_id = new_id() if id is None else derived_id(checked_id(id))
        events = []
        if not (is_recorded and has_result):
            message = call_message(name, await as_text({} if args is None else args, "args"), call_id)
            events.append(event_from_message(message, **self._fields(id)))
        if has_result:
            message = result_message(name, await as_text(result, "result"), call_id)
            events.append(event_from_message(message, **self._fields(None if id is None else f"{id}:result")))
        return await store.append(self.session, *events)

    async def append(
        self,
        *items: SessionEvent[Any] | Mapping[str, Any],
        id: str | None = None,
        expected_revision: int | None = None,
        on_repeat: RepeatPolicy = "refuse",
    ) -> list[SessionEvent[Any]]:
        """Append events or chat messages in one commit; `id` names the event of a single item.

        Returns them in order as they are stored, each with its `seq`. An id that is stored already with other content
        is InvalidEvent, or with `on_repeat="keep"` answers with what is stored. With `expected_revision`, raises
        SessionConflict when somebody else committed since that one. Raises InvalidEvent for what cannot be stored.
        """
        self._check_single(items, id)
        store = self._writable
        events = [self._event(item, id) for item in items]
        return await store.append(self.session, *events, expected_revision=expected_revision, on_repeat=on_repeat)

    async def append_late(
        self, *items: SessionEvent[Any] | Mapping[str, Any], id: str | None = None
    ) -> list[SessionEvent[Any]]:
        """Append like `append`, and also through a run whose block has ended: for what a model said meanwhile."""
        self._check_single(items, id)
        return await self._store.append(self.session, *[self._event(item, id) for item in items])

    async def retract(
        self, *event_ids: str, last: int | None = None, after: int | None = None, write_id: str | None = None
    ) -> list[SessionEvent[Any]]:
        """Hide events, and return those this call hid, oldest first; `last=1` pops, `after=0` clears.

        Raises InvalidSessionOperation for an id that was never appended, and unless one way is chosen.
        """
        return await self._writable.retract(self.session, *event_ids, last=last, after=after, write_id=write_id)

    async def set_state(
        self, values: Mapping[str, Any] | None = None, /, *, write_id: str | None = None, **keys: Any
    ) -> None:
        """Set state keys, each as a whole; other keys stay as they are in the store.

        A retry with the same `write_id` takes back nothing that others have set since. A key that is called
        `write_id` goes into `values`.
        """
        given = {} if values is None else arguments.values("values", values)
        change = SessionChange(set_state={**given, **keys})
        await self._writable.commit(self.session, change, write_id=write_id)

    async def unset_state(self, *keys: str, write_id: str | None = None) -> None:
        """Remove state keys; one that is not there is fine. A retry takes the same `write_id`."""
        await self._writable.commit(self.session, SessionChange(unset_state=keys), write_id=write_id)

    async def _say(
        self, role: str, content: Any, message_fields: Mapping[str, Any], id: str | None, **about: Any
    ) -> SessionEvent[Any]:
        store = self._writable
        about |= self._fields(id)
        if isinstance(content, str | list) and not message_fields:
            event = SessionEvent(message=content, source=source_of(role), **about)
        else:
            event = event_from_message({"role": role, "content": content, **message_fields}, **about)
        return (await store.append(self.session, event))[0]

    def check_open(self) -> None:
        """Raise InvalidSessionOperation where nothing can be written: through a run outside its block."""

    @property
    def _writable(self) -> SessionStore:
        self.check_open()
        return self._store

    def _check_single(self, items: Sequence[object], id: str | None) -> None:
        if id is not None and len(items) != 1:
            raise InvalidSessionOperation(f"id={id!r} fits one event, not {len(items)}: give each event its own id")

    def _event(self, item: SessionEvent[Any] | Mapping[str, Any], id: str | None) -> SessionEvent[Any]:
        if isinstance(item, Mapping):
            return event_from_message(item, **self._fields(id))
        if not isinstance(item, SessionEvent):
            raise InvalidEvent(f"{shown(item)} is no event: append a SessionEvent or a chat message", path="events")
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
