"""What leases of runs cost: a run's own writes, and the heartbeats of many open runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

from a2a_session_manager import ActiveRun, ActiveSession, SessionManager
from a2a_session_manager.models.lease import DEFAULT_LEASE
from a2a_session_manager.storage.heartbeats import Heartbeat, heartbeats_of
from a2a_session_manager.storage.store import BaseSessionStore
from benchmarks.measure import Result, Sample, compared, judged_alone
from benchmarks.payloads import short_message
from benchmarks.scenarios import Sizes, an_event

_OPEN_RUNS = 1_000
# Each lease is renewed so often while it lasts.
_BEATS_A_LEASE = 3


async def append_in_a_held_run(store: BaseSessionStore, sizes: Sizes) -> Result:
    """Processor time of an append in a run that holds a lease, against one in a run without."""
    async with AsyncExitStack() as stack:
        chat = await stack.enter_async_context(SessionManager(store).open())
        free = await stack.enter_async_context(chat.run(lease=None))
        held = await stack.enter_async_context(chat.run())
        ways = {"without": _appending(free, sizes.operations), "held": _appending(held, sizes.operations)}
        return await compared(ways, turns=sizes.turns)


async def processor_of_heartbeats(store: BaseSessionStore, sizes: Sizes) -> Result:
    """The part of a core, in per cent, that the process takes to keep the leases of a thousand open runs alive."""
    manager, count = SessionManager(store), sizes.followers
    async with AsyncExitStack() as stack:
        for _ in range(count):
            chat: ActiveSession = await stack.enter_async_context(manager.open())
            await stack.enter_async_context(chat.run())
        beats = list(heartbeats_of(store._open_backend)._open)
        seconds = [await _seconds_of_a_beat(store, beats) for _ in range(sizes.turns)]
    beats_a_second = _BEATS_A_LEASE / DEFAULT_LEASE * _OPEN_RUNS / count
    return judged_alone("heartbeats", [100 * each * beats_a_second for each in seconds], "%")


async def _seconds_of_a_beat(store: BaseSessionStore, beats: Sequence[Heartbeat]) -> float:
    """Return the processor time of renewing all open leases once, which their timer does every ten seconds."""
    begun = time.process_time()
    answers = await store._open_backend.renew_leases([beat.renewal for beat in beats])
    assert answers == [True] * len(beats)
    return time.process_time() - begun


def _appending(run: ActiveRun, operations: int) -> Sample:
    async def sample() -> float:
        begun = time.process_time()
        for _ in range(operations):
            await run.append(an_event(short_message()))
        return (time.process_time() - begun) / operations

    return sample
