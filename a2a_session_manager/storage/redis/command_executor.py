"""Commands and scripts to a client, many in one round trip, and asked again while what fails passes by itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final

from redis import exceptions as redis_errors
from redis.asyncio import Redis

from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.storage.redis.client_pipelines import ClientPipelines
from a2a_session_manager.storage.redis.clients import AnyClient, connection_limit
from a2a_session_manager.storage.redis.errors import is_read_only, is_transient, outage
from a2a_session_manager.storage.redis.private import Ways
from a2a_session_manager.storage.redis.retry_policy import RetryPolicy
from a2a_session_manager.storage.redis.script import (
    Call,
    Command,
    PackedCommands,
    PlainCall,
    ScriptCall,
    by_source,
    first_by_source,
    packed,
)
from a2a_session_manager.storage.redis.wire import MAX_IDLE_CONNECTIONS, Sent, Wire

_log = logging.getLogger("a2a_session_manager.storage.redis")

# How long a store that is closed waits for answers that are under way.
_CLOSE_SECONDS: Final = 2.5

# Takes calls or commands, and the number of the attempt.
Ask = Callable[[Sequence[Any], int], Awaitable[list[Any]]]


class CommandExecutor:
    """Sends commands to the servers of one client, on one event loop.

    They must be harmless to send twice: where a reply is lost, the same command is sent again.
    """

    def __init__(
        self,
        client: AnyClient,
        retry_policy: RetryPolicy,
        ways: Ways | None = None,
        *,
        note_retry: Callable[[], object] = lambda: None,
    ) -> None:
        """Ask through `client`; `ways`: what may be done with one that we built, None for one that was handed in.

        `note_retry` is called for each round trip that is made again.
        """
        self._client = client
        self._note_retry = note_retry
        self._retry_policy = retry_policy
        self._is_closed = False
        # Pools of redis-py raise when all their connections are taken, and there is no blocking one for a cluster.
        limit = connection_limit(client)
        # A client that was handed in has retries and timeouts of its own, and is asked as its owner would.
        self._wire = _wire_of(client, ways)
        self._pipelines = ClientPipelines(client)
        # What is sent at once has its connection before it comes to the gate.
        self._beyond_gate = (
            MAX_IDLE_CONNECTIONS if ways is not None and ways.sends_at_once and limit > 2 * MAX_IDLE_CONNECTIONS else 0
        )
        self._limit = limit - self._beyond_gate
        self._gate = asyncio.Semaphore(self._limit)
        self._timeouts: set[asyncio.Timeout] = set()  # of what is under way
        self._may_transact = True  # until a user turns out to have no right to

    def send_now(self, calls: Sequence[Call]) -> Sent | None:
        """Send calls if that takes no waiting; what this returns, `run` is given with the same calls."""
        wire = self._wire_now()
        return None if wire is None else wire.send_now(packed([call.by_sha() for call in calls]))

    def send_ahead(self, commands: PackedCommands) -> Sent | None:
        """Send commands if that takes no waiting; what this returns, `read_in_order` is given with the same ones."""
        wire = self._wire_now()
        return None if wire is None else wire.send_now(commands)

    def run(
        self, calls: Sequence[Call], sent: Sent | None = None, *, skips_moving: bool = False
    ) -> Awaitable[list[Any]]:
        """Return an answer or an exception for each call, in their order.

        With `skips_moving`, SlotMoving answers a call whose slot a cluster is moving: the others do not wait for it.
        """
        return self._asked(calls, partial(self._run, sent=sent, skips_moving=skips_moving))

    def read(self, commands: Sequence[Command]) -> Awaitable[list[Any]]:
        """Return an answer or an exception for each command, in their order."""
        return self._asked(commands, self._send)

    async def read_at_once(self, commands: Sequence[Command]) -> Any:
        """Return the answers to commands that are run in one step, or what failed; None where this cannot be."""
        if self._wire is None or not self._may_transact:
            return None
        [answer] = await self._asked([commands], self._read_at_once)
        if isinstance(answer, Exception) and not is_transient(answer):
            self._may_transact = False
            _log.info("the user may not run MULTI: reading the newest events takes two round trips")
            return None
        return answer

    async def read_in_order(self, commands: PackedCommands, sent: Sent | None = None) -> Any:
        """Return the answers to commands that are run in their order, or what failed; None where this cannot be.

        All of them are sent again where one has to be. `sent`: what `send_ahead` returned for them.
        """
        if self._wire is None:
            return None
        sent = sent or self.send_ahead(commands)
        try:
            [answer] = await self._asked([commands], partial(self._read_in_order, self._wire, sent))
        finally:
            if sent is not None:
                sent.drop()
        return answer

    async def aclose(self) -> None:
        """Refuse what is asked from now on, and wait until what is under way is answered or, after a while, has failed.

        A client of redis-py that is closed while it is in use opens connections again, which nobody closes.
        """
        self._is_closed = True
        hurrying = asyncio.get_running_loop().call_later(_CLOSE_SECONDS, self.hurry)
        try:
            for _ in range(self._limit):
                await self._gate.acquire()
        finally:
            hurrying.cancel()

    def hurry(self) -> None:
        """Refuse what is asked from now on, and let what is under way fail at once."""
        self._is_closed = True
        now = asyncio.get_running_loop().time()
        for timeout in self._timeouts:
            if not timeout.expired():
                timeout.reschedule(now)

    async def _asked(self, commands: Sequence[Any], ask: Ask) -> list[Any]:
        policy = self._retry_policy
        deadline = asyncio.get_running_loop().time() + policy.seconds
        answers = await self._in_time(ask, commands, 0, deadline)
        unanswered = _indexes(commands, answers, _is_worth_asking_again)
        for attempt in range(1, policy.tries):
            if not unanswered or not await policy.pause(attempt, deadline):
                break
            _note_sent_again(commands[index] for index in unanswered)
            self._note_retry()
            self._log_retry(attempt, [answer for answer in answers if _is_worth_asking_again(answer)])
            again = await self._in_time(ask, [commands[index] for index in unanswered], attempt, deadline)
            for index, answer in zip(unanswered, again, strict=True):
                answers[index] = answer
            unanswered = _indexes(commands, answers, _is_worth_asking_again)
        return answers

    def _log_retry(self, attempt: int, faults: Sequence[Exception]) -> None:
        # Names of classes only: what redis-py says of an outage may hold a password.
        names = ", ".join(sorted({type(fault).__name__ for fault in faults}))
        _log.log(
            logging.INFO if attempt == 1 else logging.WARNING,  # one lost connection is nothing to look into
            "%d commands are sent again after %g s, try %d of %d: %s",
            len(faults), self._retry_policy.pause_before(attempt), attempt + 1, self._retry_policy.tries, names,
        )  # fmt: skip

    async def _in_time(
        self,
        ask: Ask,
        commands: Sequence[Any],
        attempt: int,
        deadline: float,
    ) -> list[Any]:
        if self._is_closed:
            return [StoreUnavailable("the store was closed meanwhile: open a new one")] * len(commands)
        gate = self._gate
        now = asyncio.get_running_loop().time()
        if gate.locked():
            waiting = asyncio.timeout_at(deadline)
            self._timeouts.add(waiting)
            try:
                async with waiting:
                    await gate.acquire()
            except TimeoutError:
                return [redis_errors.MaxConnectionsError("no connection became free in time")] * len(commands)
            finally:
                self._timeouts.discard(waiting)
        else:
            await gate.acquire()  # at once
        # Most clients we build have no timeout of their own: one here costs half as much, and bounds all of it.
        asking = asyncio.timeout_at(min(deadline, now + self._retry_policy.try_seconds))
        self._timeouts.add(asking)
        try:
            async with asking:
                answers = await ask(commands, attempt)
                failures = [answer for answer in answers if isinstance(answer, Exception)]
                if failures and any(map(is_read_only, failures)):
                    _log.warning("a replica answered: idle connections are closed, to look for the primary anew")
                    await self._drop_idle_connections()
                return answers
        except TimeoutError:
            return [redis_errors.TimeoutError("no answer in time")] * len(commands)
        finally:
            self._timeouts.discard(asking)
            gate.release()

    async def _drop_idle_connections(self) -> None:
        """Let the next try connect anew: the address may lead to another primary by now, and old connections stay open.

        Not a cluster's: it says by MOVED where the primary is.
        """
        if self._wire is not None:
            await self._wire.release_kept()
        if isinstance(self._client, Redis):
            await self._client.connection_pool.disconnect(inuse_connections=False)

    async def _run(self, calls: Sequence[Call], attempt: int, *, sent: Sent | None, skips_moving: bool) -> list[Any]:
        if sent is not None and attempt == 0:
            answers = await _or_errors(sent.answers(), len(calls))
        else:
            answers = await self._send([call.by_sha() for call in calls], attempt, skips_moving=skips_moving)
        # Where one source is enough for all, it is not sent a thousand times; nodes of a cluster need one each.
        for spelled in (first_by_source, by_source):
            unknown = _indexes(calls, answers, lambda answer: isinstance(answer, redis_errors.NoScriptError))
            if not unknown:
                break
            again = await self._send(spelled([calls[index] for index in unknown]), attempt, skips_moving=skips_moving)
            for index, answer in zip(unknown, again, strict=True):
                answers[index] = answer
        return answers

    async def _read_at_once(self, groups: Sequence[Sequence[Command]], attempt: int) -> list[Any]:
        return [(await self._send([("MULTI",), *commands, ("EXEC",)], attempt))[-1] for commands in groups]

    async def _read_in_order(
        self, wire: Wire, sent: Sent | None, groups: Sequence[PackedCommands], attempt: int
    ) -> list[Any]:
        [commands] = groups
        answering = sent.answers() if sent is not None and attempt == 0 else wire.send(commands)
        answers = await _or_errors(answering, commands.count)
        return [next(filter(_is_worth_asking_again, answers), answers)]

    def _wire_now(self) -> Wire | None:
        """Return what can send without waiting for a turn, if there is such a thing now."""
        if not self._beyond_gate or self._is_closed or self._gate.locked():
            return None
        return self._wire

    async def _send(self, commands: Sequence[Command], attempt: int, *, skips_moving: bool = False) -> list[Any]:
        if self._wire is not None:
            return await _or_errors(self._wire.send(packed(commands)), len(commands))
        return await self._pipelines.send(commands, is_first_try=attempt == 0, skips_moving=skips_moving)


def _wire_of(client: AnyClient, ways: Ways | None) -> Wire | None:
    if ways is None or not ways.sends_directly or not isinstance(client, Redis):
        return None
    return Wire(client, sends_at_once=ways.sends_at_once, hears_directly=ways.hears_directly)


async def _or_errors(answers: Awaitable[list[Any]], count: int) -> list[Any]:
    try:
        return await answers
    except Exception as error:
        return [outage(error)] * count


def _indexes(calls: Sequence[Any], answers: Sequence[Any], is_missing: Callable[[Any], bool]) -> list[int]:
    """Return the indexes of missing answers, and of plain commands sent along after the first of them.

    Such a command reads what the script before it has written.
    """
    missing = [index for index, answer in enumerate(answers) if is_missing(answer)]
    if missing:
        missing += [index for index in range(missing[0], len(calls)) if isinstance(calls[index], PlainCall)]
    return sorted(set(missing))


def _note_sent_again(commands: Iterable[Any]) -> None:
    for question in commands:
        if isinstance(question, ScriptCall | PlainCall) and question.note_sent_again is not None:
            question.note_sent_again()


def _is_worth_asking_again(answer: Any) -> bool:
    return isinstance(answer, Exception) and is_transient(answer)
