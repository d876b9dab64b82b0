"""Sessions that move: what comes out of a store and into another one is the same, however often it was cut off."""

from __future__ import annotations

import asyncio
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager.exceptions import InvalidSessionOperation, StoreUnavailable
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.storage import BaseSessionStore, InMemorySessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import ids, said, whole
from a2a_session_manager.testing.contract.tree_to_move import IDS, bundle_of, dying, make_tree

WRITERS, COMMITS_EACH = 4, 12


async def _in_file(store: BaseSessionStore, path: Path) -> bytes:
    await SessionManager(store).export_bundle(path)
    return await asyncio.to_thread(path.read_bytes)


async def _view(store: BaseSessionStore, session_id: str) -> list[Any]:
    async with SessionManager(store).open(session_id) as chat:
        return list(await chat.messages())


class MovingContract(ContractBase):
    async def test_a_tree_that_went_through_other_stores_is_the_same_bundle(
        self, store: BaseSessionStore, reopen: Reopen, tmp_path: Path
    ) -> None:
        await make_tree(store)
        data = await _in_file(store, tmp_path / "a.bundle")
        memory, there = InMemorySessionStore(), store.namespace("there")

        report = await SessionManager(memory).import_bundle(tmp_path / "a.bundle")
        await SessionManager(memory).copy(there)

        assert [(each.id, each.status) for each in report.sessions] == [(session_id, "new") for session_id in IDS]
        assert report.losses == []
        cold = (await reopen()).namespace("there")
        assert await bundle_of(cold) == data == await bundle_of(memory)
        assert await cold.tree("trip") == await store.tree("trip")
        assert await cold.children("trip") == ["trip/flights"]
        for session_id in IDS:
            assert await cold.usage(session_id) == await store.usage(session_id)
            before, after = await whole(store, session_id), await whole(cold, session_id)
            assert after.metadata == before.metadata
            assert (after.runs, after.state) == (before.runs, before.state)
            assert [(event.id, event.seq, event.timestamp) for event in after.events] == [
                (event.id, event.seq, event.timestamp) for event in before.events
            ]
            assert after.creation_id != before.creation_id
            assert await _view(cold, session_id) == await _view(store, session_id)
        assert await cold.usage("trip", tree=True) == await store.usage("trip", tree=True)
        pages = [[head.id for head in await each.page(order="updated")] for each in (cold, store)]
        assert pages[0] == pages[1]
        assert ids(await cold.restore("trip", "e2")) == ["e2"]
        assert (await cold.append("again", said(id="f3")))[0].seq == (await store.append("again", said(id="f3")))[0].seq

    async def test_an_import_that_is_cut_off_anywhere_goes_on_as_if_it_had_run_once(
        self, store: BaseSessionStore, reopen: Reopen, tmp_path: Path
    ) -> None:
        source, path = InMemorySessionStore(), tmp_path / "a.bundle"
        await make_tree(source)
        data = await _in_file(source, path)
        tries = 0
        while True:
            tries += 1
            with_death = dying(store if tries % 2 else await reopen(), 1 if tries % 3 == 2 else 6)
            try:
                await with_death.import_bundle(path)
                break
            except StoreUnavailable:
                assert "unfinished_copy" in (await whole(store, "trip")).metadata.properties

        assert tries > 2
        cold = await reopen()
        assert await bundle_of(cold) == data
        assert {each.status for each in (await SessionManager(cold).import_bundle(path)).sessions} == {"there"}
        assert await cold.usage("trip", tree=True) == await source.usage("trip", tree=True)

    async def test_what_is_there_stays_and_other_content_is_refused_before_anything_is_written(
        self, store: BaseSessionStore, reopen: Reopen, tmp_path: Path
    ) -> None:
        source, path = InMemorySessionStore(), tmp_path / "a.bundle"
        await make_tree(source)
        await _in_file(source, path)
        sessions = SessionManager(store)
        planned = await sessions.import_bundle(path, dry_run=True)
        assert (planned.dry_run, planned.written, await store.list_sessions()) == (True, 4, [])
        await sessions.import_bundle(path)
        await store.append("trip", said(id="mine"))
        before = await bundle_of(store)

        again = await sessions.import_bundle(path)

        assert [each.status for each in again.sessions] == ["ahead", "there", "there", "there"]
        assert await bundle_of(await reopen()) == before
        await store.delete("again again")
        await store.create("somewhere")
        await store.create("again again", parent_id="somewhere")
        with pytest.raises(InvalidSessionOperation, match="'again again' is there with other content"):
            await sessions.import_bundle(path)
        await store.delete("trip/flights")
        with pytest.raises(InvalidSessionOperation, match="'again again' is there with other content"):
            await sessions.import_bundle(path)
        assert "trip/flights" not in await (await reopen()).list_sessions()
        beside = await sessions.import_bundle(path, prefix="old/")
        assert [each.new_id for each in beside.sessions] == [f"old/{session_id}" for session_id in IDS]
        assert (await (await reopen()).tree("old/again"))[0].id == "old/trip"

    async def test_a_bundle_has_each_session_as_it_was_at_one_moment(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk")
        done = asyncio.Event()

        async def write(name: str) -> None:
            for number in range(COMMITS_EACH):
                hidden = Retraction((f"{name}{number - 1}",)) if number else None
                event = said(id=f"{name}{number}")
                await store.commit(
                    "talk", SessionChange(events=[event], set_state={name: number + 1}, retraction=hidden)
                )
                await asyncio.sleep(0)

        async def write_all() -> None:
            await asyncio.gather(*(write(name) for name in "abcd"[:WRITERS]))
            done.set()

        writing = asyncio.create_task(write_all())
        reader, moments = SessionManager(await reopen()), 0
        while not done.is_set() or not moments:
            file = BytesIO()
            await reader.export_bundle(file, "talk")
            check_moment([json.loads(line) for line in file.getvalue().splitlines()])
            moments += 1
        await writing

    async def test_what_can_be_trusted_of_a_damaged_session_makes_a_new_one(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(set_state={"k": 1}, set_properties={"title": "t"}))
        await store.append("talk", said(id="e1"))
        await store.append("talk", said(id="e2"))
        with pytest.raises(InvalidSessionOperation, match="not damaged"):
            await SessionManager(store).salvage("talk")
        await self.damage(store, "talk")
        sessions = SessionManager(await reopen())

        report = await sessions.salvage("talk", new_id="saved")

        [row], [loss] = report.sessions, report.losses
        assert (row.id, row.new_id, row.status, row.events) == ("talk", "saved", "new", 0)
        assert (loss.session_id, loss.code) == ("talk", "damage")
        saved = await whole(await reopen(), "saved")
        assert (saved.events, saved.state, saved.parent_id) == ([], {"k": 1}, None)
        assert saved.metadata.properties == {"title": "t", "salvaged_from": {"id": "talk", "events": 0}}
        assert (await sessions.salvage("talk", new_id="saved")).sessions[0].status == "there"
        await store.create("taken")
        with pytest.raises(InvalidSessionOperation, match="'taken'"):
            await sessions.salvage("talk", new_id="taken")


def check_moment(lines: list[dict[str, Any]]) -> None:
    """Check that a bundle has a session that every writer has left in between two of its commits."""
    [head] = [line["session"] for line in lines if "session" in line]
    state = {line["state"]: line["value"] for line in lines if "state" in line}
    events = [line["event"]["id"] for line in lines if "event" in line]
    hidden = {seq for first, last in head["hidden"] for seq in range(first, last + 1)}
    assert len(events) == head["last_seq"] == sum(state.values())
    for name, count in state.items():
        own = [(event_id, seq) for seq, event_id in enumerate(events, 1) if event_id.startswith(name)]
        assert [event_id for event_id, _ in own] == [f"{name}{number}" for number in range(count)]
        assert [seq in hidden for _, seq in own] == [True] * (count - 1) + [False]
