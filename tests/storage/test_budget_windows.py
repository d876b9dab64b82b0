"""Windows of budgets on stores whose clock can be set: edges, settlements across them, and clocks that jump."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakeredis import FakeServer
from fakeredis.commands_mixins import server_mixin

from a2a_session_manager import BaseSessionStore, BudgetExceeded, FileSessionStore, InMemorySessionStore
from a2a_session_manager.models import clock
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage import leases
from a2a_session_manager.storage.file import index
from a2a_session_manager.storage.redis import RedisSessionStore
from a2a_session_manager.testing.contract.budgets import settle
from a2a_session_manager.testing.contract.making import said, spending
from tests.storage.redis.looks import fake_client


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 28, 12, tzinfo=UTC)

    def millis(self) -> int:
        return round(self.now.timestamp() * 1000)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    time = Clock()
    monkeypatch.setattr(leases, "wall_clock", time.millis)
    # Scripts ask the server.
    monkeypatch.setattr(server_mixin, "time", SimpleNamespace(time=lambda: time.millis() / 1000))
    monkeypatch.setattr(clock, "time_ns", lambda: time.millis() * 1_000_000)
    return time


@pytest.fixture(params=["memory", "file", "file with checkpoints", "redis"])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[BaseSessionStore]:
    if request.param == "file with checkpoints":
        monkeypatch.setattr(index, "CHECKPOINT_BYTES", 1)
        monkeypatch.setattr(index, "CHECKPOINT_RECORDS", 1)
    opened: BaseSessionStore = FileSessionStore(tmp_path / "s")
    if request.param == "memory":
        opened = InMemorySessionStore()
    elif request.param == "redis":
        opened = RedisSessionStore(fake_client(FakeServer()))
    async with opened as store:
        await store.create("top")
        await store.create("low", parent_id="top")
        yield store


async def cold(store: BaseSessionStore) -> BaseSessionStore:
    """Return a store that knows nothing of what the first one did, where there is such a thing."""
    place: Any = store._open_backend.place
    if isinstance(store, RedisSessionStore):
        return RedisSessionStore(place[1])
    return FileSessionStore(place[1]) if isinstance(store, FileSessionStore) else store


async def spent(store: BaseSessionStore, session: str = "top") -> tuple[int | None, int | None]:
    other = await cold(store)
    shown = await other.budget(session)
    if other is not store:
        await other.aclose()
    return shown.spent.tokens, shown.held.tokens


async def test_a_day_is_that_of_the_zone_also_where_clocks_are_changed(store: BaseSessionStore, time: Clock) -> None:
    await store.append("low", spending(50))
    shown = await store.set_budget("top", tokens=100, window="day", timezone="Europe/Oslo")
    assert shown.resets_at == datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert await spent(store) == (0, 0)  # what came before is not of the window
    await store.append("low", spending(40))
    with pytest.raises(BudgetExceeded) as refused:
        await store.place_hold("low", tokens=21)
    assert refused.value.resets_at == shown.resets_at

    time.now = datetime(2026, 3, 28, 23, tzinfo=UTC)
    await store.place_hold("low", tokens=100)
    assert (await store.budget("top")).resets_at == datetime(2026, 3, 29, 22, tzinfo=UTC)  # 23 hours later
    assert await spent(store) == (0, 100)


async def test_a_hold_is_settled_into_the_window_that_it_was_made_in(store: BaseSessionStore, time: Clock) -> None:
    await store.set_budget("top", tokens=100, window=timedelta(hours=1))
    await store.set_budget("low", tokens=1000)
    hold = await store.place_hold("low", tokens=90, expires=7200)
    time.now += timedelta(minutes=59)
    await store.append("low", spending(2))
    time.now += timedelta(minutes=2)
    await store.place_hold("low", id="new", tokens=95)

    await settle(store, "low", hold, spending(45))

    assert await spent(store) == (0, 95)
    assert await spent(store, "low") == (94, 95)
    await store.append("low", spending(1, id="new"))
    assert await spent(store) == (2, 0)


async def test_an_id_that_is_taken_again_in_the_same_moment_is_held_again(store: BaseSessionStore, time: Clock) -> None:
    await store.set_budget("top", tokens=100)
    for number in range(3):
        hold = await store.place_hold("low", id="request", tokens=60)
        assert await spent(store) == (20 * number, 60)
        await settle(store, "low", hold, spending(10))
    assert await spent(store) == (60, 0)


async def test_a_clock_that_goes_back_opens_no_window_again(store: BaseSessionStore, time: Clock) -> None:
    await store.set_budget("top", tokens=100, window="month", timezone="UTC")
    await store.append("low", spending(30))
    time.now += timedelta(days=7)  # in April
    await store.append("low", spending(10))
    await store.place_hold("low", tokens=70)
    time.now -= timedelta(days=7)

    await store.append("low", spending(5))
    assert await spent(store) == (30, 70)
    with pytest.raises(BudgetExceeded):
        await store.place_hold("low", tokens=1)


async def test_what_a_window_has_spent_is_not_lost_where_a_clock_goes_ahead_and_back(
    store: BaseSessionStore, time: Clock
) -> None:
    """Nobody asked for room meanwhile. It is this window or the next one that counts, and all that was spent in it."""
    await store.set_budget("top", tokens=100, window="month", timezone="UTC")
    await store.append("low", spending(15))
    time.now += timedelta(days=7)  # in April
    await store.append("low", spending(20))
    time.now -= timedelta(days=7)

    await store.append("low", spending(5))
    total, _ = await spent(store)
    assert total in (30 + 10, 40 + 10)
    await store.append("top", spending(5))
    with pytest.raises(BudgetExceeded):
        await store.place_hold("low", tokens=100 - total + 1)
    time.now += timedelta(days=7)
    # In files, a session that has not seen April counts in March while the clock is back there.
    assert (await spent(store))[0] in (40, 50, 60)


async def test_deletion_and_another_window_keep_what_counts(store: BaseSessionStore, time: Clock) -> None:
    await store.set_budget("top", tokens=100, window=timedelta(days=1))
    await store.append("low", spending(30), said())
    await store.create("other", parent_id="top", change=SessionChange(events=[spending(10)]))
    await store.delete("low")
    assert await spent(store) == (80, 0)

    await store.set_budget("top", tokens=100, window=timedelta(days=2), replace=True)
    assert await spent(store) == (0, 0)
    await store.append("other", spending(10))
    assert await spent(store) == (20, 0)
    time.now += timedelta(days=2)
    assert await spent(store) == (0, 0)
