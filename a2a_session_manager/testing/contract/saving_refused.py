"""What `save` refuses: changed stored events, an id that is taken or deleted, and a late guard."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from a2a_session_manager.exceptions import (
    InvalidSessionOperation,
    SessionAlreadyExists,
    SessionConflict,
    SessionNotFound,
)
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_metadata import SessionMetadata
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import ids, messages, said, several, whole


class SavingRefusedContract(ContractBase):
    @pytest.mark.parametrize("change", ["remove", "move", "replace", "insert", "clear"])
    async def test_stored_events_cannot_be_changed_by_a_save(
        self, store: BaseSessionStore, reopen: Reopen, change: str
    ) -> None:
        session = await store.create("talk", change=SessionChange(events=several(3)))
        session.state["k"] = 1
        if change == "remove":
            del session.events[1]
        elif change == "move":
            session.events.reverse()
        elif change == "replace":
            session.events[1] = said("rewritten", id="e2")
        elif change == "insert":
            session.events.insert(1, said("between"))
        else:
            session.events.clear()

        with pytest.raises(InvalidSessionOperation, match="retract"):
            await store.save(session)

        again = await whole(await reopen(), "talk")
        assert (messages(again.events), again.state) == (["e1", "e2", "e3"], {})

    async def test_stored_runs_cannot_be_removed_by_a_save(self, store: BaseSessionStore, reopen: Reopen) -> None:
        session = await store.create("talk", change=SessionChange(runs=[SessionRun(id="r")]))
        session.runs.clear()

        with pytest.raises(InvalidSessionOperation, match="runs"):
            await store.save(session)

        assert [run.id for run in await (await reopen()).runs("talk")] == ["r"]

    @pytest.mark.parametrize("field", ["id", "parent_id"])
    async def test_id_and_parent_of_a_stored_session_never_change(
        self, store: BaseSessionStore, reopen: Reopen, field: str
    ) -> None:
        await store.create("other")
        session = await store.create("talk")
        setattr(session, field, "other")

        with pytest.raises(InvalidSessionOperation):
            await store.save(session)

        assert await (await reopen()).children("other") == []

    @pytest.mark.parametrize("field", ["created_at", "updated_at"])
    async def test_times_of_a_stored_session_cannot_be_assigned(
        self, store: BaseSessionStore, reopen: Reopen, field: str
    ) -> None:
        await store.create("talk")
        session = await whole(store, "talk")
        shared = session.model_copy()
        shared.state["k"] = 1
        await store.save(shared)
        session.metadata.set_property("owner", "ines")
        await store.save(session)  # the copy shares the metadata, whose times the save above has changed
        setattr(session.metadata, field, datetime(2020, 1, 1, tzinfo=UTC))
        session.state["late"] = 1

        with pytest.raises(InvalidSessionOperation, match=field):
            await store.save(session)

        again = await whole(await reopen(), "talk")
        assert (again.state, again.metadata.properties) == ({"k": 1}, {"owner": "ines"})
        session.metadata = SessionMetadata(properties={"owner": "jan"})
        await store.save(session)
        assert session.metadata == (await whole(await reopen(), "talk")).metadata

    async def test_a_session_made_by_hand_does_not_overwrite_a_stored_one(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(1)))

        for _ in range(2):
            with pytest.raises(SessionAlreadyExists):
                await store.save(Session(id="talk", state={"mine": 1}))

        again = await whole(await reopen(), "talk")
        assert (ids(again.events), again.state, again.revision) == (["e1"], {}, 1)

    async def test_a_guarded_save_that_comes_too_late_writes_nothing(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        mine = await store.create("talk")
        await store.append("talk", said("newer"))
        mine.state["k"] = 1

        with pytest.raises(SessionConflict) as failure:
            await store.save(mine, expected_revision=mine.revision)

        assert messages(failure.value.missed_events) == ["newer"]
        assert (await whole(await reopen(), "talk")).state == {}

    async def test_after_a_conflict_the_same_object_can_be_saved_unguarded(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        mine = await store.create("talk")
        await store.append("talk", said("newer"))
        mine.add_event(said("mine"))
        with pytest.raises(SessionConflict):
            await store.save(mine, expected_revision=mine.revision)
        await store.save(mine)

        assert messages((await whole(await reopen(), "talk")).events) == ["newer", "mine"]

    async def test_a_save_of_a_session_that_is_gone_finds_nothing_and_brings_nothing_back(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        session = await store.create("talk", change=SessionChange(events=several(2)))
        await store.delete("talk")
        session.add_event(said("late"))

        for _ in range(2):
            with pytest.raises(SessionNotFound):
                await store.save(session)

        assert await (await reopen()).get("talk") is None

    async def test_a_partial_view_cannot_become_a_session_elsewhere(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(5)))
        view = await store.get("talk", last=2)
        assert view is not None

        with pytest.raises(InvalidSessionOperation, match="whole"):
            await store.namespace("elsewhere").save(view)

        assert await (await reopen()).namespace("elsewhere").get("talk") is None
