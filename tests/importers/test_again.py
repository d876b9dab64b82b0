"""Imports that come again: after a crash, of a file that has grown, into sessions that went on, over other content."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager import (
    InMemorySessionStore,
    InvalidSessionOperation,
    SessionManager,
    import_conversations,
)
from a2a_session_manager.importers import dated_writes
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.storage.file import FileSessionStore
from tests.importers.summary import summary_of

_DIRECTORIES = ("chatgpt/conversations.json", "claude-code/session", "0.1/directory", "a2a/two_tasks.jsonl")
_VERBS = ("create_dated", "commit_dated", "fork_dated")


class _DiedError(BaseException):
    """Stands for the end of the process."""


class _Dying:
    """Lets an import die at its nth write: before it, or when it was made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, *, is_after: bool) -> None:
        self.count = 0
        self._at, self._is_after = at, is_after
        for name in _VERBS:
            monkeypatch.setattr(dated_writes, name, self._counting(getattr(dated_writes, name)))

    def _counting(self, write: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        async def counted(*args: Any, **options: Any) -> None:
            self.count += 1
            is_the_one = self.count == self._at
            if is_the_one and not self._is_after:
                raise _DiedError
            await write(*args, **options)
            if is_the_one:
                raise _DiedError

        return counted


async def _whole(store: BaseSessionStore) -> Any:
    heads = [await store.get(session_id, last=0) for session_id in sorted(await store.list_sessions())]
    return await summary_of(store), [(head.id, head.revision, head.metadata) for head in heads if head is not None]


@pytest.mark.parametrize(
    ("name", "is_after"),
    [
        pytest.param(name, is_after, marks=[pytest.mark.soak] if name == "claude-code/session" and not is_after else [])
        for name in _DIRECTORIES
        for is_after in (False, True)
    ],
)
async def test_an_import_that_dies_at_any_write_and_comes_again_is_as_one(
    name: str, is_after: bool, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("a2a_session_manager.importers.importing._RECORDS", 2)  # many writes
    async with InMemorySessionStore() as store:
        await import_conversations(store, files / name)
        wanted = await _whole(store)
    at, died = 0, True
    while died:
        at += 1
        async with InMemorySessionStore() as store:
            with monkeypatch.context() as patches:
                _Dying(patches, at, is_after=is_after)
                try:
                    await import_conversations(store, files / name)
                    died = False
                except _DiedError:
                    pass
            await import_conversations(store, files / name)

            assert await _whole(store) == wanted
    assert at > 3


_KILLED = """
import asyncio, os, signal, sys
from a2a_session_manager import SessionManager, import_conversations
from a2a_session_manager.importers import importing

importing._RECORDS = 50

def killed(count):
    if count >= int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

async def run():
    async with SessionManager.from_url(sys.argv[1]) as sessions:
        await import_conversations(sessions, sys.argv[2], progress=killed)

asyncio.run(run())
"""


def _lines(path: Path, count: int) -> Path:
    line = {"type": "user", "parentUuid": None, "isSidechain": False, "sessionId": "long"}
    rows = [
        {**line, "uuid": f"u{n}", "timestamp": f"2026-01-01T00:{n // 60:02d}:{n % 60:02d}Z"}
        for n in range(1, count + 1)
    ]
    path.write_text(
        "".join(json.dumps({**row, "message": {"role": "user", "content": "Go on"}}) + "\n" for row in rows)
    )
    return path


@pytest.mark.soak
@pytest.mark.parametrize("at", [1, 50, 51, 200, 399])
def test_an_import_that_is_killed_is_gone_on_with(at: int, tmp_path: Path) -> None:
    path, url = _lines(tmp_path / "long.jsonl", 400), f"file:{tmp_path / 'store'}"
    killed = subprocess.run([sys.executable, "-c", _KILLED, url, str(path), str(at)], timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL

    async def finish() -> Any:
        async with FileSessionStore(tmp_path / "store") as store:
            report = await import_conversations(store, path)
            assert 0 < report.new_events < 400
            return await _whole(store)

    async def at_once() -> Any:
        async with FileSessionStore(tmp_path / "other") as store:
            await import_conversations(store, path)
            return await summary_of(store)

    assert asyncio.run(finish())[0] == asyncio.run(at_once())


def test_what_a_file_has_grown_by_is_added_also_after_what_was_said_here(tmp_path: Path) -> None:
    async def grown() -> None:
        async with SessionManager.from_url("memory:") as sessions:
            await import_conversations(sessions, short)
            async with sessions.open("long") as chat:
                await chat.user("Here", id="local")
            report = await import_conversations(sessions, longer)
            session = await sessions.get("long")

            assert (report.new_events, report.new_sessions) == (3, 0)
            assert [event.id for event in session.events] == ["u1", "u2", "local", "u3", "u4", "u5"]

    short, longer = _lines(tmp_path / "short.jsonl", 2), _lines(tmp_path / "longer.jsonl", 5)
    asyncio.run(grown())


@pytest.mark.parametrize("there", ["made here", "of another format", "other content", "twice in one file"])
async def test_an_import_over_other_content_writes_nothing(there: str, tmp_path: Path) -> None:
    other, path = tmp_path / "talk.jsonl", tmp_path / "new" / "talk.jsonl"
    await _write(other, [{"role": "user", "content": "Other"}])
    await _write(path, [{"role": "user", "content": "Mine"}])
    async with SessionManager.from_url("memory:") as sessions:
        if there == "made here":
            async with sessions.open("talk") as chat:
                await chat.user("Other")
        elif there == "of another format":
            await _write(other, [{"type": "human", "data": {"content": "Other"}}])
            await import_conversations(sessions, other)
        elif there == "other content":
            await import_conversations(sessions, other)
        else:
            path = tmp_path
        before = await _whole(sessions.store)  # type: ignore[arg-type]  # one over a backend

        with pytest.raises(InvalidSessionOperation, match="nothing was written") as refused:
            await import_conversations(sessions, path)

        assert "another namespace" in str(refused.value)
        assert await _whole(sessions.store) == before  # type: ignore[arg-type]  # one over a backend


async def test_a_dry_run_tells_what_would_come_and_writes_nothing(files: Path) -> None:
    async with InMemorySessionStore() as store:
        dry = await import_conversations(store, files / "chatgpt", dry_run=True)
        assert await store.list_sessions() == []
        wet = await import_conversations(store, files / "chatgpt")

    assert dry.dry_run
    dry.dry_run = False
    assert dry == wet


async def _write(path: Path, values: list[Any]) -> None:
    def write() -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(value) + "\n" for value in values))
        os.utime(path, (1, 1))

    await asyncio.to_thread(write)
