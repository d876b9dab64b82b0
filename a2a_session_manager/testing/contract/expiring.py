"""Expiring: a session that was created with `expires=False` stays, whatever time to live the store has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract import making
from a2a_session_manager.testing.contract.base import ContractBase
from a2a_session_manager.testing.contract.making import said, whole

SECONDS = 0.2


async def _is_gone(store: BaseSessionStore, session_id: str) -> bool:
    for _ in range(making.PATIENCE_SECONDS * 20):
        if await store.get(session_id, last=0) is None:
            return True
        await asyncio.sleep(0.05)
    return False


class ExpiringContract(ContractBase):
    @pytest_asyncio.fixture
    async def mortal(self, place: Path) -> AsyncIterator[BaseSessionStore | None]:
        """A store whose sessions expire soon; None where a store lets none expire."""
        store = await self.open_expiring_store(place, SECONDS)
        yield store
        if store is not None:
            await store.aclose()

    async def test_a_session_created_to_stay_outlives_those_that_expire(
        self, store: BaseSessionStore, mortal: BaseSessionStore | None
    ) -> None:
        mortal = store if mortal is None else mortal
        change = SessionChange(events=[said("first", id="e1")])
        await mortal.create("stays", change=change, write_id="w", expires=False)
        await mortal.create("below", parent_id="stays", expires=False)
        await mortal.create("goes")
        await mortal.create("goes, too", parent_id="stays")
        await mortal.append("stays", said("second"))
        await mortal.append("below", said("here"))

        if mortal is not store:
            assert await _is_gone(mortal, "goes")
            assert await _is_gone(mortal, "goes, too")
            await asyncio.sleep(SECONDS)
        await mortal.append("stays", said("third"))
        again = await mortal.create("stays", change=change, write_id="w", expires=False)

        assert again.creation_id == (await whole(mortal, "stays")).creation_id
        assert [event.message for event in await mortal.events("stays")] == ["first", "second", "third"]
        assert [event.message for event in await mortal.events("below")] == ["here"]
        assert {"stays", "below"} <= set(await mortal.list_sessions())
        assert {head.id for head in await mortal.page()} >= {"stays", "below"}

    async def test_nothing_is_made_to_stay_below_what_expires(
        self, store: BaseSessionStore, mortal: BaseSessionStore | None
    ) -> None:
        if mortal is None:  # no session of this store expires
            await store.create("stays")
            assert (await store.create("below", parent_id="stays", expires=False)).parent_id == "stays"
            return
        await mortal.create("goes")

        with pytest.raises(InvalidSessionOperation, match="expires"):
            await mortal.create("below", parent_id="goes", expires=False)

        assert (await mortal.get("below"), await mortal.children("goes")) == (None, [])
        await mortal.create("below")  # its id is free

    @pytest.mark.parametrize("expires", [None, 0, "no"])
    async def test_whether_a_session_expires_is_true_or_false(self, store: BaseSessionStore, expires: Any) -> None:
        with pytest.raises(InvalidSessionOperation, match="expires="):
            await store.create("talk", expires=expires)

        assert await store.get("talk") is None
