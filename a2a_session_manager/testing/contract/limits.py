"""Limits: an event, a batch or a commit over them is refused before anything is written."""

from __future__ import annotations

from copy import copy
from typing import Any

import pytest
from pydantic import BaseModel

from a2a_session_manager.exceptions import InvalidEvent, InvalidSessionOperation, SessionManagerError
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.storage import BaseSessionStore, StoreLimits
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import ids, said, several, whole


class Shared(BaseModel):
    value: Any


SMALL = StoreLimits(event_bytes=2_000, commit_events=4, commit_bytes=6_000)


class LimitsContract(ContractBase):
    async def test_an_event_over_its_limit_is_refused_with_its_path(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        small = await _small(store)

        with pytest.raises(InvalidEvent, match="2000") as failure:
            await small.append("talk", said("fine"), said("x" * 2_000, id="big"))

        assert (failure.value.path, failure.value.event_id) == ("events[1]", "big")
        await _assert_untouched(await reopen())

    async def test_a_value_over_the_limit_is_refused_with_its_path(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        small = await _small(store)

        for change, path in (
            (SessionChange(set_state={"k": "x" * 2_000}), "state.k"),
            (SessionChange(set_properties={"k": "x" * 2_000}), "properties.k"),
            (SessionChange(set_state={"k" * 2_000: 1, "j": 1}), f"state.{'k' * 2_000}"),
        ):
            with pytest.raises(InvalidEvent) as failure:
                await small.commit("talk", change)
            assert failure.value.path == path
        await _assert_untouched(await reopen())

    async def test_more_events_than_a_commit_may_hold_are_refused_with_the_remedy(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        small = await _small(store)
        full = await small.append("talk", *several(4, "n"))

        with pytest.raises(InvalidSessionOperation, match="append in batches"):
            await small.append("talk", *several(5, "m"))

        assert len(full) == 4
        assert ids((await whole(await reopen(), "talk")).events) == ["e1", "n1", "n2", "n3", "n4"]

    async def test_a_commit_over_its_limit_is_refused_with_the_remedy(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        small = await _small(store)
        heavy = [said("x" * 1_700) for _ in range(3)]
        for change in (
            SessionChange(events=[*heavy, heavy[0]]),
            SessionChange(events=heavy, set_state={"k": "x" * 900}),
            SessionChange(events=heavy, set_properties={"k": "x" * 900}),
            SessionChange(events=heavy, runs=[SessionRun(id="r", metadata={"k": "x" * 900})]),
            SessionChange(set_state={f"{number:0200}": 1 for number in range(30)}),
            SessionChange(unset_state=[f"{number:0200}" for number in range(31)]),
            SessionChange(
                set_properties={f"{number:01000}": 1 for number in range(3)}, unset_state=["k" * 1_999, "j" * 1_999]
            ),
            SessionChange(runs=[SessionRun(id=f"{number:0500}") for number in range(6)]),
            SessionChange(retraction=Retraction([f"{number:0500}" for number in range(13)])),
        ):
            with pytest.raises(InvalidSessionOperation, match="append in batches"):
                await small.commit("talk", change)

        await _assert_untouched(await reopen())

    async def test_a_session_over_the_limits_is_not_created_and_can_be_saved_when_it_is_lighter(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        small = await _small(store)
        session = Session(id="new", events=several(5, "n"))
        with pytest.raises(SessionManagerError):
            await small.save(session)
        assert await (await reopen()).get("new") is None
        del session.events[4:]
        await small.save(session)

        assert len((await whole(await reopen(), "new")).events) == 4

    async def test_an_event_over_sixteen_megabytes_is_refused_by_default(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(1)))

        with pytest.raises(InvalidEvent, match="16000000"):
            await store.append("talk", said("x" * 16_000_001))

        await _assert_untouched(await reopen())

    async def test_what_is_shared_is_measured_as_it_would_be_written_and_no_further_than_the_limit(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        small = await _small(store)
        once: list[Any] = ["x" * 100]
        doubled: Any = "x"
        for _ in range(90):
            doubled = [doubled, doubled]  # written out, it would be larger than any disk
        for value in ([once] * 10**6, {"k": doubled}, Shared(value=doubled), [Shared(value="x" * 100)] * 10**6):
            for change in (SessionChange(events=[said(value)]), SessionChange(set_state={"k": value})):
                with pytest.raises(InvalidEvent, match="more than 2000 bytes") as failure:
                    await small.commit("talk", change)
                assert failure.value.is_too_large

        await _assert_untouched(await reopen())

    async def test_a_payload_of_megabytes_comes_back_whole(self, store: BaseSessionStore, reopen: Reopen) -> None:
        text = "0123456789abcdef" * 65_536
        await store.create("talk", change=SessionChange(events=[said(text), said("next")], set_state={"k": text}))

        again = await whole(await reopen(), "talk")

        assert again.events[0].message == again.state["k"] == text
        assert again.events[1].message == "next"


async def _small(store: BaseSessionStore) -> BaseSessionStore:
    await store.create("talk", change=SessionChange(events=several(1)))
    small = copy(store)  # of its class, so that what that does with a write is held to the limits, too
    small._limits = SMALL
    return small


async def _assert_untouched(store: BaseSessionStore) -> None:
    session = await whole(store, "talk")
    assert (ids(session.events), session.state, session.metadata.properties) == (["e1"], {}, {})
    assert (session.runs, session.revision) == ([], 1)
