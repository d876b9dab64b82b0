"""Forking: a session that goes on from an event of another one, whose events it shows and never copies."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from a2a_session_manager.exceptions import (
    CorruptSession,
    InvalidSessionOperation,
    SessionAlreadyExists,
    SessionNotFound,
    StoreUnavailable,
)
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.lossy import LossyBackend
from a2a_session_manager.testing.contract.making import AnySession, ids, said, seqs, several, whole

# A chain of so many forks is read like any other session.
CHAIN = 50


def changed(**change: Any) -> SessionChange:
    return SessionChange(events=several(6), **change)


async def shown(store: BaseSessionStore, session_id: str) -> list[str]:
    """Return the ids of the visible events, which all ways of reading show alike."""
    session = await whole(store, session_id)
    found = ids(session.events)
    assert ids(await store.events(session_id)) == found
    assert list((await store.read_messages(session_id)).messages.ids) == found
    newest = await store.get(session_id, last=2)
    assert newest is not None
    assert (ids(newest.events), newest.earlier_events) == (found[-2:], max(len(found) - 2, 0))
    everything = await store.events(session_id, include_retracted=True)
    assert seqs(everything) == list(range(1, session.last_seq + 1))
    assert await store.events_by_id(session_id, *ids(everything)) == everything
    return found


class ForkingContract(ContractBase):
    async def test_a_fork_shows_the_events_up_to_its_point_and_goes_on_after_it(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        source = await store.create("talk", change=changed())
        forked = await store.fork("talk", at=4, new_id="fork")
        [placed] = await store.append(forked, said(id="own"))

        again = await reopen()

        assert placed.seq == 5
        assert await shown(again, "fork") == ["e1", "e2", "e3", "e4", "own"]
        assert await shown(again, "talk") == ["e1", "e2", "e3", "e4", "e5", "e6"]
        read = await whole(again, "fork")
        assert (read.revision, read.last_seq, read.parent_id, read.root_id) == (2, 5, "talk", "talk")
        assert read.forked_from == forked.forked_from == ("talk", source.creation_id, 4)
        assert (await whole(again, "talk")).forked_from is None

    async def test_what_a_fork_returns_is_what_is_read_of_it(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=changed(set_state={"k": [1]}, set_properties={"title": "t", "owner": "o"}))
        await store.retract("talk", "e2")
        forked = await store.fork("talk", at=4, new_id="fork", properties={"owner": "p", "why": "edit"})

        read = await (await reopen()).get("fork", last=0)

        assert read is not None
        assert forked == read
        for session in (forked, read):
            assert session.state == {"k": [1]}
            assert session.metadata.properties == {"title": "t", "owner": "p", "why": "edit"}
            assert (session.is_partial, session.earlier_events) == (True, 3)
            assert (session.revision, session.last_seq) == (1, 4)
            assert (session.creation_id, session.forked_from) == (read.creation_id, read.forked_from)
            assert session.runs == []
        assert (await whole(store, "fork")).metadata.created_at == forked.metadata.created_at

    async def test_a_point_is_named_by_a_seq_by_an_id_or_is_the_newest_visible_event(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=changed())
        await store.retract("talk", last=2)
        for at in (3, "e3", None):
            await store.fork("talk", at=at, new_id=f"fork at {at}")

        again = await reopen()

        assert await shown(again, "fork at 3") == await shown(again, "fork at e3") == ["e1", "e2", "e3"]
        assert await shown(again, "fork at None") == ["e1", "e2", "e3", "e4"]

    @pytest.mark.parametrize(
        ("at", "named"),
        [
            (0, "at=0.*'talk'.*take the seq or the id"),
            (-1, "at=-1.*'talk'.*take the seq or the id"),
            (True, "at=True.*'talk'"),
            (1.5, "at=1.5.*'talk'"),
            (7, "'talk' has 6 events, and none with the seq 7: fork it at an event that it shows"),
            (10**30, "'talk' has 6 events"),
            ("nobody", "'talk' holds no event 'nobody': fork it at an event that it shows"),
            ("", "event id ''"),
        ],
    )
    async def test_a_point_that_is_not_there_is_refused(
        self, store: BaseSessionStore, reopen: Reopen, at: int | str, named: str
    ) -> None:
        await store.create("talk", change=changed())

        for detached in (False, True):
            with pytest.raises(InvalidSessionOperation, match=named):
                await store.fork("talk", at=at, new_id="fork", detached=detached)

        await self._nothing_was_made(await reopen())

    @pytest.mark.parametrize(
        ("wrong", "named"),
        [
            ({"detached": "yes"}, "detached='yes' is neither True nor False"),
            ({"properties": ["a"]}, "properties is a list: pass a dict"),
            ({"properties": ["a"], "detached": True}, "properties is a list: pass a dict"),
        ],
    )
    async def test_what_is_no_option_of_a_fork_is_refused(
        self, store: BaseSessionStore, reopen: Reopen, wrong: dict[str, Any], named: str
    ) -> None:
        await store.create("talk", change=changed())

        with pytest.raises(InvalidSessionOperation, match=named):
            await store.fork("talk", new_id="fork", **wrong)

        await self._nothing_was_made(await reopen())

    async def test_an_id_that_is_none_is_refused(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=changed())
        for detached in (False, True):
            with pytest.raises(InvalidSessionOperation, match="session id ''"):
                await store.fork("talk", at=4, new_id="", detached=detached)

        await self._nothing_was_made(await reopen())

    async def test_a_hidden_point_and_an_empty_session_are_refused(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=changed())
        await store.retract("talk", "e3")
        await store.create("empty")
        for source, at in (("talk", 3), ("talk", "e3"), ("empty", None), ("empty", 1)):
            remedy = "restore that one first" if source == "talk" else "at an event that it shows"
            with pytest.raises(InvalidSessionOperation, match=f"'{source}'.*{remedy}"):
                await store.fork(source, at=at, new_id="fork")
        with pytest.raises(SessionNotFound):
            await store.fork("nowhere", at=1, new_id="fork")
        deleted = await store.create("deleted", change=changed())
        await store.delete(deleted)
        await store.create("deleted", change=changed())
        with pytest.raises(SessionNotFound):
            await store.fork(deleted, at=1, new_id="fork")

        await store.delete("empty")
        await store.delete("deleted")
        await self._nothing_was_made(await reopen())

    async def _nothing_was_made(self, store: BaseSessionStore) -> None:
        assert await store.list_sessions() == ["talk"]
        assert await store.forks("talk") == []
        assert [*await store.tree("talk")] == [("talk", None)]

    async def test_forking_again_under_one_id_returns_the_fork_that_is_there(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        source = await store.create("talk", change=changed())
        first = await store.fork("talk", at="e4", new_id="fork")
        await store.append("fork", said(id="own"))
        await store.retract("talk", "e4")
        await store.append("talk", said())

        again = await reopen()

        for through, at in (("talk", 4), ("talk", "e4"), (source, 4), ("talk", None)):
            found = await again.fork(through, at=at, new_id="fork")
            assert (found.creation_id, found.revision) == (first.creation_id, 2)
        for at in (3, "e3", 5, "own"):
            with pytest.raises((SessionAlreadyExists, InvalidSessionOperation)):
                await again.fork("talk", at=at, new_id="fork")
        with pytest.raises(SessionAlreadyExists):
            await again.fork("talk", at=3, new_id="talk")
        assert await again.forks("talk") == ["fork"]
        assert await shown(again, "fork") == ["e1", "e2", "e3", "e4", "own"]

    async def test_of_many_who_fork_at_once_under_one_id_all_get_the_same_fork(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=changed())
        stores = [store, await reopen()]

        found = await asyncio.gather(*(stores[n % 2].fork("talk", at=4, new_id="fork") for n in range(8)))

        again = await reopen()
        assert {each.creation_id for each in found} == {(await whole(again, "fork")).creation_id}
        assert await again.forks("talk") == ["fork"]
        assert await shown(again, "fork") == ["e1", "e2", "e3", "e4"]

    async def test_a_fork_whose_reply_was_lost_is_there_once(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=changed())
        backend = LossyBackend(store._open_backend)
        lossy = BaseSessionStore(backend)
        backend.replies_to_lose = 1
        with pytest.raises(StoreUnavailable):
            await lossy.fork("talk", at=4, new_id="fork")
        await store.append("talk", said())
        await store.append("fork", said(id="own"))

        found = await lossy.fork("talk", at=4, new_id="fork")

        assert (found.revision, found.last_seq) == (2, 5)
        assert await shown(await reopen(), "fork") == ["e1", "e2", "e3", "e4", "own"]

    async def test_a_chain_of_forks_reads_like_one_session(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("f0", change=SessionChange(events=[said(id="e1")]))
        for number in range(1, CHAIN + 1):
            await store.fork(f"f{number - 1}", new_id=f"f{number}")
            await store.append(f"f{number}", said(id=f"e{number + 1}"))
        await store.retract(f"f{CHAIN}", "e2", "e30")

        again = await reopen()

        expected = [f"e{number}" for number in range(1, CHAIN + 2) if number not in (2, 30)]
        assert await shown(again, f"f{CHAIN}") == expected
        assert ids(await again.events(f"f{CHAIN}", after=10, limit=3)) == ["e11", "e12", "e13"]
        # From the middle of the chain, it hangs below the session that has stored the event.
        middle = await again.fork(f"f{CHAIN}", at=20, new_id="middle")
        assert (middle.parent_id, middle.forked_from and middle.forked_from.id) == ("f19", f"f{CHAIN}")
        assert await shown(again, "middle") == [each for each in expected if int(each[1:]) <= 20]

    async def test_long_logs_are_read_across_the_border_in_pages(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=SessionChange(events=several(700)))
        await store.fork("talk", at=650, new_id="fork")
        await store.append("fork", *several(50, "own"))
        await store.retract("fork", "e2", "e640", "own1")

        again = await reopen()

        expected = [f"e{n}" for n in range(1, 651) if n not in (2, 640)] + [f"own{n}" for n in range(2, 51)]
        assert await shown(again, "fork") == expected
        paged: list[str] = []
        after: int | None = 0
        while after is not None:
            page = await again.events_page("fork", after=after, limit=97)
            paged += ids(page.events)
            after = page.next_after
        assert paged == expected
        assert ids(await again.events("fork", after=648, limit=3)) == ["e649", "e650", "own2"]
        newest = await again.get("fork", last=55)
        assert newest is not None
        assert ids(newest.events) == expected[-55:]

    async def test_a_damaged_event_of_the_source_is_corruption_to_its_forks(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=changed())
        await store.fork("talk", at=4, new_id="fork")
        await store.append("fork", said(id="own"))
        await self.damage(store, "talk")

        again = await reopen()

        for read in (again.get("fork"), again.events("fork"), again.read_messages("fork")):
            with pytest.raises(CorruptSession):
                await read

    async def test_a_fork_is_saved_like_any_other_session_but_nowhere_else(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=changed())
        await store.fork("talk", at=4, new_id="fork")
        read: AnySession = await whole(store, "fork")
        read.add_event(said(id="own"))
        read.state["k"] = 1
        await store.save(read)
        with pytest.raises(InvalidSessionOperation, match=r"'talk'.*detached"):
            await store.namespace("elsewhere").save(read)

        again = await reopen()

        assert await shown(again, "fork") == ["e1", "e2", "e3", "e4", "own"]
        assert (await whole(again, "fork")).state == {"k": 1}
        assert await again.namespace("elsewhere").list_sessions() == []
