"""Commands over connections of redis-py's pool, packed by us: half of what its general way costs in the client."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import RedisError, ResponseError

from a2a_session_manager.storage.redis.script import Command

# As many batches of one queue as may be under way.
MAX_IDLE_CONNECTIONS: Final = 2


class Wire:
    """Sends commands for a client whose retries are ours.

    Some connections stay out of the pool between two batches: taking one and putting it back costs more than to
    send a command. Not where Sentinels name the primary: the pool drops its idle connections when that changes. Nor
    where a provider renews credentials: a connection learns of them when it is released.
    """

    def __init__(self, client: Redis, *, sends_at_once: bool = True) -> None:
        self._pool: Any = client.connection_pool
        renews = self._pool.connection_kwargs.get("credential_provider") is not None
        self._may_keep = not (renews or isinstance(self._pool, SentinelConnectionPool))
        self._may_send_at_once = sends_at_once
        self._kept: list[Any] = []

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands in one go; return the server's answer or its error for each, in bytes.

        Raises what breaks the connection, which is closed then.
        """
        # asyncio, from Python 3.12 on, never gets done with writing nothing: it tries for ever, and does not close.
        assert commands, "there is nothing to send"
        connection = await self._taken()
        try:
            await connection.send_packed_command(_packed(commands))
        except BaseException:
            await self._pool.release(connection)
            raise
        return await Sent(self, connection, len(commands)).answers()

    def send_now(self, commands: Sequence[Command]) -> Sent | None:
        """Send commands if that takes no waiting: the server works while the loop gets to hear what it answers."""
        if not (commands and self._may_send_at_once and self._kept and _is_ready(self._kept[-1])):
            return None
        packed = _packed(commands)
        connection = self._kept.pop()
        connection._writer.write(packed)
        return Sent(self, connection, len(commands))

    async def give_back(self, connection: Any, *, is_whole: bool) -> None:
        """Take a connection back; `is_whole`: it has brought all its answers."""
        if is_whole and self._may_keep and len(self._kept) < MAX_IDLE_CONNECTIONS:
            self._kept.append(connection)
        else:
            await self._pool.release(connection)

    async def release_kept(self) -> None:
        """Put the connections that are kept back into the pool, which may then close them."""
        while self._kept:
            await self._pool.release(self._kept.pop())

    def give_back_broken(self, connection: Any) -> None:
        """Close a connection that still owes answers, and take it back: whoever gets it next connects anew."""
        if connection.is_connected:
            connection._writer.transport.abort()
        self._kept.insert(0, connection)

    async def _taken(self) -> Any:
        if not self._kept:
            return await self._pool.get_connection()
        connection = self._kept.pop()
        try:
            if self._may_send_at_once and connection.is_connected and connection._writer.transport.is_closing():
                await connection.disconnect(nowait=True)  # broken off, and the loop has not got to tell its reader
            await self._pool.ensure_connection(connection)  # as the pool does: the server may have closed it
        except BaseException:
            await self._pool.release(connection)
            raise
        return connection


class Sent:
    """Commands under way. Their answers are heard once; otherwise `drop` keeps them from answering other commands."""

    __slots__ = ("_connection", "_count", "_is_heard", "_wire")

    def __init__(self, wire: Wire, connection: Any, count: int) -> None:
        self._wire = wire
        self._connection = connection
        self._count = count
        self._is_heard = False

    async def answers(self) -> list[Any]:
        """Return the server's answer or its error for each command; see `Wire.send`."""
        self._is_heard = True
        is_whole = False
        try:
            answers = [await _answer(self._connection) for _ in range(self._count)]
            is_whole = True
        finally:
            await self._wire.give_back(self._connection, is_whole=is_whole)
        return answers

    def drop(self, _: object = None) -> None:
        """Do nothing if the answers were heard."""
        if not self._is_heard:
            self._wire.give_back_broken(self._connection)


async def _answer(connection: Any) -> Any:
    try:
        return await connection.read_response(disable_decoding=True)
    except ResponseError as error:
        return error


def _is_ready(connection: Any) -> bool:
    """Tell whether one can write to a connection at once: nothing to connect, to check or to wait for before."""
    if not connection.is_connected:
        return False
    transport = connection._writer.transport
    is_idle = not transport.is_closing() and not transport.get_write_buffer_size()
    is_due = connection.health_check_interval and asyncio.get_running_loop().time() > connection.next_health_check
    return is_idle and not is_due and not _has_data(connection)


def _has_data(connection: Any) -> bool:
    """Tell whether the server has sent what nobody asked for, or the end."""
    asked = connection.can_read()  # a coroutine, though it waits for nothing
    try:
        asked.send(None)
    except StopIteration as answer:
        return bool(answer.value)
    except RedisError:
        return True
    finally:
        asked.close()
    return True


def _packed(commands: Sequence[Command]) -> bytes:
    return b"".join(map(_packed_one, commands))


def _packed_one(command: Command) -> bytes:
    # In one go, which takes two thirds of the time. hiredis would take less, but redis-py runs without it, too.
    lengths_and_values: list[bytes | int] = []
    for value in command:
        data = value if isinstance(value, bytes) else str(value).encode()
        lengths_and_values += (len(data), data)
    return (b"*%d\r\n" + b"$%d\r\n%b\r\n" * len(command)) % (len(command), *lengths_and_values)
