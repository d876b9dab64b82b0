"""Heartbeats: one timer renews all leases of a loop, as long as somebody refers to them."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Sequence

import pytest

from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.storage.commit_records import LeaseRenewal
from a2a_session_manager.storage.heartbeats import Heartbeat, heartbeats_of
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.store import BaseSessionStore


class Counting(MemoryBackend):
    """Memory whose renewals are counted, and answered as `answers` says; then as lost."""

    def __init__(self, answers: Sequence[bool | Exception | None] = (True,) * 1_000) -> None:
        super().__init__()
        self.answers = list(answers)
        self.batches: list[int] = []
        self.renewed = asyncio.Event()

    async def renew_leases(self, renewals: Sequence[LeaseRenewal]) -> list[bool | None]:
        self.batches.append(len(renewals))
        self.renewed.set()
        answer = self.answers.pop(0) if self.answers else False
        if isinstance(answer, Exception):
            raise answer
        return [answer] * len(renewals)


def renewal(name: str = "r") -> LeaseRenewal:
    return LeaseRenewal(SessionKey((), "talk"), "life", name, "t")


async def until(backend: Counting, batches: int) -> None:
    async with asyncio.timeout(20):
        while len(backend.batches) < batches:
            backend.renewed.clear()
            await backend.renewed.wait()


async def test_all_leases_that_are_due_are_renewed_together() -> None:
    backend = Counting()
    beats = [heartbeats_of(backend).start(renewal(str(number)), 200) for number in range(700)]
    await until(backend, 4)
    for beat in beats:
        beat.stop()
    count = len(backend.batches)
    await asyncio.sleep(0.1)

    assert set(backend.batches) == {500, 200}
    assert len(backend.batches) == count


async def test_a_lease_that_is_lost_is_renewed_no_more() -> None:
    backend = Counting([True, False])
    beat = heartbeats_of(backend).start(renewal(), 60)
    await until(backend, 2)
    await asyncio.sleep(0.1)

    assert beat.is_lost
    assert backend.batches == [1, 1]


async def test_a_store_that_is_away_is_tried_again_until_the_lease_has_expired() -> None:
    backend = Counting([StoreUnavailable("away")] * 1_000)
    beat = heartbeats_of(backend).start(renewal(), 200)
    await asyncio.sleep(0.5)
    count = len(backend.batches)
    await asyncio.sleep(0.1)

    assert 1 < count == len(backend.batches)
    assert not beat.is_lost


async def test_a_run_that_nobody_refers_to_any_more_is_not_kept_alive() -> None:
    backend = Counting()
    async with SessionManager(BaseSessionStore(backend)).open("talk") as chat:
        beats = heartbeats_of(backend)
        run = await chat.run().__aenter__()
        assert len(beats._open) == 1

        del run
        gc.collect()

        assert len(beats._open) == 0


@pytest.mark.parametrize("end", ["leave", "wait", "close"])
async def test_no_timer_outlives_the_last_run(end: str) -> None:
    backend = Counting()
    store = BaseSessionStore(backend)
    async with SessionManager(store).open("talk") as chat:
        beats = heartbeats_of(backend)
        async with chat.run() as run:
            assert beats._timer is not None
            if end == "wait":
                await run.mark_waiting()
                assert beats._timer is None
        assert beats._timer is None


def test_a_loop_that_ends_leaves_nothing_behind() -> None:
    backend, kept = Counting(), list[Heartbeat]()

    async def begin() -> None:
        kept.append(heartbeats_of(backend).start(renewal(), 1_000))

    for _ in range(3):
        asyncio.run(begin())

    assert backend.batches == []
    assert backend.heartbeats is not None
    assert len(backend.heartbeats) == 1


def test_a_store_that_nobody_refers_to_any_more_is_gone_with_its_heartbeats() -> None:
    async def begin() -> weakref.ref[Counting]:
        backend = Counting()
        heartbeats_of(backend).start(renewal(), 1_000)
        return weakref.ref(backend)

    gone = asyncio.run(begin())
    gc.collect()

    assert gone() is None
