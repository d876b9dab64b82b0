"""What verbs take beside a text: fields of chat messages by name, `extra` and `metadata`; what `append` refuses."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from openai.types.chat import ChatCompletionMessageFunctionToolCall

from a2a_session_manager import (
    ActiveRun,
    ActiveSession,
    EventSource,
    EventType,
    InvalidEvent,
    InvalidSessionOperation,
    SessionEvent,
)
from a2a_session_manager.storage import BaseSessionStore
from tests.stores import chat, open_store, store

__all__ = ["chat", "open_store", "store"]

Verb = Callable[..., Awaitable[Any]]
SPEAKERS = {"user": EventSource.USER, "system": EventSource.SYSTEM, "assistant": EventSource.LLM}


def verb(chat: ActiveSession, name: str) -> Verb:
    found: Verb = getattr(chat, name)
    return found


# Fields


@pytest.mark.parametrize("name", SPEAKERS)
@pytest.mark.parametrize("unknown", ["modle", "role", "content_type", "timestamp"])
async def test_a_keyword_that_is_no_field_is_refused_and_nothing_is_written(
    store: BaseSessionStore, chat: ActiveSession, name: str, unknown: str
) -> None:
    with pytest.raises(TypeError, match=unknown):
        await verb(chat, name)("Hello", **{unknown: "x"})

    assert await store.events("chat") == []


@pytest.mark.parametrize("name", [*SPEAKERS, "tool", "append"])
def test_no_verb_takes_whatever_keyword_there_is(name: str) -> None:
    parameters = inspect.signature(getattr(ActiveSession, name)).parameters.values()

    assert all(each.kind is not inspect.Parameter.VAR_KEYWORD for each in parameters)


@pytest.mark.parametrize("name", SPEAKERS)
@pytest.mark.parametrize("key", ["role", "content"])
async def test_extra_keys_do_not_say_who_speaks_or_what(
    store: BaseSessionStore, chat: ActiveSession, name: str, key: str
) -> None:
    with pytest.raises(InvalidEvent, match=key) as refused:
        await verb(chat, name)("Hello", extra={key: "system"})

    assert refused.value.path == f"extra.{key}"
    assert await store.events("chat") == []


@pytest.mark.parametrize("bad", ["role", ["role"], 5])
@pytest.mark.parametrize("name", [*SPEAKERS, "tool"])
async def test_extra_and_metadata_that_are_no_objects_are_refused(
    store: BaseSessionStore, chat: ActiveSession, name: str, bad: Any
) -> None:
    for what in ("metadata",) if name == "tool" else ("metadata", "extra"):
        with pytest.raises(InvalidSessionOperation, match=f"{what} is a"):
            await verb(chat, name)("Hello", **{what: bad})

    assert await store.events("chat") == []


@pytest.mark.parametrize("extra", [{1: "x"}, {"x": {1}}])
async def test_an_extra_key_that_is_no_json_is_refused(
    store: BaseSessionStore, chat: ActiveSession, extra: Any
) -> None:
    with pytest.raises(InvalidEvent):
        await chat.user("Hello", extra=extra)

    assert await store.events("chat") == []


@pytest.mark.parametrize(("name", "source"), SPEAKERS.items())
async def test_extra_keys_are_of_the_message_and_are_sent(chat: ActiveSession, name: str, source: EventSource) -> None:
    event = await verb(chat, name)("Hello", extra={"cache_control": {"type": "ephemeral"}})

    assert event.source is source
    assert await chat.messages() == [{"role": name, "content": "Hello", "cache_control": {"type": "ephemeral"}}]


@pytest.mark.parametrize("name", SPEAKERS)
async def test_metadata_is_of_the_event_and_is_never_sent(
    store: BaseSessionStore, chat: ActiveSession, name: str
) -> None:
    await verb(chat, name)("Hello", metadata={"ip": "::1"})

    [event] = await store.events("chat")
    assert event.metadata == {"ip": "::1"}
    assert await chat.messages() == [{"role": name, "content": "Hello"}]


async def test_metadata_of_a_tool_is_of_both_events_and_is_never_sent(
    store: BaseSessionStore, chat: ActiveSession
) -> None:
    await chat.tool("f", {}, result=1, metadata={"seconds": 2})

    assert [event.metadata for event in await store.events("chat")] == [{"seconds": 2}, {"seconds": 2}]
    assert "seconds" not in str(await chat.messages())


async def test_the_named_fields_of_an_answer_are_keys_of_its_message(chat: ActiveSession) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}

    event = await chat.assistant("4", name="planner", refusal="No.", reasoning_content="2 + 2", tool_calls=(call,))

    assert event.message == {
        "role": "assistant",
        "content": "4",
        "name": "planner",
        "tool_calls": [call],
        "refusal": "No.",
        "reasoning_content": "2 + 2",
    }


async def test_calls_come_as_the_client_returns_them(chat: ActiveSession) -> None:
    function = {"name": "f", "arguments": "{}"}
    call = ChatCompletionMessageFunctionToolCall.model_validate({"id": "c", "type": "function", "function": function})

    event = await chat.assistant(None, tool_calls=[call])

    assert event.message["tool_calls"] == [{"id": "c", "type": "function", "function": function}]


@pytest.mark.parametrize(
    ("name", "block", "kind"),
    [
        ("assistant", {"type": "tool_use", "id": "t", "name": "f", "input": {}}, EventType.TOOL_CALL),
        ("user", {"type": "tool_result", "tool_use_id": "t", "content": "4"}, EventType.TOOL_RESULT),
        ("user", {"type": "text", "text": "4"}, EventType.MESSAGE),
    ],
)
async def test_content_parts_are_stored_alone_and_tell_what_kind_of_event_it_is(
    chat: ActiveSession, name: str, block: dict[str, Any], kind: EventType
) -> None:
    event = await verb(chat, name)([block])

    assert (event.message, event.type) == ([block], kind)
    assert await chat.messages(repair=False) == [{"role": name, "content": [block]}]


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": 3, "completion_tokens": 4}])
async def test_the_model_and_metadata_of_an_answer_are_both_kept(chat: ActiveSession, usage: Any) -> None:
    event = await chat.assistant("4", model="gpt-4o", usage=usage, metadata={"trace": "t"})

    known = event.token_usage.model if event.token_usage else event.metadata.get("model")
    assert known == "gpt-4o"
    assert event.metadata["trace"] == "t"


# A run's own


@pytest.fixture
async def run(chat: ActiveSession) -> AsyncIterator[ActiveRun]:
    await chat.user("Two days in Oslo?")
    await chat.assistant("Wait.", usage={"prompt_tokens": 1})
    async with chat.run(agent="other", id="other") as other, chat.run(agent="planner", id="planner") as run:
        await other.assistant("I look for hotels.", usage={"prompt_tokens": 20})
        await run.tool("weather", {"city": "Oslo"}, result=4, call_id="c")
        await run.assistant("Take a coat.", usage={"prompt_tokens": 300})
        yield run


async def test_a_run_returns_what_was_said_in_it(run: ActiveRun) -> None:
    said = await run.messages()

    assert [(message["role"], message["content"]) for message in said] == [
        ("assistant", None),
        ("tool", "4"),
        ("assistant", "Take a coat."),
    ]
    assert len(said.seqs) == len(said)


async def test_a_run_returns_what_was_said_in_it_in_another_format(run: ActiveRun) -> None:
    assert [item["type"] for item in await run.messages(format="responses")][:2] == [
        "function_call",
        "function_call_output",
    ]


async def test_a_run_returns_what_it_used_itself(chat: ActiveSession, run: ActiveRun) -> None:
    assert (await run.usage()).prompt_tokens == 300
    assert (await chat.usage()).total.prompt_tokens == 321


async def test_a_run_that_has_used_nothing_says_so(chat: ActiveSession) -> None:
    async with chat.run() as run:
        assert (await run.usage()).requests == 0
        assert await run.messages() == []


# What append refuses

NO_MESSAGES: dict[str, Any] = {
    "a text": "hello",
    "bytes": b"hello",
    "None": None,
    "a number": 5,
    "a truth": True,
    "an object": object(),
    "an object with attributes": SimpleNamespace(role="user", content="x"),
    "a list of messages": [{"role": "user", "content": "x"}],
    "a tuple": ({"role": "user", "content": "x"},),
    "a generator": (each for each in ({"role": "user", "content": "x"},)),
    "a function": print,
    "a class": SessionEvent,
    "an error": ValueError("x"),
    "nothing in it": {},
    "no role": {"content": "x"},
    "no text as a role": {"role": 5, "content": "x"},
    "no text as a key": {1: "x"},
    "a whole answer of OpenAI": {"id": "1", "object": "chat.completion", "choices": []},
}


@pytest.mark.parametrize("what", NO_MESSAGES)
async def test_what_is_no_message_is_refused_by_name_and_nothing_is_written(
    store: BaseSessionStore, chat: ActiveSession, what: str
) -> None:
    with pytest.raises(InvalidEvent):
        await chat.append({"role": "user", "content": "before"}, NO_MESSAGES[what])

    assert await store.events("chat") == []


async def test_a_run_that_has_ended_refuses_it_in_the_same_way(store: BaseSessionStore, chat: ActiveSession) -> None:
    async with chat.run() as run:
        pass

    with pytest.raises(InvalidEvent, match="'hello'"):
        await run.append_late("hello")

    assert await store.events("chat") == []
