"""Claims: a session and all of its tree get an owner, and move to them whole, however often that was cut off."""

from __future__ import annotations

import asyncio

import pytest

from a2a_session_manager.exceptions import InvalidSessionOperation, SessionNotFound, StoreUnavailable
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import said, whole
from a2a_session_manager.testing.contract.tree_to_move import IDS, bundle_of, dying, make_tree


class ClaimingContract(ContractBase):
    async def test_of_several_who_claim_a_session_one_gets_it(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await make_tree(store)
        names = ["ann", "bob", "eve"]

        found = await asyncio.gather(
            *(SessionManager(store).claim("again", name) for name in names), return_exceptions=True
        )

        owner = (await whole(await reopen(), "trip")).metadata.properties["owner"]
        assert [not isinstance(each, BaseException) for each in found] == [name == owner for name in names]
        other = names[names.index(owner) - 1]
        with pytest.raises(InvalidSessionOperation, match=f"belongs to '{owner}'"):
            await SessionManager(store).claim("trip", other, into=store.namespace(other))
        assert await store.namespace(other).list_sessions() == []
        await SessionManager(store).claim("trip", other, take_over=True)
        assert (await whole(await reopen(), "trip")).metadata.properties["owner"] == other

    async def test_a_claim_moves_all_of_a_tree_and_what_is_written_meanwhile(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await make_tree(store)
        written: dict[str, list[str]] = {session_id: [] for session_id in IDS}

        async def write(session_id: str) -> None:
            for number in range(20):
                try:
                    await store.append(session_id, said(id=f"{session_id} {number}"))
                except SessionNotFound:
                    return
                written[session_id].append(f"{session_id} {number}")
                await asyncio.sleep(0.002)

        ann = SessionManager(await reopen()).namespace("ann")
        writing = asyncio.gather(*map(write, IDS))
        await SessionManager(store).claim("trip", "ann", into=ann)
        await writing

        cold = (await reopen()).namespace("ann")
        assert await store.list_sessions() == []
        assert await cold.tree("trip") == [("trip", None), *((each, "trip") for each in IDS[1:3]), (IDS[3], "again")]
        for session_id in IDS:
            own = [event.id for event in await cold.events(session_id) if event.id.startswith(f"{session_id} ")]
            assert own == written[session_id]
        assert (await whole(cold, "trip")).metadata.properties == {"owner": "ann", "title": "Oslo", "title_by": "user"}
        [row] = (await SessionManager(store).claim("trip", "ann", into=ann)).sessions
        assert row.status == "there"
        with pytest.raises(SessionNotFound):
            await SessionManager(store).claim("trip", "bob", into=ann)

    async def test_a_claim_that_is_cut_off_anywhere_goes_on(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await make_tree(store)
        data = await bundle_of(store)
        tries = 0
        while True:
            tries += 1
            source, target = dying(store, 2), dying(await reopen(), 6)
            try:
                await source.claim("trip", "ann", into=target.namespace("ann"))
                break
            except StoreUnavailable:
                continue

        assert tries > 2
        assert await store.list_sessions() == []
        there = (await reopen()).namespace("ann")
        await SessionManager(there).unset_properties("trip", "owner")
        assert await bundle_of(there) == data
