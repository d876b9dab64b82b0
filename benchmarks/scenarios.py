"""The scenarios for any store: each takes an empty store and fills one row."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from math import ceil, inf
from typing import Literal

from a2a_session_manager import EventSource, SessionEvent, SessionManager
from a2a_session_manager.limits import DEFAULT_LIMITS
from a2a_session_manager.serialization.json_check import JsonCheck
from a2a_session_manager.storage.codec import decode_event, encode_event
from a2a_session_manager.storage.store import BaseSessionStore
from benchmarks.measure import Result, Sample, Work, compared, lateness, lateness_turns
from benchmarks.payloads import Message, long_text, many_values, short_message, user_text

Operation = Callable[[str], Awaitable[object]]
# Makes one append to the session of that number.
Append = Callable[[int], Awaitable[object]]
Clock = Callable[[], float]  # in seconds

_POPS_IN_A_ROW = 5
# Small, like the commits of agents: a store may have to read a whole commit to find one of its events.
_EVENTS_A_COMMIT = 10
_COMMITS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much a run does. `operations` is per sample, `turns` per row.

    When several `tasks` run at once, each does `operations_each`. With few, a sample would be mostly its beginning and
    its end, when not all tasks are running.
    """

    turns: int
    operations: int
    tasks: int = 64
    operations_each: int = 20
    lengths: tuple[int, ...] = (10, 1_000, 10_000, 100_000)
    loaded: int = 10_000
    one_commit: int = DEFAULT_LIMITS.commit_events
    big_bytes: int = 10_000_000
    followers: int = 300
    watched_seconds: float = 1.0
    sessions: int = 20_000


Scenario = Callable[[BaseSessionStore, Sizes], Awaitable[Result]]


@dataclass(frozen=True, slots=True)
class Bound:
    """What a row's judged number is held against."""

    sign: Literal["≤", "≥"]
    limit: float

    def holds(self, judged: float) -> bool:
        return judged <= self.limit if self.sign == "≤" else judged >= self.limit

    def __str__(self) -> str:
        return f"{self.sign} {self.limit:g}"


def at_most(limit: float) -> Bound:
    """What the judged number may be at most."""
    return Bound("≤", limit)


def at_least(limit: float) -> Bound:
    """What the judged number must be at least."""
    return Bound("≥", limit)


@dataclass(frozen=True, slots=True)
class Case:
    """A row: its name, the bound of its result (None: it is only reported), and how to measure it."""

    name: str
    bound: Bound | None
    run: Callable[[Sizes], Awaitable[Result]]


FULL = Sizes(turns=41, operations=500)
QUICK = Sizes(turns=9, operations=200, sessions=5_000)
# Shows that every row runs; its numbers mean nothing.
SMOKE = Sizes(
    turns=2,
    operations=10,
    tasks=4,
    operations_each=2,
    lengths=(10, 40),
    loaded=100,
    one_commit=50,
    big_bytes=300_000,
    followers=3,
    watched_seconds=0.05,
    sessions=120,
)


async def append_against_encode(store: BaseSessionStore, sizes: Sizes, *, message: Message) -> Result:
    """Appending an event, building it included, against building and encoding the same event alone."""

    async def encode() -> float:
        start = time.perf_counter()
        for _ in range(sizes.operations):
            encoded(message)
        return (time.perf_counter() - start) / sizes.operations

    async def append() -> float:
        # Each sample has a session of its own: the time in which the machine hands out new memory is not the store's.
        session_id = await grown(store, 10)
        start = time.perf_counter()
        for _ in range(sizes.operations):
            await store.append(session_id, an_event(message))
        return await _ended(store, session_id, start, sizes)

    return await compared({"encode": encode, "append": append}, turns=sizes.turns)


async def user_against_append(store: BaseSessionStore, sizes: Sizes) -> Result:
    """`chat.user(…)` against `store.append(id, SessionEvent(…))` of the same text, each on a session of its own."""
    text = user_text()

    async def append() -> float:
        session_id = await grown(store, 10)
        start = time.perf_counter()
        for _ in range(sizes.operations):
            await store.append(session_id, SessionEvent(message=text, source=EventSource.USER))
        return await _ended(store, session_id, start, sizes)

    async def user() -> float:
        async with SessionManager(store).open(await grown(store, 10)) as chat:
            start = time.perf_counter()
            for _ in range(sizes.operations):
                await chat.user(text)
            return await _ended(store, chat.id, start, sizes)

    return await compared({"append": append, "chat.user": user}, turns=sizes.turns)


async def append_by_length(store: BaseSessionStore, sizes: Sizes, *, is_watched: bool = False) -> Result:
    """Appending one event to the longest session against to the shortest, which grows by one sample."""

    async def append(session_id: str) -> object:
        return await store.append(session_id, an_event(short_message()))

    samples = {}
    for length in sizes.lengths:
        taken = sizes.turns + 1 + (lateness_turns(sizes.turns) if is_watched else 0)
        # A whole sample in one session: a store that keeps files open must not open one every few events.
        places = await _places(store, length, sizes.operations * taken, each=max(length, sizes.operations))
        samples[f"at {length:,}"] = repeated(append, places, sizes.operations)
    return await compared(samples, turns=sizes.turns, is_watched=is_watched)


async def repeat_by_length(store: BaseSessionStore, sizes: Sizes, *, is_watched: bool = False) -> Result:
    """Appending the session's first event once more, which changes nothing: the exactly-once check."""
    first: dict[str, SessionEvent] = {}

    async def repeat(session_id: str) -> object:
        return await store.append(session_id, first[session_id])

    samples = {}
    for length in _ends(sizes):
        session_id = await grown(store, length)
        first[session_id] = (await store.events(session_id, limit=1))[0]
        samples[f"at {length:,}"] = repeated(repeat, _forever(session_id), sizes.operations)
    return await compared(samples, turns=sizes.turns, is_watched=is_watched)


async def tail_by_length(store: BaseSessionStore, sizes: Sizes, *, is_watched: bool = False) -> Result:
    """Reading the last 20 events of the longest session against of one of 100."""
    return await _tail_at(store, sizes, 100, sizes.lengths[-1], is_watched=is_watched)


async def tail_against_whole(store: BaseSessionStore, sizes: Sizes) -> Result:
    """Reading the last 20 events of a long session against of one that has no others."""
    return await _tail_at(store, sizes, 20, sizes.loaded, is_watched=False)


async def _tail_at(store: BaseSessionStore, sizes: Sizes, *lengths: int, is_watched: bool) -> Result:
    async def tail(session_id: str) -> object:
        return await store.get(session_id, last=20)

    samples = {}
    for length in lengths:
        places = _forever(await grown(store, length))
        samples[f"at {length:,}"] = repeated(tail, places, max(sizes.operations // 5, 1))
    return await compared(samples, turns=sizes.turns, is_watched=is_watched)


async def pop_by_length(store: BaseSessionStore, sizes: Sizes) -> Result:
    """Taking back the last event of the longest session against of the shortest, five in a row."""
    batches = max(sizes.operations // 20, 1)

    def popping(places: Iterator[str]) -> Sample:
        async def sample() -> float:
            spent = 0.0
            for _ in range(batches):
                session_id = next(places)
                start = time.perf_counter()
                for _ in range(_POPS_IN_A_ROW):
                    await store.retract(session_id, last=1)
                spent += time.perf_counter() - start
                await store.append(session_id, *(an_event(short_message()) for _ in range(_POPS_IN_A_ROW)))
            return spent / (batches * _POPS_IN_A_ROW)

        return sample

    samples = {}
    for length in _ends(sizes):
        # One batch for a session of 10, so that it stays one.
        places = await _places(store, length, batches * (sizes.turns + 1), each=length // 10)
        samples[f"at {length:,}"] = popping(places)
    return await compared(samples, turns=sizes.turns)


async def load_against_decode(store: BaseSessionStore, sizes: Sizes) -> Result:
    """Loading a whole session against a plain loop that decodes the same bytes."""
    session_id = await grown(store, sizes.loaded)
    events = await store.events(session_id)
    many = [encode_event(event, JsonCheck(inf), "events").data for event in events]

    async def decode() -> float:
        start = time.perf_counter()
        decoded = [decode_event(data, session_id, seq, retracted=False) for seq, data in enumerate(many, 1)]
        seconds = time.perf_counter() - start
        assert len(decoded) == sizes.loaded
        return seconds / sizes.loaded

    async def load() -> float:
        start = time.perf_counter()
        session = await store.get(session_id)
        seconds = time.perf_counter() - start
        assert session is not None
        assert len(session.events) == sizes.loaded
        return seconds / sizes.loaded

    return await compared({"decode": decode, "load": load}, turns=sizes.turns)


async def lateness_of_load(store: BaseSessionStore, sizes: Sizes) -> Result:
    """A ticker's lateness while a long session is loaded."""
    session_id = await grown(store, sizes.loaded)

    async def work() -> object:
        return await store.get(session_id)

    return await lateness(work, turns=lateness_turns(sizes.turns))


async def lateness_of_load_frozen(store: BaseSessionStore, sizes: Sizes) -> Result:
    """The same in a process that called `gc.freeze()` once it was up, as servers do."""
    gc.collect()
    gc.freeze()
    try:
        return await lateness_of_load(store, sizes)
    finally:
        gc.unfreeze()


async def lateness_of_commit(store: BaseSessionStore, sizes: Sizes) -> Result:
    """A ticker's lateness while the most events that one commit takes are appended."""
    session_id = await grown(store, 10)

    async def work() -> None:
        # The events are built outside of what is measured, since building them is the caller's own time on the loop.
        await store.append(session_id, *events.pop())

    events = [[an_event(short_message()) for _ in range(sizes.one_commit)] for _ in range(lateness_turns(sizes.turns))]
    return await lateness(work, turns=lateness_turns(sizes.turns))


async def lateness_of_big_text(store: BaseSessionStore, sizes: Sizes) -> Result:
    """A ticker's lateness while an event of one long text is appended and loaded."""
    return await lateness(_appended_and_loaded(store, long_text(sizes.big_bytes)), turns=lateness_turns(sizes.turns))


async def lateness_of_big_table(store: BaseSessionStore, sizes: Sizes) -> Result:
    """A ticker's lateness while an event of as many bytes, but of small values, is appended and loaded."""
    return await lateness(
        _appended_and_loaded(store, many_values(sizes.big_bytes // 13)), turns=lateness_turns(sizes.turns)
    )


async def grown(store: BaseSessionStore, length: int) -> str:
    """Return the id of a new session of `length` events, all in commits of one size, or in one that is smaller."""
    session_id = (await store.create()).id
    await extend(store, session_id, length)
    return session_id


async def extend(store: BaseSessionStore, session_id: str, length: int) -> None:
    """Append `length` events to a session, in the same commits as `grown` does."""
    waiting = []
    for start in range(0, length, _EVENTS_A_COMMIT):
        events = [an_event(short_message()) for _ in range(start, min(start + _EVENTS_A_COMMIT, length))]
        waiting.append(store.append(session_id, *events))
        if len(waiting) == _COMMITS_AT_ONCE or start + _EVENTS_A_COMMIT >= length:
            await asyncio.gather(*waiting)
            waiting.clear()


def together(append: Append, sizes: Sizes, *, is_apart: bool = False) -> Sample:
    """Return the sample of many tasks at once, all at one place or each at its own."""

    async def sample() -> float:
        start = time.perf_counter()
        places = range(sizes.tasks) if is_apart else [0] * sizes.tasks
        await asyncio.gather(*(_repeat(append, place, sizes.operations_each) for place in places))
        return (time.perf_counter() - start) / (sizes.operations_each * sizes.tasks)

    return sample


def in_turn(append: Append, operations: int, *, clock: Clock = time.perf_counter) -> Sample:
    """Return the sample of one task, which does one operation after the other."""

    async def sample() -> float:
        start = clock()
        await _repeat(append, 0, operations)
        return (clock() - start) / operations

    return sample


def encoding(message: Message, operations: int) -> Sample:
    """Return the sample of building and encoding an event, and no more."""

    async def sample() -> float:
        start = time.perf_counter()
        for _ in range(operations):
            encoded(message)
        return (time.perf_counter() - start) / operations

    return sample


def encoded(message: Message) -> bytes:
    """Return a new event as the bytes that a store writes of it."""
    return encode_event(an_event(message), JsonCheck(DEFAULT_LIMITS.inline_bytes), "events[0]").data


def an_event(message: Message) -> SessionEvent:
    """Return a new event, as a caller builds it."""
    return SessionEvent(message=message, source=EventSource.LLM)


async def _ended(store: BaseSessionStore, session_id: str, start: float, sizes: Sizes) -> float:
    """Return the seconds of one operation since `start`, and drop the sample's session."""
    seconds = time.perf_counter() - start
    await store.delete(session_id)
    return seconds / sizes.operations


def _ends(sizes: Sizes) -> tuple[int, int]:
    return sizes.lengths[0], sizes.lengths[-1]


async def _repeat(append: Append, place: int, times: int) -> None:
    for _ in range(times):
        await append(place)


def repeated(operation: Operation, places: Iterator[str], count: int) -> Sample:
    async def sample() -> float:
        session_ids = [next(places) for _ in range(count)]
        start = time.perf_counter()
        for session_id in session_ids:
            await operation(session_id)
        return (time.perf_counter() - start) / count

    return sample


async def _places(store: BaseSessionStore, length: int, operations: int, *, each: int) -> Iterator[str]:
    """Return where the operations go, in order: no session of `length` takes more than `each` of them."""
    session_ids = [await grown(store, length) for _ in range(ceil(operations / each))]
    return (session_id for session_id in session_ids for _ in range(each))


def _forever(session_id: str) -> Iterator[str]:
    while True:
        yield session_id


def _appended_and_loaded(store: BaseSessionStore, message: Message) -> Work:
    async def work() -> None:
        session_id = (await store.create()).id
        await store.append(session_id, an_event(message))
        await store.get(session_id)
        await store.delete(session_id)

    return work
