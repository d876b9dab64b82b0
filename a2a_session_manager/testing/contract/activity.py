"""The times of creation and last activity: they come from the writers' clocks, and never go back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from a2a_session_manager.models import clock
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_metadata import SessionMetadata
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import AnySession, said, several, spending, whole

Step = Callable[[BaseSessionStore, AnySession], Awaitable[object]]

MICROSECOND = timedelta(microseconds=1)
LONG_AGO = datetime(2023, 5, 1, 12, 0, 0, 123_456, tzinfo=timezone(timedelta(hours=5, minutes=30)))


def _saves(change: Callable[[AnySession], object]) -> Step:
    async def step(store: BaseSessionStore, session: AnySession) -> None:
        change(session)
        await store.save(session)

    return step


# Each step is one commit, with whether it counts as activity.
STEPS: list[tuple[Step, bool]] = [
    (lambda store, session: store.append(session, said("x")), True),
    (lambda store, session: store.append(session, *several(3), spending(5)), True),
    (lambda store, session: store.append(session, *several(3)), False),  # all of them are known
    (lambda store, session: store.append(session, said("x"), expected_revision=session.revision), True),
    (lambda store, session: store.commit(session, SessionChange(set_state={"plan": 1})), True),
    (lambda store, session: store.commit(session, SessionChange(set_properties={"title": "trip"})), False),
    (lambda store, session: store.commit(session, SessionChange(unset_properties=["title"])), False),
    (lambda store, session: store.commit(session, SessionChange(unset_state=["plan"])), True),
    (lambda store, session: store.commit(session, SessionChange(runs=[SessionRun(id="r")])), True),
    (lambda store, session: store.retract(session, last=1), True),
    (lambda store, session: store.retract(session, last=0), False),
    (lambda store, session: store.retract(session, "e2", write_id="hid"), True),
    (lambda store, session: store.restore(session, write_id="hid"), True),
    (lambda store, session: store.restore(session, "e2"), False),  # it is visible again
    (lambda store, session: store.create("talk/child", parent_id=session), False),
    (_saves(lambda session: session.metadata.set_property("owner", "ann")), False),
    (_saves(lambda session: session.add_event(said("saved"))), True),
    (_saves(lambda session: session.state.update(step=2)), True),
]


class ActivityContract(ContractBase):
    async def test_the_time_of_the_last_activity_never_goes_back_and_is_returned_as_it_is_stored(
        self, store: BaseSessionStore, reopen: Reopen, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        session = await store.create("talk", change=SessionChange(events=several(1, "first")))
        # From here on, the writer's clock shows an earlier time than at the creation.
        monkeypatch.setattr(clock, "time_ns", lambda: 10**18)
        told, expected = [session.metadata.updated_at], [session.metadata.created_at]
        for step, is_activity in STEPS:
            await step(store, session)
            told.append(session.metadata.updated_at)
            expected.append(expected[-1] + is_activity * MICROSECOND)

        again = await whole(await reopen(), "talk")

        assert told == expected
        assert again.metadata == session.metadata

    async def test_a_session_is_active_at_the_time_its_writer_says(
        self, store: BaseSessionStore, reopen: Reopen, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        session = await store.create("talk")
        later = datetime(2100, 1, 1, 0, 0, 0, 7, tzinfo=UTC)
        monkeypatch.setattr(clock, "time_ns", lambda: 4_102_444_800_000_007_000)
        await store.append(session, said("x"))
        await store.commit(session, SessionChange(set_properties={"title": "trip"}))

        again = await whole(await reopen(), "talk")

        assert session.metadata.updated_at == later
        assert again.metadata == session.metadata

    async def test_a_session_that_is_imported_keeps_its_times_until_it_is_active_again(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        before_computers = datetime(1901, 2, 3, tzinfo=UTC)
        times = SessionMetadata(created_at=before_computers, updated_at=LONG_AGO)
        imported: Session[Any] = Session(id="old", metadata=times, state={"a": 1}, runs=[SessionRun(id="r")])
        imported.add_event(said("hi", timestamp=LONG_AGO))
        await store.save(imported)
        await store.commit("old", SessionChange(set_properties={"title": "renamed"}))
        cold = await reopen()
        quiet = await whole(cold, "old")
        assert (quiet.metadata.created_at, quiet.metadata.updated_at) == (before_computers, LONG_AGO)
        await cold.append(quiet, said("back again"))

        again = await whole(await reopen(), "old")

        assert imported.metadata.updated_at == quiet.events[0].timestamp == LONG_AGO
        assert again.metadata.created_at == before_computers
        assert again.metadata == quiet.metadata
        assert again.metadata.updated_at > datetime(2024, 1, 1, tzinfo=UTC)

    async def test_a_time_is_kept_to_the_microsecond_in_whatever_zone_it_was_said(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        local_mean_time = timezone(timedelta(hours=5, minutes=53, seconds=28))
        times = [
            LONG_AGO,
            datetime(1890, 1, 1, tzinfo=local_mean_time),
            datetime.max.replace(tzinfo=timezone(-timedelta(hours=12))),
            datetime.min.replace(tzinfo=UTC),
        ]
        run = SessionRun(id="r", started_at=times[1], ended_at=times[2])
        await store.create("talk", change=SessionChange(events=[said(timestamp=time) for time in times], runs=[run]))

        again = await whole(await reopen(), "talk")

        assert [event.timestamp for event in again.events] == times
        assert again.runs == [run]

    async def test_a_repeated_write_brings_the_time_of_the_last_activity(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        session = await store.create("talk", write_id="creation")
        event: SessionEvent[Any] = said("x", id="e")
        for _ in range(2):
            await store.append(session, event)
            await store.commit(session, SessionChange(set_state={"a": 1}), write_id="w")
        created_again = await store.create("talk", write_id="creation")

        again = await whole(await reopen(), "talk")

        assert again.metadata == session.metadata == created_again.metadata
