"""A process that asks for holds, for the crowd: `python -m tests.storage.spender URL ROUNDS TRIES NAME`.

In each round it asks at both lowest sessions of the round's tree, settles some of what it gets, leaves some, and prints
how often it got something.
"""

from __future__ import annotations

import asyncio
import sys

from a2a_session_manager import BudgetExceeded, SessionEvent, SessionManager, StoreUnavailable, TokenUsage
from a2a_session_manager.models.budget import PlacedHold
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.storage import BaseSessionStore

HELD = 10
USAGE = TokenUsage(prompt_tokens=6, completion_tokens=4)


async def hold(store: BaseSessionStore, session: str, name: str) -> PlacedHold | None:
    for _ in range(20):
        try:
            return await store.place_hold(session, id=name, tokens=HELD, expires=600)
        except BudgetExceeded:
            return None
        except StoreUnavailable:  # held by others for too long
            continue
    raise AssertionError("the store was never free")


async def settle(store: BaseSessionStore, session: str, placed: PlacedHold) -> None:
    handle = await store.get(session, last=0)
    assert handle is not None
    event = SessionEvent(id=placed.id, message="reply", source=EventSource.LLM, token_usage=USAGE)
    await store.settling(placed).append(handle, event)


async def spend(url: str, rounds: int, tries: int, name: str) -> None:
    async with SessionManager.from_url(url) as sessions:
        store = sessions.store
        assert isinstance(store, BaseSessionStore)
        for number in range(rounds):
            passed = 0
            for attempt in range(tries):
                for low in ("a", "b"):
                    session = f"{number}/low/{low}"
                    placed = await hold(store, session, f"{name}:{attempt}")
                    if placed is not None:
                        passed += 1
                        if attempt % 2:
                            await settle(store, session, placed)
            print(number, passed, flush=True)


if __name__ == "__main__":
    asyncio.run(spend(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
