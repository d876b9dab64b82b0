"""Commands and scripts to a client, many in one round trip, and asked again while what fails passes by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from redis import exceptions as redis_errors
from redis.asyncio import RedisCluster
from redis.client import NEVER_DECODE

from a2a_session_manager.storage.redis.clients import AnyClient
from a2a_session_manager.storage.redis.errors import is_passing
from a2a_session_manager.storage.redis.retrying import Patience
from a2a_session_manager.storage.redis.script import Command, ScriptCall

Question = Command | ScriptCall

# Replies are bytes, whatever `decode_responses` says: events are bytes, and no business of an encoding.
_AS_BYTES: Final = {NEVER_DECODE: True}


async def ask(
    client: AnyClient, questions: Sequence[Question], gate: asyncio.Semaphore, patience: Patience
) -> list[Any]:
    """Return an answer or an exception for each question, in their order.

    What is asked must be harmless to ask twice: a reply that is lost leads to the same question again.
    """
    deadline = asyncio.get_running_loop().time() + patience.seconds
    answers = await _tried_in_time(client, questions, gate, patience, deadline, attempt=0)
    unanswered = [index for index, answer in enumerate(answers) if _is_worth_asking_again(answer)]
    for attempt in range(1, patience.tries):
        if not unanswered or not await patience.pause(attempt, deadline):
            break
        again = [questions[index] for index in unanswered]
        replies = await _tried_in_time(client, again, gate, patience, deadline, attempt)
        for index, reply in zip(unanswered, replies, strict=True):
            answers[index] = reply
        unanswered = [index for index in unanswered if _is_worth_asking_again(answers[index])]
    return answers


def _is_worth_asking_again(answer: Any) -> bool:
    return isinstance(answer, Exception) and is_passing(answer)


async def _tried_in_time(
    client: AnyClient,
    questions: Sequence[Question],
    gate: asyncio.Semaphore,
    patience: Patience,
    deadline: float,
    attempt: int,
) -> list[Any]:
    now = asyncio.get_running_loop().time()
    try:
        if gate.locked():
            async with asyncio.timeout_at(deadline):
                await gate.acquire()
        else:
            await gate.acquire()  # at once
    except TimeoutError:
        return [redis_errors.MaxConnectionsError("no connection became free in time")] * len(questions)
    try:
        # Most clients we build have no timeout of their own: one here costs half as much, and bounds all of it.
        async with asyncio.timeout_at(min(deadline, now + patience.try_seconds)):
            return await _tried(client, questions, attempt)
    except TimeoutError:
        return [redis_errors.TimeoutError("no answer in time")] * len(questions)
    finally:
        gate.release()


async def _tried(client: AnyClient, questions: Sequence[Question], attempt: int) -> list[Any]:
    send = _sent
    if attempt and isinstance(client, RedisCluster):
        # Only a single command makes the client read the cluster's map anew.
        send = _sent_one_by_one
    replies = await send(client, [_command(question) for question in questions])
    unknown = [index for index, reply in enumerate(replies) if isinstance(reply, redis_errors.NoScriptError)]
    if unknown:
        by_source = [question.by_source() for index in unknown if isinstance(question := questions[index], ScriptCall)]
        for index, reply in zip(unknown, await send(client, by_source), strict=True):
            replies[index] = reply
    return replies


async def _sent(client: AnyClient, commands: Sequence[Command]) -> list[Any]:
    try:
        if len(commands) == 1:
            return [await client.execute_command(*commands[0], **_AS_BYTES)]
        pipeline = client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command, **_AS_BYTES)
        return list(await pipeline.execute(raise_on_error=False))
    except Exception as error:
        return [error] * len(commands)


async def _sent_one_by_one(client: AnyClient, commands: Sequence[Command]) -> list[Any]:
    replies: list[Any] = []
    for command in commands:
        replies += await _sent(client, [command])
        if isinstance(replies[-1], redis_errors.ConnectionError | redis_errors.TimeoutError | OSError):
            # The node is away: the others would only wait for the same. Their order is kept, too.
            replies += [replies[-1]] * (len(commands) - len(replies))
            break
    return replies


def _command(question: Question) -> Command:
    return question.by_sha() if isinstance(question, ScriptCall) else question
