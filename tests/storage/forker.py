"""A process that forks sessions of one tree and writes to them: `forker URL NAME STEPS ACKS`.

Each step has names of its own, made of the process's and its number, so that whoever goes on for one that was killed
repeats its last step. The message of an event is the id of the session that it was appended to. With STEPS "same", it
forks one session under ids that others take as well.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from random import Random
from typing import Any

from a2a_session_manager import SessionAlreadyExists, SessionEvent, SessionManager, SessionNotFound, TokenUsage
from a2a_session_manager.exceptions import InvalidSessionOperation

SOURCE, POINT, SAME_FORKS = "talk", 10, 10


def event_of(event_id: str, session_id: str) -> SessionEvent[Any]:
    """Return an event that has spent one token, of a response that nobody else has a usage of."""
    usage = TokenUsage(prompt_tokens=1, model="m", response_id=f"response of {event_id}")
    return SessionEvent(id=event_id, message=session_id, token_usage=usage)


async def take_steps(sessions: SessionManager, name: str, steps: int, acks: Path) -> None:
    done = sum(json.loads(line)["name"] == name for line in await asyncio.to_thread(_lines, acks))
    chance = Random(f"{name} {done}")
    for step in range(done, steps):
        ack = {"name": name, **await _step(sessions, f"{name}-{step}", chance)}
        await asyncio.to_thread(_write, acks, json.dumps(ack))


def _lines(acks: Path) -> list[str]:
    return acks.read_text().splitlines()


def _write(acks: Path, line: str) -> None:
    with acks.open("a") as file:
        file.write(f"{line}\n")


async def _step(sessions: SessionManager, fork_id: str, chance: Random) -> dict[str, Any]:
    while True:
        source = chance.choice([node.id for node in await sessions.tree(SOURCE)])
        try:
            seqs = [event.seq for event in await sessions.store.events(source)]
            fork = await sessions.fork(source, at=chance.choice(seqs), new_id=fork_id)
        except SessionAlreadyExists:  # by the one that was killed, of another source or point
            fork = await sessions.get(fork_id, last=0)
        except (InvalidSessionOperation, SessionNotFound, IndexError):  # the point was hidden, or the source deleted
            continue
        break
    written = [await sessions.append(fork_id, event_of(f"{fork_id} {number}", fork_id)) for number in range(2)]
    late = await sessions.append(source, event_of(f"{fork_id} late", source)) if chance.random() < 0.5 else []
    if chance.random() < 0.3:
        await sessions.retract(fork_id, last=chance.randint(1, 4), write_id=f"{fork_id} hid")
    if chance.random() < 0.3:
        hidden = [event for event in await sessions.store.events(fork_id, include_retracted=True) if event.retracted]
        await sessions.restore(fork_id, *(event.id for event in hidden[:2])) if hidden else None
    return {
        "fork": fork_id,
        "from": fork.forked_from,
        "events": [[event.id, event.message] for events in (*written, late) for event in events],
    }


async def fork_the_same(sessions: SessionManager) -> list[str | None]:
    return [
        (await sessions.fork(SOURCE, at=POINT, new_id=f"same-{number}")).creation_id for number in range(SAME_FORKS)
    ]


async def main(url: str, name: str, steps: str, acks: str) -> None:
    async with SessionManager.from_url(url) as sessions:
        if steps == "same":
            print(json.dumps(await fork_the_same(sessions)))
        else:
            await take_steps(sessions, name, int(steps), Path(acks))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
