"""Threads: the checkpoints of all threads and namespaces as LangGraph asks for them, as coroutines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import CheckpointTuple, get_checkpoint_id

from a2a_session_manager.exceptions import SessionNotFound
from a2a_session_manager.integrations.langgraph.border import (
    ALL_THREADS,
    Place,
    place_of,
    place_of_session,
    thread_session,
)
from a2a_session_manager.integrations.langgraph.checkpoint_log import CheckpointLog
from a2a_session_manager.integrations.langgraph.encoding import Encoder
from a2a_session_manager.integrations.langgraph.records import Record, pending_writes
from a2a_session_manager.manager import SessionManager

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig


class Threads:
    """The threads in the sessions of a manager; `log` is where their checkpoints are written."""

    def __init__(self, sessions: SessionManager, encoder: Encoder) -> None:
        self.log = CheckpointLog(sessions, encoder)
        self._sessions = sessions
        self._reads = self.log.reads
        self._decode = encoder.decode

    async def tuple_of(
        self, place: Place, checkpoint_id: str | None, *, hidden: bool = False
    ) -> CheckpointTuple | None:
        """Return a checkpoint, or the latest one, as LangGraph has it; None when there is none."""
        found = await self._reads.find(place, checkpoint_id, hidden=hidden)
        if found is None:
            return None
        record, messages = found
        checkpoint: Any = {**self._decode(record.checkpoint), "channel_values": await self._reads.values(place, record)}
        writes = pending_writes(messages, place.session_id)
        return CheckpointTuple(
            config=place.config(record.id),
            checkpoint=checkpoint,
            metadata=self._decode(record.metadata),
            parent_config=None if record.parent_id is None else place.config(record.parent_id),
            pending_writes=[(task_id, channel, self._decode(value)) for task_id, channel, value in writes],
        )

    async def found(
        self,
        config: RunnableConfig | None,
        filter: Mapping[str, Any] | None,
        before: RunnableConfig | None,
        limit: int | None,
    ) -> Sequence[tuple[Place, Record]]:
        """Return the checkpoints that a config, a filter and so on name, the latest of each namespace first."""
        found: list[tuple[Place, Record]] = []
        earlier = None if before is None else get_checkpoint_id(before)
        only = None if config is None else get_checkpoint_id(config)
        for place in await self._places_of(config):
            for record in (await self._reads.records(place.session_id)).values():
                if limit is not None and len(found) >= limit:
                    return found
                is_meant = (only is None or record.id == only) and (earlier is None or record.id < earlier)
                if is_meant and (not filter or self._has(record, filter)):
                    found.append((place, record))
        return found

    def _has(self, record: Record, wanted: Mapping[str, Any]) -> bool:
        metadata = self._decode(record.metadata)
        return all(metadata.get(name) == value for name, value in wanted.items())

    async def _places_of(self, config: RunnableConfig | None) -> Sequence[Place]:
        if config is None:
            return [place_of_session(session_id) for session_id in await self._sessions.list_sessions(ALL_THREADS)]
        place = place_of(config)
        if "checkpoint_ns" in config["configurable"]:
            return [place]
        return await self._places_in(place.session_id)

    async def _places_in(self, thread: str) -> Sequence[Place]:
        """Return the namespaces of a thread, that of the graph itself first."""
        try:
            children = await self._sessions.children(thread)
        except SessionNotFound:
            return []
        return [place_of_session(session_id) for session_id in (thread, *children)]

    async def delete_for_runs(self, run_ids: set[str]) -> None:
        """Let the checkpoints of runs vanish, in all threads."""
        for place in await self._places_of(None):
            records = await self._reads.records(place.session_id)
            gone = [each.id for each in records.values() if self._decode(each.metadata).get("run_id") in run_ids]
            if gone:
                await self.log.remove(place.session_id, gone)

    async def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy a thread with its namespaces."""
        for place in await self._places_in(thread_session(source_thread_id)):
            await self.log.copy(place, Place(target_thread_id, place.namespace))

    async def prune(self, thread_id: str) -> None:
        """Let all checkpoints of a thread vanish but the latest of each namespace."""
        for place in await self._places_in(thread_session(thread_id)):
            _, *older = await self._reads.records(place.session_id) or [""]
            if older:
                await self.log.remove(place.session_id, older)

    async def history(self, place: Place, checkpoint_id: str | None, channels: Sequence[str]) -> Mapping[str, Any]:
        """Return what delta channels are made of at a checkpoint."""
        history: dict[str, dict[str, Any]] = {channel: {"writes": []} for channel in channels}
        remaining = set(channels)
        target = await self._reads.find(place, checkpoint_id)
        parent_id = None if target is None else target[0].parent_id
        while remaining and parent_id is not None:
            made = await self.tuple_of(place, parent_id, hidden=True)
            if made is None:
                break
            for write in reversed(made.pending_writes or []):
                if write[1] in remaining:
                    history[write[1]]["writes"].insert(0, write)
            values = made.checkpoint["channel_values"]
            for channel in [each for each in remaining if each in values]:
                history[channel]["seed"] = values[channel]
                remaining.discard(channel)
            parent_id = None if made.parent_config is None else get_checkpoint_id(made.parent_config)
        return history
