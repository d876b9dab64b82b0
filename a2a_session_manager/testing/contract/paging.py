"""Pages of heads in each order, while sessions come, go and become active."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from a2a_session_manager.models import clock
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_metadata import SessionMetadata
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import Reopen
from a2a_session_manager.testing.contract.filed import MOST_PAGES, Clock, FiledContract, listed, made
from a2a_session_manager.testing.contract.making import said

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
    (lambda store: made(store, "child", "moved"), False),
    (lambda store: store.restore("moved", "e1"), True),
]


class PagingContract(FiledContract):
    async def test_pages_of_each_order_join_to_the_whole_with_each_limit(
        self, filed: BaseSessionStore, refile: Reopen, ticking: Clock
    ) -> None:
        for name in ("d", "a", "c", "b", "é"):
            await made(filed, name)
            ticking.tick()
            await made(filed, f"{name} child", name)
            ticking.tick()
        created = ["d", "d child", "a", "a child", "c", "c child", "b", "b child", "é", "é child"]
        active = [*created]
        for name in ("c", "d child", "é", "c"):
            await filed.append(name, said("x"))
            active.remove(name)
            active.append(name)
            ticking.tick()
        again = await refile()

        for limit in (3, 10, 11):
            assert await listed(again, limit) == active[::-1]
            assert await listed(again, limit, order="updated", newest_first=False) == active
            assert await listed(again, limit, order="created") == created[::-1]
            assert await listed(again, limit, order="created", newest_first=False) == created
            assert await listed(again, limit, order="id") == await again.list_sessions()
        roots = [name for name in active if "child" not in name]
        assert await listed(again, 2, roots_only=True) == roots[::-1]
        assert await listed(again, 5, roots_only=True, newest_first=False) == roots
        assert await listed(again, 2, roots_only=True, order="created", newest_first=False) == created[::2]
        assert sorted(await listed(again, 2, roots_only=True, order="id")) == sorted(roots)

    async def test_a_page_is_in_the_exact_order_of_activity(
        self, filed: BaseSessionStore, refile: Reopen, ticking: Clock
    ) -> None:
        for number in range(6):
            await made(filed, f"s{number}")
        # Less than an index needs to know, in another order each time.
        for order in ("351042", "204513"):
            for digit in order:
                ticking.tick(0.001)
                await filed.append(f"s{digit}", said("x"))

        again = await refile()

        assert await listed(again, 6) == [f"s{number}" for number in "315402"]
        assert await listed(again, 6, newest_first=False) == [f"s{number}" for number in "204513"]

    async def test_only_activity_moves_a_session_to_the_front(
        self, filed: BaseSessionStore, refile: Reopen, ticking: Clock
    ) -> None:
        await made(filed, "moved", owner="ann")
        told, expected = [], []
        for number, (activity, is_activity) in enumerate(ACTIVITIES):
            ticking.tick()
            await made(filed, f"other {number}")
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
            await made(filed, name)
            ticking.tick()
        ticking.tick(-3_600)
        await filed.append("second", said("x"))
        await made(filed, "late")  # it was created first of all, its writer says
        await filed.append("late", said("x"))

        again = await refile()

        assert await listed(again, 1) == ["second", "first", "late"]
        assert await listed(again, 1, order="created") == ["second", "first", "late"]

    async def test_imported_sessions_stand_where_their_times_say(
        self, filed: BaseSessionStore, refile: Reopen, ticking: Clock
    ) -> None:
        await made(filed, "new")
        for name, day in (("b", 2), ("c", 3), ("a", 1)):
            at = clock.moment(day * 86_400_000_000)
            await filed.save(Session(id=name, metadata=SessionMetadata(created_at=at, updated_at=at)))
        again = await refile()
        imported = await listed(again, 2)
        await again.append("a", said("x"))

        assert imported == ["new", "c", "b", "a"]
        assert sorted((await listed(again, 4))[:2]) == ["a", "new"]
        assert await listed(again, 2, order="created") == ["new", "c", "b", "a"]

    async def test_sessions_that_stay_are_on_one_page_each_while_others_come_go_and_move(
        self, filed: BaseSessionStore, refile: Reopen, ticking: Clock
    ) -> None:
        for newest_first in (True, False):
            name = f"{newest_first} "
            stay, go, move = ([f"{name}{kind}{number}" for number in range(4)] for kind in ("stay", "go", "move"))
            for number in range(4):
                for each in (stay, go, move):
                    await made(filed, each[number], owner=name)
                    ticking.tick()
            again = await refile()
            for order in ("updated", "created", "id") if newest_first else ("updated",):
                found: list[str] = []
                cursor = None
                for _ in range(MOST_PAGES):
                    page = await again.page(
                        order=order, newest_first=newest_first, properties={"owner": name}, limit=3, cursor=cursor
                    )
                    found += [head.id for head in page]
                    if (cursor := page.cursor) is None:
                        break
                    ticking.tick()
                    if go:
                        await filed.delete(go.pop())
                    await filed.append(move[len(found) % 4], said("x"))
                    await made(filed, f"{name}{order} come {len(found)}", owner=name)

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
        await made(filed, "root", owner="ann")
        for name in ("a", "b"):
            await made(filed, name, "root", owner="ann")
        await filed.delete("root", children="cascade")
        ticking.tick(-3_600)
        await made(filed, "a", owner="bob")
        again = await refile()

        for order in ("updated", "created", "id"):
            assert await listed(again, order=order) == ["a"]
            assert await listed(again, order=order, properties={"owner": "ann"}) == []
            assert await listed(again, order=order, properties={"owner": "bob"}) == ["a"]
        assert (await again.count(), await again.count(properties={"owner": "ann"})) == (1, 0)

    async def test_what_many_write_at_once_is_all_found(self, filed: BaseSessionStore, refile: Reopen) -> None:
        async def work(number: int) -> None:
            await made(filed, f"s{number}", owner=f"user {number % 3}")
            await filed.append(f"s{number}", said("x"))
            await filed.commit(f"s{number}", SessionChange(set_properties={"owner": f"user {number % 2}"}))
            if number % 5 == 0:
                await filed.delete(f"s{number}")

        await asyncio.gather(*(work(number) for number in range(20)))
        again = await refile()

        left = {f"s{number}" for number in range(20) if number % 5}
        assert set(await listed(again, 7)) == left
        for half in (0, 1):
            found = await listed(again, 7, properties={"owner": f"user {half}"})
            assert sorted(found) == sorted(name for name in left if int(name[1:]) % 2 == half)
        assert await again.count(properties={"owner": "user 2"}) == 0

    async def test_a_page_of_no_heads_has_the_cursor_as_it_was(self, filed: BaseSessionStore) -> None:
        empty = await filed.page()
        await made(filed, "a")
        await made(filed, "b")
        cursor = (await filed.page(limit=1)).cursor

        nothing = await filed.page(limit=0, cursor=cursor)

        assert (list(empty), empty.cursor) == ([], None)
        assert (list(nothing), nothing.cursor) == ([], cursor)
