"""The lifecycle of a store: it closes, it opens again, it serves one event loop after another, and blocks none."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import ids, listening, said, several, whole


class LifecycleContract(ContractBase):
    async def test_a_closed_store_is_unavailable_to_every_verb(self, store: BaseSessionStore) -> None:
        handle = await store.create("talk", change=SessionChange(events=several(2)))
        view = store.namespace("mine")
        await store.aclose()
        handle.add_event(said())

        for use in (
            store.get("talk"),
            store.get_many(["talk"]),
            store.events("talk"),
            store.runs("talk"),
            store.children("talk"),
            store.children_page("talk"),
            store.tree("talk"),
            store.usage("talk"),
            store.usage("talk", tree=True),
            store.list_sessions(),
            store.list_page(),
            store.page(),
            store.count(),
            store.create("new"),
            store.save(Session(id="new")),
            store.save(handle),
            store.append("talk", said()),
            store.commit(handle, SessionChange(set_state={"k": 1})),
            store.retract("talk", last=1),
            store.restore("talk", "e1"),
            store.delete("talk"),
            store.delete(handle),
            view.get("talk"),
            view.create("talk"),
            store.events_by_id("talk", "e1"),
            store.ping(),
            view.ping(),
            store.diagnose(),
        ):
            with pytest.raises(StoreUnavailable):
                await use

    async def test_a_closed_store_is_unavailable_to_followers(self, store: BaseSessionStore) -> None:
        await store.create("talk", change=SessionChange(events=several(2)))
        await store.aclose()

        with pytest.raises(StoreUnavailable):
            async with listening(store, "talk") as take:
                await take(1)

    async def test_a_store_that_can_be_written_answers_a_ping_and_keeps_nothing_of_it(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.ping()
        assert "unavailable" not in {finding.code for finding in await store.diagnose()}
        await store.create("talk")
        await (await reopen()).namespace("mine").ping()

        assert await store.list_sessions() == ["talk"]
        assert await store.namespace("mine").list_sessions() == []

    async def test_closing_twice_is_fine(self, store: BaseSessionStore) -> None:
        await store.aclose()
        await store.aclose()

        with pytest.raises(StoreUnavailable):
            await store.list_sessions()

    async def test_async_with_closes_the_store(self, place: Path) -> None:
        async with await self.open_store(place) as store:
            await store.create("talk")

        with pytest.raises(StoreUnavailable):
            await store.get("talk")

    async def test_writes_under_way_are_finished_when_the_store_closes(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk")
        writes = [asyncio.create_task(store.append("talk", said(id=f"e{number}"))) for number in range(20)]
        await asyncio.sleep(0)
        await store.aclose()

        outcomes = await asyncio.gather(*writes, return_exceptions=True)

        assert all(isinstance(each, list | StoreUnavailable) for each in outcomes)
        if self.is_durable:
            stored = set(ids((await whole(await reopen(), "talk")).events))
            assert {each[0].id for each in outcomes if isinstance(each, list)} <= stored

    async def test_one_store_serves_one_event_loop_after_another(self, place: Path) -> None:
        outcome = await asyncio.to_thread(_on_two_loops, self, place)

        assert outcome == ["e1", "e2", "e3", "e4"]

    async def test_a_loop_that_ends_with_writes_under_way_does_not_harm_the_next(self, place: Path) -> None:
        stored, acknowledged = await asyncio.to_thread(_cut_off_by_the_end_of_a_loop, self, place)

        assert set(acknowledged) <= set(stored)
        assert stored[-1] == "after"
        assert len(stored) == len(set(stored))

    async def test_no_verb_blocks_the_loop(self, store: BaseSessionStore, reopen: Reopen) -> None:
        """BlockBuster watches every test; this one calls every verb, so that the name of a blocking one is known."""
        handle = Session(id="talk", events=[said("x" * 300_000)])
        await store.save(handle)
        await store.create("child", parent_id="talk")
        await store.append("talk", *several(3))
        await store.commit(handle, SessionChange(set_state={"k": 1}))
        await store.retract("talk", "e1")
        again = await reopen()
        for verb in (again.get, again.events, again.runs, again.children, again.tree, again.usage):
            await verb("talk")
        await again.usage("talk", tree=True)
        assert await again.get_many(["talk"]) != [None]
        assert len(await again.list_sessions()) == 2
        async with listening(again, "talk") as take:
            assert len(await take(5)) == 5
        await store.delete("talk", children="cascade")

        assert await again.list_sessions() == []

    async def test_a_heavy_payload_does_not_hold_up_the_loop(self, store: BaseSessionStore) -> None:
        heavy = [said("x" * 4_000_000, metadata={"k": ["x" * 1_000_000] * 3})]
        await store.create("talk")

        assert await _turns_during(store.append("talk", *heavy)) > 0
        assert await _turns_during(store.get("talk")) > 0

    async def test_a_long_conversation_is_decoded_in_slices(self, store: BaseSessionStore) -> None:
        events = [said(list(range(100))) for _ in range(1_000)]
        await store.create("talk", change=SessionChange(events=events))

        assert await _turns_during(store.get("talk")) >= 3
        assert await _turns_during(store.events("talk")) >= 3


async def _turns_during(work: Coroutine[Any, Any, object]) -> int:
    """Return how many turns the event loop gave to other tasks while `work` was under way."""
    turns = 0
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    await task
    return turns


def _on_two_loops(contract: ContractBase, place: Path) -> list[str]:
    async def first() -> BaseSessionStore:
        store = await contract.open_store(place)
        await store.create("talk")
        await asyncio.gather(*(store.append("talk", said(id=f"e{number}")) for number in (1, 2)))
        async with listening(store, "talk") as take:
            await take(2)
        return store

    async def second(store: BaseSessionStore) -> list[str]:
        async with store:
            await asyncio.gather(*(store.append("talk", said(id=f"e{number}")) for number in (3, 4)))
            async with listening(store, "talk", after=2) as take:
                await take(2)
            return sorted(ids((await whole(store, "talk")).events))

    return asyncio.run(second(asyncio.run(first())))


def _cut_off_by_the_end_of_a_loop(contract: ContractBase, place: Path) -> tuple[list[str], list[str]]:
    acknowledged: list[str] = []

    async def write(store: BaseSessionStore, number: int) -> None:
        acknowledged.extend(ids(await store.append("talk", said(id=f"e{number}"))))

    async def first() -> BaseSessionStore:
        store = await contract.open_store(place)
        await store.create("talk")
        writes = [asyncio.create_task(write(store, number)) for number in range(10)]
        await asyncio.sleep(0)
        assert len(writes) == 10
        return store

    async def second(store: BaseSessionStore) -> list[str]:
        async with store:
            await store.append("talk", said(id="after"))
            return ids((await whole(store, "talk")).events)

    return asyncio.run(second(asyncio.run(first()))), acknowledged
