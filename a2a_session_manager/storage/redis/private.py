"""The private parts of redis-py that are quicker than its public ones: each is used only where this redis-py has it.

All that the store does works with redis-py's public interface alone. Each function here names parts that may be
renamed in any release, says what they bring, and what is done without them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import redis.client
from redis.asyncio import Connection, Redis, RedisCluster

Options = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ways:
    """What may be done with a client that we built."""

    sends_directly: bool = False
    sends_at_once: bool = False
    hears_directly: bool = False


def ways_of(client: Redis | RedisCluster) -> Ways:
    """Look for the parts. It reads files, as a connection of redis-py does: not on an event loop."""
    directly = isinstance(client, Redis) and _sends_directly(client)
    return Ways(directly, directly and _sends_at_once(), directly and _hears_directly())


def _sends_directly(client: Redis) -> bool:
    """Tell whether commands can be packed by us and sent over a connection that is taken from the pool.

    It halves what a command costs in the client. Without: `execute_command` and pipelines.
    """
    pool, connection = client.connection_pool, Connection()
    return (
        _has(pool, "ensure_connection", "connection_kwargs")
        and _needs_nothing(pool.get_connection)
        and _has(connection, "send_packed_command")
        and "disable_decoding" in inspect.signature(connection.read_response).parameters
    )


def _sends_at_once() -> bool:
    """Tell whether one can write to a connection without waiting, and see before that nothing is in the way.

    The server works while the loop gets to the task that wants the answer. Without: that task sends.
    """
    return _has(Connection(), "_writer", "is_connected", "can_read", "health_check_interval", "next_health_check")


def _hears_directly() -> bool:
    """Tell whether a connection shows its parser: a third of what an answer takes, where others came before it.

    The first answer is the connection's to read, which takes note of when it was alive. Without: so are all others.
    """
    parser: Any = getattr(Connection(), "_parser", None)
    return (
        _has(parser, "read_response")
        and "disable_decoding" in inspect.signature(parser.read_response).parameters
        and _has(Connection(), "disconnect")
    )


def takes_our_connections(client: Redis | RedisCluster) -> bool:
    """Tell whether a client can be given a class of connections of our own, made from redis-py's.

    Ours close whatever the server does, and share one TLS context. Without: redis-py's, closed for as long as we wait.
    """
    if not _has(Connection(), "_connect", "_writer", "disconnect"):
        return False
    if isinstance(client, Redis):
        return _has(client.connection_pool, "connection_class", "connection_kwargs")
    manager = getattr(client, "nodes_manager", None)
    nodes = getattr(manager, "startup_nodes", None)
    return (
        isinstance(nodes, dict)
        and isinstance(getattr(client, "connection_kwargs", None), dict)
        and all(_has(node, "connection_class", "connection_kwargs") for node in nodes.values())
    )


def shared_context(kind: Any, settings: Options) -> Any:
    """Return the TLS context that a connection of class `kind` makes for itself; None where it has none of its own.

    Loading the certificates takes 20 ms on the event loop. Without: each connection loads them.
    """
    context = getattr(kind(**settings), "ssl_context", None)
    return context if _has(context, "get") else None


def connections_of(client: Redis | RedisCluster) -> list[Any]:
    """Return the connections in the pools of a client, open or not, to count them; none where they cannot be seen."""
    if isinstance(client, RedisCluster):
        nodes = getattr(getattr(client, "nodes_manager", None), "nodes_cache", {})
        return [each for node in list(nodes.values()) for each in list(getattr(node, "_connections", ()))]
    pool = client.connection_pool
    return [*getattr(pool, "_available_connections", ()), *getattr(pool, "_in_use_connections", ())]


def identity() -> dict[str, Any]:
    """Return what a client says of itself, which a Sentinel's client reads from redis-py's files for each connection.

    Without: it does.
    """
    settings: Options = getattr(Redis().connection_pool, "connection_kwargs", {})
    return {name: settings[name] for name in ("driver_info", "lib_name", "lib_version") if name in settings}


def as_bytes() -> dict[str, Any]:
    """Return the option of a command whose answer is bytes even if its client decodes answers.

    Without: clients that decode are refused.
    """
    option = getattr(redis.client, "NEVER_DECODE", None)
    return {option: True} if isinstance(option, str) else {}


def _has(thing: object, *names: str) -> bool:
    return all(hasattr(thing, name) for name in names)


def _needs_nothing(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind()
    except TypeError:
        return False
    return True
