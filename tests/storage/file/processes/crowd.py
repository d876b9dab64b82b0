"""Sixteen tasks that create children of one root and append to it, to their own, and to everybody's session.

Usage: crowd.py DIRECTORY NAME ROUNDS.
"""

from __future__ import annotations

import asyncio
import sys

from a2a_session_manager.storage.file import FileSessionStore
from tests.storage.file.processes.made import spending

TASKS = 16


async def main() -> None:
    directory, name, rounds = sys.argv[1:]
    async with FileSessionStore(directory) as store:

        async def work(task: int) -> None:
            child = f"{name}-{task}"
            await store.create(child, parent_id="root")
            for number in range(int(rounds)):
                for session_id in ("root", child, "shared"):
                    await store.append(session_id, spending(1, id=f"{name} {task} {number}"))

        await asyncio.gather(*map(work, range(TASKS)))


if __name__ == "__main__":
    asyncio.run(main())
