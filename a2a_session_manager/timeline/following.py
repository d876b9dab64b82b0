"""What comes to a tree after a page of it was made: new events, retractions, new sessions, heads that change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from a2a_session_manager.concurrency.cancellation import wait_out
from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.exceptions import SessionNotFound
from a2a_session_manager.limits import DEFAULT_LIMITS
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.protocols import SessionStore
from a2a_session_manager.timeline.document import head_row, order_digest, session_row
from a2a_session_manager.timeline.reading import ids_below, read_head, read_session
from a2a_session_manager.timeline.redaction import Redactor
from a2a_session_manager.timeline.rows import Row, RowWriter, tally_row
from a2a_session_manager.timeline.texts import Texts

_LOOK_SECONDS: Final = 2.0
_GATHER_SECONDS: Final = 0.05
_MOST_WAITING: Final = 1_000
# Each takes a follower of its own. Of the sessions before them, heads are still looked at.
MOST_FOLLOWED: Final = 256


class StaleTimeline(Exception):
    """The tree is another one than the page has: it has to be loaded again."""


async def timeline_updates(
    store: SessionStore, session_id: str, *, known: Sequence[int], of: str, redact: bool = True
) -> AsyncGenerator[Row, None]:
    """Yield what the page of a tree has to take in, as it comes; it never ends by itself.

    `known` are the seqs of the last events that the page has, of each of its sessions in its order, and `of` is the
    digest of that order. Raises StaleTimeline where it is not the order of the tree any more, and SessionNotFound when
    the session is deleted.
    """
    ids = await ids_below(store, session_id)
    if len(known) > len(ids) or order_digest(ids[: len(known)]) != of:
        raise StaleTimeline
    async with aclosing(_Followers(store, session_id, redact)) as followers:
        for each, after in list(zip(ids, known, strict=False))[-MOST_FOLLOWED:]:
            followers.follow(each, after)
        followers.ids = ids[: len(known)]
        while True:
            update = await followers.next_update()
            if update is not None:
                yield update


def _event_rows(writer: RowWriter, events: Mapping[str, Sequence[SessionEvent[Any]]]) -> list[Row]:
    return [{"id": session_id, "events": writer.events(some, {})} for session_id, some in events.items()]


class _Followers:
    """Follows the sessions of a tree, each in a task, and gathers what they tell."""

    def __init__(self, store: SessionStore, session_id: str, redact: bool) -> None:
        self.ids: list[str] = []
        self._store = store
        self._session_id = session_id
        self._redact = redact
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._come: asyncio.Queue[tuple[str, SessionEvent[Any]]] = asyncio.Queue(_MOST_WAITING)
        self._revisions: dict[str, int] = {}

    def follow(self, session_id: str, after: int) -> None:
        """Follow one more session, from the event `after` on."""
        self._tasks[session_id] = asyncio.create_task(self._follow(session_id, after))

    async def next_update(self) -> Row | None:
        """Return what has come within some time; None where that is nothing."""
        events = await self._gathered()
        top = self._tasks.get(self._session_id)
        if top is not None and top.done():
            top.result()
        writer = RowWriter(Redactor(enabled=self._redact), Texts(together=True))
        sessions = await self._new_sessions(writer)
        heads = await self._changed_heads(writer)
        if not (events or sessions or heads):
            return None
        return {
            "sessions": sessions,
            "heads": heads,
            "events": await in_thread(_event_rows, writer, events),
            "spent": tally_row((await self._store.usage(self._session_id, tree=True)).total),
            "of": order_digest(self.ids),
        }

    async def aclose(self) -> None:
        """Follow nothing any more."""
        tasks = [task for task in self._tasks.values() if task.cancel()]
        if tasks:
            await wait_out(asyncio.ensure_future(asyncio.wait(tasks)), DEFAULT_LIMITS.cancel_seconds)

    async def _follow(self, session_id: str, after: int) -> None:
        try:
            async with aclosing(self._store.follow(session_id, after=after)) as events:
                async for event in events:
                    await self._come.put((session_id, event))
        except SessionNotFound:
            if session_id == self._session_id:
                raise

    async def _gathered(self) -> dict[str, list[SessionEvent[Any]]]:
        """Return what comes, by session; it waits for the first event, and then only for what comes along with it."""
        found: dict[str, list[SessionEvent[Any]]] = {}
        seconds = _LOOK_SECONDS
        for _ in range(_MOST_WAITING):
            try:
                session_id, event = await asyncio.wait_for(self._come.get(), seconds)
            except TimeoutError:
                break
            found.setdefault(session_id, []).append(event)
            seconds = _GATHER_SECONDS
        return found

    async def _new_sessions(self, writer: RowWriter) -> list[Row]:
        ids = await ids_below(self._store, self._session_id)
        there = set(self.ids)
        rows = []
        for each in ids:
            if each in there:
                continue
            try:
                read = await read_session(self._store, each, last=None)
            except SessionNotFound:
                continue
            rows.append(await in_thread(session_row, writer, read))
            self._revisions[each] = read.head.revision
            self.ids.append(each)
            self.follow(each, read.head.last_seq)
        return rows

    async def _changed_heads(self, writer: RowWriter) -> list[Row]:
        rows = []
        for head in await self._store.get_many(self.ids):
            if head is not None and self._revisions.get(head.id) != head.revision:
                self._revisions[head.id] = head.revision
                try:
                    rows.append(head_row(writer, *await read_head(self._store, head.id)))
                except SessionNotFound:
                    continue
        return rows
