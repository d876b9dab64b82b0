"""Incarnations: a session read before its id was deleted and created again never reaches the later session."""

from __future__ import annotations

import pytest

from a2a_session_manager.active import ActiveSession
from a2a_session_manager.exceptions import InvalidSessionOperation, SessionConflict, SessionNotFound
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.storage import BaseSessionStore, StoreLimits
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import said, several, whole


class IncarnationsContract(ContractBase):
    async def _deleted_and_created_again(self, store: BaseSessionStore) -> Session[object]:
        """Return a session that was read before it was deleted and its id was given to another one."""
        session = await store.create("talk", change=SessionChange(events=several(3)))
        await store.delete("talk")
        await store.create("talk", change=SessionChange(events=[said("of another incarnation")]))
        return session

    async def test_reading_through_an_old_handle_never_brings_the_later_session(self, store: BaseSessionStore) -> None:
        session = await self._deleted_and_created_again(store)

        with pytest.raises(SessionNotFound):
            await store.events(session)
        with pytest.raises(SessionNotFound):
            await store.usage(session)
        with pytest.raises(SessionNotFound):
            await store.usage(session, tree=True)
        with pytest.raises(SessionNotFound):
            await anext(store.follow(session))
        with pytest.raises(SessionNotFound):
            await ActiveSession(store, session).messages()

    async def test_a_child_through_an_old_handle_is_not_put_below_the_later_session(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        session = await self._deleted_and_created_again(store)

        with pytest.raises(SessionNotFound):
            async with ActiveSession(store, session).child("kid"):
                pytest.fail("the child was made")

        assert await (await reopen()).children("talk") == []

    async def test_a_session_that_was_never_stored_is_refused_as_a_handle(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=[said("theirs")]))
        mine = Session(id="talk")

        for refused in (store.append(mine, said("mine")), store.delete(mine), store.events(mine)):
            with pytest.raises(InvalidSessionOperation, match="never stored"):
                await refused

        assert [event.message for event in (await whole(await reopen(), "talk")).events] == ["theirs"]

    async def test_a_guard_on_a_session_that_is_not_there_yet_is_a_conflict(self, store: BaseSessionStore) -> None:
        with pytest.raises(SessionConflict) as caught:
            await store.save(Session(id="talk"), expected_revision=7)

        assert (caught.value.revision, await store.get("talk")) == (0, None)

    async def test_a_session_that_outgrew_one_commit_is_still_saved(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        """The limit is on what one commit writes, not on what the session holds."""
        small = BaseSessionStore(store._open_backend, limits=StoreLimits(commit_bytes=3_000))
        await small.create("talk")
        for number in range(3):
            await small.commit("talk", SessionChange(set_state={f"part {number}": "x" * 1_500}))
        session = await whole(small, "talk")
        session.add_event(said("one more"))
        await small.save(session)

        again = await (await reopen()).get("talk", last=1)
        assert again is not None
        assert [event.message for event in again.events] == ["one more"]
