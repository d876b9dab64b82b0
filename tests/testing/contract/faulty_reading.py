"""Stores over memory with one planted fault each, which reading or following shows."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from a2a_session_manager.exceptions import CorruptSession, InvalidEvent, SessionConflict
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.protocols import SessionPage
from a2a_session_manager.storage import BaseSessionStore, InMemorySessionStore
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.paging import fitting
from a2a_session_manager.storage.ranges import contains
from a2a_session_manager.storage.read_records import LoadedSession, LogPage, LogTail, StoredEvent
from a2a_session_manager.storage.records import SessionKey


class Shows(MemoryBackend):
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


def _readable(events: Iterable[StoredEvent]) -> list[StoredEvent]:
    return [event for event in events if event.data.endswith(b"}")]


class ShortensACorruptSession(BaseSessionStore):
    """Leaves out what it cannot read."""

    def __init__(self) -> None:
        super().__init__(Shows(_readable))


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


class RefusesMisfits(InMemorySessionStore):
    """Takes a payload of another type than was asked for as an error."""

    async def get(self, session_id: str, *, last: int | None = None, message_type: Any = None) -> Any:
        session = await super().get(session_id, last=last, message_type=message_type)
        if session is not None and any(event.message_error for event in session.events):
            raise InvalidEvent("not what was asked for")
        return session


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


class _HalfAHead(MemoryBackend):
    async def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> list[LoadedSession | None]:
        found = await super().load(keys, last=last, whole_head=whole_head)
        return [each and (each if whole_head else replace(each, head=replace(each.head, state={}))) for each in found]


class BringsHalfAHead(BaseSessionStore):
    """Reads a few events without the state beside them."""

    def __init__(self) -> None:
        super().__init__(_HalfAHead())


class _EndsEarly(MemoryBackend):
    async def read_log(self, key: SessionKey, *, after: int, limit: int, max_bytes: int) -> LogPage | None:
        page = await super().read_log(key, after=after, limit=min(limit, 100), max_bytes=max_bytes)
        return page and page._replace(is_last=True)


class EndsAfterItsFirstPage(BaseSessionStore):
    """Reads a page of the log, and says that it is the last."""

    def __init__(self) -> None:
        super().__init__(_EndsEarly())


class ReadsTheGivenOneAgain(InMemorySessionStore):
    """Begins with the event after which somebody wants to go on."""

    async def events(self, session: Any, *, after: int = 0, **options: Any) -> list[SessionEvent[Any]]:
        return await super().events(session, after=max(after - 1, 0), **options)
