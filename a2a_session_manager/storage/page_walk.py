"""Pages of heads where no index tells who is on them: the heads of all sessions of the namespace are read."""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Final, Protocol

from a2a_session_manager.concurrency.slices import Slices
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.protocols import SessionPage
from a2a_session_manager.storage import page_rules
from a2a_session_manager.storage.page_records import HeadPage, PageQuery, TimePosition
from a2a_session_manager.storage.read_records import LoadedSession
from a2a_session_manager.storage.records import SessionKey

_SESSIONS_A_LOAD: Final = 500


class ListedSessions(Protocol):
    """What the walk is over: a backend."""

    def list_page(
        self, namespace: Namespace, *, prefix: str, cursor: str | None, limit: int, roots_only: bool
    ) -> Awaitable[SessionPage]: ...

    def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> Awaitable[list[LoadedSession | None]]: ...


async def page_by_walking(
    backend: ListedSessions, namespace: Namespace, query: PageQuery, *, cursor: str | None, limit: int, last: int
) -> HeadPage:
    """Return the page as `Backend.page` does; of an order by time, at the cost of reading all heads."""
    if query.order == "id":
        return await _page_by_id(backend, namespace, query, cursor, limit, last)
    position = page_rules.position_of(cursor)
    until = None if position is None else position.until
    chosen: list[tuple[int, str]] = []
    choose = heapq.nlargest if query.newest_first else heapq.nsmallest
    async for heads in _walk(backend, namespace, query):
        places = [(page_rules.time_of(query, each.head), each.head.key.id) for each in heads]
        if position is None and page_rules.is_bounded(query):
            until = max([at for at, _ in places] + ([] if until is None else [until]), default=None)
        places = [place for place in places if page_rules.is_after(query, *place, position)]
        chosen = choose(limit + 1, chosen + places)
    page = chosen[:limit]
    loaded = await _loaded(backend, [SessionKey(namespace, session_id) for _, session_id in page], query, last)
    if len(chosen) <= limit:
        return HeadPage(loaded, None)
    return HeadPage(loaded, page_rules.position_text(TimePosition(*page[-1], until)))


async def count_by_walking(backend: ListedSessions, namespace: Namespace, query: PageQuery) -> int:
    """Return how many sessions the query takes."""
    count = 0
    async for heads in _walk(backend, namespace, query):
        count += len(heads)
    return count


async def _page_by_id(
    backend: ListedSessions, namespace: Namespace, query: PageQuery, cursor: str | None, limit: int, last: int
) -> HeadPage:
    found: list[LoadedSession] = []
    slices = Slices()
    while True:
        # No more than there is room for: a cursor stands for the end of a page of ids, and for no place in it.
        room = limit - len(found)
        page = await backend.list_page(namespace, prefix="", cursor=cursor, limit=room, roots_only=False)
        keys = [SessionKey(namespace, session_id) for session_id in page.session_ids]
        found += await _loaded(backend, keys, query, last)
        cursor = page.cursor
        if cursor is None or len(found) == limit:
            return HeadPage(found, cursor)
        if slices.is_over():
            await slices.give_way()


async def _walk(backend: ListedSessions, namespace: Namespace, query: PageQuery) -> AsyncIterator[list[LoadedSession]]:
    """Yield the sessions that the query takes, many at a time, in the order of `list_page`."""
    cursor: str | None = None
    slices = Slices()
    while True:
        page = await backend.list_page(namespace, prefix="", cursor=cursor, limit=_SESSIONS_A_LOAD, roots_only=False)
        yield await _loaded(backend, [SessionKey(namespace, each) for each in page.session_ids], query, 0)
        if (cursor := page.cursor) is None:
            return
        if slices.is_over():
            await slices.give_way()


async def _loaded(
    backend: ListedSessions, keys: Sequence[SessionKey], query: PageQuery, last: int
) -> list[LoadedSession]:
    """Return those of the sessions that are there and that the query takes, in the order of `keys`."""
    if not keys:
        return []
    found = await backend.load(keys, last=last, whole_head=False)
    return [each for each in found if each is not None and page_rules.takes(query, each.head)]
