"""Appending: the store gives events their order, their numbers and the session its revision."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from a2a_session_manager.exceptions import (
    InvalidEvent,
    InvalidSessionOperation,
    SessionAlreadyExists,
    SessionNotFound,
)
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import ids, messages, said, seqs, several, whole


class AppendingContract(ContractBase):
    async def test_appended_events_come_back_in_the_order_they_were_given(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk")
        await store.append("talk", *several(3, "a"))
        await store.append("talk", *several(2, "b"))

        session = await whole(await reopen(), "talk")

        assert messages(session.events) == ["a1", "a2", "a3", "b1", "b2"]

    async def test_the_store_numbers_events_from_one_without_gaps(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(2, "a")))
        await store.append("talk", *several(2, "b"))

        session = await whole(await reopen(), "talk")

        assert seqs(session.events) == [1, 2, 3, 4]
        assert session.last_seq == 4

    async def test_append_returns_numbered_copies_and_leaves_the_given_events_alone(
        self, store: BaseSessionStore
    ) -> None:
        await store.create("talk")
        given = several(2)

        placed = await store.append("talk", *given)

        assert [(event.id, event.seq, event.retracted) for event in placed] == [("e1", 1, False), ("e2", 2, False)]
        assert seqs(given) == [None, None]

    async def test_every_field_of_an_event_comes_back(self, store: BaseSessionStore, reopen: Reopen) -> None:
        moment = datetime(2026, 2, 28, 23, 59, 59, 123456, tzinfo=UTC)
        event = said({"a": 1}, id="e1", type="my_kind", timestamp=moment, task_id="run-1", metadata={"k": ["v"]})
        await store.create("talk")
        [placed] = await store.append("talk", event)

        session = await whole(await reopen(), "talk")

        assert session.events == [placed]
        assert session.events[0].model_dump(exclude={"seq"}) == event.model_dump(exclude={"seq"})

    async def test_events_stand_in_the_order_of_their_commits_whatever_their_clocks_say(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        now = datetime.now(UTC)
        await store.create("talk")
        for age in range(5):
            await store.append("talk", said(age, timestamp=now - timedelta(days=age)))

        again = await reopen()

        assert messages((await whole(again, "talk")).events) == [0, 1, 2, 3, 4]
        assert messages(await again.events("talk", after=2)) == [2, 3, 4]

    async def test_every_commit_raises_the_revision_by_one(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk")
        await store.append("talk", *several(3))
        result = await store.commit("talk", SessionChange(set_state={"k": 1}, events=[said()]))

        session = await whole(await reopen(), "talk")

        assert (result.revision, result.last_seq) == (3, 4)
        assert (session.revision, session.last_seq) == (3, 4)

    async def test_one_change_commits_all_its_parts_at_once(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=SessionChange(events=several(2), set_state={"old": 1, "kept": 2}))
        await store.commit(
            "talk",
            SessionChange(
                events=[said("new")], set_state={"k": [1]}, unset_state=["old"], set_properties={"owner": "ann"}
            ),
        )

        session = await whole(await reopen(), "talk")

        assert session.state == {"kept": 2, "k": [1]}
        assert session.metadata.properties == {"owner": "ann"}
        assert messages(session.events) == ["e1", "e2", "new"]
        assert session.revision == 2

    async def test_a_change_of_nothing_changes_nothing(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=SessionChange(events=several(2)))
        before = await whole(store, "talk")

        result = await store.commit("talk", SessionChange())

        after = await whole(await reopen(), "talk")
        assert (result.revision, result.last_seq) == (1, 2)
        assert (after.revision, after.metadata.updated_at) == (1, before.metadata.updated_at)
        assert await store.append("talk") == []

    async def test_an_append_to_a_session_that_is_not_there_finds_nothing_and_makes_nothing(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        with pytest.raises(SessionNotFound) as failure:
            await store.append("nowhere", said())

        assert failure.value.session_id == "nowhere"
        assert await (await reopen()).get("nowhere") is None

    async def test_one_bad_event_in_a_batch_keeps_the_whole_batch_out(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(1)))

        with pytest.raises(InvalidEvent) as failure:
            await store.append("talk", said("fine"), said({"x": {1}}), said("fine too"))

        assert failure.value.path.startswith("events[1].message")
        assert ids((await whole(await reopen(), "talk")).events) == ["e1"]

    async def test_a_handle_that_appended_is_in_step_with_the_store(self, store: BaseSessionStore) -> None:
        handle = await store.create("talk")
        await store.append(handle, *several(2))
        await store.append(handle, said("more", id="e3"))

        session = await whole(store, "talk")

        assert handle.events == session.events
        assert (handle.revision, handle.last_seq) == (session.revision, session.last_seq) == (3, 3)

    async def test_an_append_through_a_stale_handle_keeps_what_others_appended(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        handle = await store.create("talk")
        await store.append("talk", *several(2, "other"))
        [mine] = await store.append(handle, said("mine"))

        session = await whole(await reopen(), "talk")

        assert mine.seq == 3
        assert messages(session.events) == ["other1", "other2", "mine"]

    async def test_state_keys_both_set_and_unset_in_one_change_are_refused(self) -> None:
        with pytest.raises(InvalidSessionOperation, match="plan"):
            SessionChange(set_state={"plan": 1}, unset_state=["plan"])

    async def test_creating_a_taken_id_is_refused_and_harms_nothing(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(1)))

        with pytest.raises(SessionAlreadyExists):
            await store.create("talk", change=SessionChange(events=[said("mine")]))

        assert ids((await whole(await reopen(), "talk")).events) == ["e1"]

    async def test_a_created_session_is_in_step_with_the_store(self, store: BaseSessionStore, reopen: Reopen) -> None:
        made = await store.create("talk", change=SessionChange(events=several(2), set_state={"k": 1}))

        session = await whole(await reopen(), "talk")

        assert made == session
        assert (made.revision, made.last_seq, made.root_id) == (1, 2, "talk")

    async def test_a_session_created_without_an_id_gets_one_of_its_own(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        first, second = await store.create(), await store.create()

        assert first.id != second.id
        assert sorted(await (await reopen()).list_sessions()) == sorted([first.id, second.id])
