"""The rows that read conversations as dicts, against openai-agents' own sessions, which hold the same messages.

Both sides were written exchange by exchange, as a runner does: the user's text, a tool call, its result, the answer.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json

from a2a_session_manager import ActiveSession, SessionManager
from a2a_session_manager.concurrency.slices import Slices
from a2a_session_manager.storage import FileSessionStore, InMemorySessionStore
from a2a_session_manager.storage.store import BaseSessionStore
from benchmarks import redis
from benchmarks.alone import alone
from benchmarks.measure import Result, Sample, compared, lateness, lateness_turns
from benchmarks.payloads import Message, agent_exchanges, chat_exchanges
from benchmarks.scenarios import Bound, Case, Sizes, at_most

if TYPE_CHECKING:
    from agents.memory import Session

_READ_IN_A_SAMPLE = 10_000
_LAST = 20
_PARSED_AT_ONCE = 100  # about as many as the stores do

Read = Callable[[], Awaitable[list[Any]]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row is measured: a store of ours, and a session of theirs on the same engine."""

    store: BaseSessionStore
    theirs: Session


Engine = Callable[[], AbstractAsyncContextManager[Place]]
ConversationScenario = Callable[[Place, Sizes], Awaitable[Result]]


async def get_items(place: Place, sizes: Sizes, *, count: int) -> Result:
    """`AgentsSession.get_items()` of a whole conversation against theirs."""
    from a2a_session_manager.integrations.openai_agents import AgentsSession  # late, as in peers.py

    length = min(count, sizes.loaded)
    ours = AgentsSession("ours", SessionManager(place.store))
    for items in agent_exchanges(length):
        await ours.add_items(_given(items))
    return await _whole_read(place, agent_exchanges(length), {"get_items": ours.get_items}, sizes)


async def messages(place: Place, sizes: Sizes, *, count: int) -> Result:
    """`chat.messages()` of a whole conversation against their `get_items()` of the same chat messages."""
    length = min(count, sizes.loaded)
    async with _conversation(place.store, length) as chat:
        return await _whole_read(place, chat_exchanges(length), {"messages": chat.messages}, sizes)


async def last_items(place: Place, sizes: Sizes) -> Result:
    """`AgentsSession.get_items(limit=20)` of a long conversation against theirs; `get(last=20)` is shown."""
    from a2a_session_manager.integrations.openai_agents import AgentsSession  # late, as in peers.py

    ours = AgentsSession("ours", SessionManager(place.store))
    for items in agent_exchanges(sizes.loaded):
        await ours.add_items(_given(items))
        await place.theirs.add_items(_given(items))

    async def get() -> list[Any]:
        session = await place.store.get("ours", last=_LAST)
        assert session is not None
        return session.events

    reads: dict[str, Read] = {
        "theirs": partial(place.theirs.get_items, limit=_LAST),
        "get(last=20)": get,
        "get_items": partial(ours.get_items, limit=_LAST),
    }
    assert await reads["theirs"]() == await reads["get_items"]()
    operations = max(sizes.operations // 5, 1)
    return await compared({name: _reading(read, operations) for name, read in reads.items()}, turns=sizes.turns)


async def lateness_of_messages(store: BaseSessionStore, sizes: Sizes) -> Result:
    """A ticker's lateness while the messages of a long conversation are read, and while their JSON is parsed.

    To parse makes the same dicts and lists for the collector, so that what both rows have in common is its own.
    """
    async with _conversation(store, sizes.loaded) as chat:
        parse = partial(_parsed, [to_json(list(batch)) for batch in _in_batches(await chat.messages())])
        return await lateness(chat.messages, turns=lateness_turns(sizes.turns), others={"parse alone": parse})


async def _parsed(batches: Sequence[bytes]) -> list[Message]:
    """Parse JSON and do nothing else; the loop gets its turn as often as in our reads."""
    messages: list[Message] = []
    slices = Slices()
    for batch in batches:
        messages += from_json(batch, cache_strings="keys")
        if slices.is_over():
            await slices.give_way()
    return messages


def _in_batches(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    for start in range(0, len(messages), _PARSED_AT_ONCE):
        yield messages[start : start + _PARSED_AT_ONCE]


async def _whole_read(
    place: Place, exchanges: Iterable[list[Message]], ours: Mapping[str, Read], sizes: Sizes
) -> Result:
    for given in exchanges:
        await place.theirs.add_items(_given(given))
    reads: dict[str, Read] = {"theirs": place.theirs.get_items, **ours}
    first, second = [await read() for read in reads.values()]
    assert first == second
    operations = max(min(_READ_IN_A_SAMPLE, sizes.loaded) // len(first), 1)
    return await compared({name: _reading(read, operations) for name, read in reads.items()}, turns=sizes.turns)


def _reading(read: Read, operations: int) -> Sample:
    """Return the sample of so many reads; what was read is freed after it, for both sides.

    What SQLiteSession reads in its thread hangs in a cycle, which the collector frees, and that is off in a sample. So
    the time to free would count for our side alone.
    """

    async def sample() -> float:
        start = time.perf_counter()
        found = [await read() for _ in range(operations)]
        seconds = time.perf_counter() - start
        assert len(found) == operations
        return seconds / operations

    return sample


@asynccontextmanager
async def _conversation(store: BaseSessionStore, length: int) -> AsyncIterator[ActiveSession]:
    async with SessionManager(store).open(await _written(store, length)) as chat:
        yield chat


async def _written(store: BaseSessionStore, length: int) -> str:
    # Nothing but the id is left of it: a handle holds every event that it wrote, four objects each, and a user lets go
    # of it. They would be in each full pass of the collector, which the rows of lateness show.
    async with SessionManager(store).open() as chat:
        for exchange in chat_exchanges(length):
            await chat.append(*exchange)
        return chat.id


def _given(messages: list[Message]) -> list[Any]:
    """Return messages as what openai-agents types as its own kinds of dicts."""
    return messages


@asynccontextmanager
async def _in_memory() -> AsyncIterator[Place]:
    from benchmarks.peers import sqlite_session  # late: see there

    async with InMemorySessionStore() as store, sqlite_session(None) as theirs:
        yield Place(store, theirs)


@asynccontextmanager
async def _on_files() -> AsyncIterator[Place]:
    from benchmarks.peers import sqlite_session  # late: see there

    with TemporaryDirectory() as name:
        path = Path(name)
        async with FileSessionStore(path / "sessions") as store, sqlite_session(path / "sessions.db") as theirs:
            yield Place(store, theirs)


@asynccontextmanager
async def _on_redis() -> AsyncIterator[Place]:
    from benchmarks.peers import redis_session  # late: see there

    async with redis.one_server() as place, redis_session(place.url) as theirs:
        yield Place(place.store, theirs)


async def _measured(sizes: Sizes, *, engine: Engine, scenario: ConversationScenario) -> Result:
    async with engine() as place:
        return await scenario(place, sizes)


async def _late_in_memory(sizes: Sizes) -> Result:
    return await alone(sizes, url="memory:", scenario=lateness_of_messages)


async def _late_on_files(sizes: Sizes) -> Result:
    with TemporaryDirectory() as name:
        return await alone(sizes, url=f"file:{name}", scenario=lateness_of_messages)


async def _late_on_redis(sizes: Sizes) -> Result:
    async with redis.one_server() as place:
        return await alone(sizes, url=place.url, scenario=lateness_of_messages)


def _whole(name: str, engine: Engine, items: Bound, chat: Bound) -> list[Case]:
    return [
        Case(f"{name}/{verb}/{count:,}", bound, partial(_measured, engine=engine, scenario=partial(read, count=count)))
        for verb, read, bound in (("get_items", get_items, items), ("messages", messages, chat))
        for count in (1_000, 10_000)
    ]


def _last(name: str, engine: Engine, bound: Bound) -> Case:
    return Case(f"{name}/get_items/last 20", bound, partial(_measured, engine=engine, scenario=last_items))


def _late(name: str, run: Callable[[Sizes], Awaitable[Result]]) -> Case:
    return Case(f"{name}/lateness/messages", at_most(10.0), run)


CASES = [
    *_whole("memory", _in_memory, at_most(0.8), at_most(1.0)),
    _late("memory", _late_in_memory),
    *_whole("file", _on_files, at_most(1.1), at_most(1.4)),
    _last("file", _on_files, at_most(1.5)),
    _late("file", _late_on_files),
]
if redis.CASES:  # without a redis-server there are none
    CASES += [
        *_whole("redis", _on_redis, at_most(1.0), at_most(1.3)),
        _last("redis", _on_redis, at_most(1.1)),
        _late("redis", _late_on_redis),
    ]
