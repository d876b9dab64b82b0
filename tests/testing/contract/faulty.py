"""Stores over memory with one planted fault each."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent, with_seq
from a2a_session_manager.protocols import RepeatPolicy
from a2a_session_manager.storage import BaseSessionStore, InMemorySessionStore, commit_rules
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Guard, Receipt
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.memory.stored import StoredSession, StoredTree
from a2a_session_manager.storage.read_records import StoredEvent
from a2a_session_manager.storage.records import SessionKey
from tests.storage.yielding import YieldingBackend
from tests.testing.contract.faulty_reading import Shows


class _NoLock(YieldingBackend):
    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        yield


class LosesAConcurrentWrite(BaseSessionStore):
    """The same reads, turns and writes, without the lock."""

    def __init__(self) -> None:
        super().__init__(_NoLock())


class HandsOutLiveObjects(InMemorySessionStore):
    """Keeps the object that was saved or read, and hands it out again."""

    def __init__(self) -> None:
        super().__init__()
        self._live: dict[str, Session[Any]] = {}

    async def save(self, session: Session[Any], *, expected_revision: int | None = None) -> None:
        await super().save(session, expected_revision=expected_revision)
        self._live[session.id] = session

    async def get(self, session_id: str, *, last: int | None = None, message_type: Any = None) -> Any:
        session = await super().get(session_id, last=last, message_type=message_type)
        if session is None:
            return None
        live = self._live.setdefault(session_id, session)
        return live if live.revision == session.revision else session


def _by_the_clock(events: Iterable[StoredEvent]) -> list[StoredEvent]:
    return sorted(events, key=lambda event: str(json.loads(event.data)["timestamp"]))


class OrdersByClock(BaseSessionStore):
    """Sorts events by the times on them."""

    def __init__(self) -> None:
        super().__init__(Shows(_by_the_clock))


class _Cutting(MemoryBackend):
    async def cut_damaged_tail(self, key: SessionKey) -> int:
        stored = self._sessions[key]
        stored.head.last_seq -= 1
        return len(stored.log.pop())


class CutsWhatIsWhole(BaseSessionStore):
    """Takes the newest event for damaged."""

    def __init__(self) -> None:
        super().__init__(_Cutting())


class _Sleepy(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        time.sleep(0.001)
        return super().commit(key, commit)


class BlocksTheLoop(BaseSessionStore):
    """Sleeps in a commit, as a plain write to a disk would."""

    def __init__(self) -> None:
        super().__init__(_Sleepy())


class _Forgetful(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        stored = self._sessions.get(key)
        if stored is not None:
            stored.seqs.clear()
        return super().commit(key, commit)


class DoublesOnRetry(BaseSessionStore):
    """Remembers no event ids."""

    def __init__(self) -> None:
        super().__init__(_Forgetful())


class EchoesAKnownEvent(InMemorySessionStore):
    """Answers with what it was given, whatever it has stored under that id."""

    async def append(
        self,
        session: Session[Any] | str,
        *events: SessionEvent[Any],
        expected_revision: int | None = None,
        on_repeat: RepeatPolicy = "refuse",
    ) -> list[SessionEvent[Any]]:
        stored = await super().append(session, *events, expected_revision=expected_revision, on_repeat="keep")
        return [with_seq(event, known.seq or 0) for event, known in zip(events, stored, strict=True)]


class _ForgetsWriteIds(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        stored = self._sessions.get(key)
        if stored is not None:
            for write_id in list(stored.first_results)[:-1]:
                del stored.first_results[write_id]
        return super().commit(key, commit)


class ForgetsWriteIds(BaseSessionStore):
    """Remembers only the last one."""

    def __init__(self) -> None:
        super().__init__(_ForgetsWriteIds())


class _Upserting(MemoryBackend):
    def __init__(self) -> None:
        super().__init__()
        self._graves: dict[SessionKey, StoredSession] = {}

    def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> Awaitable[None]:
        self._graves.update(self._sessions)
        return super().delete(key, creation_id, cascade=cascade, guard=guard)

    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        if key not in self._sessions and key in self._graves:
            risen = self._graves[key]
            risen.head.parent_id, risen.tree, risen.children = None, StoredTree(), {}
            self._sessions[key] = risen
            self._ids.add(key)
        return super().commit(key, commit)


class BringsADeletedSessionBack(BaseSessionStore):
    """Writes wherever it is told to, whether the session is there or not."""

    def __init__(self) -> None:
        super().__init__(_Upserting())


class _Torn(YieldingBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:  # type: ignore[override]  # any awaitable will do
        return self._torn(asyncio.current_task(), key, commit)

    async def _torn(self, caller: asyncio.Task[Any] | None, key: SessionKey, commit: EncodedCommit) -> Receipt:
        receipt = None
        for event in commit.events[:1]:
            receipt = await super().commit(key, replace(commit, events=[event], write_id=None))
        if receipt is None or len(commit.events) > 1:
            assert caller is not None, "a commit is written by a task"
            if caller.cancelling():
                raise asyncio.CancelledError
            receipt = await super().commit(key, commit)
        return receipt


class TearsAtCancellation(BaseSessionStore):
    """Writes in two steps, and leaves the second one out when its caller is cancelled meanwhile."""

    def __init__(self) -> None:
        super().__init__(_Torn())


class _ByTheClock(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        receipt = super().commit(key, commit)
        self._sessions[key].head.updated_at = commit.written_at
        return receipt


class GoesByTheClock(BaseSessionStore):
    """Every commit is activity, at the time that its writer says."""

    def __init__(self) -> None:
        super().__init__(_ByTheClock())


class _Mending(MemoryBackend):
    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Awaitable[Receipt]:
        state = {name.encode(errors="replace").decode(): data for name, data in commit.state.items()}
        return super().create(key, creation, replace(commit, state=state))


class MendsTornKeys(BaseSessionStore):
    """Puts a question mark in the place of a lone surrogate."""

    def __init__(self) -> None:
        super().__init__(_Mending())


class _Unguarded(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        return super().commit(key, replace(commit, expected_revision=None))

    def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> Awaitable[None]:
        return super().delete(key, creation_id, cascade=cascade, guard=None)


class IgnoresTheGuard(BaseSessionStore):
    """Writes whatever revision was expected."""

    def __init__(self) -> None:
        super().__init__(_Unguarded())


class _Untagged(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        return super().commit(key, replace(commit, expected_tag=""))


class GuardsByNumberAlone(BaseSessionStore):
    """Takes a revision that has come again for the one that was read."""

    def __init__(self) -> None:
        super().__init__(_Untagged())


class KnowsNoOtherStore(InMemorySessionStore):
    """Takes what was read through another store over the same data for a session of elsewhere."""

    async def save(self, session: Session[Any], *, expected_revision: int | None = None) -> None:
        if session._sync is not None and not self.is_same_place(session._sync.store):
            session._sync = None
        await super().save(session, expected_revision=expected_revision)


class _TwoSteps(YieldingBackend):
    async def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> None:
        stored = self._sessions.get(key)
        if stored is not None:
            commit_rules.check_guard(stored.head, guard)
        for _ in range(10):
            await asyncio.sleep(0)
        await super().delete(key, creation_id, cascade=cascade, guard=None)


class DeletesInTwoSteps(BaseSessionStore):
    """Looks at the revision, and deletes a little later."""

    def __init__(self) -> None:
        super().__init__(_TwoSteps())


class JoinsNamespaceAndId(InMemorySessionStore):
    """Makes one key of the two, with a colon between them."""

    def _key(self, session_id: str) -> SessionKey:
        key = super()._key(session_id)
        return SessionKey((), f"{':'.join(key.namespace)}:{key.id}")

    def namespace(self, name: str) -> BaseSessionStore:
        view = JoinsNamespaceAndId()
        view._open_backend, view._namespace = self._open_backend, (name,) if name else ()
        return view
