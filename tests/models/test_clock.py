"""Every time the library writes comes from one clock, and every id that users see from one source."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from a2a_session_manager import Session, SessionEvent, SessionManager, SessionRun, identifiers
from a2a_session_manager.models import clock
from a2a_session_manager.models.clock import now_micros, utc_now

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_clock_shows_the_time_of_the_machine() -> None:
    before = time.time_ns() // 1_000
    micros = now_micros()
    moment = utc_now()

    assert before <= micros <= before + 60_000_000
    assert moment.tzinfo is UTC
    assert abs(moment - datetime.now(UTC)) < timedelta(minutes=1)


async def test_all_times_come_from_the_one_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "time_ns", lambda: int(NEW_YEAR.timestamp()) * 10**9)
    async with SessionManager.from_url(f"file:{tmp_path}/sessions") as sessions, sessions.open("trip") as chat:
        said = await chat.user("Hello")
        async with chat.run() as run:
            pass
        stored = await sessions.get("trip")

    times = [said.timestamp, run.record.started_at, run.record.ended_at]
    assert [*times, stored.metadata.created_at] == [NEW_YEAR] * 4
    # The clock stands still, so each of three commits is put a microsecond after the one before.
    assert stored.metadata.updated_at == NEW_YEAR + timedelta(microseconds=3)
    assert stored.events[0].timestamp == NEW_YEAR


async def test_all_ids_that_users_see_come_from_the_one_source(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = iter(["session", "event", "run", "stored", "said", "its-run", "call-id", "call", "result"])
    monkeypatch.setattr(identifiers, "id_source", lambda: next(seen))

    assert [Session().id, SessionEvent(message="Hello").id, SessionRun().id] == ["session", "event", "run"]
    async with SessionManager.from_url("memory:") as sessions, sessions.open() as chat:
        assert (chat.id, (await chat.user("Hello")).id) == ("stored", "said")
        async with chat.run() as run:
            call, result = await run.tool("search", result=1)
    assert (run.id, call.message["tool_calls"][0]["id"]) == ("its-run", "call-id")
    assert [call.id, result.id] == ["call", "result"]
    assert next(seen, None) is None
