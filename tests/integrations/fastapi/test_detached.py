"""A detached stream goes on when its client has left, and ends with the app at the latest."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.types import Message

from a2a_session_manager import ActiveSession, SessionManager
from a2a_session_manager.integrations.fastapi import EventStream, session_lifespan, stream_answer
from a2a_session_manager.integrations.fastapi.detached import DETACHED_KEY, DetachedStreams

NO_HANG_SECONDS = 60
HTTP: dict[str, Any] = {"type": "http", "asgi": {"spec_version": "2.3"}}


async def until_left(response: EventStream, state: Any, frames: int = 1) -> list[bytes]:
    """Serve a response to a client that leaves after some frames; return what it has got."""
    got: list[bytes] = []
    left = asyncio.Event()

    async def send(message: Message) -> None:
        if message.get("body"):
            got.append(message["body"])
        if len(got) >= frames or not message.get("more_body", True):
            left.set()

    async def receive() -> Message:
        await left.wait()
        return {"type": "http.disconnect"}

    await response({**HTTP, "state": state}, receive, send)
    return got


class Model:
    """A model that says one word, and the others once `may_go_on` is set."""

    def __init__(self, error: Exception | None = None) -> None:
        self.may_go_on = asyncio.Event()
        self.error = error

    async def words(self) -> AsyncIterator[str]:
        yield "Day "
        await self.may_go_on.wait()
        if self.error is not None:
            raise self.error
        yield "1"


async def answer_of(chat: ActiveSession) -> tuple[Any, dict[str, Any]]:
    """Return the answer as it is read from the store anew."""
    async with asyncio.timeout(NO_HANG_SECONDS):
        async for event in chat.follow():
            return event.message, event.metadata
    raise AssertionError("it ends never")


async def test_a_detached_answer_is_finished_when_the_client_has_left(sessions: SessionManager) -> None:
    model = Model()
    async with sessions.open("talk") as chat:
        got = await until_left(stream_answer(chat, model.words(), detach=True), {})
        gc.collect()  # a task without a strong reference would end here
        reload = asyncio.create_task(answer_of(chat))
        await asyncio.sleep(0)
        model.may_go_on.set()

        assert len(got) == 1
        assert await reload == ("Day 1", {})


async def test_a_client_that_stays_gets_every_frame(sessions: SessionManager) -> None:
    model = Model()
    model.may_go_on.set()
    async with sessions.open("talk") as chat:
        got = await until_left(stream_answer(chat, model.words(), detach=True), {}, frames=9)

    assert [frame.partition(b"\n")[0] for frame in got if b"id:" not in frame] == [b"event: token"] * 2
    assert b'"message":"Day 1"' in got[-1]


async def test_the_error_of_a_detached_model_is_logged_and_stored(
    sessions: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    model = Model(ConnectionError("the model has hung up"))
    async with sessions.open("talk") as chat:
        detached = DetachedStreams()
        await until_left(stream_answer(chat, model.words(), detach=True), {DETACHED_KEY: detached})
        model.may_go_on.set()
        await detached.aclose(60)

        assert await answer_of(chat) == ("Day ", {"interrupted": True, "error_type": "ConnectionError"})
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.ERROR, "a detached stream failed: ConnectionError: the model has hung up")
    ]


async def test_a_client_that_stays_is_told_of_the_error(sessions: SessionManager) -> None:
    model = Model()
    model.may_go_on.set()
    async with sessions.open("talk") as chat:
        run = chat.run()
        got = await until_left(stream_answer(run, model.words(), detach=True), {}, frames=9)

    assert [b"event: problem" in frame for frame in got] == [True]
    assert b"enter the run first" in got[0]


async def test_a_response_that_nobody_starts_begins_nothing(sessions: SessionManager) -> None:
    async with sessions.open("talk") as chat:
        stream_answer(chat, Model().words(), detach=True)

        assert await chat.events() == []


@pytest.mark.parametrize("is_in_time", [True, False])
async def test_an_app_that_stops_waits_for_detached_answers_then_keeps_what_they_have(
    is_in_time: bool, tmp_path: Path
) -> None:
    model = Model()
    seconds = 60 if is_in_time else 0.01
    lifespan = session_lifespan(f"file:{tmp_path}", detached_seconds=seconds)
    async with lifespan(FastAPI()) as state:
        sessions: SessionManager = state["sessions"]
        async with sessions.open("talk") as chat:
            await until_left(stream_answer(chat, model.words(), detach=True), state)
        if is_in_time:
            asyncio.get_running_loop().call_later(0.01, model.may_go_on.set)

    async with SessionManager.from_url(f"file:{tmp_path}") as cold, cold.open("talk") as chat:
        found = await answer_of(chat)
    assert found == (("Day 1", {}) if is_in_time else ("Day ", {"interrupted": True}))


async def test_a_lifespan_of_ones_own_ends_after_detached_answers() -> None:
    ended: list[str] = []

    class Inner:
        def __init__(self, app: Any) -> None: ...

        async def __aenter__(self) -> dict[str, Any]:
            return {}

        async def __aexit__(self, *error: object) -> None:
            ended.append("inner")

    async def words() -> AsyncIterator[str]:
        yield "Day "
        await asyncio.sleep(0.01)
        ended.append("answer")

    async with session_lifespan("memory:", inner=Inner)(FastAPI()) as state, state["sessions"].open("talk") as chat:
        await until_left(stream_answer(chat, words(), detach=True), state)

    assert ended == ["answer", "inner"]
