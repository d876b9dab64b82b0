"""A process that appends events and notes those that were acknowledged.

Usage: writer.py URL SESSION NAME TASKS EVENTS ACKS [tree]. Each line of ACKS is an event's id. With `tree`, each
task appends to a child of its own below SESSION, which it creates first.
"""

from __future__ import annotations

import asyncio
import os
import sys

from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.storage import store_from_url


def event_of(name: str, task: int, number: int) -> SessionEvent[str]:
    """Return the event that a task appends, whose usage is one prompt token."""
    usage = TokenUsage(prompt_tokens=1, model=name, cost_pico_usd=7)
    return SessionEvent(id=f"{name} {task} {number}", message="x" * 300, token_usage=usage)


def child_of(name: str, task: int) -> str:
    return f"child {name} {task}"


async def main() -> None:
    url, session_id, name, tasks, events, acks, *more = sys.argv[1:]
    store = store_from_url(url)
    ack_fd = os.open(acks, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def append(task: int) -> None:
        target = session_id
        if more:
            target = (await store.create(child_of(name, task), parent_id=session_id)).id
        for number in range(int(events)):
            event = event_of(name, task, number)
            await store.append(target, event)
            os.write(ack_fd, f"{event.id}\n".encode())

    await asyncio.gather(*map(append, range(int(tasks))))
    await store.aclose()


if __name__ == "__main__":
    asyncio.run(main())
