"""What a second road over the same keys gains on Redis; tests hold each equal to the general one.

`redis/twins/append`: the short script of appends, which stands before the general one of all commits.
`redis/twins/settle`: the same, and the short script of steps, for a hold and the append that settles it.
`redis/twins/heads`: heads read by plain commands, where the script of all reads would do, too.
`redis/twins/load`, `messages`, `compacted`: the same of a session with its newest 5 events, of 20 messages, and of a
view under a summary.
`redis/twins/create`: the part of the script of creations that makes those with values alone, before all rules.
`redis/twins/child`, `fork`: a child, and a fork, listed, claimed and made in one round trip, where steps would do, too.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from redis import Redis

from a2a_session_manager.storage import BaseSessionStore, store_from_url
from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.address import address_from_url
from a2a_session_manager.storage.redis.script import Script
from benchmarks import budgets, compacting, redis
from benchmarks.measure import Result, Sample, outpaced
from benchmarks.payloads import short_message
from benchmarks.redis import Setup, one_server
from benchmarks.scenarios import Case, Sizes, an_event, at_most, grown, in_turn

_SCRIPTS: Mapping[str, Script] = {"general": scripts._script(*scripts.COMMIT_RULES, "commit"), "short": scripts.COMMIT}
_HEADS = 200
_EVENTS = 400
_NEWEST = 20


async def short_against_general(setup: Setup, sizes: Sizes) -> Result:
    """Appends by the general script of a commit and by the short one, in time and on the server alone."""
    session_ids = {name: await grown(setup.store, 10) for name in _SCRIPTS}
    constants: Any = scripts

    async def append(number: int, *, by: str) -> None:
        constants.COMMIT = _SCRIPTS[by]
        await setup.store.append(session_ids[by], an_event(short_message()))

    ways = {name: partial(append, by=name) for name in _SCRIPTS}
    try:
        return await _in_both_times(setup, ways, sizes.operations, sizes)
    finally:
        constants.COMMIT = _SCRIPTS["short"]


async def settling_by_short_against_general(setup: Setup, sizes: Sizes) -> Result:
    """A hold and the append that settles it by the general scripts and by the short ones."""
    constants: Any = scripts
    steps = {"general": scripts._script(*scripts.STEP_RULES, "step_budget"), "short": scripts.STEP_BUDGET}
    session = await budgets.limited_tree(setup.store)

    async def spend(number: int, *, by: str) -> None:
        constants.COMMIT, constants.STEP_BUDGET = _SCRIPTS[by], steps[by]
        await budgets.spend(setup.store, session)

    ways = {name: partial(spend, by=name) for name in _SCRIPTS}
    try:
        return await _in_both_times(setup, ways, sizes.operations, sizes)
    finally:
        constants.COMMIT, constants.STEP_BUDGET = _SCRIPTS["short"], steps["short"]


async def server_time_without_budgets(setup: Setup, sizes: Sizes) -> Result:
    """What `budgets.append_without_budgets` takes the server."""
    async with (
        store_from_url(f"{setup.url}?key_prefix=plain:") as plain,
        store_from_url(f"{setup.url}?key_prefix=other:") as other,
    ):
        with _server_clock(setup.url) as clock:
            return await budgets.append_without_budgets(plain, other, sizes, clock=clock)


async def plain_heads_against_script(setup: Setup, sizes: Sizes) -> Result:
    """The heads of a tree's sessions by the script of all reads and by plain commands."""
    await setup.store.create("root")
    names = [(await setup.store.create(parent_id="root")).id for _ in range(_HEADS)]
    backend: Any = setup.store._open_backend
    reader = backend._reader
    plain = reader._plain_heads

    async def none(keys: Sequence[object]) -> list[None]:
        return [None] * len(keys)

    async def read(number: int, *, by: Callable[..., Awaitable[Any]]) -> None:
        reader._plain_heads = by
        await setup.store.get_many(names)

    ways = {"script": partial(read, by=none), "plain": partial(read, by=plain)}
    return await _in_both_times(setup, ways, max(sizes.operations // 50, 1), sizes)


async def fast_reads_against_script(setup: Setup, sizes: Sizes, *, part: str) -> Result:
    """A session of 400 events, or its newest messages, by the script that reads any session and by plain commands."""
    session_id = await grown(setup.store, _EVENTS)
    if part == "compacted":
        await compacting.cover(setup.store, session_id, _EVENTS - _NEWEST)

    async def read(number: int, *, store: BaseSessionStore) -> None:
        if part == "load":
            await store.get(session_id, last=5)
        else:
            last = _NEWEST if part == "messages" else None
            await store.read_messages(session_id, last=last, compacted=part == "compacted")

    async with store_from_url(setup.url) as general:
        _without_fast_reads(general)
        ways = {"script": partial(read, store=general), "plain": partial(read, store=setup.store)}
        return await _in_both_times(setup, ways, max(sizes.operations // 2, 1), sizes)


def _without_fast_reads(store: BaseSessionStore) -> None:
    """Let a store read by the scripts alone."""

    async def none(*_: object, **__: object) -> None:
        return None

    backend: Any = store._open_backend
    reader = backend._reader
    for each, name in ((reader, "_loaded_fast"), (reader._tails, "_tail_fast"), (reader._tails, "_known_tail")):
        assert hasattr(each, name), "the row is about this way"
        setattr(each, name, none)


async def creation_of_values_against_all_rules(setup: Setup, sizes: Sizes) -> Result:
    """Roots made by the script of creations as it is, and by the same without the part for values alone."""
    constants: Any = scripts
    short = scripts.CREATE_ROOT
    shortcut = "if of_values then return create_here(of_values) end"
    assert shortcut in short.source, "the row is about this line"
    ways_of_script = {"all rules": Script(short.name, short.source.replace(shortcut, "")), "values alone": short}

    async def create(number: int, *, by: str) -> None:
        constants.CREATE_ROOT = ways_of_script[by]
        await setup.store.create()

    try:
        return await _in_both_times(
            setup, {name: partial(create, by=name) for name in ways_of_script}, sizes.operations, sizes
        )
    finally:
        constants.CREATE_ROOT = short


async def child_at_once_against_steps(setup: Setup, sizes: Sizes) -> Result:
    """Children that are listed, claimed and made in one round trip, and step by step as on a cluster."""
    await setup.store.create("parent")
    backend: Any = setup.store._open_backend
    creator = backend._creator

    async def create(number: int, *, at_once: bool) -> None:
        creator._is_at_once = at_once
        await setup.store.create(parent_id="parent")

    ways = {"steps": partial(create, at_once=False), "at once": partial(create, at_once=True)}
    return await _in_both_times(setup, ways, max(sizes.operations // 2, 1), sizes)


async def fork_at_once_against_steps(setup: Setup, sizes: Sizes) -> Result:
    """Forks that are read and made in one round trip, and in the two calls that every backend can do."""
    source = await grown(setup.store, _EVENTS)
    backend: Any = setup.store._open_backend
    fork_at_once = backend.fork_at_once

    async def fork(number: int, *, at_once: bool) -> None:
        backend.fork_at_once = fork_at_once if at_once else lambda *_: None
        await setup.store.fork(source)

    ways = {"steps": partial(fork, at_once=False), "at once": partial(fork, at_once=True)}
    return await _in_both_times(setup, ways, max(sizes.operations // 2, 1), sizes)


async def _in_both_times(
    setup: Setup, ways: Mapping[str, Callable[[int], Awaitable[None]]], operations: int, sizes: Sizes
) -> Result:
    """Return how many times as fast the second way is as the first; beside it, what each takes the server."""
    with _server_clock(setup.url) as server_clock:
        (first, slow), (second, fast) = ways.items()
        samples: dict[str, Sample] = {
            first: in_turn(slow, operations, clock=time.perf_counter),
            f"{first}, server": in_turn(slow, operations, clock=server_clock),
            f"{second}, server": in_turn(fast, operations, clock=server_clock),
            second: in_turn(fast, operations, clock=time.perf_counter),
        }
        return await outpaced(samples, turns=sizes.turns)


@contextmanager
def _server_clock(url: str) -> Iterator[Callable[[], float]]:
    """Give a clock of the seconds that the server has worked on commands."""
    address, _ = address_from_url(url)
    with Redis(host="127.0.0.1", port=address.nodes[0][1]) as client:

        def seconds() -> float:
            statistics: Any = client.info("commandstats")
            return float(sum(each["usec"] for each in statistics.values())) / 1e6

        yield seconds


async def _alone(scenario: Callable[[Setup, Sizes], Awaitable[Result]], sizes: Sizes) -> Result:
    async with one_server() as setup:
        return await scenario(setup, sizes)


# Without a redis-server there is nothing to measure.
CASES = (
    [
        Case("redis/twins/append", None, partial(_alone, short_against_general)),
        Case("redis/twins/settle", None, partial(_alone, settling_by_short_against_general)),
        Case("redis/budgets/append without, server", at_most(1.05), partial(_alone, server_time_without_budgets)),
        Case("redis/twins/heads", None, partial(_alone, plain_heads_against_script)),
        *(
            Case(f"redis/twins/{part}", None, partial(_alone, partial(fast_reads_against_script, part=part)))
            for part in ("load", "messages", "compacted")
        ),
        Case("redis/twins/create", None, partial(_alone, creation_of_values_against_all_rules)),
        Case("redis/twins/child", None, partial(_alone, child_at_once_against_steps)),
        Case("redis/twins/fork", None, partial(_alone, fork_at_once_against_steps)),
    ]
    if redis.CASES
    else []
)
