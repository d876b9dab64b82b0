"""`tool(…)` on every store: which recorded call a result is for, in which format it is stored, and retries."""

from __future__ import annotations

import json
from typing import Any

import pytest

from a2a_session_manager import (
    ActiveSession,
    EventType,
    InvalidEvent,
    InvalidSessionOperation,
    SessionEvent,
)
from a2a_session_manager.shapes.normal_form import Call, Result, text_of
from a2a_session_manager.shapes.recognition import read_message
from a2a_session_manager.storage import BaseSessionStore
from tests.stores import chat, open_store, store

__all__ = ["chat", "open_store", "store"]

PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


def called(name: str, arguments: Any, call_id: str) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": call_id, "type": "function", "function": function}],
    }


async def exchanges(chat: ActiveSession) -> list[tuple[Any, str]]:
    """Return what the view pairs: the arguments of each call, and the text of the result right after it."""
    parts = [part for message in await chat.messages() for part in read_message(message).parts]
    calls = [part for part in parts if isinstance(part, Call)]
    results = [part for part in parts if isinstance(part, Result)]
    assert [call.id for call in calls] == [result.call_id for result in results]
    return [
        (json.loads(call.arguments) if isinstance(call.arguments, str) else call.arguments, text_of(result.content))
        for call, result in zip(calls, results, strict=True)
    ]


# Which call a result is for


async def test_an_open_call_gets_its_result_alone(chat: ActiveSession) -> None:
    await chat.append(called("f", {"a": 1}, "c"))

    events = await chat.tool("f", {"a": 1}, result=2, call_id="c")

    assert [event.type for event in events] == [EventType.TOOL_RESULT]
    assert await exchanges(chat) == [({"a": 1}, "2")]
    assert await chat.open_calls() == []


async def test_each_turns_call_and_result_stay_though_the_server_gives_every_call_the_same_id(
    chat: ActiveSession,
) -> None:
    for city, celsius in (("Oslo", 4), ("Rome", 21), ("Lima", 17)):
        await chat.user(f"Weather in {city}?")
        async with chat.run() as run:
            await run.tool("weather", {"city": city}, result=celsius, call_id="call_0")

    assert await exchanges(chat) == [({"city": "Oslo"}, "4"), ({"city": "Rome"}, "21"), ({"city": "Lima"}, "17")]
    assert [message["role"] for message in await chat.messages()] == ["user", "assistant", "tool"] * 3


async def test_a_call_answered_long_ago_is_not_the_one_that_is_meant(chat: ActiveSession) -> None:
    await chat.tool("f", {"n": 1}, result="first", call_id="c")
    await chat.append(*(SessionEvent(message=str(n)) for n in range(60)))

    events = await chat.tool("f", {"n": 2}, result="second", call_id="c")

    assert [event.type for event in events] == [EventType.TOOL_CALL, EventType.TOOL_RESULT]
    assert await exchanges(chat) == [({"n": 1}, "first"), ({"n": 2}, "second")]


async def test_a_call_that_is_open_since_200_events_is_found_when_its_args_are_left_out(chat: ActiveSession) -> None:
    await chat.append(called("book", {"flight": "SK 4035"}, "c"))
    await chat.append(*(SessionEvent(message=str(n)) for n in range(200)))

    events = await chat.tool("book", result="booked", call_id="c")

    assert [event.type for event in events] == [EventType.TOOL_RESULT]
    assert await exchanges(chat) == [({"flight": "SK 4035"}, "booked")]


async def test_a_run_answers_its_own_call_of_an_id_that_two_runs_use(chat: ActiveSession) -> None:
    async with chat.run(id="oslo") as one, chat.run(id="rome") as other:
        await one.append(called("weather", {"city": "Oslo"}, "call_0"))
        await other.append(called("weather", {"city": "Rome"}, "call_0"))
        await one.tool("weather", result=4, call_id="call_0")
        await other.tool("weather", result=21, call_id="call_0")

    assert await exchanges(chat) == [({"city": "Oslo"}, "4"), ({"city": "Rome"}, "21")]


async def test_a_run_finds_its_call_though_the_result_after_it_is_of_an_earlier_call_of_another_run(
    chat: ActiveSession,
) -> None:
    async with chat.run(id="oslo") as one, chat.run(id="rome") as other:
        await one.append(called("weather", {"city": "Oslo"}, "call_0"))
        await chat.append(*(SessionEvent(message=str(n)) for n in range(60)))
        await other.append(called("weather", {"city": "Rome"}, "call_0"))
        await one.append({"role": "tool", "tool_call_id": "call_0", "content": "4"})

        [answer] = await other.tool("weather", {"city": "Rome"}, result=21, call_id="call_0")

    assert answer.type == EventType.TOOL_RESULT
    assert await exchanges(chat) == [({"city": "Oslo"}, "4"), ({"city": "Rome"}, "21")]


async def test_of_two_runs_with_different_models_each_gets_the_format_of_its_own_call(chat: ActiveSession) -> None:
    async with chat.run(id="claude") as one, chat.run(id="gpt") as other:
        await one.append(SHAPES["anthropic"])
        await other.append(SHAPES["openai"])
        results = [await run.tool("f", result="sunny", call_id="c1") for run in (one, other)]

    assert [event.message["role"] for [event] in results] == ["user", "tool"]


async def test_a_call_of_another_run_is_not_answered_by_one_that_says_its_own_args(chat: ActiveSession) -> None:
    async with chat.run(id="oslo") as one, chat.run(id="rome") as other:
        await one.append(called("weather", {}, "call_0"))
        events = await other.tool("weather", {}, result=21, call_id="call_0")
        await one.tool("weather", result=4, call_id="call_0")

    assert [event.type for event in events] == [EventType.TOOL_CALL, EventType.TOOL_RESULT]
    assert [text for _, text in await exchanges(chat)] == ["4", "21"]


@pytest.mark.parametrize("is_by_the_run", [True, False])
async def test_a_call_of_a_run_and_one_beside_it_are_found_from_each_other(
    chat: ActiveSession, is_by_the_run: bool
) -> None:
    async with chat.run() as run:
        caller, answerer = (run, chat) if is_by_the_run else (chat, run)
        await caller.append(called("f", {"a": 1}, "c"))
        events = await answerer.tool("f", {"a": 1}, result=2, call_id="c")

    assert [event.type for event in events] == [EventType.TOOL_RESULT]


async def test_a_call_that_was_left_open_does_not_get_the_result_of_a_later_one_of_its_id(chat: ActiveSession) -> None:
    await chat.user("Weather in Oslo?")
    await chat.append(called("weather", {"city": "Oslo"}, "call_0"))  # and the process dies here
    await chat.user("And in Rome?")

    await chat.tool("weather", {"city": "Rome"}, result="21", call_id="call_0")

    asked, told = zip(*await exchanges(chat), strict=True)
    assert asked == ({"city": "Oslo"}, {"city": "Rome"})
    assert told[1] == "21"
    assert told[0].startswith("interrupted")


@pytest.mark.parametrize("args", [None, {"city": "Oslo"}, '{"city":   "Oslo"}'])
async def test_the_same_args_are_those_of_the_recorded_call_however_they_are_written(
    chat: ActiveSession, args: Any
) -> None:
    await chat.append(called("weather", {"city": "Oslo"}, "c"))

    assert len(await chat.tool("weather", args, result=4, call_id="c")) == 1


async def test_a_result_that_comes_after_repairing_takes_the_place_of_the_interruption(chat: ActiveSession) -> None:
    await chat.append(called("f", {"a": 1}, "c"))
    await chat.repair()
    assert (await exchanges(chat))[0][1].startswith("interrupted")

    events = await chat.tool("f", {"a": 1}, result="late", call_id="c")

    assert [event.type for event in events] == [EventType.TOOL_RESULT]
    assert await exchanges(chat) == [({"a": 1}, "late")]


async def test_an_interrupted_call_is_not_answered_for_a_later_one_of_its_id(chat: ActiveSession) -> None:
    await chat.append(called("f", {"n": 1}, "call_0"))
    await chat.repair()

    await chat.tool("f", {"n": 2}, result="second", call_id="call_0")
    await chat.append({"role": "tool", "tool_call_id": "call_0", "content": "twice"})

    (_, first), (_, second) = await exchanges(chat)
    assert first.startswith("interrupted")
    assert second == "second"


# The format of a result

SHAPES: dict[str, dict[str, Any]] = {
    "anthropic": {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}}]},
    "gemini": {"role": "model", "parts": [{"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}}]},
    "bedrock": {"role": "assistant", "content": [{"toolUse": {"toolUseId": "c1", "name": "f", "input": {"a": 1}}}]},
    "responses": {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'},
    "ai_sdk": {
        "role": "assistant",
        "content": [{"type": "tool-call", "toolCallId": "c1", "toolName": "f", "input": {"a": 1}}],
    },
    "otel": {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "f", "arguments": {"a": 1}}]},
    "openai": called("f", {"a": 1}, "c1"),
}


@pytest.mark.parametrize("args", [None, {"a": 1}])
@pytest.mark.parametrize("result", ["sunny", {"celsius": 4}])
@pytest.mark.parametrize("shape", SHAPES)
async def test_a_result_is_in_the_format_of_its_call(chat: ActiveSession, shape: str, result: Any, args: Any) -> None:
    await chat.user("go")
    await chat.append(SHAPES[shape])

    events = await chat.tool("f", args, result=result, call_id="c1")

    assert [event.type for event in events] == [EventType.TOOL_RESULT]
    view = await chat.messages()
    assert list(view) == [{"role": "user", "content": "go"}, SHAPES[shape], events[0].message]
    assert view.report == ()
    read = read_message(events[0].message)
    assert read.shape == shape
    said = json.dumps(read.raw).replace("\\", "").replace(" ", "")
    assert json.dumps(result)[1:-1].replace(" ", "") in said
    assert (await chat.messages(format="openai"))[1]["tool_calls"][0]["function"]["name"] == "f"


async def test_the_results_of_one_anthropic_answer_come_one_by_one_and_are_given_as_one_message(
    chat: ActiveSession,
) -> None:
    calls = [{"type": "tool_use", "id": f"toolu_{n}", "name": "f", "input": {}} for n in (1, 2)]
    await chat.user("go")
    await chat.append({"role": "assistant", "content": calls})

    for n in (2, 1):
        await chat.tool("f", result=f"result {n}", call_id=f"toolu_{n}")

    given = (await chat.messages())[2:]
    assert [each["role"] for each in given] == ["user"]
    assert {each["tool_use_id"]: each["content"] for each in given[0]["content"]} == {
        "toolu_1": "result 1",
        "toolu_2": "result 2",
    }


async def test_a_picture_goes_into_an_anthropic_result_as_a_picture(chat: ActiveSession) -> None:
    await chat.append(SHAPES["anthropic"])

    [event] = await chat.tool("f", result=[{"type": "text", "text": "a map"}, PICTURE], call_id="c1")

    [block] = event.message["content"]
    assert [each["type"] for each in block["content"]] == ["text", "image"]
    assert block["content"][1]["source"]["data"] == "iVBORw0KGgo="


async def test_texts_and_pictures_of_a_result_stay_parts(chat: ActiveSession) -> None:
    parts = [{"type": "text", "text": "a map"}, PICTURE]

    _, result = await chat.tool("map", {}, result=parts)

    assert result.message["content"] == parts


async def test_a_list_of_data_stays_json_text(chat: ActiveSession) -> None:
    files = [{"type": "file", "name": "a.txt"}]

    _, result = await chat.tool("ls", {}, result=files)

    assert json.loads(result.message["content"]) == files


# Retries


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("args", [None, {"a": 1}])
async def test_a_result_that_went_in_alone_is_not_doubled_by_a_retry(
    store: BaseSessionStore, chat: ActiveSession, args: Any, shape: str
) -> None:
    await chat.append(SHAPES[shape])
    first = await chat.tool("f", args, result={"x": 2}, call_id="c1", id="e")
    before = await store.events("chat")

    again = await chat.tool("f", args, result={"x": 2}, call_id="c1", id="e")

    assert await store.events("chat") == before
    assert [(event.id, event.seq, event.is_repeat) for event in again] == [("e:result", first[0].seq, True)]


async def test_a_retry_is_known_however_much_was_said_since(store: BaseSessionStore, chat: ActiveSession) -> None:
    await chat.append(called("f", {}, "c"))
    await chat.tool("f", {}, result=1, call_id="c", id="alone")
    await chat.tool("f", {"n": 2}, result=2, call_id="d", id="both")
    await chat.append(*(SessionEvent(message=str(n)) for n in range(120)))
    before = await store.events("chat")

    alone = await chat.tool("f", {}, result=1, call_id="c", id="alone")
    both = await chat.tool("f", {"n": 2}, result=2, call_id="d", id="both")

    assert await store.events("chat") == before
    assert [event.id for event in (*alone, *both)] == ["alone:result", "both", "both:result"]


@pytest.mark.parametrize("is_alone", [True, False])
async def test_another_result_under_the_same_id_is_refused(
    store: BaseSessionStore, chat: ActiveSession, is_alone: bool
) -> None:
    if is_alone:
        await chat.append(called("f", {}, "c"))
    await chat.tool("f", {}, result=1, call_id="c", id="e")
    before = await store.events("chat")

    with pytest.raises(InvalidEvent, match="e:result"):
        await chat.tool("f", {}, result=2, call_id="c", id="e")

    assert await store.events("chat") == before


@pytest.mark.parametrize("said", ["Hello", {"role": "user", "content": "Hello"}])
async def test_a_result_whose_id_is_another_events_is_refused(
    store: BaseSessionStore, chat: ActiveSession, said: Any
) -> None:
    await chat.append(SessionEvent(id="e:result", message=said))

    with pytest.raises(InvalidEvent, match="e:result"):
        await chat.tool("f", {}, result=1, call_id="c", id="e")

    assert len(await store.events("chat")) == 1


# What is refused


@pytest.mark.parametrize("bad", [{"args": {"when": {1}}}, {"args": {}, "result": [b"x"]}])
async def test_what_is_not_json_writes_nothing(store: BaseSessionStore, chat: ActiveSession, bad: Any) -> None:
    with pytest.raises(InvalidEvent):
        await chat.tool("f", call_id="c", **bad)

    assert await store.events("chat") == []


async def test_a_run_that_has_ended_takes_no_result(store: BaseSessionStore, chat: ActiveSession) -> None:
    async with chat.run() as run:
        await run.append(called("f", {}, "c"))

    with pytest.raises(InvalidSessionOperation, match="has ended"):
        await run.tool("f", result=1, call_id="c")

    assert len(await store.events("chat")) == 1
