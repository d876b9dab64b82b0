"""Stores over memory with one planted fault each."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from a2a_session_manager.exceptions import CorruptSession, InvalidEvent, SessionConflict
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent, with_seq
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.protocols import RepeatPolicy, SessionPage
from a2a_session_manager.statistics import StoreStatistics
from a2a_session_manager.storage import BaseSessionStore, InMemorySessionStore, commit_rules
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Guard, Receipt
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.memory.stored import StoredSession, StoredTree
from a2a_session_manager.storage.paging import fitting
from a2a_session_manager.storage.ranges import contains
from a2a_session_manager.storage.read_records import LoadedSession, LogPage, LogTail, StoredEvent
from a2a_session_manager.storage.records import SessionKey
from tests.storage.yielding import YieldingBackend


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


class _Shows(MemoryBackend):
    """Memory that hands out events as `shown` makes them."""

    def __init__(self, shown: Callable[[Iterable[StoredEvent]], list[StoredEvent]]) -> None:
        super().__init__()
        self._shown = shown

    async def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> list[LoadedSession | None]:
        found = await super().load(keys, last=last, whole_head=whole_head)
        return [each and replace(each, events=self._shown(each.events)) for each in found]

    async def read_log(self, key: SessionKey, *, after: int, limit: int, max_bytes: int) -> LogPage | None:
        page = await super().read_log(key, after=after, limit=limit, max_bytes=max_bytes)
        return page and page._replace(events=self._shown(page.events))


def _by_the_clock(events: Iterable[StoredEvent]) -> list[StoredEvent]:
    return sorted(events, key=lambda event: str(json.loads(event.data)["timestamp"]))


class OrdersByClock(BaseSessionStore):
    """Sorts events by the times on them."""

    def __init__(self) -> None:
        super().__init__(_Shows(_by_the_clock))


def _readable(events: Iterable[StoredEvent]) -> list[StoredEvent]:
    return [event for event in events if event.data.endswith(b"}")]


class ShortensACorruptSession(BaseSessionStore):
    """Leaves out what it cannot read."""

    def __init__(self) -> None:
        super().__init__(_Shows(_readable))


class _ShowsHidden(MemoryBackend):
    async def read_tail(self, key: SessionKey, *, last: int | None) -> LogTail | None:
        tail = await super().read_tail(key, last=last)
        if tail is None:
            return None
        log = self._sessions[key].log
        count = len(log) if last is None else min(last, len(log))
        return tail._replace(seqs=range(len(log) - count + 1, len(log) + 1), records=log[len(log) - count :])


class ShowsHiddenMessages(BaseSessionStore):
    """Messages come without a look at what was retracted."""

    def __init__(self) -> None:
        super().__init__(_ShowsHidden())


class _LeavesOutDamaged(MemoryBackend):
    async def read_tail(self, key: SessionKey, *, last: int | None) -> LogTail | None:
        tail = await super().read_tail(key, last=last)
        if tail is None:
            return None
        readable = _readable(map(StoredEvent, tail.seqs, tail.seqs, tail.records))
        return tail._replace(seqs=[event.seq for event in readable], records=[event.data for event in readable])


class LeavesOutDamagedMessages(BaseSessionStore):
    """Leaves out the messages that it cannot read."""

    def __init__(self) -> None:
        super().__init__(_LeavesOutDamaged())


class _LeavesOutHidden(MemoryBackend):
    async def read_log(self, key: SessionKey, *, after: int, limit: int, max_bytes: int) -> LogPage | None:
        page = await super().read_log(key, after=after, limit=limit, max_bytes=max_bytes)
        return page and page._replace(events=[event for event in page.events if not contains(page.hidden, event.seq)])


class LeavesOutHiddenEvents(BaseSessionStore):
    """Pages of its log are without what was retracted."""

    def __init__(self) -> None:
        super().__init__(_LeavesOutHidden())


class _ForgetsWhatDoesNotFit(MemoryBackend):
    async def read_log(self, key: SessionKey, *, after: int, limit: int, max_bytes: int) -> LogPage | None:
        page = await super().read_log(key, after=after, limit=limit, max_bytes=1_000_000)
        return page and page._replace(events=page.events[: fitting((len(e.data) for e in page.events), max_bytes)])


class ForgetsWhatDoesNotFit(BaseSessionStore):
    """Cuts a page by its bytes, and says that it is the last."""

    def __init__(self) -> None:
        super().__init__(_ForgetsWhatDoesNotFit())


class TakesCorruptionForAbsence(InMemorySessionStore):
    """Says that there is no such session when it cannot read it."""

    async def get(self, session_id: str, *, last: int | None = None, message_type: Any = None) -> Any:
        try:
            return await super().get(session_id, last=last, message_type=message_type)
        except CorruptSession:
            return None


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


class _BringsEveryEvent(MemoryBackend):
    async def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> list[LoadedSession | None]:
        return await super().load(keys, last=None, whole_head=whole_head)


class IgnoresLast(BaseSessionStore):
    """Brings the whole conversation, whatever was asked for."""

    def __init__(self) -> None:
        super().__init__(_BringsEveryEvent())


class _BringsEveryId(MemoryBackend):
    async def list_page(
        self, namespace: Namespace, *, prefix: str, cursor: str | None, limit: int, roots_only: bool
    ) -> SessionPage:
        return await super().list_page(namespace, prefix=prefix, cursor=cursor, limit=1_000_000, roots_only=roots_only)


class IgnoresPageLimits(BaseSessionStore):
    """Brings all ids as one page."""

    def __init__(self) -> None:
        super().__init__(_BringsEveryId())


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


class _CountsTwice(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        self._commits += 1
        return super().commit(key, commit)


class CountsEveryCommitTwice(BaseSessionStore):
    """Counts a commit when it comes and when it is answered."""

    def __init__(self) -> None:
        super().__init__(_CountsTwice())


class _Uncounting(MemoryBackend):
    def statistics(self) -> StoreStatistics:
        counted, self._commits = self._commits, 0
        return StoreStatistics(commits=counted, followers=self.followers)


class ForgetsWhatItHasCounted(BaseSessionStore):
    """Counts from 0 again once somebody has asked."""

    def __init__(self) -> None:
        super().__init__(_Uncounting())


class _SilentOnceClosed(MemoryBackend):
    def statistics(self) -> StoreStatistics:
        self.check_open()
        return super().statistics()


class TellsNothingOnceClosed(BaseSessionStore):
    """Takes its statistics for a verb, which a closed store refuses."""

    def __init__(self) -> None:
        super().__init__(_SilentOnceClosed())


class _Talkative(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        logging.getLogger("tests.storage.faulty").debug("%s gets %s", key.id, [each.data for each in commit.events])
        return super().commit(key, commit)


class LogsWhatItWrites(BaseSessionStore):
    """Logs the events of each commit, for whoever looks for a fault."""

    def __init__(self) -> None:
        super().__init__(_Talkative())


class _StillOpen(MemoryBackend):
    def statistics(self) -> StoreStatistics:
        return replace(super().statistics(), connections=1)


class StaysOpenWhenClosed(BaseSessionStore):
    """Leaves a connection open."""

    def __init__(self) -> None:
        super().__init__(_StillOpen())


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


class RefusesMisfits(InMemorySessionStore):
    """Takes a payload of another type than was asked for as an error."""

    async def get(self, session_id: str, *, last: int | None = None, message_type: Any = None) -> Any:
        session = await super().get(session_id, last=last, message_type=message_type)
        if session is not None and any(event.message_error for event in session.events):
            raise InvalidEvent("not what was asked for")
        return session


class _Rounding(MemoryBackend):
    async def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> list[LoadedSession | None]:
        found = await super().load(keys, last=last, whole_head=whole_head)
        for loaded in found:
            for counters in loaded.head.run_totals.values() if loaded is not None else ():
                counters.update({name: int(float(count)) for name, count in counters.items()})
        return found


class RoundsLargeSums(BaseSessionStore):
    """Adds up in floating point."""

    def __init__(self) -> None:
        super().__init__(_Rounding())


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


class FollowsFromTheStart(InMemorySessionStore):
    """Begins anew, without a word, where a follower has seen more than is there."""

    async def follow(self, session: Session[Any] | str, *, after: int = 0) -> AsyncGenerator[SessionEvent[Any], None]:
        try:
            async for event in super().follow(session, after=after):
                yield event
        except SessionConflict:
            async for event in super().follow(session):
                yield event


class _TellsNoTag(MemoryBackend):
    async def read_log(self, key: SessionKey, *, after: int, limit: int, max_bytes: int) -> LogPage | None:
        page = await super().read_log(key, after=after, limit=limit, max_bytes=max_bytes)
        return page and page._replace(tag="")


class TakesEveryRevisionForTheSame(BaseSessionStore):
    """A follower cannot tell a revision that has come again from the one that it has seen."""

    def __init__(self) -> None:
        super().__init__(_TellsNoTag())


class _KnowsNoNewerCounters(MemoryBackend):
    def __init__(self, forgotten: str) -> None:
        super().__init__()
        self._forgotten = forgotten

    async def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> list[LoadedSession | None]:
        found = await super().load(keys, last=last, whole_head=whole_head)
        for loaded in found:
            for counters in loaded.head.totals.values() if loaded is not None else ():
                counters.pop(self._forgotten, None)
        return found


class SumsLookExact(BaseSessionStore):
    """Reads totals without the count of what was priced in part."""

    def __init__(self) -> None:
        super().__init__(_KnowsNoNewerCounters("partially_priced_requests"))


class SumsTokensAlone(BaseSessionStore):
    """Reads totals without the searches that were paid beside the tokens."""

    def __init__(self) -> None:
        super().__init__(_KnowsNoNewerCounters("web_searches"))


class ForgetsMissingUsages(BaseSessionStore):
    """Reads totals without the count of requests of which nothing is known."""

    def __init__(self) -> None:
        super().__init__(_KnowsNoNewerCounters("requests_without_usage"))
