"""Packed commands over connections of redis-py's pool: half of what its general way costs in the client."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import RedisError, ResponseError

from a2a_session_manager.storage.redis.script import PackedCommands

# As many batches of one queue as may be under way.
MAX_IDLE_CONNECTIONS: Final = 2


class Wire:
    """Sends commands for a client whose retries are ours.

    Some connections stay out of the pool between two batches: taking one and putting it back costs more than to
    send a command. Not where Sentinels name the primary: the pool drops its idle connections when that changes. Nor
    where a provider renews credentials: a connection learns of them when it is released.
    """

    def __init__(self, client: Redis, *, sends_at_once: bool = True, hears_directly: bool = False) -> None:
        self._pool: Any = client.connection_pool
        renews = self._pool.connection_kwargs.get("credential_provider") is not None
        self._may_keep = not (renews or isinstance(self._pool, SentinelConnectionPool))
        self._may_send_at_once = sends_at_once
        self._may_hear_directly = hears_directly
        self._kept: list[Any] = []

    async def send(self, commands: PackedCommands) -> list[Any]:
        """Send commands in one go; return the server's answer or its error for each, in bytes.

        Raises what breaks the connection, which is closed then.
        """
        # asyncio, from Python 3.12 on, never gets done with writing nothing: it tries for ever, and does not close.
        assert commands.count, "there is nothing to send"
        connection = await self._taken()
        try:
            await connection.send_packed_command(commands.data)
        except BaseException:
            await self._pool.release(connection)
            raise
        return await Sent(self, connection, commands.count).answers()

    def send_now(self, commands: PackedCommands) -> Sent | None:
        """Send commands if that takes no waiting: the server works while the loop gets to hear what it answers."""
        if not (commands.count and self._may_send_at_once and self._kept and _is_ready(self._kept[-1])):
            return None
        connection = self._kept.pop()
        connection._writer.write(commands.data)
        return Sent(self, connection, commands.count)

    async def further_answers(self, connection: Any, count: int) -> list[Any]:
        """Return what the server answers to `count` commands more than one, whose answer has come."""
        if not self._may_hear_directly:
            return [await _answer(connection) for _ in range(count)]
        parser = connection._parser
        try:
            return [await parser.read_response(disable_decoding=True) for _ in range(count)]
        except BaseException:
            await connection.disconnect(nowait=True)  # as redis-py does: it owes answers
            raise

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
            answers = [await _answer(self._connection)]
            if self._count > 1:
                answers += await self._wire.further_answers(self._connection, self._count - 1)
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
