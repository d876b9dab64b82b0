"""LoopThread: callers without a loop, on another loop, and on many threads at once."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from a2a_session_manager import InvalidSessionOperation, StoreUnavailable
from a2a_session_manager.sync import LoopThread

NAME = contextvars.ContextVar("NAME", default="nobody")


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    with LoopThread() as loop:
        yield loop


async def told(value: int) -> int:
    await asyncio.sleep(0)
    return value


async def failing() -> None:
    raise ValueError("no")


def test_it_returns_results_and_raises_errors(loop: LoopThread) -> None:
    assert loop.run(told(7)) == 7
    with pytest.raises(ValueError, match="no"):
        loop.run(failing())


def test_all_work_is_done_on_one_loop_whichever_thread_calls(loop: LoopThread) -> None:
    async def where() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    with ThreadPoolExecutor(8) as threads:
        loops = set(threads.map(lambda _: loop.run(where()), range(50)))

    assert len(loops) == 1


def test_work_sees_the_context_variables_of_its_caller(loop: LoopThread) -> None:
    async def name() -> str:
        return NAME.get()

    token = NAME.set("ann")
    try:
        assert loop.run(name()) == "ann"
    finally:
        NAME.reset(token)


async def test_a_caller_on_another_loop_waits_without_holding_it_up(loop: LoopThread) -> None:
    turns = 0

    async def turning() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.001)

    other = asyncio.create_task(turning())
    await loop.wait(asyncio.sleep(0.05))
    other.cancel()

    assert turns > 5


async def test_a_cancelled_caller_goes_on_when_the_work_has_ended(loop: LoopThread) -> None:
    steps: list[str] = []
    begun = threading.Event()

    async def slow() -> None:
        steps.append("begun")
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.02)
            steps.append("ended")

    caller = asyncio.create_task(loop.wait(slow()))
    await asyncio.to_thread(begun.wait, 10)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller

    assert steps == ["begun", "ended"]


def test_a_trio_caller_waits_and_is_cancelled_like_one_of_asyncio(loop: LoopThread) -> None:
    trio = pytest.importorskip("trio", reason="trio is not installed: .ci/bridges installs it")
    steps: list[str] = []

    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.02)
            steps.append("ended")

    async def main() -> int:
        with trio.move_on_after(0.05):
            await loop.wait(slow())
        assert steps == ["ended"]
        return await loop.wait(told(7))

    assert trio.run(main) == 7


def test_closing_ends_what_waits_with_an_error_that_names_the_remedy(loop: LoopThread) -> None:
    begun = threading.Event()

    async def for_ever() -> None:
        begun.set()
        await asyncio.sleep(60)

    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(loop.run, for_ever())
        begun.wait(10)
        loop.close()
        with pytest.raises(StoreUnavailable, match="sent again"):
            waiting.result(10)

    loop.close()
    with pytest.raises(StoreUnavailable, match="open new ones"):
        loop.run(told(7))


def test_its_own_thread_and_forked_processes_are_refused(loop: LoopThread, monkeypatch: pytest.MonkeyPatch) -> None:
    async def inside() -> int:
        return loop.run(told(7))

    with pytest.raises(InvalidSessionOperation, match="own thread"):
        loop.run(inside())
    assert loop.run(loop.wait(told(7))) == 7

    process = os.getpid()
    with monkeypatch.context() as patched:
        patched.setattr(os, "getpid", lambda: process + 1)
        with pytest.raises(InvalidSessionOperation, match="forked"):
            loop.run(told(7))


def test_a_generator_is_read_item_by_item_and_closed(loop: LoopThread) -> None:
    closed: list[bool] = []

    async def numbers() -> AsyncGenerator[int, None]:
        try:
            for number in range(3):
                yield await told(number)
        finally:
            closed.append(True)

    assert list(loop.iterate(numbers())) == [0, 1, 2]
    some = loop.iterate(numbers())
    assert next(some) == 0
    some.close()

    assert closed == [True, True]
