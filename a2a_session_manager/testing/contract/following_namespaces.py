"""`follow_namespace`: which sessions come, change and go, of one namespace alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable

import pytest

from a2a_session_manager.exceptions import InvalidSessionOperation, StoreUnavailable
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.namespace_change import NamespaceChange
from a2a_session_manager.storage import BaseSessionStore, namespace_following
from a2a_session_manager.testing.contract import making
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import messages, said

Told = AsyncGenerator[NamespaceChange, None]


async def _take(stream: Told, expected: Iterable[tuple[str, str]]) -> dict[tuple[str, str], NamespaceChange]:
    """Return the next changes, which have to be the expected kinds and ids, in any order."""
    left = set(expected)
    taken: dict[tuple[str, str], NamespaceChange] = {}
    async with asyncio.timeout(making.PATIENCE_SECONDS):
        while left:
            change = await anext(stream)
            left.remove((change.kind, change.id))
            taken[change.kind, change.id] = change
    return taken


class FollowingNamespacesContract(ContractBase):
    @pytest.fixture
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let those who follow a namespace look again at once."""
        monkeypatch.setattr(namespace_following, "LEAST_PAUSE_SECONDS", 0.01)

    async def test_what_comes_changes_and_goes_is_told(
        self, store: BaseSessionStore, reopen: Reopen, impatient: None
    ) -> None:
        for name in ("stays", "changes", "goes", "goes soon"):
            await store.create(name)
        writer = await reopen()
        stream = store.follow_namespace(since=await store.page(), last=1)
        await writer.append("changes", said("hello"))
        await writer.delete("goes")
        await writer.create("comes", change=SessionChange(set_properties={"title": "new"}))
        first = await _take(stream, [("changed", "changes"), ("gone", "goes"), ("came", "comes")])
        await writer.commit("comes", SessionChange(set_properties={"title": "renamed"}))
        renamed = await _take(stream, [("changed", "comes")])
        await writer.append("stays", said("child's"))
        await writer.create("child", parent_id="stays")
        await writer.delete("goes soon")
        await _take(stream, [("changed", "stays"), ("came", "child"), ("gone", "goes soon")])
        await writer.create("goes soon")
        again = await _take(stream, [("came", "goes soon")])
        await stream.aclose()

        changed, came = first["changed", "changes"].head, first["came", "comes"].head
        assert changed is not None
        assert (messages(changed.events), changed.revision) == (["hello"], 2)
        assert came is not None
        assert came.title == "new"
        assert first["gone", "goes"].head is None
        assert [each.head and each.head.title for each in renamed.values()] == ["renamed"]
        assert [each.head and each.head.revision for each in again.values()] == [1]

    async def test_what_is_as_it_was_on_the_page_is_not_told(self, store: BaseSessionStore, impatient: None) -> None:
        for name in ("a", "b", "c"):
            await store.create(name)
        page = await store.page(limit=2)
        stream = store.follow_namespace(since=page)
        await store.commit(page[1].id, SessionChange(set_properties={"title": "x"}))
        await _take(stream, [("changed", page[1].id)])
        await store.append(page[0].id, said("x"))

        change = await anext(stream)

        assert (change.kind, change.id) == ("changed", page[0].id)
        await stream.aclose()

    async def test_a_session_that_was_created_anew_is_told_as_changed(
        self, store: BaseSessionStore, impatient: None
    ) -> None:
        await store.create("talk")
        stream = store.follow_namespace(since=await store.page())
        await store.delete("talk")
        await store.create("talk")
        first = await _take(stream, [("changed", "talk")])
        await store.delete("talk")
        await store.create("talk", change=SessionChange(set_properties={"title": "third"}))
        second = await anext(stream)
        if second.kind == "gone":  # it was looked at in between
            second = await anext(stream)
        await stream.aclose()

        assert all(change.head is not None for change in first.values())
        assert second.head is not None
        assert second.head.title == "third"

    async def test_a_namespace_is_told_of_its_own_sessions(self, store: BaseSessionStore) -> None:
        mine, other = store.namespace("mine"), store.namespace("other")
        for each in (store, mine, other):
            await each.create("talk")
        stream = mine.follow_namespace(since=await mine.page())
        for each in (store, other):
            await each.append("talk", said("x"))
            await each.create("new")
        await mine.create("mine")

        change = await anext(stream)

        assert (change.kind, change.id) == ("came", "mine")
        await stream.aclose()

    async def test_following_a_namespace_ends_when_the_store_is_closed(
        self, store: BaseSessionStore, impatient: None
    ) -> None:
        await store.create("talk")
        stream = store.follow_namespace(since=await store.page())
        await store.append("talk", said("x"))
        await _take(stream, [("changed", "talk")])
        await store.aclose()

        with pytest.raises(StoreUnavailable):
            await anext(stream)
        with pytest.raises(StoreUnavailable):
            await anext(store.follow_namespace())

    async def test_what_is_no_page_to_follow_from_is_refused(self, store: BaseSessionStore) -> None:
        for bad in ("talk", 5, ["talk"], [None]):
            with pytest.raises(InvalidSessionOperation, match="since"):
                store.follow_namespace(since=bad)  # type: ignore[arg-type]  # the caller's mistake
        with pytest.raises(InvalidSessionOperation, match="last"):
            store.follow_namespace(last=-1)
