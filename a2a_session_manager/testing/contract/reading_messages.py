"""Reading messages without their events: they equal those of the visible events, and damage is an error."""

from __future__ import annotations

import pytest

from a2a_session_manager.exceptions import CorruptSession, InvalidSessionOperation, SessionNotFound
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.event_message import message_of
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import ids, said, several, spending


class ReadingMessagesContract(ContractBase):
    @pytest.mark.parametrize("last", [0, 1, 3, 8, 9, 10, 100, None])
    async def test_messages_are_those_of_the_newest_visible_events(
        self, store: BaseSessionStore, reopen: Reopen, last: int | None
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(9)))
        rich = said({"a": [1.5, None, "Zoë"]}, id="e10", task_id="r1", metadata={"b": {}}, type="own")
        await store.append("talk", rich, said("\ud800", id="e11"), spending(5, id="e12"))
        await store.retract("talk", "e2", "e3", "e9")
        again = await reopen()

        tail = await again.read_messages("talk", last=last)
        session = await again.get("talk", last=last)

        assert session is not None
        assert [each.id for each in tail.messages] == ids(session.events)
        assert list(tail.messages) == [message_of(event) for event in session.events]
        assert len(tail.messages) == (9 if last is None else min(last, 9))
        assert tail.earlier_events == session.earlier_events == 9 - len(tail.messages)

    async def test_all_messages_of_a_long_conversation_come_in_order(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk")
        for batch in range(3):
            await store.append("talk", *several(500, f"b{batch}-"))
        await store.retract("talk", "b0-1", "b1-250", "b2-500")
        again = await reopen()

        everything, most = await again.read_messages("talk"), await again.read_messages("talk", last=1_200)

        hidden = {1, 750, 1_500}
        assert [each.seq for each in everything.messages] == [seq for seq in range(1, 1_501) if seq not in hidden]
        assert list(most.messages) == list(everything.messages)[-1_200:]
        assert (everything.earlier_events, most.earlier_events) == (0, 297)

    async def test_messages_of_a_session_that_was_read_are_never_those_of_a_later_one(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        session = await store.create("talk", change=SessionChange(events=several(2)))
        await store.delete("talk")
        await store.create("talk", change=SessionChange(events=several(3)))
        again = await reopen()

        assert [each.id for each in (await again.read_messages("talk")).messages] == ["e1", "e2", "e3"]
        for which in (session, "nobody"):
            for last in (None, 1, 0):
                with pytest.raises(SessionNotFound):
                    await again.read_messages(which, last=last)

    async def test_messages_of_a_child_are_its_own(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=SessionChange(events=several(2)))
        await store.create("flights", parent_id="talk", change=SessionChange(events=several(3, "f")))

        tail = await (await reopen()).read_messages("flights", last=2)

        assert ([each.id for each in tail.messages], tail.earlier_events) == (["f2", "f3"], 1)

    async def test_a_damaged_event_is_corruption_when_messages_are_read(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(3)))
        await self.damage(store, "talk")
        again = await reopen()

        for last in (None, 3, 100):
            with pytest.raises(CorruptSession) as failure:
                await again.read_messages("talk", last=last)
            assert failure.value.session_id == "talk"

    async def test_a_negative_number_of_messages_is_refused(self, store: BaseSessionStore) -> None:
        await store.create("talk")

        with pytest.raises(InvalidSessionOperation, match="-1"):
            await store.read_messages("talk", last=-1)
