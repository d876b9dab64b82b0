"""Scripts for tests of connections, which are harmless to run twice, as the store's are."""

from __future__ import annotations

from typing import Any

from a2a_session_manager.storage.redis.address import address_from_url
from a2a_session_manager.storage.redis.clients import AnyClient
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.retry_policy import RetryPolicy
from a2a_session_manager.storage.redis.script import Script, ScriptCall

PUSH_ONCE = Script(
    "push_once",
    """
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return {redis.call('HGET', KEYS[1], ARGV[1]), 'known'} end
redis.call('HSET', KEYS[1], ARGV[1], redis.call('RPUSH', KEYS[2], ARGV[1]))
return {redis.call('HGET', KEYS[1], ARGV[1]), 'new'}
""",
)
FAILING = Script("failing", "return redis.error_reply('ERR no such thing')")
IMPATIENT = RetryPolicy(tries=2, try_seconds=0.5, seconds=0.5)
PROBE_KEY = b"test:rights"


def push(name: str, item: str) -> ScriptCall:
    """Return a call that pushes `item` to the list `name` once, and returns its place in the list."""
    return ScriptCall(PUSH_ONCE, [f"test:{{{name}}}:ids".encode(), list_of(name)], [item], name)


def list_of(name: str) -> bytes:
    return f"test:{{{name}}}:list".encode()


def connected(url: str, *, retry_policy: RetryPolicy | None = None) -> Connections:
    """Return connections of our own to `url`."""
    address, _ = address_from_url(url)
    return Connections(address, None, scripts=[PUSH_ONCE, FAILING], probe_key=PROBE_KEY, retry_policy=retry_policy)


def handed(client: AnyClient, *, retry_policy: RetryPolicy | None = None) -> Connections:
    """Return connections over a client that the test has made."""
    return Connections(None, client, scripts=[PUSH_ONCE, FAILING], probe_key=PROBE_KEY, retry_policy=retry_policy)


async def pushed(connections: Connections, name: str) -> list[bytes]:
    """Return what the list `name` holds."""
    answer: Any
    [answer] = await connections.read_many([("LRANGE", list_of(name), 0, -1)])
    return list(answer)
