"""Sessions by their properties and titles, counted and in pages, whose cursors are of their query alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import Reopen
from a2a_session_manager.testing.contract.filed import Clock, FiledContract, listed, made
from a2a_session_manager.testing.contract.making import said, whole


class FindingSessionsContract(FiledContract):
    async def test_sessions_are_found_by_the_properties_that_they_have_now(
        self, filed: BaseSessionStore, refile: Reopen, ticking: Clock
    ) -> None:
        for number, owner in enumerate(["ann", "bob", "ann", "ann", "bob", "ann"]):
            await made(filed, f"s{number}", owner=owner, n=number % 2)
            ticking.tick()
        await made(filed, "child of s1", "s1", owner="ann")
        ticking.tick()
        for order in ("updated", "created", "id"):  # what is asked for now, changes
            assert len(await listed(filed, order=order, properties={"owner": "ann"})) == 5
            assert len(await listed(filed, order=order, properties={"owner": "bob"}, roots_only=True)) == 2
        await filed.commit("s0", SessionChange(set_properties={"owner": "bob"}))
        await filed.commit("s2", SessionChange(unset_properties=["owner"]))
        session = await whole(filed, "s4")
        session.metadata.set_property("owner", "ann")
        await filed.save(session)
        await filed.delete("s5")
        again = await refile()

        for store in (again, filed):
            for order in ("updated", "created", "id"):
                found = await listed(store, 2, order=order, properties={"owner": "ann"})
                assert (sorted(found), len(found)) == (["child of s1", "s3", "s4"], 3)
                roots = await listed(store, 2, order=order, properties={"owner": "ann"}, roots_only=True)
                assert sorted(roots) == ["s3", "s4"]
                assert sorted(await listed(store, 2, order=order, properties={"owner": "bob"})) == ["s0", "s1"]
        assert await listed(again, 1, properties={"owner": "bob"}) == ["s1", "s0"]
        assert await listed(again, 1, properties={"owner": "bob"}, newest_first=False) == ["s0", "s1"]
        assert await listed(again, properties={"owner": "ann", "n": 1}) == ["s3"]
        assert await listed(again, properties={"owner": "cy"}) == []
        await again.append("s0", said("x"))
        assert await listed(again, 1, properties={"owner": "bob"}) == ["s0", "s1"]

    async def test_a_value_is_found_as_it_is_and_no_other_one(self, filed: BaseSessionStore, refile: Reopen) -> None:
        values: list[Any] = ["1", 1, True, False, 0, "", "ann", "Ann", "ann ", "änn", "a\u0308nn", "x" * 5_000, 2**70]
        values += ["a\x00b", "\ud83d", '"', "%41", "A", "a:b", "{a}"]
        for number, value in enumerate(values):
            await made(filed, f"s{number}", owner=value)
        for number, value in enumerate([None, 1.5, ["ann"], {"ann": 1}]):
            await made(filed, f"none {number}", owner=value)
        await made(filed, "without")
        again = await refile()

        found = [await listed(again, properties={"owner": value}) for value in values]

        assert found == [[f"s{number}"] for number in range(len(values))]
        assert len(await listed(again)) == len(values) + 5

    async def test_titles_are_found_by_any_part_whatever_the_case(
        self, filed: BaseSessionStore, refile: Reopen, ticking: Clock
    ) -> None:
        titles: dict[str, Any] = {
            "oslo": "Two days in OSLO",
            "street": "Große Straße",
            "cafe": "Cafe\u0301 au lait",
            "none": None,
            "number": 5,
            "list": ["oslo"],
        }
        for name, title in titles.items():
            await made(filed, name, title=title, owner="ann")
            ticking.tick()
        await made(filed, "untitled")
        await made(filed, "other", title="Oslo again")
        again = await refile()

        assert await listed(again, 1, title="oslo") == ["other", "oslo"]
        assert await listed(again, 1, title="oslo", newest_first=False) == ["oslo", "other"]
        assert await listed(again, title="oslo", properties={"owner": "ann"}) == ["oslo"]
        assert await listed(again, title="STRASSE") == ["street"]
        assert await listed(again, title="caf\u00e9 AU") == ["cafe"]
        assert sorted(await listed(again, title="o", order="id")) == ["oslo", "other", "street"]
        assert await listed(again, title="5") == []
        assert len(await listed(again, title="")) == 8

    async def test_sessions_are_counted_exactly(self, filed: BaseSessionStore, refile: Reopen) -> None:
        for number in range(7):
            await made(filed, f"s{number}", owner="ann" if number < 5 else "bob", done=number % 2 == 0)
            await made(filed, f"child {number}", f"s{number}", owner="ann")
        await filed.commit("s0", SessionChange(set_properties={"owner": "bob"}))
        await filed.delete("s1", children="cascade")
        again = await refile()

        assert (await again.count(), await again.count(roots_only=True)) == (12, 6)
        assert await again.count(properties={"owner": "ann"}) == 3 + 6
        assert await again.count(properties={"owner": "ann"}, roots_only=True) == 3
        assert await again.count(properties={"owner": "bob", "done": True}) == 2
        assert await again.count(properties={"owner": "cy"}) == 0
        assert await again.namespace("other").count() == 0

    async def test_pages_of_namespaces_are_apart(self, filed: BaseSessionStore, refile: Reopen) -> None:
        for name in ("", "a", "b"):
            for number in range(2):
                await made(filed.namespace(name) if name else filed, f"{name}{number}", owner="ann")
        again = await refile()

        assert sorted(await listed(again, 1)) == ["0", "1"]
        assert sorted(await listed(again.namespace("a"), 1)) == ["a0", "a1"]
        assert sorted(await listed(again.namespace("b"), 1, properties={"owner": "ann"})) == ["b0", "b1"]
        cursor = (await again.namespace("a").page(limit=1)).cursor
        with pytest.raises(InvalidSessionOperation, match="another query"):
            await again.namespace("b").page(limit=1, cursor=cursor)

    async def test_a_cursor_is_of_its_query_alone(self, filed: BaseSessionStore, refile: Reopen) -> None:
        for number in range(4):
            await made(filed, f"s{number}", owner="ann", n=1, title="talk")
        again = await refile()
        query: dict[str, Any] = {"properties": {"owner": "ann", "n": 1}, "title": "TALK", "roots_only": True}
        cursor = (await again.page(limit=2, **query)).cursor
        assert cursor is not None
        assert cursor.isascii()
        assert (cursor.replace("-", "").replace("_", "")).isalnum()
        others: list[dict[str, Any]] = [
            {"order": "created"},
            {"newest_first": False},
            {"properties": {"owner": "bob", "n": 1}},
            {"properties": {"owner": "ann"}},
            {"properties": {"owner": "ann", "n": "1"}},
            {"title": "tal"},
            {"roots_only": False},
        ]

        for other in others:
            with pytest.raises(InvalidSessionOperation, match="another query"):
                await again.page(limit=2, cursor=cursor, **{**query, **other})
        for bad in ("x", "", "AAAA", cursor[:-2], f"{cursor}AAAA", "ü", "s1", "a b"):
            with pytest.raises(InvalidSessionOperation, match="cursor"):
                await again.page(limit=2, cursor=bad, **query)
        same = {**query, "title": "talk", "properties": {"n": 1, "owner": "ann"}}
        assert len(await again.page(limit=9, cursor=cursor, last=1, **same)) == 2

    async def test_what_cannot_be_asked_for_is_refused_by_name(self, filed: BaseSessionStore, place: Path) -> None:
        plain = await self.open_store(place)
        try:
            for store in (filed, filed.namespace("a"), plain):
                for ask in (store.page, store.count):
                    with pytest.raises(InvalidSessionOperation, match=r"indexed=\('team'"):
                        await ask(properties={"owner": "ann", "team": "x"} if store is not plain else {"team": "x"})
            assert await plain.page() is not None
        finally:
            await plain.aclose()
        for value in (None, 1.5, ["ann"], {"a": 1}, b"ann"):
            with pytest.raises(InvalidSessionOperation, match="owner"):
                await filed.page(properties={"owner": value})
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"order": "newest"}, "order"),
            ({"order": None}, "order"),
            ({"properties": ["owner"]}, "properties"),
            ({"title": 5}, "title"),
            ({"limit": -1}, "limit"),
            ({"limit": True}, "limit"),
            ({"last": None}, "last"),
            ({"cursor": 5}, "cursor"),
        ]
        for query, named in wrong:
            with pytest.raises(InvalidSessionOperation, match=named):
                await filed.page(**query)
