"""The clients of redis-py that we build, and how each kind is closed and asked for its limits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from socket import gaierror
from typing import Any, Final, TypeAlias

from redis import Redis as BlockingRedis
from redis import RedisCluster as BlockingRedisCluster
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError

from a2a_session_manager.exceptions import InvalidSessionOperation, StoreUnavailable
from a2a_session_manager.storage.redis import our_connections, private
from a2a_session_manager.storage.redis.address import Kind, Node, RedisAddress
from a2a_session_manager.storage.redis.options import check_files
from a2a_session_manager.storage.redis.retry_policy import FAILOVER_TRIES, RetryPolicy

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
    """Return a new client. It reads files and may ask for a name: not on an event loop.

    Raises InvalidSessionOperation where redis-py cannot be told what the address says.
    """
    try:
        check_files(address.options)
        return _built(address)
    except gaierror as error:
        raise StoreUnavailable(f"redis cannot be found ({error}): check its host") from error
    except (TypeError, ValueError, AttributeError, OSError, RedisError) as error:
        names = ", ".join(address.options)
        raise InvalidSessionOperation(f"redis-py cannot use the options {names} ({error}): check them") from error


def _built(address: RedisAddress) -> AnyClient:
    options: dict[str, Any] = _DEFAULTS | {"retry": Retry(NoBackoff(), 0)} | dict(address.options)
    options.pop("decode_responses", None)  # what is stored is bytes
    if address.kind == "cluster":
        return _cluster(address.nodes, options)
    options["socket_timeout"] = None  # `retry_policy_for` has it: in redis-py it costs a task for each command
    if address.kind == "sentinel":
        sentinels = _DEFAULTS | {"retry": Retry(NoBackoff(), 0)} | dict(address.sentinel_options)
        asked: Any = Sentinel
        settings = private.identity() | options
        client: Redis = asked(address.nodes, sentinel_kwargs=sentinels).master_for(address.service, **settings)
    else:
        host, port = address.nodes[0]
        client = Redis(host=host, port=port, **options)
    if private.takes_our_connections(client):
        pool: Any = client.connection_pool
        pool.connection_class = our_connections.made_from(pool.connection_class, pool.connection_kwargs)
    return client


def _cluster(addresses: Sequence[Node], options: Mapping[str, Any]) -> RedisCluster:
    client = RedisCluster(startup_nodes=[ClusterNode(host, port) for host, port in addresses], **options)
    if private.takes_our_connections(client):
        nodes = list(client.nodes_manager.startup_nodes.values())
        kind = our_connections.made_from(nodes[0].connection_class, nodes[0].connection_kwargs)
        client.connection_kwargs["connection_class"] = kind  # for nodes that are found later
        for node in nodes:
            node.connection_class = kind
    return client


def check_client(client: AnyClient) -> None:
    """Raise InvalidSessionOperation for a client that cannot be used.

    One makes texts of bytes, where it cannot be told not to. Another reads from replicas, which lag behind: a listing
    would miss sessions, and remove their lines for sessions that are gone.
    """
    given: object = client
    if isinstance(given, BlockingRedis | BlockingRedisCluster) or not hasattr(given, "execute_command"):
        kind = type(given)
        raise InvalidSessionOperation(
            f"a {kind.__module__}.{kind.__qualname__} cannot be awaited: hand in a client of redis.asyncio, "
            "or take store_from_url(…) for a URL"
        )
    if isinstance(client, RedisCluster):
        names = ("read_from_replicas", "load_balancing_strategy")
        if setting := next((name for name in names if getattr(client, name, None)), None):
            raise InvalidSessionOperation(
                f"this RedisCluster reads from replicas ({setting}={getattr(client, setting)!r}), which lag behind: "
                f"hand in one without {setting}"
            )
    elif isinstance(client.connection_pool, SentinelConnectionPool) and not client.connection_pool.is_master:
        raise InvalidSessionOperation(
            "this client of Sentinels reads from a replica, which lags behind: hand in Sentinel.master_for(…)"
        )
    if not private.as_bytes() and client.get_encoder().decode_responses:
        raise InvalidSessionOperation("this redis-py decodes all that is read: hand in one with decode_responses=False")


def kind_of(client: AnyClient) -> Kind:
    """Return what kind of servers a client talks to."""
    if isinstance(client, RedisCluster):
        return "cluster"
    return "sentinel" if isinstance(client.connection_pool, SentinelConnectionPool) else "server"


def shown_place(client: AnyClient | None) -> str:
    """Return where a client that was handed in leads to, as a URL without the login, as far as it says so."""
    if client is None or kind_of(client) != "server":
        return "redis" if client is None else f"redis+{kind_of(client)}://…"
    settings = client.get_connection_kwargs()
    host, port, db = (settings.get(name) for name in ("host", "port", "db"))
    if not isinstance(host, str) or not isinstance(port, int):
        return "redis://…"  # a socket's path, or a class of connections of its owner's
    return RedisAddress("server", ((host, port),), options={"db": db}).url


def retry_policy_for(address: RedisAddress | None, client: AnyClient | None) -> RetryPolicy:
    """Return how long to wait for answers, from servers at `address` or of a client that was handed in."""
    if client is not None or address is None:
        # Its own timeout may be any, or none.
        kind, try_seconds = "server" if client is None else kind_of(client), _WAIT_SECONDS
    elif address.kind == "cluster":
        # A cluster's client must see the timeout itself, to read the map of the cluster anew.
        kind, try_seconds = address.kind, _WAIT_SECONDS
    else:
        kind, try_seconds = address.kind, address.options.get("socket_timeout", _SOCKET_SECONDS)
    return RetryPolicy(8 if kind == "server" else FAILOVER_TRIES, try_seconds, _WAIT_SECONDS)


def connection_limit(client: AnyClient) -> int:
    """Return how many commands may be under way at once: pools raise beyond, and pub/sub takes a connection, too."""
    most = _most_connections(client)
    return most - 1 if may_listen(client) else most


def may_listen(client: AnyClient) -> bool:
    """Tell whether a connection may be kept for pub/sub: not the only one, and not of a client that has none for it."""
    if isinstance(client, RedisCluster):
        return hasattr(client, "pubsub") and _most_connections(client) > 1  # since redis-py 8
    return _most_connections(client) > 1


def _most_connections(client: AnyClient) -> int:
    if isinstance(client, RedisCluster):
        limit = client.get_connection_kwargs().get("max_connections")
    else:
        limit = getattr(client.connection_pool, "max_connections", None)
    return MAX_CONNECTIONS if limit is None else min(limit, MAX_CONNECTIONS)


def open_connections(client: AnyClient) -> int:
    """Return how many connections of a client are open; of one that was handed in, as far as redis-py tells."""
    ours = our_connections.open_connections(_connection_class(client))
    others = [] if ours else private.connections_of(client)
    return len(ours) + sum(1 for connection in others if getattr(connection, "is_connected", False))


def node_name(client: RedisCluster, key: bytes) -> str:
    """Return which node serves `key`; "" until the cluster's map is known."""
    asked: Any = client  # it takes bytes, too, whatever it declares
    try:
        node = asked.get_node_from_key(key)
    except RedisClusterException:
        return ""
    return "" if node is None else str(node.name)


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
        kind = client.get_connection_kwargs().get("connection_class")
        await asyncio.gather(*(connection.disconnect() for connection in our_connections.open_connections(kind)))


def abandon(client: AnyClient) -> None:
    """Close what a client that we built has open on an event loop that is closed.

    Where its connections are redis-py's own, they are closed when nothing refers to them any more.
    """
    for connection in our_connections.open_connections(_connection_class(client)):
        our_connections.abandon(connection)


def _connection_class(client: AnyClient) -> Any:
    if isinstance(client, RedisCluster):
        return client.get_connection_kwargs().get("connection_class")
    return getattr(client.connection_pool, "connection_class", None)
