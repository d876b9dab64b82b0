"""A process that creates, changes and deletes sessions that pages find, by a clock that jumps.

Usage: filer.py URL NAME SEED VERBS. Each line that it prints tells of a verb that was acknowledged.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from contextlib import suppress

from a2a_session_manager.exceptions import SessionAlreadyExists, SessionConflict, SessionNotFound
from a2a_session_manager.models import clock
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.storage import store_from_url
from a2a_session_manager.storage.store import BaseSessionStore

OWNERS = ["ann", "bob", "cyd"]
SHARED = 6  # sessions that all processes write to
OWN = 8
LIFE_SECONDS = 1.5
JUMPS = [0, 0, 0, 9, 60, 3_600, -9, -60, -3_600]


async def file(store: BaseSessionStore, name: str, dice: random.Random) -> str:
    """Do something to some session; return what it was."""
    verb = dice.choice(["create", "append", "append", "set", "set", "unset", "delete", "state", "known", "guarded"])
    target = dice.choice([f"shared-{dice.randrange(SHARED)}", f"{name}-{dice.randrange(OWN)}"])
    if verb == "create":
        change = SessionChange(set_properties={"owner": dice.choice(OWNERS), "n": dice.randrange(3)})
        parent_id = dice.choice([None, f"shared-{dice.randrange(SHARED)}"])
        await store.create(f"{name}-{dice.randrange(OWN)}", parent_id=parent_id, change=change)
    elif verb == "append":
        await store.append(target, SessionEvent(message="x"))
    elif verb == "known":
        await store.append(target, SessionEvent(id="known", message="x"))
    elif verb == "set":
        await store.commit(target, SessionChange(set_properties={dice.choice(["owner", "n"]): dice.choice(OWNERS)}))
    elif verb == "unset":
        await store.commit(target, SessionChange(unset_properties=["owner"]))
    elif verb == "state":
        change = SessionChange(set_state={"k": dice.random()}, set_properties={"owner": dice.choice(OWNERS)})
        await store.commit(target, change)
    elif verb == "guarded":
        await store.commit(target, SessionChange(set_properties={"owner": "nobody"}), expected_revision=0)
    else:
        await store.delete(f"{name}-{dice.randrange(OWN)}", children="cascade")
    return verb


async def main() -> None:
    url, name, seed, verbs = sys.argv[1:]
    dice = random.Random(int(seed))
    seconds = 0
    clock.time_ns = lambda: time.time_ns() + seconds * 10**9
    indexed = dice.choice([("owner",), ("owner", "n"), ()])
    # What it makes goes by itself, if it was not made below one that stays.
    life = dice.choice(["", f"&expiration_seconds={LIFE_SECONDS}"])
    async with store_from_url(url + life, indexed=indexed) as store:
        for _ in range(int(verbs)):
            if dice.random() < 0.1:
                seconds = dice.choice(JUMPS)
            with suppress(SessionAlreadyExists, SessionNotFound, SessionConflict):
                print(await file(store, name, dice), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
