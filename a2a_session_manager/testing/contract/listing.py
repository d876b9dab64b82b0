"""Listing: in pages, by prefix, and stable: a session that exists throughout appears exactly once."""

from __future__ import annotations

import pytest

from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen


async def _pages(store: BaseSessionStore, limit: int, prefix: str = "", *, roots_only: bool = False) -> list[list[str]]:
    pages = []
    cursor = None
    while True:
        page = await store.list_page(prefix, cursor=cursor, limit=limit, roots_only=roots_only)
        pages.append(page.session_ids)
        cursor = page.cursor
        if cursor is None:
            return pages


class ListingContract(ContractBase):
    async def test_an_empty_store_lists_nothing(self, store: BaseSessionStore) -> None:
        page = await store.list_page()

        assert (page.session_ids, page.cursor) == ([], None)
        assert await store.list_sessions() == []
        assert [name async for name in store.iter_sessions()] == []

    async def test_a_prefix_picks_the_ids_that_start_with_it(self, store: BaseSessionStore, reopen: Reopen) -> None:
        for name in ("a", "ab", "ab*", "ab?", "a:b", "b", "cab", "é1", "[a]"):
            await store.create(name)
        again = await reopen()

        assert sorted(await again.list_sessions("a")) == ["a", "a:b", "ab", "ab*", "ab?"]
        assert sorted(await again.list_sessions("ab")) == ["ab", "ab*", "ab?"]
        assert await again.list_sessions("ab*") == ["ab*"]
        assert await again.list_sessions("[a") == ["[a]"]
        assert await again.list_sessions("é") == ["é1"]
        assert await again.list_sessions("z") == []
        assert len(await again.list_sessions()) == 9

    @pytest.mark.parametrize("limit", [1, 2, 6, 7, 8, 1000])
    async def test_pages_keep_to_their_limit_and_join_to_the_whole(
        self, store: BaseSessionStore, reopen: Reopen, limit: int
    ) -> None:
        for number in range(7):
            await store.create(f"s{number}")
        await store.create("other")
        again = await reopen()

        pages = await _pages(again, limit, "s")

        joined = [name for page in pages for name in page]
        assert all(len(page) <= limit for page in pages)
        assert sorted(joined) == [f"s{number}" for number in range(7)]
        assert joined == await again.list_sessions("s")
        assert joined == [name async for name in again.iter_sessions("s", page_size=limit)]

    async def test_a_limit_of_0_returns_nothing_and_the_cursor_as_it_was(self, store: BaseSessionStore) -> None:
        for name in ("a", "b", "c"):
            await store.create(name)
            await store.create(f"{name} child", parent_id="a")
        first = await store.list_page(limit=1)
        children = await store.children_page("a", limit=1)

        assert await store.list_page(limit=0) == ([], None)
        assert await store.list_page(limit=0, cursor=first.cursor) == ([], first.cursor)
        assert await store.children_page("a", limit=0, cursor=children.cursor) == ([], children.cursor)

    async def test_sessions_present_throughout_appear_once_while_others_come_and_go(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        stay = [f"s{number:02}" for number in range(0, 30, 3)]
        leave = [f"s{number:02}" for number in range(1, 30, 3)]
        come = [f"s{number:02}" for number in range(2, 30, 3)]
        for name in [*stay, *leave]:
            await store.create(name)
        again = await reopen()

        listed: list[str] = []
        cursor = None
        while True:
            page = await again.list_page(cursor=cursor, limit=3)
            listed += page.session_ids
            cursor = page.cursor
            if cursor is None:
                break
            if leave:
                await store.delete(leave.pop())
                await store.delete(leave.pop(0))
                await store.create(come.pop())
                await store.create(come.pop(0))

        assert [name for name in listed if name in stay] == sorted(stay, key=listed.index)
        assert {name: listed.count(name) for name in stay} == dict.fromkeys(stay, 1)
        assert len(listed) == len(set(listed))

    async def test_a_page_goes_on_after_a_session_that_was_deleted_meanwhile(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        for name in ("a", "b", "c", "d"):
            await store.create(name)
        again = await reopen()
        first = await again.list_page(limit=2)
        for name in first.session_ids:
            await store.delete(name)

        rest = await again.list_page(limit=9, cursor=first.cursor)

        assert sorted([*first.session_ids, *rest.session_ids]) == ["a", "b", "c", "d"]
        assert rest.cursor is None

    async def test_roots_only_leaves_children_out_of_every_page(self, store: BaseSessionStore, reopen: Reopen) -> None:
        for number in range(5):
            await store.create(f"r{number}")
            await store.create(f"r{number} child", parent_id=f"r{number}")
        again = await reopen()

        pages = await _pages(again, 2, roots_only=True)

        assert sorted(name for page in pages for name in page) == [f"r{number}" for number in range(5)]
        assert [name async for name in again.iter_sessions("r3", roots_only=True)] == ["r3"]
        assert len(await again.list_sessions()) == 10

    @pytest.mark.parametrize("limit", [1, 3, 6, 7, 8])
    async def test_children_come_in_pages_that_join_to_the_whole(
        self, store: BaseSessionStore, reopen: Reopen, limit: int
    ) -> None:
        await store.create("root")
        names = [f"c{number}" for number in (4, 2, 6, 1, 3, 5, 7)]
        for name in names:
            await store.create(name, parent_id="root")
        again = await reopen()

        joined: list[str] = []
        cursor = None
        while True:
            page = await again.children_page("root", cursor=cursor, limit=limit)
            assert len(page.session_ids) <= limit
            joined += page.session_ids
            cursor = page.cursor
            if cursor is None:
                break

        assert joined == names

    async def test_children_pages_go_on_while_children_come_and_go(self, store: BaseSessionStore) -> None:
        await store.create("root")
        for number in range(6):
            await store.create(f"c{number}", parent_id="root")
        first = await store.children_page("root", limit=2)
        await store.delete("c0")
        await store.delete("c3")
        await store.create("c6", parent_id="root")

        rest = await store.children_page("root", cursor=first.cursor, limit=9)

        assert [*first.session_ids, *rest.session_ids] == ["c0", "c1", "c2", "c4", "c5", "c6"]
