"""Saving through another store: over the same data this is the same session; over other data, a copy is created."""

from __future__ import annotations

import pytest

from a2a_session_manager.exceptions import SessionAlreadyExists, SessionConflict, StoreUnavailable
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.lossy import LossyBackend
from a2a_session_manager.testing.contract.making import AnySession, ids, messages, said, several, whole


class SavingElsewhereContract(ContractBase):
    @pytest.mark.parametrize("last", [None, 1, 0])
    async def test_what_was_read_through_one_store_is_saved_through_another(
        self, store: BaseSessionStore, reopen: Reopen, last: int | None
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(3), set_state={"a": 1, "b": 1}))
        session = await _other(store).get("talk", last=last)
        assert session is not None
        await store.commit("talk", SessionChange(set_state={"b": 2}, events=[said("theirs")]))
        session.add_event(said("mine"))
        session.state["a"] = 2

        await store.save(session)
        session.add_event(said("more"))
        await (await reopen()).save(session)
        await store.save(session)

        again = await whole(await reopen(), "talk")
        assert messages(again.events) == ["e1", "e2", "e3", "theirs", "mine", "more"]
        assert (again.state, again.revision) == ({"a": 2, "b": 2}, 4)
        assert messages(session.events)[-2:] == ["mine", "more"]
        assert again.creation_id == session.creation_id

    async def test_a_guard_holds_through_another_store_too(self, store: BaseSessionStore) -> None:
        await store.create("talk")
        session = await whole(_other(store), "talk")
        session.state["mine"] = 1
        await store.save(session, expected_revision=session.revision)
        late = await whole(_other(store), "talk")
        await store.append("talk", said())
        late.state["late"] = 1

        with pytest.raises(SessionConflict):
            await store.save(late, expected_revision=late.revision)

        assert (await whole(store, "talk")).state == {"mine": 1}

    async def test_a_session_that_was_deleted_since_is_refused_by_every_store(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=[said("first session")]))
        session = await whole(_other(store), "talk")
        await store.delete("talk")
        await store.create("talk", change=SessionChange(events=[said("second session")]))
        session.add_event(said("late"))

        with pytest.raises(SessionAlreadyExists):
            await store.save(session)

        assert messages((await whole(await reopen(), "talk")).events) == ["second session"]

    async def test_a_save_whose_reply_was_lost_is_finished_by_another_store(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk")
        lossy = _other(store)
        session = await whole(lossy, "talk")
        session.add_event(said("mine", id="e1"))
        session.state["plan"] = "mine"
        await _save_without_reply(lossy, session)
        await store.commit("talk", SessionChange(set_state={"plan": "newer"}))
        session.add_event(said("more", id="e2"))

        await store.save(session)

        again = await whole(await reopen(), "talk")
        assert (ids(again.events), again.state) == (["e1", "e2"], {"plan": "newer"})
        assert (ids(session.events), again.revision) == (["e1", "e2"], 4)

    async def test_a_creation_whose_reply_was_lost_is_finished_by_another_store(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        lossy = _other(store)
        session: AnySession = Session(id="talk", events=several(2))
        await _save_without_reply(lossy, session)
        session.add_event(said("more", id="e3"))

        await store.save(session)
        await store.save(session, expected_revision=session.revision)

        again = await whole(await reopen(), "talk")
        assert ids(again.events) == ids(session.events) == ["e1", "e2", "e3"]
        assert (again.revision, again.creation_id) == (session.revision, session.creation_id)


def _other(store: BaseSessionStore) -> BaseSessionStore:
    """Return another store over the same data that does not know of the first one."""
    return BaseSessionStore(LossyBackend(store._open_backend))


async def _save_without_reply(lossy: BaseSessionStore, session: AnySession) -> None:
    backend = lossy._open_backend
    assert isinstance(backend, LossyBackend)
    backend.replies_to_lose = 1
    with pytest.raises(StoreUnavailable):
        await lossy.save(session)
