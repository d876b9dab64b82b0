"""What is said through a handle: usage beside it, whatever is wrong with that, ids, and calls with their results."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from a2a_session_manager import (
    ActiveRun,
    ActiveSession,
    EventSource,
    EventType,
    InvalidEvent,
    InvalidSessionOperation,
    SessionEvent,
    SessionManager,
    TokenUsage,
)
from a2a_session_manager.models.token_usage import priced
from a2a_session_manager.storage.store import BaseSessionStore
from tests.active.slow_store import backend, chat, payloads, store

__all__ = ["backend", "chat", "store"]


Verb = Callable[[ActiveSession | ActiveRun], Awaitable[Any]]


def payload(event: SessionEvent[Any]) -> Any:
    return event.message


# What is said


async def test_what_was_said_is_stored_when_the_verb_returns(store: BaseSessionStore, chat: ActiveSession) -> None:
    await chat.system("Be brief.")
    await chat.user("Two days in Oslo?")
    await chat.assistant("Day 1: …")

    said = await store.events("chat")
    assert [(event.source, event.message) for event in said] == [
        (EventSource.SYSTEM, "Be brief."),
        (EventSource.USER, "Two days in Oslo?"),
        (EventSource.LLM, "Day 1: …"),
    ]
    assert [event.seq for event in said] == [1, 2, 3]


async def test_what_was_said_comes_back_as_chat_messages(chat: ActiveSession) -> None:
    await chat.user("hi")
    await chat.user("hello", name="Ann")
    await chat.assistant(None, tool_calls=[{"id": "c"}], refusal=None)
    await chat.user([{"type": "text", "text": "x"}])

    assert await chat.messages(repair=False) == [
        {"role": "user", "content": "hi"},
        {"role": "user", "content": "hello", "name": "Ann"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c"}]},
        {"role": "user", "content": [{"type": "text", "text": "x"}]},
    ]


async def test_usage_goes_on_the_event_under_the_model(store: BaseSessionStore, chat: ActiveSession) -> None:
    event = await chat.assistant("x", model="gpt-4o", usage={"input_tokens": 3, "output_tokens": 4})

    expected = TokenUsage(prompt_tokens=3, completion_tokens=4, model="gpt-4o")
    assert event.token_usage == priced(expected, event.timestamp)
    assert (await store.usage("chat")).usage_by_model["gpt-4o"].total_tokens == 7
    assert (await chat.usage()).total_tokens == 7


async def test_a_model_without_usage_is_a_request_of_which_nothing_is_known(chat: ActiveSession) -> None:
    await chat.assistant("x", model="gpt-4o", usage={"prompt_tokens": 90, "completion_tokens": 12})
    event = await chat.assistant("half an ans", model="gpt-4o")

    assert event.metadata == {"model": "gpt-4o"}
    total = (await chat.usage()).total
    assert (total.requests, total.requests_without_usage, total.is_lower_bound) == (2, 1, True)
    assert await chat.context_size() == 102


FAULTY: dict[str, Any] = {
    "empty": {},
    "nulls": {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None},
    "a negative count": {"prompt_tokens": -1},
    "a fraction": {"prompt_tokens": 1.5, "completion_tokens": 2, "prompt_tokens_details": None},
    "a total alone": {"total_tokens": 10},
    "nobody's": {"tokens": 3},
    "a reply without usage": {"id": "c", "object": "chat.completion", "model": "gpt-4o", "choices": [], "usage": None},
    "a reply whose usage is empty": {"model": "gpt-4o", "usage": {}},
    "more digits than Python writes": {"prompt_tokens": 10**5_000},
    "a model alone": {"model": "gpt-4o"},
    "tokens in a place that nobody knows": {"details": {"generated_tokens": 5}},
    "an empty list": [],
    "a stream's chunks": [{"usage": None}, {"usage": {"prompt_tokens": 3, "completion_tokens": 4}}],
    "as large as no event": {"prompt_tokens": -1, "text": "x" * 20_000_000},
}


@pytest.mark.parametrize("usage", FAULTY.values(), ids=FAULTY)
async def test_an_answer_is_not_lost_for_a_fault_in_its_usage(
    store: BaseSessionStore, chat: ActiveSession, usage: Any
) -> None:
    await chat.assistant("the answer", model="gpt-4o", usage=usage)

    [event] = await store.events("chat")
    assert event.message == "the answer"
    assert event.token_usage is not None
    assert (event.token_usage.basis, event.token_usage.model) == ("unknown", "gpt-4o")
    assert "usage is not understood" in (event.token_usage.details or {})["not_understood"]
    assert (await chat.usage()).total.requests_without_usage == 1


def _deep() -> Any:
    whole: Any = 1
    for _ in range(5_000):
        whole = {"in": whole}
    return whole


class _Shy:
    def __str__(self) -> str:
        raise RuntimeError("nobody may read this")

    __repr__ = __str__


UNSTORABLE: dict[str, Any] = {
    "deeper than Python's stack": _deep(),
    "more digits than Python writes": 10**5_000,
    "as large as no event": "x" * 20_000_000,
    "in a list": [{"text": "x" * 20_000_000}],
    "what has no text": _Shy(),
}


@pytest.mark.parametrize("more", UNSTORABLE.values(), ids=UNSTORABLE)
async def test_an_answer_is_not_lost_for_what_no_store_could_keep_beside_its_counts(
    store: BaseSessionStore, chat: ActiveSession, more: Any
) -> None:
    await chat.assistant("the answer", model="gpt-4o", usage={"prompt_tokens": 3, "completion_tokens": 4, "more": more})

    [event] = await store.events("chat")
    assert event.message == "the answer"
    assert event.token_usage is not None
    assert event.token_usage.total_tokens == 7
    assert (event.token_usage.details or {})["prompt_tokens"] == 3


async def test_the_usage_with_a_fault_is_kept_as_it_came(chat: ActiveSession) -> None:
    usage = {"prompt_tokens": 1.5, "completion_tokens": 2, "service_tier": "flex", "cost": 0.25}

    event = await chat.assistant("x", model="gpt-4o", usage={"model": "m", "usage": usage})

    kept = event.token_usage
    assert kept is not None
    details = dict(kept.details or {})
    assert "prompt_tokens is 1.5" in details.pop("not_understood")
    assert {name: details[name] for name in usage} == usage
    assert (kept.service_tier, kept.priced_by, str(kept.estimated_cost_usd)) == ("flex", "reported", "0.25")
    assert (await chat.usage()).is_lower_bound


@pytest.mark.parametrize("bad", ["12 tokens", 7, [1], b"1", TokenUsage])
async def test_what_is_no_usage_at_all_is_refused_and_writes_nothing(
    store: BaseSessionStore, chat: ActiveSession, bad: Any
) -> None:
    with pytest.raises(InvalidEvent):
        await chat.assistant("x", usage=bad)

    assert await store.events("chat") == []


async def test_a_reply_that_is_appended_as_a_message_brings_its_usage(chat: ActiveSession) -> None:
    usage = {"input_tokens": 1000, "output_tokens": 100, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
    reply = {"id": "msg_1", "role": "assistant", "model": "claude-sonnet-4-5", "content": "hi", "usage": usage}

    [event] = await chat.append(reply)

    assert event.message == reply
    assert (await chat.usage()).usage_by_model["claude-sonnet-4-5"].total_tokens == 1100
    assert await chat.context_size() == 1100


async def test_append_takes_events_and_messages_in_one_commit(store: BaseSessionStore, chat: ActiveSession) -> None:
    events = await chat.append(SessionEvent(message="a"), {"role": "user", "content": "b"})

    assert [event.seq for event in events] == [1, 2]
    assert await payloads(store) == ["a", {"role": "user", "content": "b"}]
    assert chat.session.revision == 2


async def test_append_of_nothing_writes_nothing(chat: ActiveSession) -> None:
    assert await chat.append() == []
    assert chat.session.revision == 1


@pytest.mark.parametrize("count", [0, 2])
async def test_one_id_names_one_event(store: BaseSessionStore, chat: ActiveSession, count: int) -> None:
    with pytest.raises(InvalidSessionOperation, match="fits one event"):
        await chat.append(*[SessionEvent(message=n) for n in range(count)], id="e")

    assert await store.events("chat") == []


SAYING: dict[str, Verb] = {
    "user": lambda log: log.user("x", id="e"),
    "system": lambda log: log.system("x", id="e"),
    "assistant": lambda log: log.assistant("x", id="e", usage={"prompt_tokens": 5}),
    "append an event": lambda log: log.append(SessionEvent(message="x"), id="e"),
    "append a message": lambda log: log.append({"role": "user", "content": "x"}, id="e"),
    "call": lambda log: log.tool("f", {"a": 1}, id="e"),
    "call and result": lambda log: log.tool("f", {"a": 1}, result=2, id="e"),
    "call and result with a call id": lambda log: log.tool("f", {"a": 1}, result=2, call_id="c", id="e"),
}


@pytest.mark.parametrize("name", SAYING)
async def test_the_same_id_again_changes_nothing(name: str, store: BaseSessionStore, chat: ActiveSession) -> None:
    await SAYING[name](chat)
    before, revision, spent = await store.events("chat"), chat.session.revision, await store.usage("chat")

    await SAYING[name](chat)

    assert await store.events("chat") == before
    assert chat.session.events == before
    assert chat.session.revision == revision
    assert await store.usage("chat") == spent == chat.session.token_summary


@pytest.mark.parametrize("name", SAYING)
async def test_the_same_id_again_through_a_second_handle_changes_nothing(name: str, store: BaseSessionStore) -> None:
    async with SessionManager(store).open("chat") as first, SessionManager(store).open("chat") as second:
        await SAYING[name](first)
        before = await store.events("chat")

        await SAYING[name](second)

        assert await store.events("chat") == before


@pytest.mark.parametrize("bad", ["", "x" * 600, "\ud800"])
@pytest.mark.parametrize("name", ["user", "tool", "append an event", "append a message"])
async def test_a_bad_id_is_refused_before_anything_is_written(
    name: str, bad: str, store: BaseSessionStore, chat: ActiveSession
) -> None:
    verbs: dict[str, Verb] = {
        "user": lambda log: log.user("x", id=bad),
        "tool": lambda log: log.tool("f", {}, result=1, id=bad),
        "append an event": lambda log: log.append(SessionEvent(message="x"), id=bad),
        "append a message": lambda log: log.append({"role": "user", "content": "x"}, id=bad),
    }

    with pytest.raises(InvalidSessionOperation, match=r"cannot be used|lone surrogate"):
        await verbs[name](chat)

    assert await store.events("chat") == []


async def test_the_longest_id_is_good_for_a_tool_call_or_refused_before_anything_is_written(
    store: BaseSessionStore, chat: ActiveSession
) -> None:
    try:
        await chat.tool("f", {}, result=1, id="x" * 512)
    except InvalidSessionOperation:
        assert await store.events("chat") == []
    else:
        assert len(await store.events("chat")) == 2


# Tools


async def test_a_call_and_its_result_land_in_one_commit(store: BaseSessionStore, chat: ActiveSession) -> None:
    call, result = await chat.tool("search", {"to": "OSL"}, result={"eur": 120})

    assert (call.type, result.type) == (EventType.TOOL_CALL, EventType.TOOL_RESULT)
    assert payload(result)["tool_call_id"] == payload(call)["tool_calls"][0]["id"]
    assert (await store.get("chat", last=0)).revision == 2  # type: ignore[union-attr]  # it is there


async def test_without_a_result_the_call_is_alone(chat: ActiveSession) -> None:
    events = await chat.tool("search", {}, call_id="c")

    assert [event.type for event in events] == [EventType.TOOL_CALL]


async def test_a_result_of_none_is_a_result(chat: ActiveSession) -> None:
    events = await chat.tool("search", {}, result=None)

    assert payload(events[1])["content"] == "null"


async def test_a_recorded_call_gets_its_result_alone(store: BaseSessionStore, chat: ActiveSession) -> None:
    await chat.tool("search", {}, call_id="c")

    events = await chat.tool("search", {}, result=1, call_id="c")

    assert [event.type for event in events] == [EventType.TOOL_RESULT]
    assert len(await payloads(store)) == 2


async def test_a_call_recorded_by_the_assistant_gets_its_result_alone(
    store: BaseSessionStore, chat: ActiveSession
) -> None:
    await chat.assistant(None, tool_calls=[{"id": "c", "type": "function", "function": {"name": "f"}}])

    await chat.tool("f", result=1, call_id="c")

    assert [event.type for event in await store.events("chat")] == [EventType.TOOL_CALL, EventType.TOOL_RESULT]


async def test_a_call_recorded_by_somebody_else_is_found_in_the_store(store: BaseSessionStore) -> None:
    async with SessionManager(store).open("chat") as first, SessionManager(store).open("chat") as second:
        await first.tool("f", {}, call_id="c")

        events = await second.tool("f", result=1, call_id="c")

    assert [event.type for event in events] == [EventType.TOOL_RESULT]


async def test_an_unrecorded_call_id_brings_call_and_result(chat: ActiveSession) -> None:
    await chat.tool("f", {}, call_id="other")

    call, result = await chat.tool("f", {"a": 1}, result=1, call_id="c")

    assert payload(call)["tool_calls"][0]["id"] == "c"
    assert payload(result)["tool_call_id"] == "c"
