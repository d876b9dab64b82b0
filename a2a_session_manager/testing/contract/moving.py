"""Sessions that move: what comes out of a store and into another one is the same, however often it was cut off."""

from __future__ import annotations

import asyncio
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager.exceptions import InvalidSessionOperation, SessionNotFound, StoreUnavailable
from a2a_session_manager.limits import StoreLimits
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.storage import BaseSessionStore, InMemorySessionStore
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Guard, Receipt
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.counting_once import reply
from a2a_session_manager.testing.contract.lossy import LossyBackend
from a2a_session_manager.testing.contract.making import ids, said, several, spending, whole

# So few events a batch, that a session takes several.
SMALL = StoreLimits(page_events=4)
IDS = ["trip", "trip/flights", "again", "again again"]
WRITERS, COMMITS_EACH = 4, 12


async def make_tree(store: BaseSessionStore) -> None:
    """Make a session with all that one may have, a child of it, a fork, and a fork of that fork."""
    run, waiting = SessionRun(id="run"), SessionRun(id="waits", agent="planner")
    run.mark_running()
    waiting.mark_running()
    sessions = SessionManager(store)
    change = SessionChange(
        set_state={"plan": {"b": [1, 2.5, None], "a": "é\t\ud800"}, "n": 1},
        set_properties={"title": "Oslo", "title_by": "user"},
        runs=[run, waiting],
    )
    await store.create("trip", change=change)
    first = [said("{}", id="{}"), *several(3), reply("r1", 10, cost=90, id="u1"), reply("r1", 12, cost=99, id="u2")]
    await store.append("trip", *first)
    await store.append("trip", spending(4, id="u3", task_id="run"), said({"a": [{}]}, id="ü"))
    await store.retract("trip", "e2", "u1")
    # A summary that stands where the events stood that its commit hides.
    summary = said("They met.", id="s1", type="summary")
    await store.commit("trip", SessionChange(events=[summary], retraction=Retraction(("e1",))))
    await store.restore("trip", "e1")
    run.mark_completed()
    await store.commit("trip", SessionChange(runs=[run], set_state={"n": 2}))
    await store.create("trip/flights", parent_id="trip", change=SessionChange(events=[spending(3, id="c1")]))
    await store.append("trip/flights", said(id="c2"))
    async with sessions.open("trip") as chat:
        await chat.compact(lambda _: "They spoke.", keep=2)
        await chat.user("More?", id="more")
    await store.fork("trip", at="more", new_id="again")
    await store.append("again", reply("r1", 13, id="f1"), said(id="f2"))
    await store.retract("again", "more", "f2")
    await store.fork("again", at="f1", new_id="again again")
    await store.append("trip", *several(5, "late"))
    await store.retract("trip", last=1)


class _Dying(LossyBackend):
    """Makes `left` more writes, and then no other."""

    left = 0

    def _count(self) -> None:
        if self.left == 0:
            raise StoreUnavailable("the process was killed")
        self.left -= 1

    async def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Receipt:
        self._count()
        return await super().create(key, creation, commit)

    async def commit(self, key: SessionKey, commit: EncodedCommit) -> Receipt:
        self._count()
        return await super().commit(key, commit)

    async def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> None:
        self._count()
        await super().delete(key, creation_id, cascade=cascade, guard=guard)


def _dying(store: BaseSessionStore, left: int) -> SessionManager:
    backend = _Dying(store._open_backend)
    backend.left = left
    return SessionManager(BaseSessionStore(backend, namespace=store._namespace, limits=SMALL))


async def bundle_of(store: BaseSessionStore, *session_ids: str) -> bytes:
    """Return sessions as a bundle."""
    file = BytesIO()
    await SessionManager(store).export_bundle(file, *session_ids)
    return file.getvalue()


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
            with_death = _dying(store if tries % 2 else await reopen(), 1 if tries % 3 == 2 else 6)
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

    async def test_of_several_who_claim_a_session_one_gets_it(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await make_tree(store)
        names = ["ann", "bob", "eve"]

        found = await asyncio.gather(
            *(SessionManager(store).claim("again", name) for name in names), return_exceptions=True
        )

        owner = (await whole(await reopen(), "trip")).metadata.properties["owner"]
        assert [not isinstance(each, BaseException) for each in found] == [name == owner for name in names]
        other = names[names.index(owner) - 1]
        with pytest.raises(InvalidSessionOperation, match=f"belongs to '{owner}'"):
            await SessionManager(store).claim("trip", other, into=store.namespace(other))
        assert await store.namespace(other).list_sessions() == []
        await SessionManager(store).claim("trip", other, take_over=True)
        assert (await whole(await reopen(), "trip")).metadata.properties["owner"] == other

    async def test_a_claim_moves_all_of_a_tree_and_what_is_written_meanwhile(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await make_tree(store)
        written: dict[str, list[str]] = {session_id: [] for session_id in IDS}

        async def write(session_id: str) -> None:
            for number in range(20):
                try:
                    await store.append(session_id, said(id=f"{session_id} {number}"))
                except SessionNotFound:
                    return
                written[session_id].append(f"{session_id} {number}")
                await asyncio.sleep(0.002)

        ann = SessionManager(await reopen()).namespace("ann")
        writing = asyncio.gather(*map(write, IDS))
        await SessionManager(store).claim("trip", "ann", into=ann)
        await writing

        cold = (await reopen()).namespace("ann")
        assert await store.list_sessions() == []
        assert await cold.tree("trip") == [("trip", None), *((each, "trip") for each in IDS[1:3]), (IDS[3], "again")]
        for session_id in IDS:
            own = [event.id for event in await cold.events(session_id) if event.id.startswith(f"{session_id} ")]
            assert own == written[session_id]
        assert (await whole(cold, "trip")).metadata.properties == {"owner": "ann", "title": "Oslo", "title_by": "user"}
        [row] = (await SessionManager(store).claim("trip", "ann", into=ann)).sessions
        assert row.status == "there"
        with pytest.raises(SessionNotFound):
            await SessionManager(store).claim("trip", "bob", into=ann)

    async def test_a_claim_that_is_cut_off_anywhere_goes_on(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await make_tree(store)
        data = await bundle_of(store)
        tries = 0
        while True:
            tries += 1
            source, target = _dying(store, 2), _dying(await reopen(), 6)
            try:
                await source.claim("trip", "ann", into=target.namespace("ann"))
                break
            except StoreUnavailable:
                continue

        assert tries > 2
        assert await store.list_sessions() == []
        there = (await reopen()).namespace("ann")
        await SessionManager(there).unset_properties("trip", "owner")
        assert await bundle_of(there) == data

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
