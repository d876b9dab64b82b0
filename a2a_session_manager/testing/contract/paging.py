"""Pages of heads: in each order, by properties and titles, while sessions come, go and become active."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.models import clock
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_head import SessionHead
from a2a_session_manager.models.session_metadata import SessionMetadata
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.protocols import HeadsPage
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import ids, said, several, spending, whole

INDEXED = ("owner", "n", "done")
# More than an index is behind by.
STEP_SECONDS = 11
_MOST_PAGES = 40


class Clock:
    """The writers' clock, which stands still; `tick` lets time pass."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def tick(self, seconds: float = STEP_SECONDS) -> None:
        self.seconds += seconds

    def time_ns(self) -> int:
        return round(self.seconds * 1_000_000) * 1_000


async def _paged(store: BaseSessionStore, limit: int = 3, **query: Any) -> list[list[SessionHead]]:
    pages: list[list[SessionHead]] = []
    cursor = None
    while True:
        assert len(pages) < _MOST_PAGES, "a paging does not end"
        page = await store.page(limit=limit, cursor=cursor, **query)
        assert len(page) <= limit
        # A store that cannot tell whether there are more may return an empty page at the end.
        assert len(page) == limit or page.cursor is None
        pages.append(list(page))
        if (cursor := page.cursor) is None:
            return pages


async def _found(store: BaseSessionStore, limit: int = 3, **query: Any) -> list[str]:
    return [head.id for page in await _paged(store, limit, **query) for head in page]


async def _made(store: BaseSessionStore, session_id: str, parent_id: str | None = None, **properties: Any) -> None:
    await store.create(session_id, parent_id=parent_id, change=SessionChange(set_properties=properties))


Activity = Callable[[BaseSessionStore], Awaitable[object]]
# What moves the session "moved" to the front, and what does not.
ACTIVITIES: list[tuple[Activity, bool]] = [
    (lambda store: store.append("moved", said("x", id="e1")), True),
    (lambda store: store.commit("moved", SessionChange(set_properties={"owner": "bob"})), False),
    (lambda store: store.commit("moved", SessionChange(set_state={"a": 1})), True),
    (lambda store: store.append("moved", said("x", id="e1")), False),  # it is known
    (lambda store: store.commit("moved", SessionChange(runs=[SessionRun(id="r")])), True),
    (lambda store: store.commit("moved", SessionChange(unset_properties=["owner"])), False),
    (lambda store: store.retract("moved", "e1"), True),
    (lambda store: _made(store, "child", "moved"), False),
    (lambda store: store.restore("moved", "e1"), True),
]


class PagingContract(ContractBase):
    @pytest.fixture
    def ticking(self, monkeypatch: pytest.MonkeyPatch) -> Clock:
        """A clock in the place of that of the writers."""
        ours = Clock()
        monkeypatch.setattr(clock, "time_ns", ours.time_ns)
        return ours

    @pytest_asyncio.fixture
    async def filed(self, place: Path) -> AsyncIterator[BaseSessionStore]:
        """A store that finds sessions by some of their properties."""
        store = await self.open_indexed_store(place, INDEXED)
        yield store
        await store.aclose()

    @pytest_asyncio.fixture
    async def refile(self, filed: BaseSessionStore, place: Path) -> AsyncIterator[Reopen]:
        """`await refile()` opens a cold store over the same data, which finds by the same properties."""
        opened: list[BaseSessionStore] = []

        async def reopened() -> BaseSessionStore:
            if not self.is_durable:
                return filed
            opened.append(await self.open_indexed_store(place, INDEXED))
            return opened[-1]

        yield reopened
        for cold in opened:
            await cold.aclose()

    async def test_pages_of_each_order_join_to_the_whole_with_each_limit(
        self, filed: BaseSessionStore, refile: Reopen, ticking: Clock
    ) -> None:
        for name in ("d", "a", "c", "b", "é"):
            await _made(filed, name)
            ticking.tick()
            await _made(filed, f"{name} child", name)
            ticking.tick()
        created = ["d", "d child", "a", "a child", "c", "c child", "b", "b child", "é", "é child"]
        active = [*created]
        for name in ("c", "d child", "é", "c"):
            await filed.append(name, said("x"))
            active.remove(name)
            active.append(name)
            ticking.tick()
        again = await refile()

        for limit in (1, 3, 9, 10, 11):
            assert await _found(again, limit) == active[::-1]
            assert await _found(again, limit, order="updated", newest_first=False) == active
            assert await _found(again, limit, order="created") == created[::-1]
            assert await _found(again, limit, order="created", newest_first=False) == created
            assert await _found(again, limit, order="id") == await again.list_sessions()
        roots = [name for name in active if "child" not in name]
        assert await _found(again, 2, roots_only=True) == roots[::-1]
        assert await _found(again, 5, roots_only=True, newest_first=False) == roots
        assert await _found(again, 2, roots_only=True, order="created", newest_first=False) == created[::2]
        assert sorted(await _found(again, 2, roots_only=True, order="id")) == sorted(roots)

    async def test_a_page_is_in_the_exact_order_of_activity(
        self, filed: BaseSessionStore, refile: Reopen, ticking: Clock
    ) -> None:
        for number in range(6):
            await _made(filed, f"s{number}")
        # Less than an index needs to know, in another order each time.
        for order in ("351042", "204513"):
            for digit in order:
                ticking.tick(0.001)
                await filed.append(f"s{digit}", said("x"))

        again = await refile()

        assert await _found(again, 6) == [f"s{number}" for number in "315402"]
        assert await _found(again, 6, newest_first=False) == [f"s{number}" for number in "204513"]

    async def test_only_activity_moves_a_session_to_the_front(
        self, filed: BaseSessionStore, refile: Reopen, ticking: Clock
    ) -> None:
        await _made(filed, "moved", owner="ann")
        told, expected = [], []
        for number, (activity, is_activity) in enumerate(ACTIVITIES):
            ticking.tick()
            await _made(filed, f"other {number}")
            ticking.tick()
            await activity(filed)
            again = await refile()
            told.append((await again.page(limit=1, roots_only=True))[0].id)
            expected.append("moved" if is_activity else f"other {number}")

        assert told == expected

    async def test_a_clock_that_goes_back_moves_no_session_back(
        self, filed: BaseSessionStore, refile: Reopen, ticking: Clock
    ) -> None:
        for name in ("first", "second"):
            await _made(filed, name)
            ticking.tick()
        ticking.tick(-3_600)
        await filed.append("second", said("x"))
        await _made(filed, "late")  # it was created first of all, its writer says
        await filed.append("late", said("x"))

        again = await refile()

        assert await _found(again, 1) == ["second", "first", "late"]
        assert await _found(again, 1, order="created") == ["second", "first", "late"]

    async def test_imported_sessions_stand_where_their_times_say(
        self, filed: BaseSessionStore, refile: Reopen, ticking: Clock
    ) -> None:
        await _made(filed, "new")
        for name, day in (("b", 2), ("c", 3), ("a", 1)):
            at = clock.moment(day * 86_400_000_000)
            await filed.save(Session(id=name, metadata=SessionMetadata(created_at=at, updated_at=at)))
        again = await refile()
        imported = await _found(again, 2)
        await again.append("a", said("x"))

        assert imported == ["new", "c", "b", "a"]
        assert sorted((await _found(again, 4))[:2]) == ["a", "new"]
        assert await _found(again, 2, order="created") == ["new", "c", "b", "a"]

    async def test_a_head_shows_what_its_session_shows(self, filed: BaseSessionStore, refile: Reopen) -> None:
        await _made(filed, "root")
        properties = {"title": "Two days in Oslo", "owner": "ann", "tags": ["a", {"b": None}]}
        runs = [SessionRun(id="ended"), SessionRun(id="open")]
        for run in runs:
            run.mark_running()
        runs[0].mark_completed()
        change = SessionChange(set_properties=properties, set_state={"deep": [1]}, runs=runs)
        await filed.create("talk", parent_id="root", change=change)
        call = said({"name": "search"}, id="called", type=EventType.TOOL_CALL)
        await filed.append("talk", *several(3), spending(7, id="reply"), call)
        await filed.retract("talk", "e3")
        again = await refile()
        session = await whole(again, "talk")

        talk, root = await again.page(last=3)
        bare = (await again.page(limit=1))[0]

        assert (talk.id, talk.parent_id, talk.root_id, talk.forked_from) == ("talk", "root", "root", None)
        assert (talk.title, talk.properties) == ("Two days in Oslo", properties)
        assert (talk.created_at, talk.updated_at) == (session.metadata.created_at, session.metadata.updated_at)
        assert (talk.last_seq, talk.revision) == (session.last_seq, session.revision) == (5, 3)
        assert talk.token_summary.by_model == session.token_summary.by_model
        assert talk.token_summary.total.total_tokens == 14
        assert talk.unfinished_runs == [session.runs[1]]
        assert talk.events == session.events[-3:]
        assert ids(talk.events) == ["e2", "reply", "called"]
        assert talk.newest_message == session.events[-2]
        assert (bare.id, bare.events, bare.newest_message) == ("talk", [], None)
        assert (root.id, root.parent_id, root.root_id, root.title) == ("root", None, "root", None)
        assert (root.events, root.properties, root.unfinished_runs) == ([], {}, [])

    async def test_sessions_are_found_by_the_properties_that_they_have_now(
        self, filed: BaseSessionStore, refile: Reopen, ticking: Clock
    ) -> None:
        for number, owner in enumerate(["ann", "bob", "ann", "ann", "bob", "ann"]):
            await _made(filed, f"s{number}", owner=owner, n=number % 2)
            ticking.tick()
        await _made(filed, "child of s1", "s1", owner="ann")
        ticking.tick()
        for order in ("updated", "created", "id"):  # what is asked for now, changes
            assert len(await _found(filed, order=order, properties={"owner": "ann"})) == 5
            assert len(await _found(filed, order=order, properties={"owner": "bob"}, roots_only=True)) == 2
        await filed.commit("s0", SessionChange(set_properties={"owner": "bob"}))
        await filed.commit("s2", SessionChange(unset_properties=["owner"]))
        session = await whole(filed, "s4")
        session.metadata.set_property("owner", "ann")
        await filed.save(session)
        await filed.delete("s5")
        again = await refile()

        for store in (again, filed):
            for order in ("updated", "created", "id"):
                found = await _found(store, 2, order=order, properties={"owner": "ann"})
                assert (sorted(found), len(found)) == (["child of s1", "s3", "s4"], 3)
                roots = await _found(store, 2, order=order, properties={"owner": "ann"}, roots_only=True)
                assert sorted(roots) == ["s3", "s4"]
                assert sorted(await _found(store, 2, order=order, properties={"owner": "bob"})) == ["s0", "s1"]
        assert await _found(again, 1, properties={"owner": "bob"}) == ["s1", "s0"]
        assert await _found(again, 1, properties={"owner": "bob"}, newest_first=False) == ["s0", "s1"]
        assert await _found(again, properties={"owner": "ann", "n": 1}) == ["s3"]
        assert await _found(again, properties={"owner": "cy"}) == []
        await again.append("s0", said("x"))
        assert await _found(again, 1, properties={"owner": "bob"}) == ["s0", "s1"]

    async def test_a_value_is_found_as_it_is_and_no_other_one(self, filed: BaseSessionStore, refile: Reopen) -> None:
        values: list[Any] = ["1", 1, True, False, 0, "", "ann", "Ann", "ann ", "änn", "a\u0308nn", "x" * 5_000, 2**70]
        values += ["a\x00b", "\ud83d", '"', "%41", "A", "a:b", "{a}"]
        for number, value in enumerate(values):
            await _made(filed, f"s{number}", owner=value)
        for number, value in enumerate([None, 1.5, ["ann"], {"ann": 1}]):
            await _made(filed, f"none {number}", owner=value)
        await _made(filed, "without")
        again = await refile()

        found = [await _found(again, properties={"owner": value}) for value in values]

        assert found == [[f"s{number}"] for number in range(len(values))]
        assert len(await _found(again)) == len(values) + 5

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
            await _made(filed, name, title=title, owner="ann")
            ticking.tick()
        await _made(filed, "untitled")
        await _made(filed, "other", title="Oslo again")
        again = await refile()

        assert await _found(again, 1, title="oslo") == ["other", "oslo"]
        assert await _found(again, 1, title="oslo", newest_first=False) == ["oslo", "other"]
        assert await _found(again, title="oslo", properties={"owner": "ann"}) == ["oslo"]
        assert await _found(again, title="STRASSE") == ["street"]
        assert await _found(again, title="caf\u00e9 AU") == ["cafe"]
        assert sorted(await _found(again, title="o", order="id")) == ["oslo", "other", "street"]
        assert await _found(again, title="5") == []
        assert len(await _found(again, title="")) == 8

    async def test_sessions_that_stay_are_on_one_page_each_while_others_come_go_and_move(
        self, filed: BaseSessionStore, refile: Reopen, ticking: Clock
    ) -> None:
        for newest_first in (True, False):
            name = f"{newest_first} "
            stay, go, move = ([f"{name}{kind}{number}" for number in range(4)] for kind in ("stay", "go", "move"))
            for number in range(4):
                for each in (stay, go, move):
                    await _made(filed, each[number], owner=name)
                    ticking.tick()
            again = await refile()
            for order in ("updated", "created", "id"):
                found: list[str] = []
                cursor = None
                for _ in range(_MOST_PAGES):
                    page = await again.page(
                        order=order, newest_first=newest_first, properties={"owner": name}, limit=2, cursor=cursor
                    )
                    found += [head.id for head in page]
                    if (cursor := page.cursor) is None:
                        break
                    ticking.tick()
                    if go:
                        await filed.delete(go.pop())
                    await filed.append(move[len(found) % 4], said("x"))
                    await _made(filed, f"{name}{order} come {len(found)}", owner=name)

                assert cursor is None, "a paging does not end"
                assert len(found) == len(set(found)), order
                assert [each for each in found if each in stay] == sorted(
                    stay, key=found.index if order == "id" else stay.index, reverse=newest_first and order != "id"
                )
                if order == "created":
                    assert set(move) <= set(found)

    async def test_what_is_deleted_is_on_no_page_and_not_counted_and_its_id_may_come_again(
        self, filed: BaseSessionStore, refile: Reopen, ticking: Clock
    ) -> None:
        await _made(filed, "root", owner="ann")
        for name in ("a", "b"):
            await _made(filed, name, "root", owner="ann")
        await filed.delete("root", children="cascade")
        ticking.tick(-3_600)
        await _made(filed, "a", owner="bob")
        again = await refile()

        for order in ("updated", "created", "id"):
            assert await _found(again, order=order) == ["a"]
            assert await _found(again, order=order, properties={"owner": "ann"}) == []
            assert await _found(again, order=order, properties={"owner": "bob"}) == ["a"]
        assert (await again.count(), await again.count(properties={"owner": "ann"})) == (1, 0)

    async def test_forks_are_on_pages_as_what_they_were_forked_from(
        self, filed: BaseSessionStore, refile: Reopen, ticking: Clock
    ) -> None:
        await _made(filed, "root", owner="ann", title="Oslo")
        ticking.tick()
        await _made(filed, "child", "root", owner="ann")
        for name in ("root", "child"):
            ticking.tick()
            await filed.append(name, *several(3, name))
        for name in ("root", "child"):
            ticking.tick()
            await filed.fork(name, at=2, new_id=f"fork of {name}", properties={"n": 1})
        again = await refile()

        page = await again.page(roots_only=True, last=1)
        created = await _found(again, 1, order="created", newest_first=False, properties={"owner": "ann"})

        assert [head.id for head in page] == ["fork of root", "root"]
        assert [ids(head.events) for head in page] == [["root2"], ["root3"]]
        fork = page[0]
        assert fork.forked_from is not None
        assert (fork.forked_from.id, fork.forked_from.seq, fork.last_seq) == ("root", 2, 2)
        assert (fork.title, fork.properties) == ("Oslo", {"owner": "ann", "title": "Oslo", "n": 1})
        assert created == ["root", "child", "fork of root", "fork of child"]
        assert await _found(again, 1, properties={"n": 1}) == ["fork of child", "fork of root"]
        assert await again.count(properties={"n": 1}, roots_only=True) == 1

    async def test_sessions_are_counted_exactly(self, filed: BaseSessionStore, refile: Reopen) -> None:
        for number in range(7):
            await _made(filed, f"s{number}", owner="ann" if number < 5 else "bob", done=number % 2 == 0)
            await _made(filed, f"child {number}", f"s{number}", owner="ann")
        await filed.commit("s0", SessionChange(set_properties={"owner": "bob"}))
        await filed.delete("s1", children="cascade")
        again = await refile()

        assert (await again.count(), await again.count(roots_only=True)) == (12, 6)
        assert await again.count(properties={"owner": "ann"}) == 3 + 6
        assert await again.count(properties={"owner": "ann"}, roots_only=True) == 3
        assert await again.count(properties={"owner": "bob", "done": True}) == 2
        assert await again.count(properties={"owner": "cy"}) == 0
        assert await again.namespace("other").count() == 0

    async def test_what_many_write_at_once_is_all_found(self, filed: BaseSessionStore, refile: Reopen) -> None:
        async def work(number: int) -> None:
            await _made(filed, f"s{number}", owner=f"user {number % 3}")
            await filed.append(f"s{number}", said("x"))
            await filed.commit(f"s{number}", SessionChange(set_properties={"owner": f"user {number % 2}"}))
            if number % 5 == 0:
                await filed.delete(f"s{number}")

        await asyncio.gather(*(work(number) for number in range(20)))
        again = await refile()

        left = {f"s{number}" for number in range(20) if number % 5}
        assert set(await _found(again, 7)) == left
        for half in (0, 1):
            found = await _found(again, 7, properties={"owner": f"user {half}"})
            assert sorted(found) == sorted(name for name in left if int(name[1:]) % 2 == half)
        assert await again.count(properties={"owner": "user 2"}) == 0

    async def test_pages_of_namespaces_are_apart(self, filed: BaseSessionStore, refile: Reopen) -> None:
        for name in ("", "a", "b"):
            for number in range(2):
                await _made(filed.namespace(name) if name else filed, f"{name}{number}", owner="ann")
        again = await refile()

        assert sorted(await _found(again, 1)) == ["0", "1"]
        assert sorted(await _found(again.namespace("a"), 1)) == ["a0", "a1"]
        assert sorted(await _found(again.namespace("b"), 1, properties={"owner": "ann"})) == ["b0", "b1"]
        cursor = (await again.namespace("a").page(limit=1)).cursor
        with pytest.raises(InvalidSessionOperation, match="another query"):
            await again.namespace("b").page(limit=1, cursor=cursor)

    async def test_a_cursor_is_of_its_query_alone(self, filed: BaseSessionStore, refile: Reopen) -> None:
        for number in range(4):
            await _made(filed, f"s{number}", owner="ann", n=1, title="talk")
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

    async def test_a_limit_of_0_returns_nothing_and_the_cursor_as_it_was(self, filed: BaseSessionStore) -> None:
        empty = await filed.page()
        await _made(filed, "a")
        await _made(filed, "b")
        cursor = (await filed.page(limit=1)).cursor

        nothing = await filed.page(limit=0, cursor=cursor)

        assert (list(empty), empty.cursor) == ([], None)
        assert (list(nothing), nothing.cursor) == ([], cursor)

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

    async def test_a_page_is_a_sequence_of_heads(self, filed: BaseSessionStore) -> None:
        await _made(filed, "talk")

        page = await filed.page()

        assert isinstance(page, HeadsPage)
        assert [head.id for head in page] == [page[0].id] == [each.id for each in page[:1]] == ["talk"]
        assert (len(page), page.cursor) == (1, None)
        assert "1 session" in repr(page)
