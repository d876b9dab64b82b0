"""What tests look at inside a Redis store: its connections, and where a session is."""

from __future__ import annotations

from typing import Any

from fakeredis import FakeAsyncRedis, FakeServer

from a2a_session_manager.storage.redis.backend import RedisBackend
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.store import BaseSessionStore

# The first connection reads redis-py's version from a file: here, before there is an event loop to hold up.
_first_client: Any = FakeAsyncRedis()
_first_client.connection_pool.make_connection()


def fake_client(server: FakeServer) -> Any:
    """Return a client of a fakeredis."""
    return FakeAsyncRedis(server=server)


def backend_of(store: BaseSessionStore) -> RedisBackend:
    backend: Any = store._open_backend
    assert isinstance(backend, RedisBackend)
    return backend


def connections_of(store: BaseSessionStore) -> Connections:
    return backend_of(store)._connections


async def keys_of(store: BaseSessionStore, session_id: str) -> SessionKeys:
    """Return where a session lies, which must be there."""
    keys = await backend_of(store)._locator.find(store._key(session_id))
    assert keys is not None, f"no session {session_id!r}"
    return keys
