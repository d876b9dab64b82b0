"""A class of connections made from redis-py's: closed whatever the server does, and with one TLS context for all.

Made of private parts: `private.takes_our_connections` tells whether this redis-py has them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from redis.asyncio import SSLConnection
from redis.exceptions import TimeoutError as RedisTimeoutError

from a2a_session_manager.storage.redis import private

_log = logging.getLogger("a2a_session_manager.storage.redis")


def made_from(kind: Any, settings: Mapping[str, Any]) -> Any:
    """Return a class made from `kind`, which was going to be given `settings`. It reads certificates.

    Raises what redis-py makes of settings that it cannot use.
    """
    kind(**settings)
    return _surely_closed(_with_one_context(kind, settings))


def open_connections(kind: Any) -> list[Any]:
    """Return the connections of such a class that are open; none of a class of redis-py's own."""
    return list(getattr(kind, "open_now", ()))


def abandon(connection: Any) -> None:
    """Close a connection whose event loop is closed: the loop can no more, so its socket is."""
    writer, connection._reader, connection._writer = connection._writer, None, None
    if writer is None:
        return
    socket = getattr(writer.get_extra_info("socket"), "_sock", None)  # asyncio shows it without its `close`
    if socket is not None:
        socket.close()
        if getattr(writer.transport, "_sock", None) is socket:
            writer.transport._sock = None  # else asyncio complains that nobody has closed it


def _surely_closed(kind: Any) -> Any:
    """Return a class of connections that are closed when `disconnect` ends, whatever the server does.

    redis-py waits until the server has taken what was written to it, and may raise then. The class keeps those that
    are open: a cluster's client, closed, leaves some so if a node has just failed, or has left the cluster.
    """
    open_now: set[Any] = set()

    async def connect(self: Any) -> None:
        await kind._connect(self)
        open_now.add(self)
        if getattr(self, "was_open", False):
            _log.info("connected again to %s", ":".join(str(getattr(self, name, "")) for name in ("host", "port")))
        self.was_open = True
        self._writer.writelines = _writing_in_one(self._writer)

    async def disconnect(self: Any, *args: Any, **settings: Any) -> None:
        open_now.discard(self)
        if self._writer is not None:
            self._writer.transport.abort()
        with suppress(RedisTimeoutError):
            await kind.disconnect(self, *args, **settings)

    return type(kind.__name__, (kind,), {"open_now": open_now, "_connect": connect, "disconnect": disconnect})


def _writing_in_one(writer: Any) -> Any:
    """Return a `writelines` that asyncio cannot get wrong.

    That of Python 3.12, and of 3.13 before 3.13.6, goes on watching the descriptor of a transport that was just lost
    (CPython issue 136234): the next connection that is given the same number is never woken, and five seconds go by.
    """

    def writelines(lines: Iterable[bytes]) -> None:
        writer.write(b"".join(lines))

    return writelines


def _with_one_context(kind: Any, settings: Mapping[str, Any]) -> Any:
    """Return a class of connections that share one TLS context, which is loaded here, not on an event loop."""
    shared = private.shared_context(kind, settings) if issubclass(kind, SSLConnection) else None
    if shared is None:
        return kind
    shared.get()

    def begin(self: Any, **settings: Any) -> None:
        kind.__init__(self, **settings)
        self.ssl_context = shared

    return type(kind.__name__, (kind,), {"__init__": begin})
