"""What a live page is told, on every store: events, retractions, new sessions and heads, once each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from a2a_session_manager import SessionManager, SessionNotFound, session_timeline
from a2a_session_manager.timeline import following
from a2a_session_manager.timeline.following import StaleTimeline, timeline_updates
from tests.stores import OpenStore, open_store
from tests.timeline.trees import data_of

__all__ = ["open_store"]

Updates = AsyncGenerator[dict[str, Any], None]


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_LOOK_SECONDS", 0.05)


async def begun(sessions: SessionManager) -> Updates:
    """Return what comes to a tree of a root and a child, after a page of it was made."""
    async with sessions.open("root") as chat, chat.child("child") as child:
        await chat.user("Hi")
        await child.user("You there?")
    data = data_of(await session_timeline(sessions, "root"))
    known = [session["last"] for session in data["sessions"]]
    return timeline_updates(sessions.store, "root", known=known, of=data["of"])


async def told(updates: Updates, what: str) -> dict[str, Any]:
    """Return the first update that tells something of this kind."""
    async with asyncio.timeout(20):
        async for update in updates:
            if update[what]:
                return update
    raise AssertionError("it ended")


async def test_events_and_retractions_come_in_their_place(open_store: OpenStore) -> None:
    async with open_store() as store, aclosing(await begun(SessionManager(store))) as updates:
        sessions = SessionManager(store)
        waiting = asyncio.create_task(told(updates, "events"))
        async with sessions.open("child") as child:
            [event] = await child.append({"role": "user", "content": "Yes?"})
            first = await waiting
            await child.retract(event.id)
            second = await told(updates, "events")

        rows = [row for update in (first, second) for session in update["events"] for row in session["events"]]
        assert {session["id"] for update in (first, second) for session in update["events"]} == {"child"}
        assert [(row["q"], row.get("r")) for row in rows][:: len(rows) - 1] == [(2, None), (2, 1)]


async def test_a_session_that_is_made_meanwhile_comes_as_a_whole_and_is_followed(open_store: OpenStore) -> None:
    async with open_store() as store, aclosing(await begun(SessionManager(store))) as updates:
        async with SessionManager(store).open("root") as chat, chat.child("later") as later:
            await later.user("I am new")
            update = await told(updates, "sessions")
            await later.user("And I go on")
            more = await told(updates, "events")

        [session] = update["sessions"]
        assert (session["id"], session["parent"], [row["q"] for row in session["events"]]) == ("later", "root", [1])
        assert [(each["id"], [row["q"] for row in each["events"]]) for each in more["events"]] == [("later", [2])]


async def test_a_run_that_ends_is_told_with_its_head() -> None:
    sessions = SessionManager()
    async with aclosing(await begun(sessions)) as updates:
        async with sessions.open("root") as chat, chat.run(id="r"):
            pass
        heads = (await told(updates, "heads"))["heads"]

        assert [run["status"] for head in heads if head["id"] == "root" for run in head["runs"]] == ["completed"]


async def test_a_page_of_another_tree_has_to_be_loaded_again() -> None:
    sessions = SessionManager()
    await (await begun(sessions)).aclose()

    for known, of in (([1, 1], "other"), ([1, 1, 1], "other")):
        with pytest.raises(StaleTimeline):
            await anext(timeline_updates(sessions.store, "root", known=known, of=of))


async def test_it_ends_when_the_session_is_deleted() -> None:
    sessions = SessionManager()
    async with aclosing(await begun(sessions)) as updates:
        waiting = asyncio.create_task(told(updates, "events"))
        await asyncio.sleep(0)
        await sessions.delete("root", children="cascade")

        with pytest.raises(SessionNotFound):
            await waiting


async def test_nothing_is_followed_once_nobody_listens() -> None:
    sessions = SessionManager()
    before = asyncio.all_tasks()
    updates = await begun(sessions)
    waiting = asyncio.create_task(told(updates, "events"))
    await asyncio.sleep(0.05)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await updates.aclose()

    assert asyncio.all_tasks() == before
