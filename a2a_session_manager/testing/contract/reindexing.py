"""What sessions are found by can be made anew, and then finds the same ones."""

from __future__ import annotations

from typing import Any

from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import said


async def found_in(store: BaseSessionStore) -> list[Any]:
    """Return what is found in a namespace, in every order."""
    pages = [[head.id for head in await store.page(order=order)] for order in ("updated", "created")]
    return [*pages, await store.count(), sorted(await store.namespaces()), sorted(await store.list_sessions())]


class ReindexingContract(ContractBase):
    async def test_an_index_that_is_made_anew_finds_the_same_sessions(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        acme = store.namespace("acme")
        for view in (store, acme, acme.namespace("eu")):
            for name in ("first", "second", "gone"):
                await view.create(name, change=SessionChange(events=[said(name)]))
            await view.create("below", parent_id="second")
            await view.append("first", said("again"))
            await view.delete("gone")
        before = [await found_in(view) for view in (store, acme)]
        again = await reopen()

        counts = [await view.rebuild_index() for view in (again, again.namespace("acme"), again.namespace("nowhere"))]

        assert counts in ([3, 3, 0], [None, None, None])
        cold = await reopen()
        assert [await found_in(view) for view in (cold, cold.namespace("acme"))] == before
        assert before[0][2:] == [3, ["acme"], ["below", "first", "second"]]

    async def test_what_is_written_while_an_index_is_made_anew_is_found(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("early")
        other = await reopen()
        await store.rebuild_index()
        await other.create("late", change=SessionChange(events=[said("hello")]))
        await other.delete("early")

        assert (await found_in(await reopen()))[:3] == [["late"], ["late"], 1]
