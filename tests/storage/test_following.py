"""Following a session that goes back in time ends with a clear error; hidden events are read in few pages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from a2a_session_manager import InMemorySessionStore, SessionConflict
from a2a_session_manager.limits import StoreLimits
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.memory.stored import StoredSession
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.testing.contract.making import ids, listening, said, several

KEY = SessionKey((), "talk")
EVENTS = SessionChange(events=[said(), said(), said()])


def backed_up(store: InMemorySessionStore) -> Callable[[], None]:
    """Remember the session as it is; what is returned brings it back, and wakes who waits."""
    backend = store._open_backend
    assert isinstance(backend, MemoryBackend)
    sessions = backend._sessions
    copied = {name: deepcopy(getattr(sessions[KEY], name)) for name in ("head", "log", "revisions", "seqs")}

    def restore() -> None:
        stored: StoredSession = sessions[KEY]
        for name, value in copied.items():
            setattr(stored, name, value)
        stored.wake()

    return restore


@pytest.mark.parametrize(
    "since",
    [
        pytest.param([], id="nothing was committed since"),
        pytest.param([SessionChange(set_state={"k": 1})], id="fewer commits than were lost"),
        pytest.param([EVENTS], id="as many events, in fewer commits"),
        pytest.param([SessionChange(set_state={"k": n}) for n in range(9)], id="more commits, and no events"),
        pytest.param([SessionChange(events=[said()]) for _ in range(3)], id="as many commits of as many events"),
        pytest.param([SessionChange(events=[said()]) for _ in range(5)], id="more commits of more events"),
    ],
)
async def test_following_ends_when_the_session_goes_back(since: list[SessionChange]) -> None:
    async with InMemorySessionStore() as store:
        await store.create("talk", change=SessionChange(events=several(2)))
        restore = backed_up(store)
        async with listening(store, "talk") as take:
            await take(2)
            for number in range(3):
                await store.append("talk", said(id=f"lost{number}"))
            assert ids(await take(3)) == ["lost0", "lost1", "lost2"]
            waiting = asyncio.create_task(take(1))
            await asyncio.sleep(0)
            restore()
            for change in since:
                await store.commit("talk", change)

            with pytest.raises(SessionConflict, match="earlier state") as caught:
                await waiting

        assert caught.value.revision == 1 + len(since)


async def test_following_anew_after_the_session_went_back_brings_what_is_there_and_what_comes() -> None:
    async with InMemorySessionStore() as store:
        await store.create("talk", change=SessionChange(events=several(2)))
        restore = backed_up(store)
        await store.append("talk", said(id="lost"))
        restore()
        async with listening(store, "talk") as take:
            heard = await take(2)
            await store.append("talk", said(id="new"))
            heard += await take(1)

    assert ids(heard) == ["e1", "e2", "new"]


@pytest.mark.parametrize("sizes", [[10, 2_000, 10, 2_000, 2_000, 10], [40_000, 10, 40_000, 10]])
async def test_events_that_share_no_page_are_told_one_after_the_other(sizes: list[int]) -> None:
    async with InMemorySessionStore(limits=StoreLimits(page_bytes=1_000)) as store:
        await store.create("talk")
        for number, size in enumerate(sizes):
            await store.append("talk", said("m" * size, id=f"e{number}"))
        async with listening(store, "talk") as take:
            heard = await take(len(sizes))
            waiting = asyncio.create_task(take(1))
            await store.append("talk", said(id="new"))
            heard += await waiting

    assert ids(heard) == [*(f"e{number}" for number in range(len(sizes))), "new"]


@pytest.mark.parametrize(("apart", "most_reads"), [(2, 2), (300, 4)])
async def test_hidden_events_that_lie_scattered_are_read_a_page_at_a_time(
    apart: int, most_reads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with InMemorySessionStore() as store:
        await store.create("talk", change=SessionChange(events=several(1_000)))
        read_log, reads = MemoryBackend.read_log, list[int]()

        async def counted(self: MemoryBackend, key: SessionKey, *, after: int, limit: int, max_bytes: int) -> Any:
            reads.append(after)
            return await read_log(self, key, after=after, limit=limit, max_bytes=max_bytes)

        monkeypatch.setattr(MemoryBackend, "read_log", counted)

        hidden = await store.retract("talk", *(f"e{number}" for number in range(1, 1_000, apart)))

    assert [(event.seq, event.retracted) for event in hidden] == [(seq, True) for seq in range(1, 1_000, apart)]
    assert len(reads) <= most_reads
