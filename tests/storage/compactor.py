"""A writer that compacts a session, and appends, retracts and restores in it, until it is killed.

Usage: compactor.py URL NAME TURNS COMPACTIONS ACKS. It goes on where an earlier writer of its name was killed, by the
lines that this has put into ACKS: what is named there was acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from random import Random
from typing import Any

from a2a_session_manager import ActiveSession, InvalidSessionOperation, SessionConflict, SessionManager
from a2a_session_manager.context.view import MessageView

TURN_EVENTS = 4


def turn(name: str, number: int) -> list[dict[str, Any]]:
    """Return the messages of a turn: a question, a call, its result, and the answer."""
    call_id = f"{name}_{number}"
    function = {"name": "weather", "arguments": "{}"}
    return [
        {"role": "user", "content": f"{name} asks {number}. " * 3},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": call_id, "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": call_id, "content": f"{name} finds {number}. " * 3},
        {"role": "assistant", "content": f"{name} says {number}. " * 3},
    ]


async def summarize(view: MessageView) -> str:
    await asyncio.sleep(0.001)
    return f"summary of {len(view)}"


class Compactor:
    def __init__(self, chat: ActiveSession, name: str, acks: Path) -> None:
        self.chat = chat
        self.name = name
        self.random = Random(f"{name} {os.getpid()}")
        self.acks = os.open(acks, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.done = {line for line in acks.read_text().splitlines() if line.startswith(f"{name} ")}

    def acknowledge(self, what: str) -> None:
        os.write(self.acks, f"{what}\n".encode())
        self.done.add(what)

    async def work(self, turns: int, compactions: int) -> None:
        every = max(turns // max(compactions, 1), 1)
        for number in range(turns):
            await self.take_turn(number)
            if number % every == every - 1 and f"{self.name} compacted {number}" not in self.done:
                await self.compact(number)
            if self.random.random() < 0.1 and number > 3:
                await self.hide_or_show(self.random.randrange(number))

    async def take_turn(self, number: int) -> None:
        for part, message in enumerate(turn(self.name, number)):
            event_id = f"{self.name} {number} {part}"
            if event_id not in self.done:
                await self.chat.append(message, id=event_id)
                self.acknowledge(event_id)

    async def compact(self, number: int) -> None:
        try:
            keep = self.random.choice([0, 60, 200])
            await self.chat.compact(summarize, keep=keep, id=f"{self.name} summary {number}")
        except (InvalidSessionOperation, SessionConflict):  # others have done it, or retract all the time
            pass
        self.acknowledge(f"{self.name} compacted {number}")

    async def hide_or_show(self, number: int) -> None:
        event_id = f"{self.name} {number} 3"
        hidden = await self.chat.retract(event_id)
        if not hidden or self.random.random() < 0.5:
            await self.chat.restore(event_id)


async def main() -> None:
    url, name, turns, compactions, acks = sys.argv[1:]
    async with SessionManager.from_url(url) as sessions, sessions.open("talk") as chat:
        await Compactor(chat, name, Path(acks)).work(int(turns), int(compactions))


if __name__ == "__main__":
    asyncio.run(main())
