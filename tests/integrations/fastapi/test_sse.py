"""Server-sent events: one line of data whatever it holds, ids that never go back, pings, and an end that is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from a2a_session_manager import InvalidSessionOperation, SessionEvent, SessionManager, StoreUnavailable
from a2a_session_manager.integrations.fastapi import (
    EventStream,
    event_frame,
    follow_stream,
    read_resume_after,
    sse_frame,
)


def parsed(frame: bytes | str | memoryview) -> dict[str, str]:
    assert isinstance(frame, bytes)
    assert frame.endswith(b"\n\n")
    lines = frame[:-2].decode().split("\n")
    return {name: value for name, _, value in (line.partition(": ") for line in lines)}


@pytest.mark.parametrize("data", ["two\nlines", "\r\n", "event: x\n\ndata: y", "\ud83d", "\u2028", {"a": [None]}, ""])
def test_a_frame_is_one_line_of_data_whatever_it_holds(data: Any) -> None:
    fields = parsed(sse_frame("token", data, id=3))

    assert fields.keys() == {"id", "event", "data"}
    assert json.loads(fields["data"]) == data


async def test_the_id_of_an_event_is_its_seq() -> None:
    fields = parsed(await event_frame(SessionEvent(message="a\r\nb").model_copy(update={"seq": 7})))

    assert (fields["id"], fields["event"], json.loads(fields["data"])["message"]) == ("7", "event", "a\r\nb")


async def test_neither_a_retraction_nor_a_restoration_moves_the_id_back(sessions: SessionManager) -> None:
    async with sessions.open("talk") as chat:
        for number in range(3):
            await chat.user(f"{number}")
        await chat.retract(after=1, write_id="undone")
        await chat.user("3")
        await chat.restore(write_id="undone")
        await chat.user("4")
        stream = follow_stream(chat)
        async with aclosing(stream._frames) as coming:
            fields = [parsed(await anext(coming)) for _ in range(9)]

    assert [(each["event"], each.get("id")) for each in fields] == [
        ("event", "1"),
        ("event", "2"),
        ("event", "3"),
        ("retracted", None),
        ("retracted", None),
        ("event", "4"),
        ("restored", None),
        ("restored", None),
        ("event", "5"),
    ]
    assert json.loads(fields[6]["data"])["restored"]


async def test_a_silent_stream_sends_pings(sessions: SessionManager) -> None:
    async with sessions.open("talk") as chat:
        stream = follow_stream(chat, ping_seconds=0.01)
        async with aclosing(stream._frames) as coming:
            quiet = [await anext(coming) for _ in range(2)]
            await chat.user("Hi")
            while (frame := await anext(coming)) == quiet[0]:
                pass

    assert quiet == [b": ping\n\n"] * 2
    assert parsed(frame)["id"] == "1"


@pytest.mark.parametrize("after", [1, 10**18])
async def test_a_client_that_is_ahead_of_the_session_is_refused(after: int, sessions: SessionManager) -> None:
    """The client has read another session of this id: waiting for its number would leave a gap."""
    async with sessions.open("talk") as chat:
        with pytest.raises(InvalidSessionOperation, match="start again at 0"):
            follow_stream(chat, after=after)


async def test_the_last_event_id_of_a_reconnection_wins_over_the_one_in_the_url() -> None:
    assert await read_resume_after(last_event_id=7, after=3) == 7
    assert await read_resume_after(last_event_id=0, after=3) == 0
    assert await read_resume_after(last_event_id=None, after=3) == 3


async def sent(response: EventStream) -> list[bytes]:
    bodies: list[bytes] = []

    async def send(message: Any) -> None:
        bodies.append(message.get("body", b""))

    await response({"type": "http", "asgi": {"spec_version": "2.4"}}, asyncio.Event().wait, send)  # type: ignore[arg-type]  # nothing is received
    return [body for body in bodies if body]


async def test_an_error_of_the_library_is_the_last_frame(caplog: pytest.LogCaptureFixture) -> None:
    async def frames() -> AsyncGenerator[bytes, None]:
        yield sse_frame("token", "Hi")
        raise StoreUnavailable("redis at 10.0.0.7 hangs")

    first, last = await sent(EventStream(frames()))

    assert parsed(first)["event"] == "token"
    assert (parsed(last)["event"], json.loads(parsed(last)["data"])["status"]) == ("problem", 503)
    assert b"10.0.0.7" not in last
    assert "10.0.0.7" in caplog.text


async def test_an_error_that_is_not_the_librarys_cuts_the_response_off() -> None:
    async def frames() -> AsyncGenerator[bytes, None]:
        yield sse_frame("token", "Hi")
        raise LookupError("the model has hung up")

    with pytest.raises((LookupError, ExceptionGroup)):  # Starlette before 1.0 puts it into a group
        await sent(EventStream(frames()))


async def test_proxies_and_caches_are_told_to_hold_no_frame_back() -> None:
    async def frames() -> AsyncGenerator[bytes, None]:
        yield b""

    headers = EventStream(frames(), headers={"X-Mine": "1"}).headers

    assert headers["content-type"].startswith("text/event-stream")
    assert (headers["cache-control"], headers["x-accel-buffering"], headers["x-mine"]) == ("no-cache", "no", "1")
