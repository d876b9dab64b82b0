"""The ways to cancel a block: each cancels a body that has `reached` its middle, and checks that it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio
import pytest

# A body calls this right before it waits. The cancellation is scheduled at that point and does not depend on time.
Reached = Callable[[], object]
Body = Callable[[Reached], Coroutine[Any, Any, None]]
Stop = Callable[[Body], Awaitable[None]]

REASON = "enough"
_PATIENCE_SECONDS = 5.0


def soon(steps: int, callback: Callable[[], object]) -> None:
    """Call `callback` after `steps` turns of the loop."""
    loop = asyncio.get_running_loop()
    if steps:
        loop.call_soon(soon, steps - 1, callback)
    else:
        callback()


async def task_cancel(body: Body) -> None:
    task = asyncio.ensure_future(body(lambda: soon(1, lambda: task.cancel(REASON))))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def double_cancel(body: Body) -> None:
    def reached() -> None:
        soon(1, task.cancel)
        soon(3, task.cancel)

    task = asyncio.ensure_future(body(reached))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def task_cancel_at_once(body: Body) -> None:
    task = asyncio.ensure_future(body(lambda: task.cancel()))
    with pytest.raises(asyncio.CancelledError):
        await task


async def asyncio_timeout(body: Body) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as limit:
            await body(lambda: limit.reschedule(asyncio.get_running_loop().time()))


async def anyio_scope(body: Body) -> None:
    with anyio.CancelScope() as scope:
        await body(lambda: soon(1, scope.cancel))
    assert scope.cancelled_caught


async def scope_cancelled_before(body: Body) -> None:
    with anyio.CancelScope() as scope:
        await body(scope.cancel)
    assert scope.cancelled_caught


async def task_group(body: Body) -> None:
    reached = asyncio.Event()

    async def sibling() -> None:
        await reached.wait()
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012  # how the block ends is the test
        async with asyncio.TaskGroup() as group:
            group.create_task(body(reached.set))
            group.create_task(sibling())
    assert [type(error) for error in caught.value.exceptions] == [ZeroDivisionError]


async def anyio_task_group(body: Body) -> None:
    with pytest.raises(ExceptionGroup):  # noqa: PT012  # how the block ends is the test
        async with anyio.create_task_group() as group:
            reached = anyio.Event()
            group.start_soon(body, reached.set)
            await reached.wait()
            raise ZeroDivisionError


async def wait_for(body: Body) -> None:
    reached = asyncio.Event()
    waiting = asyncio.ensure_future(asyncio.wait_for(body(reached.set), timeout=_PATIENCE_SECONDS))
    await reached.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


STOPS = [
    task_cancel,
    double_cancel,
    task_cancel_at_once,
    asyncio_timeout,
    anyio_scope,
    scope_cancelled_before,
    task_group,
    anyio_task_group,
    wait_for,
]
