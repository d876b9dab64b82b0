"""Every example runs as a user runs it; the SQLite store keeps the contract."""

from __future__ import annotations

import ast
import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager import BaseSessionStore
from a2a_session_manager.testing import StoreContract
from tests.example_runs import EXAMPLES, place, run_example, sqlite_store

__all__ = ["place"]


ESSENTIAL_LINES = {
    "quickstart": ["user | Two days in Oslo?", "assistant | None", 'tool | {"celsius":4}', "completed | 102 tokens"],
    "session_example": [
        "1 user: What is the capital of Norway?",
        "tokens: 9 in all, 8 of them in prompts",
        "run: completed, events: 3",
        "ancestors in order: True",
        "descendants in order: True",
        "sessions left: []",
    ],
    "hierarchy": [
        "    trip/hotels/check: 1 events",
        "above the check: ['trip/hotels', 'trip']",
        "tokens: 52 its own, 144 with all below it",
    ],
    "budget": [
        "spent: 10000 of 10000 tokens in 10 requests, and nothing is held",
        "the report waits for more: waiting",
        "after the budget was raised: completed",
    ],
    "edit_and_regenerate": [
        "oslo-trip: ['And in winter?', 'An answer to: And in winter?']",
        "oslo-trip-2: ['And in summer?', 'An answer to: And in summer?']",
        "oslo-trip-2 goes on from event 3 of oslo-trip",
        "both used 115 tokens",
        "left: ['oslo-trip'], 5 messages",
    ],
    "runs": [
        "completes: completed",
        "fails: failed by ConnectionError",
        "is-cancelled: cancelled by CancelledError",
        "waits: waiting",
        "meanwhile: waits is held",
        "again: run 'waits' has ended as completed: start a new run with another id",
        "waits: completed, 3 events",
    ],
    "token_tracking_example": [
        "gpt-4o-mini: 2210 tokens, $0.000304",
        "without a known price: 1 of 4 requests",
        "usages of a response that had counted: 1",
    ],
    "fastapi_chat": [
        "answer: You said: Two days in Oslo? ",
        "run: completed",
        "other tab sees: ['user', 'llm']",
        "In May? 201 is kept",
        "In June? 409 [3]",
        "the store: 6 commits, 0 waiting",
    ],
    "chat_sidebar": [
        "Ann sees, page 1: ['A cat (You said: A cat)', 'Rust or Go? (You said: Rust or Go?)', "
        "'My tax return (You said: My tax return)']",
        "Ann sees, page 2: ['Two days in Oslo? (You said: Two days in Oslo?)']",
        "then, page 1: ['Two days in Oslo? (You said: And in winter?)', 'A cat (You said: A cat)', "
        "'Taxes 2025 (You said: My tax return)']",
        "found: ['Taxes 2025']",
        "Bob sees, page 1: []",
        "an Ann of another company sees, page 1: []",
        "they rename it: 404",
    ],
    "custom_store": ["oslo-trip: 1 event, run completed", "below it: flights, 2 events"],
    "agent_loop": [
        "trip | assistant: ['flights']",
        "trip | tool: SK 4035 at 9.",
        "trip/flights | assistant: SK 4035 at 9.",
        "run of planner: completed",
        "run of flights: completed",
        "planner: 3 requests, 480 tokens",
        "with its sub-agent: 540 tokens, $0.000099",
    ],
    "valid_prompts": [
        "in the log: system user assistant user tool assistant user assistant user",
        "in a prompt: system user assistant tool user assistant user assistant tool user",
        "moved_result: event 5 goes after its call in the event 3",
        "closed_call: event 8 makes the call 'book' (call-2), which has no result",
        "open: [('book', 'call-2')]",
        "check: [('moved_result', (5,)), ('closed_call', (8,))]",
        "repair: interrupted: this call has no result",
        "open: [] | again: []",
        "the repaired prompt is the same: True",
        "the next one begins with it: True",
        "taken back: Book a hotel.",
        "restored: 4 events, the newest says No, I was interrupted. Shall I try again?",
        "system for Anthropic: You plan trips.",
        '   {"role": "model", "parts": [{"text": "Take a coat, for both of you."}]}',
    ],
    "long_conversation": [
        "day 7: 14 messages, 276 tokens",
        "day 8: 16 messages, 318 tokens -> 6 messages",
        "day 9: 7 messages, 151 tokens",
        "said meanwhile: And bring my dog!",
        "begins with what was there before: compaction",
        "stands for: 24 messages, the first is 'What shall we do on day 1?'",
        "in the log: 26 messages, in the prompt: 3",
        "undone: True",
        "spent: 14 requests, summaries included",
    ],
    "import_conversations": [
        "2 sessions, 1 of them forks, 3 events",
        "oslo ['Two days in Oslo?', 'Day 1: the fjord.']",
        "oslo/first ['Two days in Oslo?', 'Stay at home.']",
        "again: 0 events are new",
        "# A trip to Oslo",
    ],
    "move_between_stores": [
        "copied: trip, trip/flights, trip-2; lost: 0",
        "the same bytes: True",
        "imported again: 0 written",
        "of ann ['trip', 'trip-2', 'trip/flights']",
        "left behind: []",
        "saved: 2 events; lost: damage",
    ],
    "openai_agents_session": [
        "Take a coat.",
        "unanswered: ['Where was that?']",
        "Oslo.",
        "['user', 'function_call', 'function_call_output', 'message', 'user', 'message']",
        "3 requests, 660 tokens, $0.000126",
    ],
    "without_a_loop": [
        "ann: You said 1 things: Hello!",
        "bob: You said 1 things: Hi.",
        "ann: You said 1 things: Still there?",
        "ann: 30 tokens in 2 runs",
        "bob: 15 tokens in 1 runs",
    ],
    "claude_transcripts": [
        "in a second process: ['user', 'assistant', 'assistant', 'user', 'assistant']",
        "sub-agents: ['subagents/agent-1']",
        "3 requests, 460 tokens",
    ],
    "langgraph_saver": [
        "turn 1: 2 messages",
        "turn 3, in a second process: 6 messages",
        "3 requests, 45 tokens",
        "steps: 9",
    ],
    "pydantic_ai_conversations": [
        "trip: ['And in winter?', 'You asked 3 times.']",
        "trip-2: ['And in summer?', 'You asked 3 times.']",
        "trip used 45 tokens, trip-2 15",
    ],
    "opentelemetry_console": [
        "create sessions: id=oslo-trip",
        "   read_compacted sessions: id=oslo-trip",
        "invoke_agent planner: id=oslo-trip status=completed input_tokens=90",
        "invoke_agent booker: id=oslo-trip status=failed type=ConnectionError",
    ],
    "timeline": ["3 sessions in one file of about 100 kB", "the key is in it: False", "what it loads: 0 files"],
    "replay": [
        "sessions     6",
        "events       31",
        "tool calls   5",
        "runs         9",
        "equal        5 of 5 conversations",
    ],
}
# What examples need beside the package: the frameworks are not in `dev`, .ci/bridges installs them.
NEEDS = {
    "opentelemetry_console": "opentelemetry.sdk.trace",  # a later addition to `dev`
    "claude_transcripts": "claude_agent_sdk",
    "langgraph_saver": "langgraph.graph",
    "pydantic_ai_conversations": "pydantic_ai.conversation_store",
}


def test_every_example_is_run_here() -> None:
    # test_with_fixtures is run by pytest, over every store and in every mode: tests/testing/test_plugin.py
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*ESSENTIAL_LINES, "test_with_fixtures"}


@pytest.mark.parametrize("name", ESSENTIAL_LINES)
def test_an_example_prints_what_it_says(name: str) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"{NEEDS[name]} is not installed")
    finished = run_example(name)

    assert finished.stderr == ""
    assert finished.returncode == 0
    lines = iter(finished.stdout.splitlines())
    assert [line for line in ESSENTIAL_LINES[name] if line not in lines] == []  # in this order


@pytest.mark.parametrize("name", ESSENTIAL_LINES)
def test_an_example_opens_with_how_to_run_it_and_what_it_prints(name: str) -> None:
    docstring = ast.get_docstring(ast.parse((EXAMPLES / f"{name}.py").read_text(encoding="utf-8"))) or ""

    assert f"To run: python examples/{name}.py" in docstring
    assert "It prints: " in docstring


class TestSqliteStore(StoreContract):
    """The contract, on a store that uses only what a user's own store can use."""

    keeps_budgets = False

    async def open_store(self, place: Path) -> BaseSessionStore:
        return sqlite_store(place)

    async def damage(self, store: BaseSessionStore, session_id: str) -> None:
        backend: Any = store._open_backend

        def overwrite() -> None:
            with closing(sqlite3.connect(backend.path)) as database, database:
                find = "SELECT number FROM sessions WHERE id = ?"
                ((number,),) = database.execute(find, (session_id.encode(),)).fetchall()
                change = "UPDATE events SET data = substr(data, 3) WHERE session = ? AND seq = 1"
                assert database.execute(change, (number,)).rowcount == 1

        await asyncio.to_thread(overwrite)


def test_the_custom_store_is_no_longer_than_200_lines() -> None:
    source = (EXAMPLES / "custom_store.py").read_text(encoding="utf-8")
    store = source[source.index("SCHEMA = ") : source.index("async def main(")]

    assert 100 <= len([line for line in store.splitlines() if line.strip()]) <= 200
