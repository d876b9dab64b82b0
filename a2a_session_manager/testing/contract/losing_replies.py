"""Lost replies: a write that was made but not acknowledged is sent again, after another writer has written."""

from __future__ import annotations

import pytest

from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.lossy import LossyBackend
from a2a_session_manager.testing.contract.making import AnySession, ids, said, spending, whole
from a2a_session_manager.testing.contract.writes import DELETE, WRITES, Write, seen


class LosingRepliesContract(ContractBase):
    @pytest.mark.parametrize("write", WRITES, ids=str)
    async def test_a_write_retried_after_a_lost_reply_and_another_writer_changes_nothing_more(
        self, store: BaseSessionStore, reopen: Reopen, write: Write
    ) -> None:
        lossy, backend = _lossy(store)
        session = await write.prepare(lossy, "talk")
        await self._lose(lossy, backend, write, session)
        await store.commit("talk", SessionChange(events=[spending(9, id="other")], set_state={"plan": "newer"}))
        before = await seen(await reopen(), "talk")

        await write.send(lossy, session)

        after = await seen(await reopen(), "talk")
        assert after == before
        assert after is not None
        assert after["state"]["plan"] == "newer"
        assert ids(await (await reopen()).events("talk", include_retracted=True)).count("other") == 1

    @pytest.mark.parametrize("write", WRITES, ids=str)
    async def test_a_write_whose_reply_is_lost_twice_is_made_once(
        self, store: BaseSessionStore, reopen: Reopen, write: Write
    ) -> None:
        lossy, backend = _lossy(store)
        session, twin = await write.prepare(lossy, "talk"), await write.prepare(lossy, "twin")
        await write.send(lossy, twin)
        for _ in range(2):
            await self._lose(lossy, backend, write, session)

        await write.send(lossy, session)

        again = await reopen()
        assert await seen(again, "talk") == await seen(again, "twin") is not None

    async def test_a_delete_retried_after_a_lost_reply_leaves_a_later_session_of_the_same_id_alone(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        lossy, backend = _lossy(store)
        session = await DELETE.prepare(lossy, "talk")
        await self._lose(lossy, backend, DELETE, session)
        await store.create("talk", change=SessionChange(events=[said(id="later")]))

        await DELETE.send(lossy, session)

        assert ids((await whole(await reopen(), "talk")).events) == ["later"]

    async def test_a_guarded_append_retried_after_a_lost_reply_is_no_false_conflict(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        lossy, backend = _lossy(store)
        await lossy.create("talk")
        events = [spending(5, id="n1"), said(id="n2")]
        backend.replies_to_lose = 1
        with pytest.raises(StoreUnavailable):
            await lossy.append("talk", *events, expected_revision=1)
        await store.append("talk", said(id="other"))

        placed = await lossy.append("talk", *events, expected_revision=1)

        assert [(event.id, event.seq) for event in placed] == [("n1", 1), ("n2", 2)]
        assert ids((await whole(await reopen(), "talk")).events) == ["n1", "n2", "other"]

    async def test_a_save_whose_reply_was_lost_is_completed_by_the_next_one(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        lossy, backend = _lossy(store)
        session = await lossy.create("talk")
        session.add_event(said("one"))
        backend.replies_to_lose = 1
        with pytest.raises(StoreUnavailable):
            await lossy.save(session)
        session.add_event(said("two"))
        session.state["plan"] = "mine"

        await lossy.save(session)

        again = await whole(await reopen(), "talk")
        assert [event.message for event in again.events] == ["one", "two"]
        assert again == session
        assert again.revision == session.revision == 3

    @pytest.mark.parametrize("write", [write for write in WRITES if write.takes_handle], ids=str)
    async def test_a_handle_that_retried_after_a_lost_reply_gets_no_false_conflict(
        self, store: BaseSessionStore, reopen: Reopen, write: Write
    ) -> None:
        lossy, backend = _lossy(store)
        handle = await write.prepare(lossy, "talk")
        await self._lose(lossy, backend, write, handle)
        await write.send(lossy, handle)

        await lossy.commit(handle, SessionChange(set_state={"next": 1}), expected_revision=handle.revision)

        again = await whole(await reopen(), "talk")
        assert again.state["next"] == 1
        assert (ids(handle.events), handle.state) == (ids(again.events), again.state)
        assert (handle.revision, handle.token_summary) == (again.revision, again.token_summary)

    async def test_a_session_whose_save_lost_its_reply_can_be_saved_into_another_store(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        lossy, backend = _lossy(store)
        session = await lossy.create("talk", change=SessionChange(events=[said("old")]))
        session.add_event(said("new"))
        backend.replies_to_lose = 1
        with pytest.raises(StoreUnavailable):
            await lossy.save(session)

        await lossy.namespace("elsewhere").save(session)

        again = await reopen()
        for place in (again, again.namespace("elsewhere")):
            assert [event.message for event in (await whole(place, "talk")).events] == ["old", "new"]

    async def test_a_value_that_another_writer_replaced_after_a_lost_save_is_not_taken_back(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        lossy, backend = _lossy(store)
        session = await lossy.create("talk")
        session.state["plan"] = "mine"
        backend.replies_to_lose = 1
        with pytest.raises(StoreUnavailable):
            await lossy.save(session)
        await store.commit("talk", SessionChange(set_state={"plan": "newer"}))
        session.add_event(said("more"))

        await lossy.save(session)

        again = await whole(await reopen(), "talk")
        assert (again.state, [event.message for event in again.events]) == ({"plan": "newer"}, ["more"])

    async def _lose(self, lossy: BaseSessionStore, backend: LossyBackend, write: Write, session: AnySession) -> None:
        backend.replies_to_lose = 1
        with pytest.raises(StoreUnavailable):
            await write.send(lossy, session)


def _lossy(store: BaseSessionStore) -> tuple[BaseSessionStore, LossyBackend]:
    backend = LossyBackend(store._open_backend)
    return BaseSessionStore(backend), backend
