"""Every example runs as a user runs it; the replay survives being stopped; the SQLite store keeps the contract."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from a2a_session_manager import BaseSessionStore, InMemorySessionStore, RunStatus, SessionManager
from a2a_session_manager.testing import StoreContract

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
CONVERSATIONS = EXAMPLES / "data" / "conversations.jsonl"

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


def run_example(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=600, check=False, env=utf8()
    )


def utf8() -> dict[str, str]:
    return {**os.environ, "PYTHONIOENCODING": "utf-8"}


def example(name: str) -> ModuleType:
    """Import an example as a module; as a script it would run."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


replay = example("replay")
custom_store = example("custom_store")


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


class TestReplayCommand:
    def test_a_second_replay_on_the_same_files_adds_nothing_and_finds_all_equal(self, tmp_path: Path) -> None:
        first, second = (run_example("replay", "--store", f"file:{tmp_path}/sessions") for _ in range(2))

        assert (first.returncode, second.returncode) == (0, 0)
        assert "replayed     31 events" in first.stdout
        assert "replayed     0 events" in second.stdout
        assert "equal        5 of 5 conversations" in second.stdout

    def test_with_a_model_it_prints_the_tokens_and_the_cost_of_each_conversation_and_of_the_tree(self) -> None:
        finished = run_example("replay", "--model", "gpt-4o")

        assert finished.returncode == 0
        words = [line.split() for line in finished.stdout.splitlines() if line.startswith("  ")][1:]
        *conversations, tree = words
        assert len(conversations) == 5
        assert tree[:2] == ["the", "tree"]
        assert tree[-1] == "estimated"  # calls are among them
        assert "counted" in finished.stdout  # and a conversation without
        for at in (1, 2, 3):
            assert sum(number(row[at]) for row in conversations) == number(tree[at + 1])
        costs = [Decimal(row[5].removeprefix("$")) for row in conversations]
        half_of_the_last_digit = Decimal("0.0000005")
        difference = abs(sum(costs) - Decimal(tree[5].removeprefix("$")))
        assert min(costs) > 0
        assert difference <= half_of_the_last_digit * (len(costs) + 1)

    def test_a_model_without_a_price_has_a_count_and_no_cost(self) -> None:
        finished = run_example("replay", "--model", "nobody-knows-it")

        assert finished.returncode == 0
        assert finished.stdout.splitlines()[-1].endswith("unknown  estimated")

    def test_piped_it_shows_no_progress(self) -> None:
        assert "replayed" not in run_example("replay").stderr

    @pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
    def test_on_a_terminal_it_counts_the_conversations(self) -> None:
        shown = on_a_terminal(sys.executable, str(EXAMPLES / "replay.py"))

        assert "replayed 5 of 5 conversations" in shown

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "holds no conversations"),
            ("{\n", "line 1 is not JSON"),
            ('{"id": "a", "messages": []}\n{"id": "b"}\n', "line 2 is not"),
            ('{"id": 7, "messages": []}', "line 1 is not"),
            ('{"id": "a", "messages": [{"content": "x"}]}', "line 1: message 1 is no object with a role"),
            ('{"id": "a", "messages": [{"role": "user", "content": NaN}]}', "NaN is no JSON value"),
            ('{"id": "a", "messages": []}\n\n{"id": "a", "messages": []}', "line 3: the id 'a' is taken by line 1"),
            ("[" * 100_000, "line 1 is not JSON"),
        ],
    )
    def test_unreadable_input_is_named_with_its_line_and_nothing_is_replayed(
        self, tmp_path: Path, text: str, said: str
    ) -> None:
        path = tmp_path / "input.jsonl"
        path.write_text(text, encoding="utf-8")

        finished = run_example("replay", path)

        assert finished.returncode == 2
        assert said in finished.stderr
        assert str(path) in finished.stderr
        assert "Traceback" not in finished.stderr
        assert finished.stdout == ""

    @pytest.mark.parametrize("content", [None, b"\xff\xfe{"])
    def test_a_missing_or_binary_file_is_named(self, tmp_path: Path, content: bytes | None) -> None:
        path = tmp_path / "input.jsonl"
        if content is not None:
            path.write_bytes(content)

        finished = run_example("replay", path)

        assert finished.returncode == 2
        assert f"{path} cannot be read" in finished.stderr
        assert "Traceback" not in finished.stderr

    def test_an_unknown_store_is_refused_with_the_known_ones(self) -> None:
        finished = run_example("replay", "--store", "tape:/dev/st0")

        assert finished.returncode == 1
        assert "memory:" in finished.stderr
        assert "Traceback" not in finished.stderr

    def test_a_concurrency_of_zero_is_refused(self) -> None:
        finished = run_example("replay", "--concurrency", "0")

        assert finished.returncode == 2
        assert "take 1 or more" in finished.stderr

    def test_a_message_that_no_store_can_keep_fails_its_conversation_alone(self, tmp_path: Path) -> None:
        deep = "[" * 200 + "]" * 200
        path = tmp_path / "input.jsonl"
        path.write_text(
            f'{{"id": "deep", "messages": [{{"role": "user", "content": {deep}}}]}}\n'
            '{"id": "fine", "messages": [{"role": "user", "content": "\\ud83d"}]}\n',
            encoding="utf-8",
        )

        finished = run_example("replay", path)

        assert finished.returncode == 1
        assert "equal        1 of 2 conversations" in finished.stdout
        assert "InvalidEvent" in finished.stderr

    def test_a_replay_that_differs_from_its_input_exits_with_1(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        given = replay.chat_messages
        monkeypatch.setattr(
            replay, "chat_messages", lambda events: [dict(reversed(each.items())) for each in given(events)]
        )

        assert replay.main([]) == 1
        assert "equal        0 of 5 conversations" in capsys.readouterr().out


class TestReplay:
    async def test_the_batch_is_a_tree_in_the_order_of_the_input(self) -> None:
        store = InMemorySessionStore()
        transcripts = await read()
        await replay.replay(SessionManager(store), transcripts, concurrency=64)

        expected = [(each.session_id, transcripts.id) for each in transcripts.conversations]
        assert await store.tree(transcripts.id) == [(transcripts.id, None), *expected]

    async def test_never_more_conversations_than_concurrency_are_under_way(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        under_way: list[int] = [0]
        most = 0
        given = replay.replay_conversation

        async def counted(*arguments: Any) -> int:
            nonlocal most
            under_way[0] += 1
            most = max(most, under_way[0])
            await asyncio.sleep(0)
            new_events: int = await given(*arguments)
            under_way[0] -= 1
            return new_events

        monkeypatch.setattr(replay, "replay_conversation", counted)
        await replay.replay(SessionManager(InMemorySessionStore()), await read(), concurrency=3)

        assert most == 3

    async def test_a_second_replay_on_the_same_store_changes_nothing(self, place: Path) -> None:
        transcripts = await read()
        first = await replay_at(place, transcripts)
        kept = await kept_at(place, transcripts)
        second = await replay_at(place, transcripts)

        assert (first, second) == (31, 0)
        assert await kept_at(place, transcripts) == kept

    @pytest.mark.parametrize("stop_after", range(1, 56, 3))
    async def test_a_cancelled_replay_started_again_ends_as_if_it_had_never_stopped(
        self, place: Path, stop_after: int
    ) -> None:
        transcripts = await read()
        await cancelled_replay(place, transcripts, stop_after)
        ended = {run: status for run, status in (await runs_at(place, transcripts)).items() if status.is_final}
        await replay_at(place, transcripts)

        assert await kept_at(place, transcripts) == await kept_in_memory(transcripts)
        assert ended.items() <= (await runs_at(place, transcripts)).items()  # what was cut off stays on record
        assert (await report_at(place, transcripts)).differences == []

    def test_a_replay_killed_again_and_again_ends_as_if_it_had_never_stopped(self, place: Path) -> None:
        lives = 1
        while (code := life_of_a_replay(place, writes=12)) != 0:
            assert code == -9
            lives += 1
            assert lives < 20

        assert lives > 3
        transcripts = replay.read_transcripts(CONVERSATIONS)
        assert asyncio.run(kept_at(place, transcripts)) == asyncio.run(kept_in_memory(transcripts))
        report = asyncio.run(report_at(place, transcripts))
        assert report.differences == []
        # A killed process records nothing: its runs were found unfinished, and resumed by their ids.
        assert (report.runs, report.interrupted_runs) == (9, 0)

    @pytest.mark.parametrize(
        ("tamper", "said"),
        [
            (lambda sessions, name: sessions.retract(name, last=1), "messages instead of"),
            (lambda sessions, name: add_message(sessions, name), "messages instead of"),
            (lambda sessions, name: replace_last_message(sessions, name), "instead of"),
            (lambda sessions, name: add_run(sessions, name), "completed runs"),
            (lambda sessions, name: sessions.delete(name), "not the conversations in"),
            (lambda sessions, name: sessions.create(f"{name}/below", parent_id=name), "not the conversations in"),
        ],
    )
    async def test_comparing_finds_a_store_that_was_tampered_with(
        self, tamper: Callable[[SessionManager, str], Awaitable[object]], said: str
    ) -> None:
        sessions = SessionManager(InMemorySessionStore())
        transcripts = await read()
        await replay.replay(sessions, transcripts, concurrency=2)
        first = transcripts.conversations[0]
        await tamper(sessions, first.session_id)
        await sessions.get_or_create(first.session_id, parent_id=transcripts.id)

        differences = (await replay.compare(sessions, transcripts)).differences

        assert any(said in difference for difference in differences)


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


# Helpers


def number(text: str) -> int:
    return int(text.replace(",", ""))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


def sqlite_store(place: Path) -> BaseSessionStore:
    store: BaseSessionStore = custom_store.SqliteSessionStore(place)
    return store


async def read() -> Any:
    return await asyncio.to_thread(replay.read_transcripts, CONVERSATIONS)


async def replay_at(place: Path, transcripts: Any) -> int:
    async with sqlite_store(place) as store:
        replayed = await replay.replay(SessionManager(store), transcripts, concurrency=3)
    assert replayed.failures == []
    new_events: int = replayed.new_events
    return new_events


async def cancelled_replay(place: Path, transcripts: Any, stop_after: int) -> None:
    """Replay, and cancel it in the middle of the write number `stop_after`."""
    async with sqlite_store(place) as store:
        writes = 0

        def counted(verb: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
            async def write(*arguments: Any, **options: Any) -> Any:
                nonlocal writes
                writes += 1
                if writes == stop_after:
                    task.cancel()
                return await verb(*arguments, **options)

            return write

        for verb in ("append", "commit", "create"):
            setattr(store, verb, counted(getattr(store, verb)))
        task = asyncio.create_task(replay.replay(SessionManager(store), transcripts, concurrency=3))
        with pytest.raises(asyncio.CancelledError):
            await task


async def report_at(place: Path, transcripts: Any) -> Any:
    async with sqlite_store(place) as store:
        return await replay.compare(SessionManager(store), transcripts)


async def runs_at(place: Path, transcripts: Any) -> dict[tuple[str, str], RunStatus]:
    async with sqlite_store(place) as store:
        there = set(await store.list_sessions())
        return {
            (each.session_id, run.id): run.status
            for each in transcripts.conversations
            if each.session_id in there
            for run in await store.runs(each.session_id)
        }


async def kept_at(place: Path, transcripts: Any) -> object:
    async with sqlite_store(place) as store:
        return await kept(store, transcripts)


async def kept_in_memory(transcripts: Any) -> object:
    store = InMemorySessionStore()
    await replay.replay(SessionManager(store), transcripts, concurrency=3)
    return await kept(store, transcripts)


async def kept(store: BaseSessionStore, transcripts: Any) -> object:
    """Return what must not depend on how often a replay was stopped: all but times and attempts."""
    logs = {}
    for session_id, _ in await store.tree(transcripts.id):
        session = await store.get(session_id)
        assert session is not None
        logs[session_id] = [(event.seq, event.id, event.type, json.dumps(event.message)) for event in session.events]
    return await store.tree(transcripts.id), logs


DRIVER = """
import asyncio, os, signal, sys
from pathlib import Path
import custom_store, replay
from a2a_session_manager import SessionManager

writes_left = int(sys.argv[3])
write = custom_store.SqliteBackend.write

def deadly_write(self, row, commit):
    global writes_left
    before = row.head.revision
    receipt = write(self, row, commit)
    writes_left -= row.head.revision > before  # what is only repeated does not count
    if writes_left == 0:
        os.kill(os.getpid(), signal.SIGKILL)  # written, but not committed
    return receipt

custom_store.SqliteBackend.write = deadly_write

async def main():
    transcripts = await asyncio.to_thread(replay.read_transcripts, Path(sys.argv[2]))
    async with custom_store.SqliteSessionStore(sys.argv[1]) as store:
        await replay.replay(SessionManager(store), transcripts, concurrency=3)

asyncio.run(main())
"""


def life_of_a_replay(place: Path, *, writes: int) -> int:
    """Replay in a process of its own, which is killed in its write number `writes`; return its exit code."""
    command = [sys.executable, "-c", DRIVER, str(place), str(CONVERSATIONS), str(writes)]
    return subprocess.run(command, check=False, timeout=60, env={**os.environ, "PYTHONPATH": str(EXAMPLES)}).returncode


def on_a_terminal(*command: str) -> str:
    """Run a command with a terminal for stderr; return what it wrote there."""
    outer, inner = os.openpty()
    with os.fdopen(outer, "rb", buffering=0) as screen:
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=inner, timeout=60, check=True)
        os.close(inner)
        return b"".join(read_screen(screen)).decode()


def read_screen(screen: Any) -> Iterator[bytes]:
    try:
        while chunk := screen.read(4096):
            yield chunk
    except OSError:
        return  # Linux: the other end is closed and all has been read


async def add_message(sessions: SessionManager, session_id: str) -> None:
    async with sessions.open(session_id) as chat:
        await chat.user("one more")


async def replace_last_message(sessions: SessionManager, session_id: str) -> None:
    await sessions.retract(session_id, last=1)
    await add_message(sessions, session_id)


async def add_run(sessions: SessionManager, session_id: str) -> None:
    async with sessions.open(session_id) as chat, chat.run(id="turn-1.9"):
        pass
