"""Commands over connections of redis-py's pool, packed by us: half of what its general way costs in the client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import ResponseError

from a2a_session_manager.storage.redis.script import Command


class Wire:
    """Sends commands for a client whose retries are ours.

    One connection stays out of the pool between two batches: taking it and putting it back costs more than to send
    a command. Not where Sentinels name the primary: the pool drops its idle connections when that changes. Nor
    where a provider renews credentials: a connection learns of them when it is released.
    """

    def __init__(self, client: Redis) -> None:
        self._pool: Any = client.connection_pool
        renews = self._pool.connection_kwargs.get("credential_provider") is not None
        self._may_keep = not (renews or isinstance(self._pool, SentinelConnectionPool))
        self._kept: Any = None

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands in one go; return the server's answer or its error for each, in bytes.

        Raises what breaks the connection, which is closed then.
        """
        # asyncio, from Python 3.12 on, never gets done with writing nothing: it tries for ever, and does not close.
        assert commands, "there is nothing to send"
        connection = await self._taken()
        try:
            await connection.send_packed_command(b"".join(map(_packed, commands)))
            answers = [await _answer(connection) for _ in commands]
        except BaseException:
            await self._pool.release(connection)
            raise
        if self._may_keep and self._kept is None:
            self._kept = connection
        else:
            await self._pool.release(connection)
        return answers

    async def _taken(self) -> Any:
        connection, self._kept = self._kept, None
        if connection is None:
            return await self._pool.get_connection()
        try:
            await self._pool.ensure_connection(connection)  # as the pool does: the server may have closed it
        except BaseException:
            await self._pool.release(connection)
            raise
        return connection


async def _answer(connection: Any) -> Any:
    try:
        return await connection.read_response(disable_decoding=True)
    except ResponseError as error:
        return error


def _packed(command: Command) -> bytes:
    parts = [b"*%d\r\n" % len(command)]
    for value in command:
        data = value if isinstance(value, bytes) else str(value).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)
