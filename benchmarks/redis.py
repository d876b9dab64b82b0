"""The rows of the Redis store, on a real server, against redis-py that sends the same bytes with RPUSH alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from redis.asyncio import Redis, RedisCluster

from a2a_session_manager import EventSource, Session, SessionEvent, TokenUsage
from a2a_session_manager.storage import BaseSessionStore, store_from_url
from a2a_session_manager.storage.commit_records import EncodedCommit, Receipt
from a2a_session_manager.storage.encoding import encode_commit
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.address import address_from_url
from a2a_session_manager.storage.redis.backend import RedisBackend
from a2a_session_manager.storage.redis.commit_calls import commit_args, commit_keys
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.keys import SessionKeys, probe_key
from a2a_session_manager.storage.redis.private import Ways
from a2a_session_manager.storage.redis.script import PackedCommands, ScriptCall
from benchmarks import budgets, compacting, forking, leases, paging, scenarios, spending
from benchmarks.measure import Result, Sample, compared, judged_alone, lateness_turns, outpaced, timed
from benchmarks.payloads import Message, chat_messages, short_message
from benchmarks.scenarios import (
    Case,
    Scenario,
    Sizes,
    an_event,
    at_least,
    at_most,
    encoded,
    encoding,
    grown,
    in_turn,
    together,
)
from tests.redis_servers import cluster
from tests.redis_servers.proxy import FaultyProxy
from tests.redis_servers.server import RedisServer, find_binary

AnyClient = Redis | RedisCluster
# Nodes of the large tree below one of them.
_FAN_OUT = 10
_RAW = "raw"


@dataclass(frozen=True, slots=True)
class Setup:
    """Where a row is measured: a store, and a client of redis-py with its defaults, on the same server."""

    url: str
    store: BaseSessionStore
    raw: AnyClient


SetupScenario = Callable[[Setup, Sizes], Awaitable[Result]]


class Unqueued(RedisBackend):
    """The store without its queue: each commit is sent by itself."""

    def commit(self, key: SessionKey, commit: EncodedCommit) -> Any:
        return self._begun(self._alone(key, commit))

    async def _alone(self, key: SessionKey, commit: EncodedCommit) -> Receipt:
        [answer] = (await self._committer.send({key: [commit]}))[key]
        if isinstance(answer, Exception):
            raise answer
        receipt: Receipt = answer
        return receipt


def connections_with(url: str, ways: Ways) -> Connections:
    """Return connections to a server by some ways only, whatever this redis-py has."""
    address, _ = address_from_url(url)
    connections = Connections(address, None, scripts=scripts.ALL, probe_key=probe_key("session:"))
    loop_clients: Any = connections._loop_clients
    built = loop_clients._built

    async def built_with() -> tuple[AnyClient, Ways]:
        client, found = await built()
        return client, Ways(
            found.sends_directly and ways.sends_directly,
            found.sends_at_once and ways.sends_at_once,
            found.hears_directly and ways.hears_directly,
        )

    loop_clients._built = built_with
    return connections


async def append_against_rpush(setup: Setup, sizes: Sizes, *, message: Message) -> Result:
    """Appending one by one against building and encoding the same event and RPUSH, which any writer has to do."""
    data = encoded(message)
    session_id = await grown(setup.store, 10)

    async def rpush(number: int) -> None:
        await setup.raw.execute_command("RPUSH", _RAW, data)

    async def append(number: int) -> None:
        await setup.store.append(session_id, an_event(message))

    async def encode_and_rpush(number: int) -> None:
        await setup.raw.execute_command("RPUSH", _RAW, encoded(message))

    strategies = {
        "encode and rpush": in_turn(encode_and_rpush, sizes.operations),
        "rpush": in_turn(rpush, sizes.operations),
        "encode alone": encoding(message, sizes.operations),
        "append": in_turn(append, sizes.operations),
    }
    return await compared(strategies, turns=sizes.turns, is_watched=True)


async def create_against_rpush(setup: Setup, sizes: Sizes) -> Result:
    """Creating roots one by one against RPUSH, and what of it is the client's own time."""
    data = encoded(short_message())

    async def rpush(number: int) -> None:
        await setup.raw.execute_command("RPUSH", _RAW, data)

    async def create(number: int) -> None:
        await setup.store.create()

    operations = max(sizes.operations // 5, 1)
    strategies = {
        "rpush": in_turn(rpush, operations),
        "rpush, client": in_turn(rpush, operations, clock=time.process_time),
        "create, client": in_turn(create, operations, clock=time.process_time),
        "create": in_turn(create, operations),
    }
    return await compared(strategies, turns=sizes.turns, is_watched=True)


async def priced_against_plain(setup: Setup, sizes: Sizes) -> Result:
    """Appending an event with a usage that has its price against one without usage."""
    message = short_message()
    session_id = await grown(setup.store, 10)
    usage = TokenUsage(prompt_tokens=1_200, completion_tokens=80, model="gpt-4o", cost_pico_usd=3_800_000_000)

    async def plain(number: int) -> None:
        await setup.store.append(session_id, an_event(message))

    async def priced(number: int) -> None:
        event = SessionEvent(message=message, source=EventSource.LLM, token_usage=usage)
        await setup.store.append(session_id, event)

    strategies = {name: in_turn(append, sizes.operations) for name, append in _named(plain, priced)}
    return await compared(strategies, turns=sizes.turns)


async def together_against_calls(setup: Setup, sizes: Sizes, *, is_apart: bool) -> Result:
    """Many tasks at once, on one session or each on its own, against redis-py calling the same script per append."""
    message = short_message()
    data = encoded(message)
    session_ids = [await grown(setup.store, 10) for _ in range(sizes.tasks if is_apart else 1)]
    homes = [SessionKeys("session:", SessionKey((), session_id), session_id) for session_id in session_ids]
    await setup.store.append(session_ids[0], an_event(message))  # now every node that matters knows the script
    await setup.raw.script_load(scripts.COMMIT.source)
    address, _ = address_from_url(setup.url)
    connections = Connections(address, None, scripts=scripts.ALL, probe_key=b"session:rights")
    unqueued_store = BaseSessionStore(Unqueued(connections, prefix="session:", ttl=0))

    async def unqueued(number: int) -> None:
        await unqueued_store.append(session_ids[number], an_event(message))

    target = unqueued_store._target(session_ids[0])

    async def call_per_append(number: int) -> None:
        commit = await encode_commit(target, [an_event(message)], None)
        arguments = [session_ids[number], "1 0 1", *commit_args(commit)]
        call = ScriptCall(scripts.COMMIT, commit_keys(homes[number], [commit]), arguments)
        reply = await setup.raw.execute_command(*call.by_sha())
        assert reply.startswith(b"OK")

    async def rpush(number: int) -> None:
        await setup.raw.execute_command("RPUSH", f"{_RAW} {number}", data)

    async def append(number: int) -> None:
        await setup.store.append(session_ids[number], an_event(message))

    samples = {
        name: together(write, sizes, is_apart=is_apart)
        for name, write in _named(call_per_append, rpush, unqueued, append)
    }
    async with unqueued_store:
        return await outpaced(samples, turns=sizes.turns)


async def append_by_private_parts(setup: Setup, sizes: Sizes) -> Result:
    """Appending one by one by the private parts of redis-py against by its public interface alone."""

    async def sample(store: BaseSessionStore) -> Sample:
        session_id = await grown(store, 10)

        async def append(number: int) -> None:
            await store.append(session_id, an_event(short_message()))

        return in_turn(append, sizes.operations)

    return await _by_private_parts(setup, sizes, sample)


async def together_by_private_parts(setup: Setup, sizes: Sizes) -> Result:
    """The same for many tasks at once, each on a session of its own."""

    async def sample(store: BaseSessionStore) -> Sample:
        session_ids = [await grown(store, 10) for _ in range(sizes.tasks)]

        async def append(number: int) -> None:
            await store.append(session_ids[number], an_event(short_message()))

        return together(append, sizes, is_apart=True)

    return await _by_private_parts(setup, sizes, sample)


async def tail_by_private_parts(setup: Setup, sizes: Sizes) -> Result:
    """The same for reading the last 20 events."""

    async def sample(store: BaseSessionStore) -> Sample:
        session_id = await grown(store, 100)

        async def tail(number: int) -> None:
            await store.get(session_id, last=20)

        return in_turn(tail, max(sizes.operations // 5, 1))

    return await _by_private_parts(setup, sizes, sample)


async def tail_against_lrange(setup: Setup, sizes: Sizes) -> Result:
    """Reading the last 20 events of the longest session against LRANGE of the last 20 of a list as long."""
    length = sizes.lengths[-1]
    session_id = await grown(setup.store, length)
    data = encoded(short_message())
    for start in range(0, length, 1_000):
        await setup.raw.execute_command("RPUSH", _RAW, *[data] * min(1_000, length - start))

    async def lrange(number: int) -> None:
        await setup.raw.execute_command("LRANGE", _RAW, -20, -1)

    async def tail(number: int) -> None:
        await setup.store.get(session_id, last=20)

    operations = max(sizes.operations // 5, 1)
    strategies = {name: in_turn(read, operations) for name, read in _named(lrange, tail)}
    return await compared(strategies, turns=sizes.turns, is_watched=True)


async def bytes_by_length(setup: Setup, sizes: Sizes) -> Result:
    """Bytes that a client sends for one append to the longest session against to the shortest."""
    lengths = (sizes.lengths[0], sizes.lengths[-1])
    session_ids = [await grown(setup.store, length) for length in lengths]
    sent = {}
    async with FaultyProxy(_port(setup.url)) as proxy, store_from_url(proxy.url) as store:
        await store.append(session_ids[0], an_event(short_message()))
        for length, session_id in zip(lengths, session_ids, strict=True):
            before = proxy.bytes_sent
            for _ in range(sizes.operations):
                await store.append(session_id, an_event(short_message()))
            sent[f"at {length:,}"] = (proxy.bytes_sent - before) / sizes.operations
    first, last = sent.values()
    medians = {"event alone": float(len(encoded(short_message()))), **sent}
    return Result(last / first, (last / first, last / first), medians, "B")


async def descendants_in_trips(setup: Setup, sizes: Sizes) -> Result:
    """Round trips for all descendants of the root of a large tree, heads included.

    One is what is sent in one go and waited for. A server learns a script once in its life: it knows them here.
    """
    count = await _grow_tree(setup.store, sizes)
    async with store_from_url(setup.url) as store:
        await (await store.create("small")).descendants()
        root = await _root(store)
        trips = await _counting_trips(store)
        descendants = await root.descendants()
        assert len(descendants) == count - 1
    return judged_alone("round trips", [float(sum(trips))], "trips", {"nodes": float(count)})


async def page_in_trips(store: BaseSessionStore, sizes: Sizes) -> Result:
    """Round trips for a page of 50 among many sessions, by activity and of one owner."""
    await paging.filled(store, sizes.sessions)
    await paging.newest(store)
    trips = await _counting_trips(store)
    await paging.newest(store)
    newest = float(len(trips))
    await paging.newest_of_an_owner(store)
    of_owner = float(len(trips)) - newest
    return judged_alone("round trips", [max(newest, of_owner)], "trips", {"newest": newest, "of an owner": of_owner})


async def _counting_trips(store: BaseSessionStore) -> list[int]:
    """Return a list that grows by 1 with each round trip of the store from now on."""
    backend: Any = store._open_backend
    opened = await backend._connections._loop_clients.opened()
    wire, trips = opened.executor._wire, []
    send = wire.send

    async def counting(commands: PackedCommands) -> list[Any]:
        trips.append(1)
        answers: list[Any] = await send(commands)
        return answers

    wire.send = counting
    return trips


async def descendants_in_time(setup: Setup, sizes: Sizes) -> Result:
    """The time for each of the same descendants."""
    count = await _grow_tree(setup.store, sizes)
    root = await _root(setup.store)

    async def a_node() -> float:
        start = time.perf_counter()
        descendants = await root.descendants()
        return (time.perf_counter() - start) / len(descendants)

    assert len(await root.descendants()) == count - 1
    return await timed("a node", a_node, turns=lateness_turns(sizes.turns))


async def memory_of_events(setup: Setup, sizes: Sizes) -> Result:
    """Bytes of the server's memory for one event, its place among the known ids included, against its payload."""
    before = await _used_memory(setup)
    await grown(setup.store, sizes.loaded)
    each = (await _used_memory(setup) - before) / sizes.loaded
    payload = float(len(encoded(short_message())))
    ratio = each / payload
    return Result(ratio, (ratio, ratio), {"payload": payload, "event": each}, "B")


async def memory_of_sessions(setup: Setup, sizes: Sizes) -> Result:
    """Bytes of the server's memory for a root and for a child, each without events, the listing included."""
    count = max(sizes.loaded // 5, 10)
    taken = {}
    await setup.store.create("parent")
    for name, parent in (("root", None), ("child", "parent")):
        before = await _used_memory(setup)
        for start in range(0, count, 100):
            await asyncio.gather(*(setup.store.create(parent_id=parent) for _ in range(start, start + 100)))
        taken[name] = (await _used_memory(setup) - before) / (-(-count // 100) * 100)
    return Result(None, (taken["root"], taken["root"]), taken, "B", judged_by="root")


async def _grow_tree(store: BaseSessionStore, sizes: Sizes) -> int:
    """Create a large tree, ten children each, and return how many sessions it has."""
    count = max(sizes.lengths[-1] // 10, _FAN_OUT)
    await store.create("root")
    waiting = []
    for number in range(1, count):
        parent = "root" if number <= _FAN_OUT else f"node {(number - 1) // _FAN_OUT}"
        waiting.append(store.create(f"node {number}", parent_id=parent))
        if number in (10, 110, 1110) or len(waiting) == 500 or number == count - 1:
            await asyncio.gather(*waiting)
            waiting.clear()
    return count


async def _root(store: BaseSessionStore) -> Session[Any]:
    root = await store.get("root")
    assert root is not None
    return root


async def _by_private_parts(
    setup: Setup, sizes: Sizes, sample: Callable[[BaseSessionStore], Awaitable[Sample]]
) -> Result:
    ways = {
        "public": Ways(),
        "sent directly": Ways(sends_directly=True),
        "and at once": Ways(sends_directly=True, sends_at_once=True),
        "and heard directly": Ways(sends_directly=True, sends_at_once=True, hears_directly=True),
    }
    async with AsyncExitStack() as stack:
        samples = {}
        for name, way in ways.items():
            backend = RedisBackend(connections_with(setup.url, way), prefix="session:", ttl=0)
            samples[name] = await sample(await stack.enter_async_context(BaseSessionStore(backend)))
        return await outpaced(samples, turns=sizes.turns)


def _named(*appends: Callable[[int], Awaitable[None]]) -> list[tuple[str, Callable[[int], Awaitable[None]]]]:
    return [(append.__name__.replace("_", " "), append) for append in appends]


async def _used_memory(setup: Setup) -> int:
    memory: dict[str, int] = await setup.raw.execute_command("INFO", "memory")
    return memory["used_memory"]


def _port(url: str) -> int:
    address, _ = address_from_url(url)
    return address.nodes[0][1]


@asynccontextmanager
async def one_server() -> AsyncIterator[Setup]:
    """Start a server, with a store and redis-py's client on it."""
    with TemporaryDirectory() as name, RedisServer(Path(name), ("save", '""')) as server:
        async with Redis(host="127.0.0.1", port=server.port) as raw, store_from_url(server.url) as store:
            yield Setup(server.url, store, raw)


@asynccontextmanager
async def _three_nodes() -> AsyncIterator[Setup]:
    with TemporaryDirectory() as name, cluster.RedisCluster(Path(name), ("appendonly", "no")) as nodes:
        async with RedisCluster(host="127.0.0.1", port=nodes.nodes[0].port) as raw, store_from_url(nodes.url) as store:
            yield Setup(nodes.url, store, raw)


async def _alone(scenario: SetupScenario, sizes: Sizes) -> Result:
    async with one_server() as setup:
        return await scenario(setup, sizes)


async def _clustered(scenario: SetupScenario, sizes: Sizes) -> Result:
    async with _three_nodes() as setup:
        return await scenario(setup, sizes)


async def _on_store(scenario: Scenario, sizes: Sizes) -> Result:
    async with one_server() as setup:
        return await scenario(setup.store, sizes)


async def _on_indexed(scenario: Scenario, sizes: Sizes) -> Result:
    async with one_server() as setup, store_from_url(setup.url, indexed=paging.INDEXED) as store:
        return await scenario(store, sizes)


async def _on_two(scenario: Callable[..., Awaitable[Result]], sizes: Sizes) -> Result:
    async with (
        one_server() as setup,
        store_from_url(f"{setup.url}?key_prefix=plain:") as plain,
        store_from_url(f"{setup.url}?key_prefix=indexed:", indexed=paging.INDEXED) as indexed,
    ):
        return await scenario(plain, indexed, sizes)


def _cases() -> list[Case]:
    one_session, many_sessions = (partial(together_against_calls, is_apart=is_apart) for is_apart in (False, True))
    short = partial(append_against_rpush, message=short_message())
    return [
        *(
            Case(f"redis/append/{size}", at_most(2.0), partial(_alone, partial(append_against_rpush, message=message)))
            for size, message in chat_messages().items()
        ),
        Case("redis/create", None, partial(_alone, create_against_rpush)),
        Case("redis/append/priced", at_most(1.3), partial(_alone, priced_against_plain)),
        Case("redis/chat.user", at_most(1.35), partial(_on_store, scenarios.user_against_append)),
        Case("redis/prompt/compacted", at_most(1.5), partial(_on_store, compacting.prompt_against_tail)),
        Case("redis/append/compacted", at_most(1.05), partial(_on_store, compacting.commit_against_plain)),
        Case("redis/forks/fork", at_most(3.0), partial(_on_store, forking.fork_against_append)),
        Case("redis/forks/fork by length", at_most(1.2), partial(_on_store, forking.fork_by_length)),
        Case(
            "redis/forks/messages of 20", at_most(1.3), partial(_on_store, partial(forking.messages_of_fork, length=20))
        ),
        Case(
            "redis/forks/messages of 1,000",
            at_most(1.3),
            partial(_on_store, partial(forking.messages_of_fork, length=1_000)),
        ),
        Case("redis/append/by length", at_most(1.2), partial(_on_store, scenarios.append_by_length)),
        Case("redis/append again/by length", at_most(1.2), partial(_on_store, scenarios.repeat_by_length)),
        Case("redis/bytes sent/by length", at_most(1.02), partial(_alone, bytes_by_length)),
        Case("redis/64 tasks/one session", at_least(3.0), partial(_alone, one_session)),
        Case("redis/64 tasks/64 sessions", at_least(1.5), partial(_alone, many_sessions)),
        Case("redis/tail", at_most(3.0), partial(_alone, tail_against_lrange)),
        Case("redis/private parts/append", None, partial(_alone, append_by_private_parts)),
        Case("redis/private parts/64 sessions", None, partial(_alone, together_by_private_parts)),
        Case("redis/private parts/tail", None, partial(_alone, tail_by_private_parts)),
        Case("redis/usage/by length", None, partial(_on_store, spending.usage_by_length)),
        Case("redis/usage/by tree", None, partial(_on_store, spending.usage_by_tree)),
        Case("redis/load", None, partial(_on_store, scenarios.load_against_decode)),
        Case("redis/descendants", at_most(12), partial(_alone, descendants_in_trips)),
        Case("redis/descendants/time", at_most(60), partial(_alone, descendants_in_time)),
        Case("redis/memory/events", None, partial(_alone, memory_of_events)),
        Case("redis/memory/sessions", None, partial(_alone, memory_of_sessions)),
        Case("redis/budgets/hold+settle", at_most(1.5), partial(_on_store, budgets.hold_and_settle)),
        Case("redis/budgets/append without", at_most(1.05), partial(_on_two, budgets.append_without_budgets)),
        Case("redis/leases/append", at_most(1.1), partial(_on_store, leases.append_in_a_held_run)),
        Case("redis/leases/heartbeats", at_most(2.0), partial(_on_store, leases.processor_of_heartbeats)),
        Case("redis/page/newest", at_most(5), partial(_on_indexed, partial(paging.page_by_number, ask=paging.newest))),
        Case(
            "redis/page/by owner",
            at_most(5),
            partial(_on_indexed, partial(paging.page_by_number, ask=paging.newest_of_an_owner)),
        ),
        Case("redis/page/round trips", at_most(2), partial(_on_indexed, page_in_trips)),
        Case("redis/append/indexed", at_most(1.1), partial(_on_two, paging.append_to_indexed)),
        Case("redis/create/indexed", at_most(1.3), partial(_on_two, paging.create_indexed)),
        Case("redis/lateness/load", None, partial(_on_store, scenarios.lateness_of_load)),
        Case("redis/lateness/commit", None, partial(_on_store, scenarios.lateness_of_commit)),
        Case("redis cluster/append", None, partial(_clustered, short)),
        Case("redis cluster/64 tasks/one session", None, partial(_clustered, one_session)),
        Case("redis cluster/64 tasks/64 sessions", None, partial(_clustered, many_sessions)),
    ]


# Without a redis-server there is nothing to measure.
CASES = _cases() if find_binary() is not None else []
