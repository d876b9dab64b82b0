"""Commands through a client's public interface alone: that of a cluster, and any client that was handed in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis import exceptions as redis_errors
from redis.asyncio import RedisCluster

from a2a_session_manager.storage.redis import private
from a2a_session_manager.storage.redis.clients import AnyClient
from a2a_session_manager.storage.redis.errors import outage, slot_moving_or
from a2a_session_manager.storage.redis.script import Command, encoded


class ClientPipelines:
    """Sends commands in pipelines of redis-py, and on a cluster sees to what its client does not.

    Every method returns an answer or an exception for each command, in their order.
    """

    def __init__(self, client: AnyClient) -> None:
        self._client = client
        self._is_cluster = isinstance(client, RedisCluster)  # asking its type takes long
        # Replies are bytes, whatever `decode_responses` says: events are bytes, and no business of an encoding.
        self._as_bytes = private.as_bytes()

    async def send(self, commands: Sequence[Command], *, is_first_try: bool, skips_moving: bool) -> list[Any]:
        """Send commands; `skips_moving`: SlotMoving is the answer of those whose slot a cluster is moving."""
        if not self._is_cluster:
            return await self._send(commands)
        if not skips_moving:
            # Only a single command makes a cluster's client read the map anew.
            return await (self._send(commands) if is_first_try else self._send_one_by_one(commands))
        answers = await (self._send_as_mapped(commands) if is_first_try else self._send_one_by_one(commands))
        for index, answer in enumerate(answers):
            if isinstance(answer, redis_errors.MovedError):
                [answers[index]] = await self._send([commands[index]])
        return list(map(slot_moving_or, answers))

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        first, *others = map(encoded, commands)
        try:
            if not others:
                return [await self._client.execute_command(*first, **self._as_bytes)]
            pipeline = self._client.pipeline(transaction=False)
            for command in (first, *others):
                pipeline.execute_command(*command, **self._as_bytes)
            return list(await pipeline.execute(raise_on_error=False))
        except Exception as error:
            return [outage(error)] * len(commands)

    async def _send_as_mapped(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands to where the map of the cluster says, and follow nobody who says otherwise."""
        try:
            pipeline: Any = self._client.pipeline(transaction=False)
            for command in map(encoded, commands):
                pipeline.execute_command(*command, **self._as_bytes)
            return list(await pipeline.execute(raise_on_error=False, allow_redirections=False))
        except Exception as error:
            return [outage(error)] * len(commands)

    async def _send_one_by_one(self, commands: Sequence[Command]) -> list[Any]:
        answers: list[Any] = []
        for command in commands:
            answers += await self._send([command])
            if isinstance(answers[-1], redis_errors.ConnectionError | redis_errors.TimeoutError | OSError):
                # The node is away: the others would only wait for the same. Their order is kept, too.
                answers += [answers[-1]] * (len(commands) - len(answers))
                break
        return answers
