"""Stores in processes of their own that do what a test tells them."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[3]
PATIENCE_SECONDS = 60


def start(script: str, *args: object, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", f"tests.storage.file.processes.{script}", *map(str, args)]
    return subprocess.Popen(command, cwd=PROJECT, text=True, **options)


def _run(script: str, *args: object) -> None:
    assert start(script, *args).wait(PATIENCE_SECONDS) == 0


class Remote:
    """A store in another process."""

    def __init__(self, directory: Path) -> None:
        self.process = start("remote", directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    async def do(self, *command: object) -> Any:
        answer = await asyncio.to_thread(self.ask, *command)
        assert "error" not in answer, answer
        return answer["result"]

    def ask(self, *command: object) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def stop(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def many_remotes(directory: Path, count: int) -> Iterator[list[Remote]]:
    made = [Remote(directory) for _ in range(count)]
    yield made
    for each in made:
        each.process.kill()
        each.process.communicate()


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Remote]:
    with many_remotes(tmp_path, 1) as made:
        yield made[0]
