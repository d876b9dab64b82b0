"""LangGraphSaver: LangGraph's checkpointer over sessions of ours, for async and for blocking graphs."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
    get_checkpoint_metadata,
)

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.integrations.langgraph.border import bad_input, place_of, thread_session
from a2a_session_manager.integrations.langgraph.drafts import Put
from a2a_session_manager.integrations.langgraph.encoding import Encoder
from a2a_session_manager.integrations.langgraph.threads import Threads
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.sync import SyncSessionManager
from a2a_session_manager.sync.any_loop import AnyLoop

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.serde.base import SerializerProtocol


class LangGraphSaver(BaseCheckpointSaver[str]):
    """A checkpointer of LangGraph: `builder.compile(checkpointer=LangGraphSaver(sessions))`, for all ways to run it.

    A thread is a session, and the namespaces of its subgraphs are children of it; `session_id` tells its id, by which
    `sessions.usage(id)` says what the answers of its models cost, each once. The value of a list channel, such as
    `messages`, is stored as what is new in it.

    Several processes may work on a thread; as with every checkpointer of LangGraph, two that go on from one checkpoint
    both are stored, and the one with the greater id is the latest.

    Raises ValueError for a config or a value that cannot be stored, with our error as the cause; when the store cannot
    be reached, or what it holds is damaged, our StoreUnavailable and CorruptSession.

    Args:
        sessions: the manager of the store, also one of a namespace; it stays open. The blocking verbs, which
            `graph.invoke` calls, run on a loop of their own, and from then on the others do as well; a
            SyncSessionManager brings its loop along.
        serde: what makes bytes of values. LangGraph's own is not asked about plain JSON; any other one is about all.
    """

    def __init__(
        self, sessions: SessionManager | SyncSessionManager, *, serde: SerializerProtocol | None = None
    ) -> None:
        super().__init__(serde=serde)
        self._loop = AnyLoop(sessions)

    @property
    def _threads(self) -> Threads:
        threads: Threads | None = self.__dict__.get("_known_threads")
        if threads is None or self.__dict__.get("_their_serde") is not self.serde:  # a graph may set another one
            threads = Threads(self._loop.sessions, Encoder(self.serde))
            self.__dict__["_known_threads"], self.__dict__["_their_serde"] = threads, self.serde
        return threads

    def session_id(self, thread_id: str) -> str:
        """Return the id of our session for a thread. Raises ValueError for what cannot be one."""
        with bad_input():
            return thread_session(thread_id)

    def get_next_version(self, current: str | int | float | None, channel: None) -> str:
        """Return the version after `current`: a number of 32 digits, and a random one."""
        number = 0 if current is None else int(str(current).partition(".")[0])
        return f"{number + 1:032}.{random.random():016}"

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the checkpoint that `config` names, or the latest of its thread; None when there is none."""
        with bad_input():
            return await self._loop.wait(self._threads.tuple_of(place_of(config), get_checkpoint_id(config)))

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield checkpoints, the latest of each namespace first; those of all threads without a config.

        `filter` is what their metadata must have, `before` names the checkpoint that they are older than, and `limit`
        is how many are yielded at most.
        """
        with bad_input():
            found = await self._loop.wait(self._threads.found(config, filter, before, limit))
            for place, record in found:
                made = await self._loop.wait(self._threads.tuple_of(place, record.id))
                if made is not None:
                    yield made

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint below the one that `config` names, and return the config that names it."""
        with bad_input():
            place = place_of(config)
            about = get_checkpoint_metadata(config, metadata)
            put = Put(checkpoint, about, new_versions, get_checkpoint_id(config))
            await self._loop.wait(self._threads.log.put(place, put))
            made: RunnableConfig = place.config(put.id)
            return made

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store what a task has written to the checkpoint that `config` names; what is known of it stays."""
        with bad_input():
            place, checkpoint_id = place_of(config), get_checkpoint_id(config)
            if checkpoint_id is None:
                raise InvalidSessionOperation("the config names no checkpoint: writes belong to one")
            if writes:
                await self._loop.wait(self._threads.log.put_writes(place, checkpoint_id, writes, task_id, task_path))

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a thread with all its checkpoints, for good. When there is none, nothing happens."""
        with bad_input():
            session_id = thread_session(thread_id)
            await self._loop.wait(self._loop.sessions.delete(session_id, children="cascade"))
            self._threads.log.forget(session_id)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Let the checkpoints of runs vanish, in all threads; what later ones have of them stays.

        All threads are read. Our log keeps the bytes: `adelete_thread` frees them.
        """
        with bad_input():
            await self._loop.wait(self._threads.delete_for_runs(set(run_ids)))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy a thread with all its checkpoints; what it cost stays with the source."""
        with bad_input():
            await self._loop.wait(self._threads.copy_thread(source_thread_id, target_thread_id))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Let all checkpoints of threads vanish but the latest of each namespace, or "delete" the threads.

        With "keep_latest", our log keeps the bytes, so that what lives and is stored as a difference stays readable.
        """
        if strategy not in ("keep_latest", "delete"):
            raise ValueError(f"strategy={strategy!r} is unknown: take 'keep_latest' or 'delete'")
        for thread_id in thread_ids:
            if strategy == "delete":
                await self.adelete_thread(thread_id)
            else:
                with bad_input():
                    await self._loop.wait(self._threads.prune(thread_id))

    async def aget_delta_channel_history(self, *, config: RunnableConfig, channels: Sequence[str]) -> Mapping[str, Any]:
        """Return what a DeltaChannel is made of at a checkpoint; ancestors that were pruned are among it."""
        with bad_input():
            return await self._loop.wait(self._threads.history(place_of(config), get_checkpoint_id(config), channels))

    # What a graph calls that is run by `invoke` or `stream`: the same, and it blocks.

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return what `aget_tuple` does; it blocks."""
        return self._loop.run(self.aget_tuple(config))

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Yield what `alist` does; it blocks."""
        with bad_input():
            for place, record in self._loop.run(self._threads.found(config, filter, before, limit)):
                made = self._loop.run(self._threads.tuple_of(place, record.id))
                if made is not None:
                    yield made

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Do what `aput` does; it blocks."""
        return self._loop.run(self.aput(config, checkpoint, metadata, new_versions))

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Do what `aput_writes` does; it blocks."""
        self._loop.run(self.aput_writes(config, writes, task_id, task_path))

    def delete_thread(self, thread_id: str) -> None:
        """Do what `adelete_thread` does; it blocks."""
        self._loop.run(self.adelete_thread(thread_id))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Do what `adelete_for_runs` does; it blocks."""
        self._loop.run(self.adelete_for_runs(run_ids))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Do what `acopy_thread` does; it blocks."""
        self._loop.run(self.acopy_thread(source_thread_id, target_thread_id))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Do what `aprune` does; it blocks."""
        self._loop.run(self.aprune(thread_ids, strategy=strategy))

    def get_delta_channel_history(self, *, config: RunnableConfig, channels: Sequence[str]) -> Mapping[str, Any]:
        """Return what `aget_delta_channel_history` does; it blocks."""
        return self._loop.run(self.aget_delta_channel_history(config=config, channels=channels))
