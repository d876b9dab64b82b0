"""Claude Code's rewinds: whatever way somebody went, each line follows what was said before it, and no more."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager import InMemorySessionStore, import_conversations
from tests.draws import few


def _lines(parents: list[int]) -> list[dict[str, Any]]:
    """Return a question and its answer for each of `parents`, which says how many exchanges before it goes on from."""
    lines: list[dict[str, Any]] = []
    for number, back in enumerate(parents):
        above = number - 1 - min(back, number - 1)
        for role, parent in (("user", f"assistant-{above}" if number else None), ("assistant", f"user-{number}")):
            message = {"role": role, "content": f"{role} {number}"}
            lines.append(
                {
                    "type": role,
                    "uuid": f"{role}-{number}",
                    "parentUuid": parent,
                    "isSidechain": False,
                    "sessionId": "rewound",
                    "timestamp": f"2026-05-01T{number // 60:02d}:{number % 60:02d}:00Z",
                    "message": message,
                }
            )
    return lines


def _said_before(lines: list[dict[str, Any]], uuid: str | None) -> list[str]:
    parents = {line["uuid"]: line["parentUuid"] for line in lines}
    found: list[str] = []
    while uuid is not None:
        found.append(uuid)
        uuid = parents[uuid]
    return found[::-1]


@settings(deadline=None, max_examples=few(10, of=300))
@given(st.lists(st.sampled_from([0, 0, 0, 1, 2, 5]), min_size=1, max_size=25), st.integers(1, 50))
def test_each_line_has_what_was_said_before_it_and_a_log_that_has_grown_leaves_what_was_there(
    parents: list[int], first: int
) -> None:
    lines = _lines(parents)
    with TemporaryDirectory() as directory:
        asyncio.run(_check(Path(directory, "rewound.jsonl"), lines, first))


async def _check(path: Path, lines: list[dict[str, Any]], first: int) -> None:
    async with InMemorySessionStore() as store:
        for part in (lines[:first], lines):
            text = "".join(json.dumps(line) + "\n" for line in part)
            await asyncio.to_thread(path.write_text, text)
            await import_conversations(store, path)
        seen: list[str] = []
        for session_id in await store.list_sessions():
            session = await store.get(session_id)
            assert session is not None
            ids = [event.id for event in session.events]
            assert ids == _said_before(lines, ids[-1])
            seen += ids[0 if session.forked_from is None else session.forked_from.seq :]

        assert sorted(seen) == sorted(line["uuid"] for line in lines)
