"""Where forks stand: below the session whose event they begin with, apart from its children, and deleted with it."""

from __future__ import annotations

import pytest

from a2a_session_manager.exceptions import InvalidSessionOperation, SessionNotFound
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.forking import changed, shown
from a2a_session_manager.testing.contract.making import ids, said, spending, whole


async def planted(store: BaseSessionStore) -> None:
    """Make a root with a child, two forks, one of them with a child and a fork, and a fork of the child."""
    await store.create("talk", change=changed())
    await store.create("kid", parent_id="talk", change=changed())
    await store.fork("talk", at=4, new_id="one")
    await store.append("one", said(id="own"))
    await store.fork("talk", at=2, new_id="two")
    await store.create("below one", parent_id="one")
    await store.fork("one", at=5, new_id="of one")
    await store.fork("one", at=3, new_id="three")
    await store.fork("kid", at=1, new_id="of kid")


class ForksInTreesContract(ContractBase):
    async def test_forks_are_listed_apart_from_children_and_all_are_in_the_tree(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await planted(store)

        again = await reopen()

        assert await again.children("talk") == (await whole(again, "talk")).child_ids == ["kid"]
        assert await again.forks("talk") == ["one", "two", "three"]
        assert (await again.forks("one"), await again.children("one")) == (["of one"], ["below one"])
        assert (await again.forks("kid"), await again.children("kid")) == (["of kid"], [])
        assert await again.forks("two") == []
        tree = await again.tree("of one")
        assert tree == [
            ("talk", None),
            ("kid", "talk"),
            ("one", "talk"),
            ("two", "talk"),
            ("below one", "one"),
            ("of one", "one"),
            ("three", "talk"),
            ("of kid", "kid"),
        ]
        one = (await whole(again, "one")).creation_id
        points = {node.id: node.forked_from and (node.forked_from.id, node.forked_from.seq) for node in tree}
        assert points == {
            "talk": None,
            "kid": None,
            "one": ("talk", 4),
            "two": ("talk", 2),
            "below one": None,
            "of one": ("one", 5),
            "three": ("one", 3),
            "of kid": ("kid", 1),
        }
        assert {node.forked_from.creation_id for node in tree if node.id == "three" and node.forked_from} == {one}

    async def test_descendants_leave_out_forks_and_ancestors_of_a_fork_are_those_above_it(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await planted(store)

        again = await reopen()

        talk, below = await whole(again, "talk"), await whole(again, "below one")
        assert [each.id for each in await talk.descendants(store=again)] == ["kid"]
        assert [each.id for each in await (await whole(again, "one")).descendants(store=again)] == ["below one"]
        assert [each.id for each in await below.ancestors(store=again)] == ["one", "talk"]

    async def test_pages_of_forks_join_to_the_whole(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=changed())
        await store.create("kid", parent_id="talk")
        for number in range(5):
            await store.fork("talk", at=number + 1, new_id=f"f{number}")
        again = await reopen()
        for limit in (1, 2, 5, 6):
            found: list[str] = []
            cursor = None
            while True:
                page = await again.forks_page("talk", cursor=cursor, limit=limit)
                assert len(page.session_ids) <= limit
                found += page.session_ids
                cursor = page.cursor
                if cursor is None:
                    break
            assert found == [f"f{number}" for number in range(5)]

        assert (await again.forks_page("talk", limit=0)).session_ids == []
        with pytest.raises(InvalidSessionOperation):
            await again.forks_page("talk", limit=-1)
        with pytest.raises(SessionNotFound):
            await again.forks("nowhere")
        with pytest.raises(SessionNotFound):
            await again.forks_page("nowhere")

    async def test_listings_hold_forks_and_pages_of_roots_those_of_roots(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await planted(store)

        again = await reopen()

        every = {"talk", "kid", "one", "two", "below one", "of one", "three", "of kid"}
        assert set(await again.list_sessions()) == every
        assert [each async for each in again.iter_sessions(roots_only=True)] == ["talk"]
        page = await again.page(roots_only=True)
        assert {head.id for head in page} == {"talk", "one", "two", "of one", "three"}
        assert {head.id: head.forked_from and head.forked_from.seq for head in page}["of one"] == 5
        assert await again.count(roots_only=True) == 5
        assert await again.count() == len(every)

    async def test_what_has_forks_is_not_deleted_without_them_and_they_are_named(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await planted(store)
        with pytest.raises(InvalidSessionOperation, match=r"'talk'.*1 child .*'one', 'two', 'three'.*cascade"):
            await store.delete("talk")
        with pytest.raises(InvalidSessionOperation, match="'of kid'"):
            await store.delete("kid")
        with pytest.raises(InvalidSessionOperation, match="'of one'"):
            await (await reopen()).delete("one")

        again = await reopen()

        assert len(await again.tree("talk")) == 8
        assert await shown(again, "of one") == ["e1", "e2", "e3", "e4", "own"]

    async def test_a_cascade_takes_forks_along_and_leaves_what_is_beside_them(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await planted(store)
        await store.delete("one", children="cascade")
        await store.delete("two")

        again = await reopen()

        assert [node.id for node in await again.tree("talk")] == ["talk", "kid", "three", "of kid"]
        assert await again.forks("talk") == ["three"]
        assert await shown(again, "three") == ["e1", "e2", "e3"]
        with pytest.raises(SessionNotFound):
            await again.append("of one", said())
        await again.delete("talk", children="cascade")
        assert await (await reopen()).list_sessions() == []

    async def test_a_later_session_of_a_deleted_source_has_nothing_of_it(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=changed())
        old = await store.fork("talk", at=4, new_id="fork")
        await store.append(old, said(id="own"))
        await store.delete("fork")
        new = await store.fork("talk", at=2, new_id="fork")
        assert new.creation_id != old.creation_id
        await store.append("fork", said("mine", id="own"))
        with pytest.raises(SessionNotFound):
            await store.append(old, said())
        assert await shown(await reopen(), "fork") == ["e1", "e2", "own"]
        await store.delete("talk", children="cascade")
        await store.create("talk", change=SessionChange(events=[said(id="new")]))
        await store.create("fork")

        again = await reopen()

        assert await shown(again, "fork") == []
        assert (await whole(again, "fork")).forked_from is None
        assert await again.forks("talk") == []
        assert ids((await whole(again, "talk")).events) == ["new"]

    async def test_what_a_deleted_fork_has_spent_stays_in_its_tree(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=[spending(5)]))
        await store.fork("talk", new_id="fork")
        await store.append("fork", spending(3))
        assert (await store.usage("talk", tree=True)).total.prompt_tokens == 8
        await store.delete("fork")

        again = await reopen()

        assert (await again.usage("talk", tree=True)).total.prompt_tokens == 8
        assert (await again.usage("talk")).total.prompt_tokens == 5

    async def test_a_fork_stays_in_its_namespace(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.namespace("n").create("talk", change=changed())
        await store.namespace("n").fork("talk", at=4, new_id="fork")
        with pytest.raises(SessionNotFound):
            await store.fork("talk", at=4, new_id="fork")

        again = await reopen()

        assert await again.list_sessions() == []
        assert await shown(again.namespace("n"), "fork") == ["e1", "e2", "e3", "e4"]
