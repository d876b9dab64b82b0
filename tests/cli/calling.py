"""The command line as tests call it: without a process of its own, in one, and on a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

COMMAND = (sys.executable, "-m", "a2a_session_manager")
SECONDS = 60


class Answer(NamedTuple):
    """What a call printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


Call = Callable[..., Answer]


def call_in_process(url: str, *arguments: str) -> Answer:
    """Call the command line in a process of its own."""
    done = subprocess.run(
        [*COMMAND, *arguments, "--store", url], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def call_on_terminal(url: str, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """Return what a call prints on a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *arguments, "--store", url],
        stdout=theirs,
        stderr=theirs,
        close_fds=True,
        env={**os.environ, **(environment or {})},
    ) as call:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # the end of a terminal's output is an error on Linux
            while chunk := os.read(ours, 65_536):
                shown += chunk
        os.close(ours)
        call.wait(SECONDS)
    return shown.decode()
