"""A process whose tasks all record the usages of the same responses: recorder.py URL SESSION TASKS RESPONSES NAME."""

from __future__ import annotations

import asyncio
import sys

from a2a_session_manager.storage import store_from_url
from a2a_session_manager.testing.contract.counting_once import reply


async def main() -> None:
    url, session_id, tasks, responses, name = sys.argv[1:]

    async def record(store_task: int) -> None:
        for number in range(int(responses)):
            # Each says another part of the whole first, and the whole at last.
            for tokens in (number + store_task, number + int(tasks)):
                event_id = f"{name} {store_task} {number} {tokens}"
                await store.append(session_id, reply(f"msg_{number}", tokens, model=name, id=event_id))

    async with store_from_url(url) as store:
        await asyncio.gather(*map(record, range(int(tasks))))


if __name__ == "__main__":
    asyncio.run(main())
