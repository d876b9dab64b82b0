"""Appends without end, noting what was acknowledged, to be killed at any moment and started again.

Usage: writer.py DIRECTORY SESSION NAME TASKS SIZE ACKS [MORE]. Each line of ACKS is `task number`. With MORE
every task appends so many and ends; a task goes on where its acknowledgements end, with the same ids.
"""

from __future__ import annotations

import asyncio
import os
import sys
from itertools import count
from pathlib import Path

from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.storage.file import FileSessionStore


def acknowledged(path: Path) -> dict[int, int]:
    """Return the highest number that each task has an acknowledgement for."""
    highest: dict[int, int] = {}
    if path.exists():
        for line in path.read_text().splitlines():
            task, number = map(int, line.split())
            highest[task] = number
    return highest


def _event(name: str, task: int, number: int, size: int) -> SessionEvent[str]:
    usage = TokenUsage(prompt_tokens=1, model=name)
    return SessionEvent(id=f"{name} {task} {number}", message="x" * size, token_usage=usage)


async def main() -> None:
    directory, session_id, name, tasks, size, acks, *more = sys.argv[1:]
    store = FileSessionStore(directory)
    done = acknowledged(Path(acks))
    ack_fd = os.open(acks, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def append(task: int) -> None:
        first = done.get(task, -1) + 1
        for number in range(first, first + int(more[0])) if more else count(first):
            await store.append(session_id, _event(name, task, number, int(size)))
            os.write(ack_fd, f"{task} {number}\n".encode())

    await asyncio.gather(*map(append, range(int(tasks))))
    await store.aclose()


if __name__ == "__main__":
    asyncio.run(main())
