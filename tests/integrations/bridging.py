"""What the tests of the bridges share: stores of each kind, replies that get lost, and other processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager import SessionManager
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.lossy import LossyBackend

ROOT = Path(__file__).parents[2]
BAD_IDS = ["", "x" * 600, "\ud800"]
ODD_IDS = ["a/b", "a:b", "a%2Fb", "../..", " ", "ä" * 60]


@pytest.fixture
async def sessions(url: str) -> AsyncIterator[SessionManager]:
    """A manager of a namespace in a store of each kind."""
    async with SessionManager.from_url(url) as sessions:
        yield sessions.namespace("tenant")


class Losing:
    """Makes the next replies of a manager's store get lost, though the writes are made."""

    def __init__(self, sessions: SessionManager) -> None:
        self._backends: list[LossyBackend] = []
        store: Any = sessions.store
        assert isinstance(store, BaseSessionStore)
        store.wrap_backend(self._wrapped)

    def _wrapped(self, backend: Any) -> LossyBackend:
        self._backends.append(LossyBackend(backend))
        return self._backends[-1]

    def lose(self, replies: int) -> None:
        self._backends[-1].replies_to_lose = replies


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a process that runs `script` with these arguments."""
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def killed_after(script: str, word: str, *arguments: str) -> None:
    """Run a process until it prints `word`, and kill it."""
    with start(script, *arguments) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if word in line:
                break
        process.send_signal(signal.SIGKILL)


def finished(script: str, *arguments: str) -> str:
    """Return what a process prints that runs to its end."""
    with start(script, *arguments) as process:
        out, _ = process.communicate(timeout=600)  # a busy machine takes ten times as long
    assert process.returncode == 0
    return out
