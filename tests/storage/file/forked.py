"""Logs and forks of them, each of which says what it holds."""

from __future__ import annotations

from collections.abc import Sequence

from a2a_session_manager.storage.file import FileSessionStore
from a2a_session_manager.testing.contract.making import said

LARGE = "x" * 300


def texts(first: int, last: int, name: str = "e") -> list[str]:
    return [f"{name}{number}" for number in range(first, last + 1)]


async def grow(store: FileSessionStore, session_id: str, ids: Sequence[str], *, text: str = LARGE) -> None:
    """Append events of these ids, one, two or three in a commit."""
    waiting = list(ids)
    while waiting:
        size = 1 + len(waiting) % 3
        await store.append(session_id, *(said(text, id=each) for each in waiting[:size]))
        del waiting[:size]


async def check(store: FileSessionStore, session_id: str, ids: Sequence[str]) -> None:
    """Compare what a session shows, read in all ways, with the ids of its events."""
    assert [event.id for event in await store.events(session_id)] == list(ids)
    for last in (0, 1, 2, len(ids) // 2, len(ids) - 1, len(ids), None):
        session = await store.get(session_id, last=last)
        assert session is not None
        assert session.last_seq == len(ids)
        shown = list(ids) if last is None else list(ids)[len(ids) - last :]
        assert [event.id for event in session.events] == shown
        tail = await store.read_messages(session_id, last=last)
        assert [message.seq for message in tail.messages] == list(range(len(ids) - len(shown) + 1, len(ids) + 1))
    for limit in (2, 3, 100):
        found: list[str] = []
        after: int | None = 0
        while after is not None:
            page = await store.events_page(session_id, after=after, limit=limit)
            assert [event.seq for event in page.events] == list(range(after + 1, after + 1 + len(page.events)))
            found += [event.id for event in page.events]
            after = page.next_after
        assert found == list(ids)
    by_id = await store.events_by_id(session_id, *reversed(ids))
    assert [event and event.seq for event in by_id] == list(range(len(ids), 0, -1))
