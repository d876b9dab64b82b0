"""What budgets cost: a hold and its settlement, admission in a large tree, and appends in a tree without any."""

from __future__ import annotations

import time

from a2a_session_manager import Session, SessionEvent
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.storage.store import BaseSessionStore
from benchmarks.measure import Result, Sample, compared, timed
from benchmarks.scenarios import Clock, Sizes, in_turn

_SESSIONS, _MANY_SESSIONS = 10, 1_000
_ROOM = 10**12
_USAGE = TokenUsage(prompt_tokens=90, completion_tokens=10)


async def hold_and_settle(store: BaseSessionStore, sizes: Sizes) -> Result:
    """A hold and the append that settles it, in a tree of ten sessions, against two plain appends in one like it."""
    limited, free = await limited_tree(store), await _tree(store, "free", _SESSIONS)

    async def append_twice(place: int) -> None:
        await store.append(free, _reply())
        await store.append(free, _reply())

    async def hold_once(place: int) -> None:
        await spend(store, limited)

    ways = {
        "two appends": in_turn(append_twice, sizes.operations),
        "hold and settle": in_turn(hold_once, sizes.operations),
    }
    return await compared(ways, turns=sizes.turns)


async def limited_tree(store: BaseSessionStore) -> Session[object]:
    """Make a tree of ten sessions with a budget at its root, and return one at its bottom."""
    session = await _tree(store, "limited", _SESSIONS)
    await store.set_budget("limited", tokens=_ROOM)
    return session


async def spend(store: BaseSessionStore, session: Session[object]) -> None:
    """Hold room for a request, and append what settles it."""
    hold = await store.place_hold(session, tokens=100)
    await store.settling(hold).append(session, _reply())


async def admission_in_a_large_tree(store: BaseSessionStore, sizes: Sizes) -> Result:
    """Processor time, in µs, of a hold that a root with a thousand sessions below it is asked for, and its release."""
    session = await _tree(store, "large", _MANY_SESSIONS)
    await store.set_budget("large", tokens=_ROOM)

    async def hold(place: int) -> None:
        await store.place_hold(session, id=f"held {place}", tokens=100)
        await store.release_hold(session, f"held {place}")

    return await timed(
        "hold and release", in_turn(hold, max(sizes.operations // 20, 1), clock=time.process_time), turns=sizes.turns
    )


async def append_without_budgets(
    plain: BaseSessionStore, other: BaseSessionStore, sizes: Sizes, *, clock: Clock = time.process_time
) -> Result:
    """An append in a tree without budgets: in a store that has limited trees beside it, against one that has none.

    It is processor time, which others on the machine change least.
    """
    sessions = {store: await _tree(store, "free", _SESSIONS) for store in (plain, other)}
    await _spend_beside(other)

    def appending(store: BaseSessionStore) -> Sample:
        async def append(place: int) -> None:
            await store.append(sessions[store], _reply())

        return in_turn(append, sizes.operations, clock=clock)

    return await compared({"no budgets": appending(plain), "budgets elsewhere": appending(other)}, turns=sizes.turns)


async def _spend_beside(store: BaseSessionStore) -> None:
    for number in range(_SESSIONS):
        session = await _tree(store, f"limited {number}", 2)
        await store.set_budget(f"limited {number}", tokens=_ROOM)
        await spend(store, session)
        await store.place_hold(session, tokens=100)


async def _tree(store: BaseSessionStore, name: str, sessions: int) -> Session[object]:
    """Make a tree, and return one of those at its bottom."""
    await store.create(name)
    for number in range(sessions - 1):
        await store.append(await store.create(f"{name}/{number}", parent_id=name), _reply())
    found = await store.get(f"{name}/0", last=0)
    assert found is not None
    return found


def _reply() -> SessionEvent[str]:
    return SessionEvent(message="An answer of some words.", source=EventSource.LLM, token_usage=_USAGE)
