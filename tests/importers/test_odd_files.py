"""Files as they are found: ids that come twice or that no store could keep, rows that are none, and line ends."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from a2a_session_manager import InMemorySessionStore, import_conversations


async def _events(path: Path) -> dict[str, list[tuple[str, Any]]]:
    """Return the events of each session, once it was imported twice."""
    async with InMemorySessionStore() as store:
        await import_conversations(store, path)
        again = await import_conversations(store, path)
        assert (again.new_events, again.new_sessions) == (0, 0)
        found = {}
        for session_id in await store.list_sessions():
            found[session_id] = [(event.id, event.message) for event in await store.events(session_id)]
        return found


def _said(role: str, text: str) -> dict[str, Any]:
    return {"kind": "message", "role": role, "messageId": "m", "parts": [{"kind": "text", "text": text}]}


async def test_messages_of_a_task_that_share_an_id_are_both_kept(tmp_path: Path) -> None:
    history = [_said("user", "Go"), _said("agent", "Where?"), _said("user", "Go")]
    task = {"id": "t", "contextId": "c", "kind": "task", "status": {"state": "completed"}, "history": history}
    path = tmp_path / "task.json"
    await asyncio.to_thread(path.write_text, json.dumps(task))

    found = await _events(path)

    assert [event_id for event_id, _ in found["c"]] == ["t/m", "t/m#2"]  # the third says the same as the first
    assert [message["parts"][0]["text"] for _, message in found["c"]] == ["Go", "Where?"]


async def test_events_of_release_0_1_that_share_an_id_are_both_kept(tmp_path: Path) -> None:
    event = {"id": "e", "message": "Hi", "source": "user", "type": "message", "timestamp": "2025-05-01T10:00:02"}
    events = [event, {**event, "message": "Bye"}]
    session = {"id": "s", "metadata": {}, "events": events, "runs": [], "child_ids": []}
    path = tmp_path / "s.json"
    await asyncio.to_thread(path.write_text, json.dumps(session))

    assert await _events(path) == {"s": [("e", "Hi"), ("e#2", "Bye")]}


async def test_sessions_whose_ids_no_store_could_keep_get_others(tmp_path: Path) -> None:
    path, item = tmp_path / "agents.db", json.dumps({"role": "user", "content": "Hi"})

    def fill() -> None:
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("CREATE TABLE agent_sessions (session_id PRIMARY KEY, created_at, updated_at)")
            database.execute(
                "CREATE TABLE agent_messages (id INTEGER PRIMARY KEY, session_id, message_data, created_at, "
                "FOREIGN KEY (session_id) REFERENCES agent_sessions (session_id))"
            )
            for session_id in ("x" * 600, "", 17, b"raw"):
                database.execute("INSERT INTO agent_sessions VALUES (?, NULL, NULL)", (session_id,))
                rows = [(session_id, item), (session_id, "no JSON"), (session_id, "[1]")]
                database.executemany("INSERT INTO agent_messages (session_id, message_data) VALUES (?, ?)", rows)

    await asyncio.to_thread(fill)
    found = await _events(path)

    assert len(found) == 4
    assert "17" in found
    assert all(events[0][1] == {"role": "user", "content": "Hi"} for events in found.values())
    assert all(len(events) == 3 for events in found.values())
