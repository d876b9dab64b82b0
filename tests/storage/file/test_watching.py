"""Following sessions in files: one look for all followers, and own writes are told at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager import FileSessionStore, SessionNotFound, StoreUnavailable
from a2a_session_manager.storage.file import watching
from a2a_session_manager.storage.file.watching import Watch
from a2a_session_manager.testing.contract.making import said

NO_HANG_SECONDS = 20


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FileSessionStore]:
    async with FileSessionStore(tmp_path) as store:
        yield store


@pytest.fixture
def _never_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_PAUSE_SECONDS", 2 * NO_HANG_SECONDS)
    monkeypatch.setattr(watching, "_LONGEST_PAUSE_SECONDS", 2 * NO_HANG_SECONDS)


@pytest.fixture
def _looked_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(watching, "_REST", 0)


async def followed(store: FileSessionStore, session_id: str, count: int, after: int = 0) -> list[Any]:
    """Return the next events of a session."""
    found: list[Any] = []
    async for event in store.follow(session_id, after=after):
        found.append(event.message)
        if len(found) == count:
            break
    return found


async def until_waiting(store: FileSessionStore, count: int) -> None:
    """Wait until so many followers have read all there is: who comes later hears at the next look only."""
    backend: Any = store._backend

    def waiting() -> int:
        watches = [watch for watcher in backend._watchers.values() for watch in watcher._watches.values()]
        return sum(not news.done() for watch in watches for news in watch.waiting)

    while waiting() < count:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.001)


@pytest.mark.usefixtures("_never_looked")
async def test_an_own_write_is_told_at_once(store: FileSessionStore) -> None:
    await store.create("talk")
    following = [asyncio.create_task(followed(store, "talk", 2)) for _ in range(3)]
    async with asyncio.timeout(NO_HANG_SECONDS):
        for word in ("one", "two"):
            await until_waiting(store, len(following))
            await store.append("talk", said(word))

        assert await asyncio.gather(*following) == [["one", "two"]] * 3


@pytest.mark.usefixtures("_never_looked")
async def test_an_own_deletion_is_told_at_once(store: FileSessionStore) -> None:
    await store.create("talk")
    following = asyncio.create_task(followed(store, "talk", 1))
    await until_waiting(store, 1)
    await store.delete("talk")

    async with asyncio.timeout(NO_HANG_SECONDS):
        with pytest.raises(SessionNotFound):
            await following


@pytest.mark.usefixtures("_never_looked")
async def test_closing_the_store_is_told_at_once(store: FileSessionStore) -> None:
    await store.create("talk")
    following = asyncio.create_task(followed(store, "talk", 1))
    await until_waiting(store, 1)
    await store.aclose()

    async with asyncio.timeout(NO_HANG_SECONDS):
        with pytest.raises(StoreUnavailable, match="the store is closed"):
            await following


@pytest.mark.usefixtures("_looked_often")
async def test_what_others_write_and_delete_is_seen_by_looking(tmp_path: Path, store: FileSessionStore) -> None:
    for name in ("talk", "other"):
        await store.create(name)
    following = [asyncio.create_task(followed(store, name, 1)) for name in ("talk", "other")]
    await until_waiting(store, 2)
    async with FileSessionStore(tmp_path) as elsewhere:
        await elsewhere.append("talk", said("one"))
        await elsewhere.delete("other")

    assert await following[0] == ["one"]
    with pytest.raises(SessionNotFound):
        await following[1]


@pytest.mark.usefixtures("_looked_often")
async def test_a_session_that_nobody_writes_to_is_read_once_however_many_follow_and_look(
    store: FileSessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"s{number}" for number in range(20)]
    for name in names:
        await store.create(name)
    following = [asyncio.create_task(followed(store, name, 1)) for name in names for _ in range(3)]
    await until_waiting(store, len(following))
    looks: list[int] = []
    reads: list[str] = []
    read, has_changed = Watch.read, Watch.has_changed

    def counted_read(self: Watch, *where: Any) -> Any:
        reads.append(self.key.id)
        return read(self, *where)

    def counted_look(self: Watch) -> bool:
        looks.append(1)
        return has_changed(self)

    monkeypatch.setattr(Watch, "read", counted_read)
    monkeypatch.setattr(Watch, "has_changed", counted_look)
    while len(looks) < 10 * len(names):  # noqa: ASYNC110 - another thread looks
        await asyncio.sleep(0.001)
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)

    # Three followers of one session may have begun to wait before and after its first look.
    assert len(reads) <= 3 * len(names)
    assert len(looks) > len(reads)


async def test_nothing_looks_on_when_nobody_follows(store: FileSessionStore) -> None:
    await store.create("talk")
    following = asyncio.create_task(followed(store, "talk", 1))
    await until_waiting(store, 1)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await asyncio.sleep(0)

    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.usefixtures("_looked_often")
async def test_a_follower_on_another_loop_sees_what_is_written_here(store: FileSessionStore) -> None:
    await store.create("talk")
    following = asyncio.create_task(asyncio.to_thread(asyncio.run, followed(store, "talk", 1)))
    await until_waiting(store, 1)
    await store.append("talk", said("one"))

    assert await following == ["one"]
