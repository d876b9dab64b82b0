"""A hundred real transcripts, where they are at hand: the same conversations from three formats."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager import SessionManager, export_conversation, import_conversations

_PLACES = [parent / "shared" / "data" / "airline_transcripts.jsonl" for parent in Path(__file__).parents]
_DATA = next((place for place in _PLACES if place.exists()), _PLACES[0])

pytestmark = pytest.mark.skipif(not _DATA.exists(), reason="the transcripts are not part of the project")


@pytest.fixture(params=[5, pytest.param(100, marks=pytest.mark.soak)])
def transcripts(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file of transcripts, in OpenAI's chat format."""
    path = tmp_path / "transcripts.jsonl"
    path.write_text("".join(_DATA.read_text().splitlines(keepends=True)[: request.param]))
    return path


def _said(messages: Iterable[Any]) -> list[Any]:
    """Return what was said, whatever the format: texts, calls with their arguments, and results."""
    found: list[Any] = []
    for message in messages:
        if message.get("content"):
            found.append(message["content"])
        functions = [call["function"] for call in message.get("tool_calls") or ()]
        found += [(each["name"], json.loads(each["arguments"])) for each in functions]
    return found


async def _imported(path: Path) -> tuple[dict[str, list[Any]], int]:
    async with SessionManager.from_url("memory:") as sessions:
        await import_conversations(sessions, path)
        again = await import_conversations(sessions, path)
        ids = await sessions.list_sessions()
        said = {each: json.loads((await export_conversation(sessions, each)).text)["messages"] for each in ids}
        return {each: _said(messages) for each, messages in said.items()}, again.new_events


async def test_the_transcripts_are_the_same_from_three_formats(transcripts: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (await asyncio.to_thread(transcripts.read_text)).splitlines()]
    wanted = {each["id"]: _said(each["messages"]) for each in rows}

    async with SessionManager.from_url("memory:") as sessions:
        report = await import_conversations(sessions, transcripts)
        assert (report.session_ids, report.events) == (list(wanted), sum(len(each["messages"]) for each in rows))
        for each in rows:
            events = await sessions.events(each["id"])
            assert [event.message for event in events] == each["messages"]
        texts = {name: (await export_conversation(sessions, name, format="responses")).text for name in wanted}

    database, entries = tmp_path / "agents.db", tmp_path / "sharegpt.json"
    items = {each: json.loads(text)["input"] for each, text in texts.items()}
    await asyncio.to_thread(_write_agents, database, items)
    await asyncio.to_thread(entries.write_text, json.dumps([_entry(each) for each in rows]))
    assert await _imported(database) == (wanted, 0)
    assert await _imported(entries) == (wanted, 0)


def _write_agents(path: Path, sessions: dict[str, list[Any]]) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE agent_sessions (session_id TEXT PRIMARY KEY, created_at, updated_at)")
        database.execute(
            "CREATE TABLE agent_messages (id INTEGER PRIMARY KEY, session_id TEXT, message_data TEXT, created_at, "
            "FOREIGN KEY (session_id) REFERENCES agent_sessions (session_id))"
        )
        for session_id, items in sessions.items():
            database.execute("INSERT INTO agent_sessions VALUES (?, NULL, NULL)", (session_id,))
            rows = [(session_id, json.dumps(item)) for item in items]
            database.executemany("INSERT INTO agent_messages (session_id, message_data) VALUES (?, ?)", rows)


def _entry(transcript: dict[str, Any]) -> dict[str, Any]:
    """Return a transcript in ShareGPT's format."""
    first, *messages = transcript["messages"]
    turns: list[dict[str, str]] = []
    for message in messages:
        if message.get("content") and message["role"] == "assistant":
            turns.append({"from": "gpt", "value": message["content"]})
        calls = [call["function"] for call in message.get("tool_calls") or ()]
        if calls:
            named = [{"name": call["name"], "arguments": json.loads(call["arguments"])} for call in calls]
            turns.append({"from": "function_call", "value": json.dumps(named)})
        if message["role"] in ("user", "tool"):
            speaker = "human" if message["role"] == "user" else "observation"
            turns.append({"from": speaker, "value": message["content"]})
    return {"id": transcript["id"], "system": first["content"], "conversations": turns}
