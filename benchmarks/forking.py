"""The rows of forks, on any store: what one costs, at any length, and what reading across its border costs."""

from __future__ import annotations

from itertools import repeat

from a2a_session_manager import SessionManager
from a2a_session_manager.storage.store import BaseSessionStore
from benchmarks.measure import Result, Sample, compared
from benchmarks.payloads import short_message
from benchmarks.scenarios import Sizes, an_event, extend, grown, repeated

_SHORT = 100


async def fork_against_append(store: BaseSessionStore, sizes: Sizes) -> Result:
    """Forking the longest session at its newest event against appending one event to it; shorter ones are shown."""
    lengths = (_SHORT, *(length for length in sizes.lengths if length > _SHORT))
    sources = {length: await grown(store, length) for length in lengths}

    async def append(session_id: str) -> object:
        return await store.append(session_id, an_event(short_message()))

    strategies = {"append": repeated(append, repeat(sources[lengths[-1]]), _operations(sizes))}
    strategies |= {f"fork at {length:,}": _forking(store, source, sizes) for length, source in sources.items()}
    return await compared(strategies, turns=sizes.turns)


async def fork_by_length(store: BaseSessionStore, sizes: Sizes) -> Result:
    """Forking the longest session at its newest event against one of 100."""
    lengths = (_SHORT, max(sizes.lengths[-1], _SHORT + 1))
    strategies = {f"at {length:,}": _forking(store, await grown(store, length), sizes) for length in lengths}
    return await compared(strategies, turns=sizes.turns)


async def messages_of_fork(store: BaseSessionStore, sizes: Sizes, *, length: int) -> Result:
    """`messages()` of a fork at the middle of a conversation against the same messages in one session."""
    manager = SessionManager(store)
    one, source = await grown(store, length), await grown(store, length // 2)
    fork = (await manager.fork(source)).id
    await extend(store, fork, length - length // 2)

    async def read(session_id: str) -> object:
        async with manager.open(session_id) as chat:
            return await chat.messages()

    operations = max(_operations(sizes) * 20 // length, 1)
    strategies = {
        "one session": repeated(read, repeat(one), operations),
        "fork": repeated(read, repeat(fork), operations),
    }
    return await compared(strategies, turns=sizes.turns)


def _forking(store: BaseSessionStore, source: str, sizes: Sizes) -> Sample:
    manager = SessionManager(store)

    async def fork(session_id: str) -> object:
        return await manager.fork(session_id)

    return repeated(fork, repeat(source), _operations(sizes))


def _operations(sizes: Sizes) -> int:
    """Return how many forks a sample makes: all of them stay, in the tree of one source."""
    return max(sizes.operations // 20, 1)
