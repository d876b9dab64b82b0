"""Commits of thousands of events, as imports make them: sent again, retracted, loaded."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from a2a_session_manager import SessionEvent
from a2a_session_manager.storage.store import BaseSessionStore
from benchmarks.measure import Result, Sample, compared, lateness_turns
from benchmarks.payloads import chat_exchanges
from benchmarks.scenarios import Sizes, an_event

_EVENTS_IN_ONE_COMMIT = 4_000
_COMMIT_SIZES = (10, 1_000)

# Opens the same sessions anew, as after a restart.
ColdStore = Callable[[], BaseSessionStore]
# Does what is measured, in a store, with a session's id and the events of its only commit.
Operation = Callable[[BaseSessionStore, str, list[SessionEvent]], Awaitable[object]]


async def again_against_first(store: BaseSessionStore, sizes: Sizes, *, cold_store: ColdStore) -> Result:
    """Sending a commit of thousands of events once more, which changes nothing, against its first time."""

    async def again(store: BaseSessionStore, session_id: str, events: list[SessionEvent]) -> object:
        return await store.append(session_id, *events)

    return await _against_first(store, sizes, cold_store, "again", again)


async def retract_against_first(store: BaseSessionStore, sizes: Sizes, *, cold_store: ColdStore) -> Result:
    """Retracting every second event of such a commit by id, in one call, against the commit's first time."""

    async def retract(store: BaseSessionStore, session_id: str, events: list[SessionEvent]) -> object:
        return await store.retract(session_id, *(event.id for event in events[::2]))

    return await _against_first(store, sizes, cold_store, "retract half", retract)


async def load_by_commit_size(store: BaseSessionStore, sizes: Sizes) -> Result:
    """Loading a session whose events came a thousand at once against one whose same events came by ten."""
    return await compared(
        {
            f"by {size:,}": _loading(store, await _kept(store, sizes.loaded, size), sizes.loaded)
            for size in _COMMIT_SIZES
        },
        turns=sizes.turns,
    )


async def _against_first(
    store: BaseSessionStore, sizes: Sizes, cold_store: ColdStore, name: str, operation: Operation
) -> Result:
    count = min(_EVENTS_IN_ONE_COMMIT, sizes.one_commit)

    async def first() -> float:
        session_id, events = (await store.create()).id, _events(count)
        return await _timed(store, session_id, store.append(session_id, *events))

    async def then() -> float:
        session_id, events = (await store.create()).id, _events(count)
        await store.append(session_id, *events)
        return await _timed(store, session_id, operation(store, session_id, events))

    async def then_cold() -> float:
        session_id, events = (await store.create()).id, _events(count)
        await store.append(session_id, *events)
        async with cold_store() as cold:
            return await _timed(cold, session_id, operation(cold, session_id, events))

    strategies = {"first": first, f"{name}, store reopened": then_cold, name: then}
    return await compared(strategies, turns=lateness_turns(sizes.turns))  # each takes long


async def _timed(store: BaseSessionStore, session_id: str, work: Awaitable[object]) -> float:
    """Return the seconds that `work` takes, and drop its session."""
    start = time.perf_counter()
    await work
    seconds = time.perf_counter() - start
    await store.delete(session_id)
    return seconds


async def _kept(store: BaseSessionStore, count: int, commit_size: int) -> str:
    session_id, events = (await store.create()).id, _events(count)
    for start in range(0, count, commit_size):
        await store.append(session_id, *events[start : start + commit_size])
    return session_id


def _loading(store: BaseSessionStore, session_id: str, count: int) -> Sample:
    async def sample() -> float:
        start = time.perf_counter()
        session = await store.get(session_id)
        seconds = time.perf_counter() - start
        assert session is not None
        assert len(session.events) == count
        return seconds / count

    return sample


def _events(count: int) -> list[SessionEvent]:
    return [an_event(message) for messages in chat_exchanges(count) for message in messages]
