"""SessionManager.edit: a change to a fresh read, saved under a guard, and made again after a conflict."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from a2a_session_manager import (
    Session,
    SessionConflict,
    SessionManager,
    SessionNotFound,
    StoreUnavailable,
)
from a2a_session_manager.manager import writing
from a2a_session_manager.storage.commit_records import EncodedCommit, Receipt
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.store import BaseSessionStore
from tests.manager.managed import said, sessions, store, texts

__all__ = ["sessions", "store"]


# edit


async def test_edit_changes_and_saves(sessions: SessionManager) -> None:
    await sessions.create("a")

    def add(session: Session[Any]) -> None:
        session.state["n"] = 1
        session.metadata.set_property("p", 2)
        session.add_event(said("x"))

    saved = await sessions.edit("a", add)

    assert (await sessions.get("a")).state == {"n": 1}
    assert await texts(sessions, "a") == ["x"]
    assert (saved.revision, saved.state) == (2, {"n": 1})


async def test_edit_takes_an_async_change(sessions: SessionManager) -> None:
    await sessions.create("a")

    async def add(session: Session[Any]) -> None:
        await asyncio.sleep(0)
        session.state["n"] = 1

    await sessions.edit("a", add)

    assert (await sessions.get("a")).state == {"n": 1}


async def test_edits_by_many_at_once_lose_no_change(sessions: SessionManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "EDIT_TRIES", 100)
    await sessions.create("a", state={"n": 0})

    async def add_one(session: Session[Any]) -> None:
        before = session.state["n"]
        await asyncio.sleep(0)
        session.state["n"] = before + 1

    await asyncio.gather(*(sessions.edit("a", add_one) for _ in range(8)))

    assert (await sessions.get("a")).state == {"n": 8}


async def test_edit_runs_again_on_a_fresh_read(sessions: SessionManager) -> None:
    await sessions.create("a", state={"n": 0})
    seen = []

    async def change(session: Session[Any]) -> None:
        seen.append(session.state["n"])
        if len(seen) < 3:
            async with sessions.open("a") as other:
                await other.set_state(n=len(seen) * 10)
        session.state["n"] += 1

    await sessions.edit("a", change)

    assert seen == [0, 10, 20]
    assert (await sessions.get("a")).state == {"n": 21}


async def test_edit_gives_up_after_eight_conflicts(sessions: SessionManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_FIRST_PAUSE_SECONDS", 0.0)
    await sessions.create("a")
    tries = 0

    async def always_late(session: Session[Any]) -> None:
        nonlocal tries
        tries += 1
        await sessions.append("a", said(f"other {tries}"))
        session.state["n"] = tries

    with pytest.raises(SessionConflict) as caught:
        await sessions.edit("a", always_late)

    assert tries == 8
    assert (await sessions.get("a")).state == {}
    assert [event.message for event in caught.value.missed_events] == ["other 8"]


async def test_an_edit_that_raises_is_not_repeated_and_writes_nothing(sessions: SessionManager) -> None:
    await sessions.create("a")
    tries = []

    def break_off(session: Session[Any]) -> None:
        tries.append(1)
        session.state["n"] = 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await sessions.edit("a", break_off)

    assert len(tries) == 1
    assert (await sessions.get("a")).revision == 1


async def test_an_edit_that_changes_nothing_commits_nothing(sessions: SessionManager) -> None:
    await sessions.create("a")

    await sessions.edit("a", lambda session: None)

    assert (await sessions.get("a")).revision == 1


async def test_an_edit_that_changes_nothing_still_notices_a_conflict(sessions: SessionManager) -> None:
    await sessions.create("a")
    seen = []

    async def look(session: Session[Any]) -> None:
        seen.append(session.revision)
        if len(seen) == 1:
            await sessions.append("a", said("x"))

    await sessions.edit("a", look)

    assert seen == [1, 2]


async def test_edit_of_a_session_that_is_not_there_raises(sessions: SessionManager) -> None:
    with pytest.raises(SessionNotFound):
        await sessions.edit("a", lambda session: None)


async def test_edit_loads_events_only_when_asked(sessions: SessionManager) -> None:
    await sessions.create("a")
    await sessions.append("a", said("x"), said("y"))
    seen: list[list[Any]] = []

    def look(session: Session[Any]) -> None:
        seen.append([event.message for event in session.events])

    await sessions.edit("a", look)
    await sessions.edit("a", look, last=1)
    await sessions.edit("a", look, last=None)

    assert seen == [[], ["y"], ["x", "y"]]


async def test_a_guarded_save_repeated_after_a_lost_reply_is_no_conflict() -> None:
    class LosesOneReply(MemoryBackend):
        lost = False

        def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
            receipt = super().commit(key, commit)
            if not self.lost:
                self.lost = True
                raise StoreUnavailable("the reply was lost")
            return receipt

    sessions = SessionManager(BaseSessionStore(LosesOneReply()))
    await sessions.create("a", state={"n": 0})
    session = await sessions.get("a")
    session.state["n"] += 1
    expected = session.revision

    with pytest.raises(StoreUnavailable):
        await sessions.save(session, expected_revision=expected)
    await sessions.save(session, expected_revision=expected)

    again = await sessions.get("a")
    assert (again.state, again.revision, session.revision) == ({"n": 1}, 2, 2)
