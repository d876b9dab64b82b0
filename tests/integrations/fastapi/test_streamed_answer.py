"""A streamed answer is kept once: whole, or marked and as far as it came, however its block ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager import (
    EventSource,
    FileSessionStore,
    InvalidEvent,
    InvalidSessionOperation,
    SessionEvent,
    SessionManager,
    StoreLimits,
    TokenUsage,
)
from a2a_session_manager.integrations.fastapi import StreamedAnswer
from tests.integrations.fastapi.answering import no_pauses, say
from tests.stops import STOPS, Reached, Stop

__all__ = ["no_pauses"]


async def kept(directory: Path) -> list[SessionEvent[Any]]:
    """Return what a cold store has of the conversation."""
    async with FileSessionStore(directory) as store:
        return await store.events("talk")


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
