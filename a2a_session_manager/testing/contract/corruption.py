"""Damage never looks like absence, nor like a shorter conversation."""

from __future__ import annotations

import pytest

from a2a_session_manager.exceptions import CorruptSession, SessionNotFound
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import ids, listening, said, several, spending, whole
from a2a_session_manager.testing.contract.writes import seen


class CorruptionContract(ContractBase):
    async def test_a_damaged_event_is_corruption_to_every_reader_of_it_and_never_absence(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await self._damaged(store)
        again = await reopen()

        with pytest.raises(CorruptSession) as failure:
            await again.get("talk")
        with pytest.raises(CorruptSession):
            await again.get_many(["talk"], last=None)
        with pytest.raises(CorruptSession):
            await again.get("talk", last=3)
        with pytest.raises(CorruptSession):
            await again.read_messages("talk")
        with pytest.raises(CorruptSession):
            await again.read_messages("talk", last=3)
        assert failure.value.session_id == "talk"

    async def test_corruption_never_makes_a_shorter_conversation(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await self._damaged(store)
        again = await reopen()

        with pytest.raises(CorruptSession):
            await again.events("talk")
        with pytest.raises(CorruptSession):
            await again.events("talk", include_retracted=True)

    async def test_a_follower_gets_corruption_as_an_error(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await self._damaged(store)

        async with listening(await reopen(), "talk") as take:
            with pytest.raises(CorruptSession):
                await take(2)

    async def test_corruption_in_one_session_harms_no_other(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await self._damaged(store)
        again = await reopen()

        assert ids((await whole(again, "other")).events) == ["e1", "e2", "e3"]
        assert sorted(await again.list_sessions()) == ["other", "talk"]

    async def test_a_failed_read_of_a_damaged_session_changes_nothing(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await self._damaged(store)
        for _ in range(2):
            with pytest.raises(CorruptSession):
                await (await reopen()).get("talk")

    async def test_nothing_is_cut_from_a_healthy_session(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=SessionChange(events=several(3), set_state={"step": 1}))
        spent = spending(5, id="spent")
        await store.append("talk", spent)
        await store.retract("talk", "e2")
        before = await seen(store, "talk")

        assert await store.cut_damaged_tail("talk") == 0

        assert await seen(await reopen(), "talk") == before
        assert [event.seq for event in await store.append("talk", spent, said(id="next"))] == [4, 5]
        with pytest.raises(SessionNotFound):
            await store.cut_damaged_tail("nobody")

    async def _damaged(self, store: BaseSessionStore) -> None:
        for name in ("talk", "other"):
            await store.create(name, change=SessionChange(events=several(3)))
        await self.damage(store, "talk")
