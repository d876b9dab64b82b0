"""ToolUse: what the verb `tool` was given, as the events that it makes, and their appending."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from a2a_session_manager.context.messages import ChatMessage
from a2a_session_manager.context.recorded_calls import CallSought, recorded_call, result_of, stored_as
from a2a_session_manager.context.tools import as_content, as_text, call_message, result_message
from a2a_session_manager.exceptions import SessionConflict
from a2a_session_manager.identifiers import checked_id, derived_id, new_id
from a2a_session_manager.models import arguments
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.protocols import SessionStore

# No session gets there: a commit with this guard writes nothing, but answers for events that are stored already.
_NEVER: Final = 2**50


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A call of a tool, of one session or run.

    Args:
        call_id: None lets one be made, of `id` or at random.
        metadata: of all events.
        id: of the call's event; the result's is `id` + ":result".
        run_id: of the run that the events are of.
    """

    store: SessionStore
    session: Session[Any]
    run_id: str | None
    name: str
    args: Mapping[str, Any] | str | None
    call_id: str | None
    metadata: Mapping[str, Any] | None
    id: str | None

    async def append(self) -> list[SessionEvent[Any]]:
        """Append the call alone."""
        return await self.store.append(self.session, await self._call(self._made_id()))

    async def append_result(self, result: Any) -> list[SessionEvent[Any]]:
        """Append the result; the call too, unless it is recorded and waits for one."""
        content, call_id = await as_content(result), self._made_id()
        call, made = await self._call(call_id), self._result(result_message(self.name, content, call_id))
        if self.call_id is None:
            return await self.store.append(self.session, call, made)
        arguments = None if self.args is None else await as_text(self.args, "args")
        sought = CallSought(self.call_id, self.name, arguments, self.run_id)
        recorded = await recorded_call(self.store, self.session, sought)
        if recorded is None and self.id is not None:
            known = await self._known(made)
            if known and not await self._known(call, made):
                # The first time, the result went in alone: its call waits no longer.
                recorded = stored_as(known[0].message)
        if recorded is None:
            return await self.store.append(self.session, call, made)
        message = result_of(recorded, self.name, content, is_json=content is not result)
        return await self.store.append(self.session, self._result(message))

    def _made_id(self) -> str:
        if self.call_id is not None:
            return self.call_id
        return new_id() if self.id is None else derived_id(checked_id(self.id))

    async def _call(self, call_id: str) -> SessionEvent[Any]:
        arguments = await as_text({} if self.args is None else self.args, "args")
        message = call_message(self.name, arguments, call_id)
        return self._event(message, EventSource.LLM, EventType.TOOL_CALL, self.id)

    def _result(self, message: ChatMessage) -> SessionEvent[Any]:
        result_id = None if self.id is None else f"{self.id}:result"
        return self._event(message, EventSource.SYSTEM, EventType.TOOL_RESULT, result_id)

    def _event(self, message: ChatMessage, source: EventSource, kind: EventType, id: str | None) -> SessionEvent[Any]:
        about: dict[str, Any] = {} if id is None else {"id": id}
        if self.metadata is not None:
            about["metadata"] = arguments.values("metadata", self.metadata)
        return SessionEvent(message=message, source=source, type=kind, task_id=self.run_id, **about)

    async def _known(self, *events: SessionEvent[Any]) -> list[SessionEvent[Any]]:
        """Return the events that are stored under the ids of these, none unless all are; nothing is written."""
        try:
            return await self.store.append(self.session, *events, expected_revision=_NEVER, on_repeat="keep")
        except SessionConflict:
            return []
