"""The clients of redis-py that we build, and how each kind is closed and asked for its limits."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import TimeoutError as RedisTimeoutError

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.storage.redis.address import Kind, Node, RedisAddress
from a2a_session_manager.storage.redis.retrying import FAILOVER_TRIES, Patience

AnyClient: TypeAlias = "Redis | RedisCluster"

MAX_CONNECTIONS: Final = 32
_SOCKET_SECONDS: Final = 5.0
_WAIT_SECONDS: Final = 10.0
# The health check also finds a connection that a restarted server has forgotten: with RESP 3 and hiredis,
# redis-py would not notice; hence RESP 2. Retries are ours: redis-py's would hide a lost reply from nobody.
_DEFAULTS: Final = {
    "protocol": 2,
    "socket_timeout": _SOCKET_SECONDS,
    "socket_connect_timeout": _SOCKET_SECONDS,
    "health_check_interval": 15,
    "max_connections": MAX_CONNECTIONS,
}


def built(address: RedisAddress) -> AnyClient:
    """Return a new client. It reads files and may ask for a name: not on an event loop."""
    options: dict[str, Any] = _DEFAULTS | {"retry": Retry(NoBackoff(), 0)} | dict(address.options)
    if address.kind == "cluster":
        return _cluster(address.nodes, options)
    options["socket_timeout"] = None  # `patience_with` has it: in redis-py it costs a task for each command
    if address.kind == "sentinel":
        sentinels = _DEFAULTS | {"retry": Retry(NoBackoff(), 0)} | dict(address.sentinel_options)
        asked: Any = Sentinel
        settings = _identity() | options
        client: Redis = asked(address.nodes, sentinel_kwargs=sentinels).master_for(address.service, **settings)
    else:
        host, port = address.nodes[0]
        client = Redis(host=host, port=port, **options)
    pool: Any = client.connection_pool
    pool.connection_class = _ours(pool.connection_class, pool.connection_kwargs)
    return client


def _cluster(nodes: Sequence[Node], options: Mapping[str, Any]) -> RedisCluster:
    client = RedisCluster(startup_nodes=[ClusterNode(host, port) for host, port in nodes], **options)
    first = client.startup_nodes[0]
    kind = _ours(first.connection_class, first.connection_kwargs)
    client.connection_kwargs["connection_class"] = kind  # for nodes that are found later
    for node in client.startup_nodes:
        node.connection_class = kind
    return client


def _ours(kind: Any, settings: Mapping[str, Any]) -> Any:
    return _surely_closed(_with_one_context(kind, settings))


def _surely_closed(kind: Any) -> Any:
    """Return a class of connections that are closed when `disconnect` ends, whatever the server does.

    redis-py leaves one open as long as the server does not take what was written to it, and may raise then.
    The class keeps those that are open: a cluster's client, closed, leaves some so if a node has just failed,
    or has left the cluster.
    """
    open_now: set[Any] = set()

    async def connect(self: Any) -> None:
        await kind._connect(self)
        open_now.add(self)

    async def disconnect(self: Any, *args: Any, **settings: Any) -> None:
        writer = self._writer
        try:
            with suppress(RedisTimeoutError):
                await kind.disconnect(self, *args, **settings)
        finally:
            open_now.discard(self)
            if writer is not None:
                writer.transport.abort()

    return type(kind.__name__, (kind,), {"open_now": open_now, "_connect": connect, "disconnect": disconnect})


def _with_one_context(kind: Any, settings: Mapping[str, Any]) -> Any:
    """Return a class of connections that share one TLS context, which is loaded here.

    redis-py makes one for each connection, on the event loop, and the certificates take it 20 ms.
    """
    if not issubclass(kind, SSLConnection):
        return kind
    shared = kind(**settings).ssl_context
    shared.get()

    def begin(self: Any, **settings: Any) -> None:
        kind.__init__(self, **settings)
        self.ssl_context = shared

    return type(kind.__name__, (kind,), {"__init__": begin})


def _identity() -> dict[str, Any]:
    """Return what a client says of itself, read from redis-py's files: here, not at each new connection."""
    settings = Redis().connection_pool.connection_kwargs
    return {name: settings[name] for name in ("driver_info", "lib_name", "lib_version") if name in settings}


def check_options(address: RedisAddress) -> None:
    """Raise InvalidSessionOperation for an option that redis-py does not know."""
    known = inspect.signature(RedisCluster if address.kind == "cluster" else Redis).parameters
    unknown = [name for name in address.options if name not in known]
    if unknown:
        raise InvalidSessionOperation(f"redis-py takes no {', '.join(unknown)} for a {address.kind}: leave it out")


def kind_of(client: AnyClient) -> Kind:
    """Return what kind of servers a client talks to."""
    if isinstance(client, RedisCluster):
        return "cluster"
    return "sentinel" if isinstance(client.connection_pool, SentinelConnectionPool) else "server"


def patience_with(address: RedisAddress | None, client: AnyClient | None) -> Patience:
    """Return how long to wait for answers, from servers at `address` or of a client that was handed in."""
    if client is not None or address is None:
        # Its own timeout may be any, or none.
        kind, try_seconds = "server" if client is None else kind_of(client), _WAIT_SECONDS
    elif address.kind == "cluster":
        # A cluster's client must see the timeout itself, to read the map of the cluster anew.
        kind, try_seconds = address.kind, _WAIT_SECONDS
    else:
        kind, try_seconds = address.kind, address.options.get("socket_timeout", _SOCKET_SECONDS)
    return Patience(8 if kind == "server" else FAILOVER_TRIES, try_seconds, _WAIT_SECONDS)


def connection_limit(client: AnyClient) -> int:
    """Return how many commands may be under way at once: pools raise beyond, and pub/sub takes a connection, too."""
    if isinstance(client, RedisCluster):
        limit = client.get_connection_kwargs().get("max_connections")
    else:
        limit = getattr(client.connection_pool, "max_connections", None)
    return MAX_CONNECTIONS if limit is None else max(1, min(limit, MAX_CONNECTIONS) - 1)


def node_name(client: RedisCluster, key: bytes) -> str:
    """Return which node serves `key`; "" until the cluster's map is known."""
    nodes = client.nodes_manager.slots_cache.get(client.keyslot(key))
    return nodes[0].name if nodes else ""


async def close(client: AnyClient) -> None:
    """Close a client that we built, and the Sentinels it asks."""
    if isinstance(client, RedisCluster):
        await _close_cluster(client)
        return
    await client.aclose()
    if isinstance(client.connection_pool, SentinelConnectionPool):
        for sentinel in client.connection_pool.sentinel_manager.sentinels:
            await sentinel.aclose()


async def _close_cluster(client: RedisCluster) -> None:
    try:
        await client.aclose()
    finally:
        left = client.connection_kwargs["connection_class"].open_now
        await asyncio.gather(*(connection.disconnect() for connection in tuple(left)))
