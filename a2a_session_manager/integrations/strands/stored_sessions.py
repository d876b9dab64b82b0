"""Sessions, agents and messages of Strands in sessions of ours: the verbs of the repository, as coroutines.

A session is a root, and each of its agents a child with the messages as its events and what else is known of it as its
state. What a message was redacted to is in the state, too, so that the n-th event is the n-th message.
"""

from __future__ import annotations

from typing import Any

from strands.types.session import Session as StrandsSession
from strands.types.session import SessionAgent, SessionMessage

from a2a_session_manager.concurrency.retries import retry_if_unknown
from a2a_session_manager.exceptions import InvalidEvent, SessionAlreadyExists, SessionNotFound
from a2a_session_manager.identifiers import hidden_id
from a2a_session_manager.integrations.strands.records import (
    FORMAT,
    RECORD,
    agent_of,
    message_from,
    message_id_of,
    message_record,
    plain,
    read_as,
    session_of,
)
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.usage.recorded import recorded_usage

_SESSION = "strands_session"
_AGENT, _REDACTED, _MULTI_AGENT = "agent:", "redacted:", "multi_agent:"
_CREATED_AT = "created_at"


class StoredSessions:
    """The sessions of one manager. `model` names the one whose usages the messages report, for their price."""

    def __init__(self, sessions: SessionManager, model: str | None) -> None:
        self._store = sessions.store
        self._model = model

    async def create_session(self, session: StrandsSession) -> None:
        """Create a session; raises SessionAlreadyExists when there is one."""
        our_id, write_id = session_of(session.session_id), hidden_id()
        record = plain(f"session {session.session_id!r}", session.to_dict())
        change = SessionChange(set_properties={**FORMAT.as_property(), _SESSION: record})
        await retry_if_unknown(lambda: self._store.create(our_id, change=change, write_id=write_id))

    async def read_session(self, session_id: str) -> StrandsSession | None:
        """Return a session, or None when there is none."""
        stored = await self._get(session_of(session_id))
        if stored is None:
            return None
        record = stored.metadata.properties.get(_SESSION)
        session = read_as(stored.id, StrandsSession.from_dict, record)
        session.session_id = session_id  # that of a fork is its own
        return session

    async def delete_session(self, session_id: str) -> None:
        """Delete a session with its agents; raises SessionNotFound when there is none."""
        stored = await self._head(session_of(session_id))
        await retry_if_unknown(lambda: self._store.delete(stored, children="cascade"))

    async def create_agent(self, session_id: str, agent: SessionAgent) -> None:
        """Create an agent; one that is there gets the record of this one, and keeps its messages."""
        parent, our_id, write_id = session_of(session_id), agent_of(session_id, agent.agent_id), hidden_id()
        await self._head(parent)
        change = SessionChange(set_properties=FORMAT.as_property(), set_state=_fields(agent))
        try:
            await retry_if_unknown(
                lambda: self._store.create(our_id, parent_id=parent, change=change, write_id=write_id)
            )
        except SessionAlreadyExists:
            await self._commit(our_id, SessionChange(set_state=change.set_state))

    async def read_agent(self, session_id: str, agent_id: str) -> SessionAgent | None:
        """Return an agent, or None when there is none."""
        stored = await self._get(agent_of(session_id, agent_id))
        if stored is None:
            return None
        fields = {key.removeprefix(_AGENT): value for key, value in stored.state.items() if key.startswith(_AGENT)}
        agent = read_as(stored.id, SessionAgent.from_dict, fields)
        agent.agent_id = agent_id  # that of a fork is its own
        return agent

    async def update_agent(self, session_id: str, agent: SessionAgent) -> None:
        """Set what has changed of an agent; raises SessionNotFound when there is none."""
        stored = await self._head(agent_of(session_id, agent.agent_id))
        agent.created_at = stored.state[_AGENT + _CREATED_AT]
        fields = _fields(agent)
        changed = {key: value for key, value in fields.items() if key not in stored.state or stored.state[key] != value}
        await self._commit(stored, SessionChange(set_state=changed))

    async def create_message(self, session_id: str, agent_id: str, message: SessionMessage) -> None:
        """Append a message to an agent's; raises SessionNotFound when there is no such agent."""
        record = message_record(message)
        said = record["message"]
        is_user = isinstance(said, dict) and said.get("role") == "user"
        event = SessionEvent(
            message=record,
            source=EventSource.USER if is_user else EventSource.LLM,
            type=RECORD,
            token_usage=self._usage_in(said),
        )
        await retry_if_unknown(lambda: self._store.append(agent_of(session_id, agent_id), event))

    async def read_message(self, session_id: str, agent_id: str, message_id: int) -> SessionMessage | None:
        """Return the message of this number, of two the later one, or None when there is none."""
        stored = await self._get(agent_of(session_id, agent_id))
        if stored is None:
            return None
        found = await self._numbered(stored, message_id)
        return _message(stored, found[-1]) if found else None

    async def update_message(self, session_id: str, agent_id: str, message: SessionMessage) -> None:
        """Set what a message was redacted to; raises SessionNotFound when there is no such message."""
        stored = await self._head(agent_of(session_id, agent_id))
        found = await self._numbered(stored, message.message_id)
        if not found:
            raise SessionNotFound(stored.id, f"Message {message.message_id} does not exist")
        message.created_at = found[-1].message.get(_CREATED_AT, message.created_at)
        record = message_record(message)
        # Of two messages of one number, the one that says the same is meant.
        same = [event for event in found if event.message.get("message") == record["message"]]
        event = (same or found)[-1]
        record[_CREATED_AT] = message.created_at = event.message.get(_CREATED_AT, message.created_at)
        await self._commit(stored, SessionChange(set_state={_REDACTED + event.id: record}))

    async def list_messages(
        self, session_id: str, agent_id: str, limit: int | None, offset: int
    ) -> list[SessionMessage]:
        """Return at most `limit` messages of an agent after the first `offset` ones, in the order of their appends."""
        our_id = agent_of(session_id, agent_id)
        if offset == 0 and limit is None:  # all of them, with the head, in one read
            whole = await self._store.get(our_id)
            if whole is None:
                raise SessionNotFound(our_id)
            FORMAT.check(whole)
            return [_message(whole, event) for event in whole.events if event.type == RECORD]
        stored = await self._head(our_id)
        events = await self._store.events(stored, after=offset, limit=limit, type=RECORD)
        if events and message_id_of(events[0]) != offset:  # events of others, or of several processes, are before it
            events = (await self._store.events(stored, type=RECORD))[offset:][:limit]
        return [_message(stored, event) for event in events]

    async def create_multi_agent(self, session_id: str, id: str, state: Any) -> None:
        """Set the state of a graph or a swarm; raises SessionNotFound when there is no such session."""
        change = SessionChange(set_state={_MULTI_AGENT + id: plain(f"the state of {id!r}", state)})
        await self._commit(session_of(session_id), change)

    async def read_multi_agent(self, session_id: str, id: str) -> dict[str, Any] | None:
        """Return the state of a graph or a swarm, or None when there is none."""
        stored = await self._get(session_of(session_id))
        state: dict[str, Any] | None = None if stored is None else stored.state.get(_MULTI_AGENT + id)
        return state

    async def _get(self, id: str) -> Session[Any] | None:
        stored = await self._store.get(id, last=0)
        if stored is not None:
            FORMAT.check(stored)
        return stored

    async def _head(self, id: str) -> Session[Any]:
        stored = await self._get(id)
        if stored is None:
            raise SessionNotFound(id)
        return stored

    async def _commit(self, session: Session[Any] | str, change: SessionChange) -> None:
        write_id = hidden_id()
        await retry_if_unknown(lambda: self._store.commit(session, change, write_id=write_id))

    async def _numbered(self, stored: Session[Any], message_id: int) -> list[SessionEvent[Any]]:
        """Return the messages of this number: the n-th one of a process is nowhere before the n-th event."""
        start = message_id if 0 <= message_id <= stored.last_seq else 0
        for after in dict.fromkeys((start, 0)):
            events = await self._store.events(stored, after=after, type=RECORD)
            if found := [event for event in events if message_id_of(event) == message_id]:
                return found
        return []

    def _usage_in(self, said: Any) -> TokenUsage | None:
        metadata = said.get("metadata") if isinstance(said, dict) else None
        usage = metadata.get("usage") if isinstance(metadata, dict) else None
        if not usage:
            return None
        try:
            return recorded_usage(usage, model=self._model)
        except InvalidEvent:  # a text, say: the message keeps it, and it is no reason to lose the answer
            return None


def _fields(agent: SessionAgent) -> dict[str, Any]:
    record = plain(f"agent {agent.agent_id!r}", agent.to_dict())
    return {_AGENT + key: value for key, value in record.items()}


def _message(stored: Session[Any], event: SessionEvent[Any]) -> SessionMessage:
    return read_as(stored.id, message_from, stored.state.get(_REDACTED + event.id, event.message))
