"""Namespaces: each has sessions of its own, whatever its name looks like."""

from __future__ import annotations

from functools import reduce

import pytest

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import NASTY, ids, said, several, spending, whole

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


# Namespaces that would be the same if their names were simply joined.
NESTED = [
    (),
    ("a",),
    ("a", "b"),
    ("a/b",),
    ("a%2Fb",),
    ("a", "b", "c"),
    ("a/b", "c"),
    ("a", "b/c"),
    ("a/b/c",),
    ("a", "a"),
    ("b", "a"),
    ("A", "b"),
    ("a", "@b"),
    ("a@b",),
    ("a", "logs"),
    ("a", "default"),
]


def inside(store: BaseSessionStore, names: tuple[str, ...]) -> BaseSessionStore:
    """Return the view of the namespace with these names, from the outermost one on."""
    return reduce(lambda view, name: view.namespace(name), names, store)


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

    async def test_namespaces_nest_and_each_has_sessions_of_its_own(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        for number, names in enumerate(NESTED):
            await inside(store, names).create("talk", change=SessionChange(events=[said(number)]))
        again = await reopen()

        found = [(await whole(inside(again, names), "talk")).events for names in NESTED]
        listed = [await inside(again, names).list_sessions() for names in NESTED]

        assert [events[0].message for events in found] == list(range(len(NESTED)))
        assert listed == [["talk"]] * len(NESTED)

    async def test_a_view_of_one_namespace_leads_down_and_to_no_other(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        for name in ("", "mine", "other"):
            await store.namespace(name).create(f"talk in {name!r}")
        mine = (await reopen()).namespace("mine")

        found = [await mine.namespace(name).list_sessions() for name in ("", "mine", "other", "..", "/", "../other")]

        assert found == [["talk in 'mine'"], [], [], [], [], []]

    async def test_namespaces_are_listed_by_those_directly_above_them(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        for names in (("acme", "eu", "web"), ("acme", "us"), ("acme/us",), ("b",)):
            await inside(store, names).create("talk")
        again = await reopen()

        listed = {
            names: sorted(await inside(again, names).namespaces())
            for names in [(), ("acme",), ("acme", "eu"), ("acme", "eu", "web"), ("acme/us",), ("nowhere",)]
        }

        assert listed == {
            (): ["acme", "acme/us", "b"],
            ("acme",): ["eu", "us"],
            ("acme", "eu"): ["web"],
            ("acme", "eu", "web"): [],
            ("acme/us",): [],
            ("nowhere",): [],
        }

    async def test_a_namespace_is_listed_while_it_holds_a_session(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk")
        for names in (("mine",), ("mine", "inner"), ("other", "inner")):
            await inside(store, names).create("talk")
        seen = [sorted(await store.namespaces())]
        for names in (("mine",), ("other", "inner"), ("mine", "inner")):
            await inside(store, names).delete("talk")
            seen.append(sorted(await (await reopen()).namespaces()))
        await inside(store, ("other", "inner")).create("talk")
        seen.append(await (await reopen()).namespaces())

        assert seen == [["mine", "other"], ["mine", "other"], ["mine"], [], ["other"]]

    async def test_names_of_namespaces_are_listed_as_they_were_given(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        for name in NASTY.values():
            await inside(store, (name, name)).create("talk")
        again = await reopen()

        assert sorted(await again.namespaces()) == sorted(NASTY.values())
        for name in NASTY.values():
            assert await again.namespace(name).namespaces() == [name]

    async def test_namespaces_nest_up_to_8_deep(self, store: BaseSessionStore, reopen: Reopen) -> None:
        deepest = inside(store, tuple("abcdefgh"))
        await deepest.create("talk")

        with pytest.raises(InvalidSessionOperation, match="8 are the most"):
            deepest.namespace("i")
        assert await inside(await reopen(), tuple("abcdefgh")).list_sessions() == ["talk"]

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
