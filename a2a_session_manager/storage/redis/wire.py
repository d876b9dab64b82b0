"""Scripts over a connection of redis-py's pool, packed by us: half of what its general way costs in the client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from a2a_session_manager.storage.redis.script import Command


async def sent_directly(client: Redis, commands: Sequence[Command]) -> list[Any]:
    """Send commands in one go; return the server's answer or its error for each, in bytes.

    Raises what breaks the connection, which is closed then. For a client whose retries are ours.
    """
    # asyncio, from Python 3.12 on, never gets done with writing nothing: it tries for ever, and does not close.
    assert commands, "there is nothing to send"
    pool: Any = client.connection_pool
    connection = await pool.get_connection()
    try:
        await connection.send_packed_command(b"".join(map(_packed, commands)))
        answers: list[Any] = []
        for _ in commands:
            try:
                answers.append(await connection.read_response(disable_decoding=True))
            except ResponseError as error:
                answers.append(error)
        return answers
    finally:
        await pool.release(connection)


def _packed(command: Command) -> bytes:
    parts = [b"*%d\r\n" % len(command)]
    for value in command:
        data = value if isinstance(value, bytes) else str(value).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)
