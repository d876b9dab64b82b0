"""The replay: started again it adds nothing, killed it goes on, and what it differs in from its input is told."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager import BaseSessionStore, InMemorySessionStore, RunStatus, SessionManager
from tests.example_runs import EXAMPLES, number, place, replay, run_example, sqlite_store

__all__ = ["place"]


CONVERSATIONS = EXAMPLES / "data" / "conversations.jsonl"


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
