"""Whether every server that a cluster keeps sessions on answers."""

from __future__ import annotations

import asyncio
from typing import Final

from redis.asyncio import RedisCluster
from redis.exceptions import NoPermissionError

from a2a_session_manager.storage.redis.errors import outage, translated

_SECONDS: Final = 5.0
# A connection that was lost while nobody used it tells so once.
_TRIES: Final = 2


async def ping_primaries(cluster: RedisCluster) -> None:
    """PING each primary. Raises StoreUnavailable when one does not answer."""
    for attempt in range(1, _TRIES + 1):
        try:
            async with asyncio.timeout(_SECONDS):
                await cluster.execute_command("PING", target_nodes=RedisCluster.PRIMARIES)
            return
        except NoPermissionError:
            return  # it answers, and the store needs no PING
        except Exception as error:
            if attempt == _TRIES:
                raise translated(outage(error)) from error
