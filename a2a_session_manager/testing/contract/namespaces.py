"""Namespaces: each has sessions of its own, whatever its name looks like."""

from __future__ import annotations

import pytest

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import ids, said, several, spending, whole

# Pairs of namespace and id that would be the same if the two were simply joined.
LOOKALIKES = [
    ("a", "b:c"),
    ("a:b", "c"),
    ("", "a:b:c"),
    ("a", "b/c"),
    ("a/b", "c"),
    ("a", "b\x00c"),
    ("a\x00b", "c"),
    ("a", "b%3Ac"),
    ("a%3Ab", "c"),
    ("a}", "{b"),
    ("{a", "b}"),
    ("A", "b:c"),
    ("a", "B:c"),
]


class NamespacesContract(ContractBase):
    async def test_namespaces_and_ids_that_look_alike_when_joined_stay_apart(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        for number, (name, session_id) in enumerate(LOOKALIKES):
            await store.namespace(name).create(session_id, change=SessionChange(events=[said(number)]))
        again = await reopen()

        found = [(await whole(again.namespace(name), session_id)).events for name, session_id in LOOKALIKES]

        assert [events[0].message for events in found] == list(range(len(LOOKALIKES)))

    async def test_one_id_in_two_namespaces_is_two_sessions(self, store: BaseSessionStore, reopen: Reopen) -> None:
        for name in ("", "mine", "theirs"):
            await store.namespace(name).create("talk", change=SessionChange(events=[spending(5, id="e1")]))
        await store.namespace("mine").append("talk", said(id="e2"))
        await store.namespace("theirs").delete("talk")
        again = await reopen()

        assert ids((await whole(again, "talk")).events) == ["e1"]
        assert ids((await whole(again.namespace("mine"), "talk")).events) == ["e1", "e2"]
        assert await again.namespace("theirs").get("talk") is None
        assert (await again.usage("talk", tree=True)).total.requests == 1

    async def test_a_listing_shows_its_own_namespace_only(self, store: BaseSessionStore, reopen: Reopen) -> None:
        for name in ("", "mine", "mine2", "min"):
            await store.namespace(name).create(f"talk in {name!r}")
        again = await reopen()

        listings = [await again.namespace(name).list_sessions() for name in ("", "mine", "mine2", "min", "none")]

        assert listings == [["talk in ''"], ["talk in 'mine'"], ["talk in 'mine2'"], ["talk in 'min'"], []]

    async def test_the_empty_namespace_is_the_stores_own(self, store: BaseSessionStore) -> None:
        await store.create("talk")

        assert await store.namespace("").list_sessions() == ["talk"]

    async def test_a_view_of_one_namespace_leads_to_no_other(self, store: BaseSessionStore) -> None:
        for name in ("", "mine", "other"):
            with pytest.raises(InvalidSessionOperation, match="do not nest"):
                store.namespace("mine").namespace(name)

    async def test_a_view_leaves_the_store_open_when_it_is_closed(self, store: BaseSessionStore) -> None:
        async with store.namespace("mine") as mine:
            await mine.create("talk", change=SessionChange(events=several(1)))

        assert await mine.list_sessions() == ["talk"]
        assert await store.list_sessions() == []

    async def test_a_walk_stays_in_the_namespace_of_its_session(self, store: BaseSessionStore, reopen: Reopen) -> None:
        for name in ("", "mine"):
            await store.namespace(name).create("root", change=SessionChange(set_state={"of": name}))
            await store.namespace(name).create("leaf", parent_id="root")

        leaf = await whole((await reopen()).namespace("mine"), "leaf")

        assert [each.state for each in await leaf.ancestors()] == [{"of": "mine"}]

    @pytest.mark.parametrize("name", ["x" * 513, "\ud800", None, 7], ids=["long", "surrogate", "None", "int"])
    async def test_what_cannot_be_a_namespace_is_refused(self, store: BaseSessionStore, name: str) -> None:
        with pytest.raises(InvalidSessionOperation):
            store.namespace(name)
