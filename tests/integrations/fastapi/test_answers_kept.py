"""Streamed answers and what comes between: chunks without text, outages, clients that left, blocks entered twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from a2a_session_manager import (
    BaseSessionStore,
    InvalidEvent,
    InvalidSessionOperation,
    SessionManager,
    StoreUnavailable,
)
from a2a_session_manager.concurrency import cancellation
from a2a_session_manager.integrations.fastapi import StreamedAnswer, sse_frame, stream_answer
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.testing.contract.lossy import LossyBackend
from tests.integrations.fastapi.answering import no_pauses, say
from tests.stops import Reached, task_cancel

__all__ = ["no_pauses"]


@pytest.mark.parametrize(
    ("chunk", "text"),
    [
        (None, ""),
        ("Day", "Day"),
        ("", ""),
        ([], ""),
        ({"type": "text", "text": "Day"}, "Day"),
        ({"text": "Day"}, "Day"),
        ({"type": "text_delta", "text": "Day"}, "Day"),
        ({"type": "output_text", "text": None}, ""),
        (SimpleNamespace(type="text", text="Day"), "Day"),
        (SimpleNamespace(text="Day"), "Day"),
        (["Da", None, {"type": "text", "text": "y"}, SimpleNamespace(text="!")], "Day!"),
        (("Da", "y"), "Day"),
        ("Day \ud83d", "Day \ud83d"),
    ],
)
async def test_the_text_of_a_chunk_is_added(chunk: Any, text: str, sessions: SessionManager) -> None:
    async with sessions.open("talk") as chat:
        async with StreamedAnswer(chat) as answer:
            assert answer.write(chunk) == text

        assert (answer.text, answer.event.message) == (text, text or None)


@pytest.mark.parametrize(
    ("chunk", "what"),
    [
        (b"Day", "a bytes"),
        (3, "a int"),
        (["Day", ["one"]], "a list"),
        ({"type": "image_url", "image_url": "x"}, "a dict of type 'image_url'"),
        ({"type": "thinking", "text": "hm"}, "a dict of type 'thinking'"),
        ({"text": "hm", "thought": True}, "a dict"),
        ({"type": ["text"], "text": "hm"}, "a dict"),
        ({"text": None}, "a dict"),
        (SimpleNamespace(type="thinking", text="hm"), "a SimpleNamespace of type 'thinking'"),
    ],
)
@pytest.mark.parametrize("way", ["by hand", "stream_answer"])
async def test_a_chunk_without_text_is_refused_at_once_and_the_text_so_far_is_kept(
    chunk: Any, what: str, way: str, sessions: SessionManager
) -> None:
    async def model() -> AsyncIterator[Any]:
        yield "The "
        yield chunk

    async with sessions.open("talk") as chat:
        if way == "by hand":
            with pytest.raises(InvalidEvent, match=rf"takes text, not {what}: pass a str, .*text part|a part such as"):
                await say_all(StreamedAnswer(chat), "The ", chunk)
        else:
            last = [frame async for frame in stream_answer(chat, model()).body_iterator][-1]
            assert isinstance(last, bytes)
            assert b"event: problem" in last
            assert what.encode() in last

        [event] = await chat.events()
        assert event.message == ("The Day" if isinstance(chunk, list) else "The ")
        assert event.metadata == {"interrupted": True, "error_type": "InvalidEvent"}


async def say_all(answer: StreamedAnswer, *chunks: Any) -> None:
    async with answer:
        for chunk in chunks:
            answer.write(chunk)


async def test_a_frame_is_sent_for_a_token_that_holds_text(sessions: SessionManager) -> None:
    async def model() -> AsyncIterator[Any]:
        for token in (None, "Day ", [{"type": "text", "text": "1"}], None):
            yield token

    async with sessions.open("talk") as chat:
        frames = [frame async for frame in stream_answer(chat, model()).body_iterator]

        assert frames[:-1] == [sse_frame("token", "Day "), sse_frame("token", "1")]
        assert await chat.messages() == [{"role": "assistant", "content": "Day 1"}]


async def test_an_answer_takes_no_text_before_its_block(sessions: SessionManager) -> None:
    async with sessions.open("talk") as chat:
        with pytest.raises(InvalidSessionOperation, match="enter it first: async with StreamedAnswer"):
            StreamedAnswer(chat).write("Day")


async def test_an_answer_is_entered_once(sessions: SessionManager) -> None:
    async with sessions.open("talk") as chat:
        answer = StreamedAnswer(chat)
        await say(answer, "Day")

        with pytest.raises(InvalidSessionOperation, match="entered already"):
            await say(answer, "Day")


async def test_an_answer_of_a_run_outside_its_block_is_refused_before_the_model_speaks(
    sessions: SessionManager,
) -> None:
    async with sessions.open("talk") as chat:
        with pytest.raises(InvalidSessionOperation, match="enter the run first"):
            await say(StreamedAnswer(chat.run()), "Day")


async def test_an_answer_whose_run_ends_meanwhile_is_kept(sessions: SessionManager) -> None:
    async with sessions.open("talk") as chat:
        async with chat.run(id="r") as run:
            answer = StreamedAnswer(run)
            await answer.__aenter__()
        answer.write("Day")
        await answer.__aexit__(None, None, None)

        assert [(event.message, event.task_id) for event in await chat.events()] == [("Day", "r")]


async def test_a_model_that_is_not_a_name_is_refused_before_the_block(sessions: SessionManager) -> None:
    model: Any = object()
    async with sessions.open("talk") as chat:
        with pytest.raises(InvalidSessionOperation, match="model= is the model's name, not a object"):
            StreamedAnswer(chat, model=model)


async def test_a_store_that_is_away_for_a_moment_costs_no_answer() -> None:
    backend, sessions = lossy()
    async with sessions.open("talk") as chat:
        backend.replies_to_lose = 3
        await say(StreamedAnswer(chat), "Day")

        assert [event.message for event in await chat.events()] == ["Day"]


def lossy() -> tuple[LossyBackend, SessionManager]:
    backend = LossyBackend(MemoryBackend())
    return backend, SessionManager(BaseSessionStore(backend))


async def test_a_lost_reply_is_asked_for_again_and_nothing_is_doubled() -> None:
    backend, sessions = lossy()
    async with sessions.open("talk") as chat:
        async with StreamedAnswer(chat) as answer:
            answer.write("Day")
            backend.replies_to_lose = 1

        assert [event.message for event in await chat.events()] == ["Day"]
        assert answer.event.seq == 1


async def test_an_outage_is_raised_when_the_block_ended_well() -> None:
    backend, sessions = lossy()
    async with sessions.open("talk") as chat:
        backend.replies_to_lose = 100
        with pytest.raises(StoreUnavailable):
            await say(StreamedAnswer(chat), "Day")


async def test_an_answer_that_cannot_be_kept_after_an_error_is_a_note_and_a_log_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    backend, sessions = lossy()
    async with sessions.open("talk") as chat:
        backend.replies_to_lose = 100
        with pytest.raises(ConnectionError) as caught:
            await say(StreamedAnswer(chat, id="a-1"), "Day", then=ConnectionError())

    assert caught.value.__notes__ == ["the answer 'a-1' of session 'talk' could not be kept: the reply was lost"]
    assert [record.getMessage() for record in caplog.records] == caught.value.__notes__


async def test_a_client_that_left_is_not_held_by_a_store_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cancellation, "_END_SECONDS", 0.05)
    backend, sessions = lossy()
    async with sessions.open("talk") as chat:
        backend.hold()

        async def body(reached: Reached) -> None:
            async with StreamedAnswer(chat) as answer:
                answer.write("Day")
                reached()
                await asyncio.sleep(60)

        await task_cancel(body)
        said_so = "did not answer" in caplog.text
        backend.go.set()
        async for event in chat.follow():
            assert event.message == "Day"
            break

        assert said_so


async def tokens(*words: str) -> AsyncIterator[str]:
    for word in words:
        yield word


@pytest.mark.parametrize("given", ["a whole text", ["a", "list"], tokens])
async def test_tokens_that_cannot_be_iterated_are_refused_before_the_response_begins(
    given: Any, sessions: SessionManager
) -> None:
    async with sessions.open("talk") as chat:
        with pytest.raises(InvalidSessionOperation, match="pass what `async for` takes"):
            stream_answer(chat, given)


async def test_a_response_that_nobody_starts_stores_nothing(sessions: SessionManager) -> None:
    async with sessions.open("talk") as chat:
        stream_answer(chat, tokens("Day"))

        assert await chat.events() == []


async def test_a_hanging_send_does_not_keep_the_answer_from_being_stored(sessions: SessionManager) -> None:
    """A client that reads nothing more and then goes: Starlette is cancelled in `send`, outside the generator."""
    async with sessions.open("talk") as chat:
        closed = asyncio.Event()
        left = asyncio.Event()

        async def model() -> AsyncGenerator[str, None]:
            try:
                while True:
                    yield "Day "
            finally:
                closed.set()

        async def send(message: Any) -> None:
            if message.get("body"):
                left.set()
                await asyncio.sleep(60)

        async def receive() -> dict[str, str]:
            await left.wait()
            return {"type": "http.disconnect"}

        response = stream_answer(chat, model())
        await response({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send)

        assert closed.is_set()
        assert [(event.message, event.metadata) for event in await chat.events()] == [("Day ", {"interrupted": True})]
