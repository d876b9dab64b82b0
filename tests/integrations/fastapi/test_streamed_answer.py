"""A streamed answer is kept once: whole, or marked and as far as it came, however its block ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from a2a_session_manager import (
    BaseSessionStore,
    EventSource,
    FileSessionStore,
    InvalidEvent,
    InvalidSessionOperation,
    SessionEvent,
    SessionManager,
    StoreLimits,
    StoreUnavailable,
    TokenUsage,
)
from a2a_session_manager.concurrency import cancellation
from a2a_session_manager.integrations.fastapi import StreamedAnswer, sse_frame, stream_answer, streaming
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.testing.contract.lossy import LossyBackend
from tests.stops import STOPS, Reached, Stop, task_cancel


async def kept(directory: Path) -> list[SessionEvent[Any]]:
    """Return what a cold store has of the conversation."""
    async with FileSessionStore(directory) as store:
        return await store.events("talk")


async def say(answer: StreamedAnswer, text: str, *, usage: object = None, then: Exception | None = None) -> None:
    """Let the block say `text`, and end by `then`."""
    async with answer:
        if text:
            answer.write(text)
        if usage is not None:
            answer.set_usage(usage)
        if then is not None:
            raise then


@pytest.mark.parametrize("stop", STOPS)
async def test_an_answer_that_is_cut_off_is_kept_once_and_says_so(stop: Stop, tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as store, SessionManager(store).open("talk") as chat:

        async def body(reached: Reached) -> None:
            async with StreamedAnswer(chat) as answer:
                answer.write("Day 1: ")
                answer.write("muse")
                # They keep the session busy: a commit of a cancelled caller that waits for its turn is withdrawn.
                meanwhile.extend(asyncio.ensure_future(chat.user(f"meanwhile {each}")) for each in range(20))
                await asyncio.sleep(0)
                reached()
                await asyncio.sleep(60)

        meanwhile: list[asyncio.Future[Any]] = []
        await stop(body)
        await asyncio.gather(*meanwhile)

    [event] = [event for event in await kept(tmp_path) if event.source is EventSource.LLM]
    assert (event.message, event.metadata, event.source) == ("Day 1: muse", {"interrupted": True}, EventSource.LLM)


@pytest.mark.parametrize("stop", STOPS)
async def test_a_whole_answer_is_kept_once_when_the_cancellation_comes_with_its_end(stop: Stop, tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as store, SessionManager(store).open("talk") as chat:

        async def body(reached: Reached) -> None:
            async with StreamedAnswer(chat) as answer:
                answer.write("Day 1: museums.")
                asyncio.get_running_loop().call_soon(reached)
            await asyncio.sleep(60)

        await stop(body)

    [event] = await kept(tmp_path)
    assert (event.message, event.metadata) == ("Day 1: museums.", {})


async def test_a_generator_that_is_closed_keeps_what_it_has_said(sessions: SessionManager) -> None:
    async with sessions.open("talk") as chat:

        async def frames() -> AsyncGenerator[str, None]:
            async with StreamedAnswer(chat) as answer:
                for word in ("Day ", "1: "):
                    answer.write(word)
                    yield word

        generator = frames()
        await anext(generator)
        await generator.aclose()

        assert [(event.message, event.metadata) for event in await chat.events()] == [("Day ", {"interrupted": True})]


async def test_the_error_of_the_model_is_named_in_the_event_and_raised(sessions: SessionManager) -> None:
    async with sessions.open("talk") as chat:
        answer = StreamedAnswer(chat, model="m")
        with pytest.raises(ConnectionError):
            await say(answer, "Day 1", then=ConnectionError("the model has hung up"))

        assert answer.event.metadata == {"model": "m", "interrupted": True, "error_type": "ConnectionError"}
        assert await chat.messages() == [{"role": "assistant", "content": "Day 1"}]


async def test_an_answer_without_text_leaves_a_mark_and_no_message(sessions: SessionManager) -> None:
    async with sessions.open("talk") as chat:
        answer = StreamedAnswer(chat)
        with pytest.raises(ConnectionError):
            await say(answer, "", then=ConnectionError())

        assert answer.event.message is None
        assert answer.event.metadata["interrupted"] is True
        assert await chat.messages() == []


async def test_an_answer_belongs_to_its_run_and_is_written_before_the_run_ends(sessions: SessionManager) -> None:
    async with sessions.open("talk") as chat:
        run = chat.run(id="r")
        answer = StreamedAnswer(run)
        async with run:
            await say(answer, "Day")
            assert run.status == "running"

        assert answer.event.task_id == "r"


async def test_the_usage_that_was_reported_is_on_the_event_whole_or_cut_off(sessions: SessionManager) -> None:
    async with sessions.open("talk") as chat:
        usage = {"prompt_tokens": 9, "completion_tokens": 2}
        await say(StreamedAnswer(chat, model="gpt-4o"), "Day", usage=usage)
        with pytest.raises(ConnectionError):
            await say(StreamedAnswer(chat, model="gpt-4o"), "Day", usage=usage, then=ConnectionError())

        total = (await chat.usage()).usage_by_model["gpt-4o"]
        assert (total.requests, total.prompt_tokens, total.completion_tokens) == (2, 18, 4)


async def test_the_last_usage_that_was_reported_counts(sessions: SessionManager) -> None:
    async with sessions.open("talk") as chat:
        async with StreamedAnswer(chat) as answer:
            answer.set_usage({"prompt_tokens": 9, "completion_tokens": 1})
            answer.set_usage({"prompt_tokens": 9, "completion_tokens": 2})

        assert (await chat.usage()).total_tokens == 11


async def test_usage_that_is_none_is_refused_at_once_and_the_text_is_kept(sessions: SessionManager) -> None:
    async with sessions.open("talk") as chat:
        answer = StreamedAnswer(chat)
        with pytest.raises(InvalidEvent):
            await say(answer, "Day", usage=object())

        assert answer.event.message == "Day"


async def test_the_same_id_again_is_the_same_answer(sessions: SessionManager) -> None:
    async with sessions.open("talk") as chat:
        for _ in range(2):
            async with StreamedAnswer(chat, id="a-1") as answer:
                answer.write("Day")

        assert [event.id for event in await chat.events()] == ["a-1"]


async def test_another_answer_under_a_taken_id_is_stored_under_an_id_of_its_own(sessions: SessionManager) -> None:
    async with sessions.open("talk") as chat:
        await say(StreamedAnswer(chat, id="answer"), "Oslo")
        other = StreamedAnswer(chat, id="answer")
        await say(other, "Bergen", usage={"prompt_tokens": 5})

        stored = await chat.events()
        assert [event.message for event in stored] == ["Oslo", "Bergen"]
        assert (stored[0].id, stored[1].metadata) == ("answer", {"meant_as": "answer"})
        assert other.event == stored[1]
        assert (await chat.usage()).total.requests == 1


async def test_another_answer_that_is_said_again_is_kept_once(sessions: SessionManager) -> None:
    async with sessions.open("talk") as chat:
        for text in ("Oslo", "Bergen", "Bergen"):
            await say(StreamedAnswer(chat, id="answer"), text, usage={"prompt_tokens": 5})

        assert [event.message for event in await chat.events()] == ["Oslo", "Bergen"]
        assert (await chat.usage()).total.requests == 2


async def test_a_character_that_comes_in_two_chunks_is_kept_whole(sessions: SessionManager) -> None:
    async with sessions.open("talk") as chat:
        answer = StreamedAnswer(chat)
        async with answer:
            for half in ("A train \ud83d", "\ude82, and half of one: \ud83d"):
                assert answer.write(half) == half

        [event] = await chat.events()
        assert event.message == answer.text == "A train \U0001f682, and half of one: \ud83d"


@pytest.mark.parametrize("limits", [StoreLimits(event_bytes=1_000), StoreLimits(commit_bytes=1_000)])
async def test_an_answer_that_is_too_large_for_an_event_is_kept_in_parts(limits: StoreLimits) -> None:
    text = "".join(f"{number}, " for number in range(1_000))
    async with SessionManager.from_url("memory:", limits=limits) as sessions, sessions.open("talk") as chat:
        for _ in range(2):
            await say(StreamedAnswer(chat, id="answer"), text, usage={"prompt_tokens": 5})

        events = await chat.events()
        assert "".join(event.message for event in events) == text
        assert [event.metadata for event in events] == [{"part": number + 1} for number in range(len(events))]
        assert [event.token_usage is not None for event in events] == [False] * (len(events) - 1) + [True]
        assert (events[0].id, (await chat.usage()).total.prompt_tokens) == ("answer", 5)


async def test_an_answer_whose_usage_alone_is_too_large_keeps_its_text(sessions: SessionManager) -> None:
    limits = StoreLimits(event_bytes=1_000)
    async with SessionManager.from_url("memory:", limits=limits) as sessions, sessions.open("talk") as chat:
        usage = TokenUsage(prompt_tokens=1, details={"raw": "x" * 2_000})
        with pytest.raises(InvalidEvent):
            await say(StreamedAnswer(chat), "Day 1: museums.", usage=usage)

        assert "".join(event.message for event in await chat.events()).startswith("Day 1: museums")


async def test_a_bad_id_is_refused_before_anything_is_said(sessions: SessionManager) -> None:
    async with sessions.open("talk") as chat:
        with pytest.raises(InvalidSessionOperation):
            StreamedAnswer(chat, id="x" * 513)


async def test_what_is_written_after_the_end_is_refused(sessions: SessionManager) -> None:
    async with sessions.open("talk") as chat:
        async with StreamedAnswer(chat) as answer:
            with pytest.raises(InvalidSessionOperation):
                _ = answer.event

        with pytest.raises(InvalidSessionOperation):
            answer.write("more")


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


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_PAUSES", (0.0, 0.0, 0.0))


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
