"""Cancellation at every await of every write: the write is whole or absent, and a retry completes it once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import anyio
import pytest

from a2a_session_manager.storage import BaseSessionStore, StoreLimits
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.lossy import LossyBackend
from a2a_session_manager.testing.contract.making import PATIENCE_SECONDS, ids, said, whole
from a2a_session_manager.testing.contract.writes import DELETE, WRITES, Write, seen

Work = Callable[[], Awaitable[object]]
# Lets the work run for a number of turns of the loop, then cancels it; returns whether it had ended before that.
Cut = Callable[[Work, int], Awaitable[bool]]

# A store that uses threads spends most turns waiting for them: after this many turns, the steps grow.
_EVERY_TURN_UP_TO = 24
_LAST_TURN = 100_000


class _Enough(Exception):
    """The error of a sibling in the TaskGroup, which makes the group cancel the work."""


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def _cancel(work: Work, turns: int) -> bool:
    task = asyncio.ensure_future(work())
    await _turns(turns)
    ended = task.done()
    task.cancel()
    await asyncio.wait({task})
    assert ended or task.cancelled() or task.exception() is None
    return ended


async def _double_cancel(work: Work, turns: int) -> bool:
    task = asyncio.ensure_future(work())
    await _turns(turns)
    ended = task.done()
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
    await asyncio.wait({task})
    return ended


async def _timeout(work: Work, turns: int) -> bool:
    deadline: asyncio.Timeout = asyncio.timeout(None)

    async def timed() -> None:
        async with deadline:
            await work()

    task = asyncio.ensure_future(timed())
    await _turns(turns)
    ended = task.done()
    if not ended and turns:  # the block has been entered
        deadline.reschedule(asyncio.get_running_loop().time())
    await asyncio.wait({task})
    assert isinstance(task.exception(), TimeoutError | None)
    return ended


async def _scope(work: Work, turns: int) -> bool:
    with anyio.CancelScope() as scope:
        task = asyncio.ensure_future(_turns(turns))
        task.add_done_callback(lambda _: scope.cancel())
        await work()
    ended = not task.done()
    await task
    return ended


async def _task_group(work: Work, turns: int) -> bool:
    ended = False

    async def fail() -> None:
        nonlocal ended
        await _turns(turns)
        ended = task.done()
        raise _Enough

    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(_awaited(work))
            group.create_task(fail())
    except* _Enough:
        pass
    return ended


async def _awaited(work: Work) -> None:
    await work()


KINDS: dict[str, Cut] = {
    "task.cancel": _cancel,
    "double cancel": _double_cancel,
    "asyncio.timeout": _timeout,
    "anyio scope": _scope,
    "TaskGroup": _task_group,
}


class CancellingContract(ContractBase):
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("write", [*WRITES, DELETE], ids=str)
    async def test_a_write_cancelled_anywhere_is_whole_or_absent_and_a_retry_completes_it_once(
        self, store: BaseSessionStore, reopen: Reopen, write: Write, kind: str
    ) -> None:
        await write.prepare(store, "prepared")
        await write.send(store, await write.prepare(store, "sent"))
        absent, complete = await seen(store, "prepared"), await seen(store, "sent")
        assert absent != complete

        for turns in turns_before_cancelling():
            name = f"cut after {turns}"
            session = await write.prepare(store, name)
            ended = await KINDS[kind](lambda session=session: write.send(store, session), turns)  # type: ignore[misc]

            shown = await seen(await reopen(), name)
            assert shown == complete if ended else shown in (absent, complete)
            await write.send(store, session)
            assert await seen(await reopen(), name) == complete
            if ended:
                return
        pytest.fail(f"the write never ended by itself within {_LAST_TURN} turns of the loop")

    @pytest.mark.parametrize("write", [*WRITES, DELETE], ids=str)
    async def test_a_write_that_has_begun_is_finished_before_its_cancelled_caller_leaves(
        self, store: BaseSessionStore, reopen: Reopen, write: Write
    ) -> None:
        await write.send(store, await write.prepare(store, "sent"))
        backend = LossyBackend(store._open_backend)
        held = BaseSessionStore(backend)
        session = await write.prepare(held, "talk")
        backend.hold()
        task = asyncio.ensure_future(write.send(held, session))
        await backend.begun.wait()
        task.cancel()
        await _turns(5)
        left_early = task.done()
        backend.go.set()
        await asyncio.wait({task})

        again = await reopen()
        assert not left_early
        assert task.cancelled()
        assert await seen(again, "talk") == await seen(again, "sent")

    async def test_a_cancelled_caller_waits_no_longer_than_the_limit(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk")
        backend = LossyBackend(store._open_backend)
        held = BaseSessionStore(backend, limits=StoreLimits(cancel_seconds=0.01))
        backend.hold()
        event = said()
        task = asyncio.ensure_future(held.append("talk", event))
        await backend.begun.wait()
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
        backend.go.set()
        await held.append("talk", event)

        assert done == {task}
        assert task.cancelled()
        assert ids((await whole(await reopen(), "talk")).events) == [event.id]

    @pytest.mark.parametrize("write", [*WRITES, DELETE], ids=str)
    async def test_a_write_cancelled_again_and_again_is_made_once(
        self, store: BaseSessionStore, reopen: Reopen, write: Write
    ) -> None:
        await write.send(store, await write.prepare(store, "sent"))
        session = await write.prepare(store, "talk")
        for turns in range(6):
            await _cancel(lambda: write.send(store, session), turns)

        await write.send(store, session)

        again = await reopen()
        assert await seen(again, "talk") == await seen(again, "sent")


def turns_before_cancelling() -> Iterator[int]:
    turns = 0
    while turns < _LAST_TURN:
        yield turns
        turns = turns + 1 if turns < _EVERY_TURN_UP_TO else turns * 3 // 2
