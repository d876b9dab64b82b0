"""`finish`: a write that has begun is finished, however its caller is cancelled, and then the caller goes."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from a2a_session_manager import StoreFull
from a2a_session_manager.concurrency.cancellation import DoneWrite, finish
from tests.stops import STOPS, Reached, Stop, soon, task_cancel

PATIENCE = 5.0


class Write:
    """A write that ends when it is told to, and says so."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.may_end = asyncio.Event()
        self.has_ended = False
        self.failure = failure
        self.future = asyncio.ensure_future(self._run())

    async def _run(self) -> str:
        await self.may_end.wait()
        await asyncio.sleep(0)
        self.has_ended = True
        if self.failure is not None:
            raise self.failure
        return "written"


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 30], ids=lambda turns: f"write ends {turns} turns later")
async def test_a_write_that_has_begun_is_finished_and_then_the_cancellation_goes_on(stop: Stop, turns: int) -> None:
    write = Write()
    went_on = False

    async def body(reached: Reached) -> None:
        nonlocal went_on
        reached()
        soon(turns, write.may_end.set)
        try:
            await finish(write.future, patience=PATIENCE)
        finally:
            left_after_the_end = write.has_ended
        assert left_after_the_end
        await asyncio.sleep(0)
        await asyncio.Event().wait()
        went_on = True

    await stop(body)

    assert write.has_ended
    assert await write.future == "written"
    assert not went_on


@pytest.mark.parametrize("stop", STOPS)
async def test_the_caller_is_still_there_when_the_write_ends(stop: Stop) -> None:
    write = Write()
    seen: list[bool] = []

    async def body(reached: Reached) -> None:
        reached()
        soon(10, write.may_end.set)
        try:
            await finish(write.future, patience=PATIENCE)
        finally:
            seen.append(write.has_ended)

    await stop(body)

    assert seen == [True]


@pytest.mark.parametrize("stop", STOPS)
async def test_a_caller_leaves_a_write_that_takes_too_long_and_the_write_ends_without_it(stop: Stop) -> None:
    write = Write()

    async def body(reached: Reached) -> None:
        reached()
        await finish(write.future, patience=0.01)

    await stop(body)

    assert not write.future.done()
    write.may_end.set()
    assert await write.future == "written"


@pytest.mark.parametrize("patience", [0.0, -1.0])
async def test_no_patience_leaves_at_once(patience: float) -> None:
    write = Write()

    async def body(reached: Reached) -> None:
        reached()
        await finish(write.future, patience=patience)

    await task_cancel(body)

    assert not write.future.done()
    write.may_end.set()
    await write.future


async def test_the_failure_of_the_write_is_the_cause_of_the_cancellation() -> None:
    failure = StoreFull("no room")
    write = Write(failure)
    caught: list[BaseException] = []

    async def body(reached: Reached) -> None:
        reached()
        soon(5, write.may_end.set)
        try:
            await finish(write.future, patience=PATIENCE)
        except asyncio.CancelledError as cancelled:
            caught.append(cancelled)
            raise

    await task_cancel(body)

    assert [error.__cause__ for error in caught] == [failure]


async def test_a_cancellation_keeps_its_message() -> None:
    write = Write()
    task = asyncio.ensure_future(finish(write.future, patience=PATIENCE))
    await asyncio.sleep(0)

    task.cancel("enough")
    write.may_end.set()

    with pytest.raises(asyncio.CancelledError, match="enough"):
        await task


async def test_without_a_cancellation_the_result_is_returned() -> None:
    write = Write()
    write.may_end.set()

    assert await finish(write.future, patience=0) == "written"


async def test_without_a_cancellation_the_failure_is_raised_as_it_is() -> None:
    failure = StoreFull("no room")
    write = Write(failure)
    write.may_end.set()

    with pytest.raises(StoreFull) as caught:
        await finish(write.future, patience=0)

    assert caught.value is failure


async def test_a_write_that_is_done_already_answers_even_a_cancelled_caller() -> None:
    write: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    write.set_result("written")

    with anyio.CancelScope() as scope:
        scope.cancel()
        answer = await finish(write, patience=PATIENCE)

    assert answer == "written"


async def test_a_write_without_a_future_answers_at_once_and_even_a_cancelled_caller() -> None:
    turns: list[str] = []
    asyncio.get_running_loop().call_soon(turns.append, "another's")

    with anyio.CancelScope() as scope:
        scope.cancel()
        answers = [await finish(DoneWrite("written"), patience=PATIENCE), await DoneWrite("written")]

    assert answers == ["written"] * 2
    assert turns == []


async def test_a_write_that_has_failed_already_raises_its_failure() -> None:
    write: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    write.set_exception(StoreFull("no room"))

    with pytest.raises(StoreFull):
        await finish(write, patience=PATIENCE)


async def test_a_write_that_was_itself_cancelled_is_a_cancellation() -> None:
    write: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(finish(write, patience=PATIENCE))
    await asyncio.sleep(0)

    write.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_caller_that_was_cancelled_can_go_on_waiting_for_other_things() -> None:
    write = Write()
    soon(3, write.may_end.set)

    async def cleans_up() -> str:
        try:
            await finish(write.future, patience=PATIENCE)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            return "cleaned up"
        raise AssertionError("the cancellation got lost")

    task = asyncio.ensure_future(cleans_up())
    soon(1, task.cancel)

    assert await task == "cleaned up"
