"""What OpenAI's clients return can be appended; other clients are in test_more_client_objects."""

from __future__ import annotations

from typing import Any

import pytest
from agents import Agent
from agents.items import MessageOutputItem, ModelResponse
from agents.usage import Usage
from openai.types.chat import ChatCompletion, ParsedChatCompletionMessage
from openai.types.responses import Response

from a2a_session_manager import EventType, SessionManager
from a2a_session_manager.exceptions import InvalidEvent
from a2a_session_manager.shapes.client_objects import plain_message, plain_parts
from a2a_session_manager.shapes.recognition import read_message

CALL: dict[str, Any] = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"to": "OSL"}'}}
SAID = {"type": "output_text", "text": "hi", "annotations": []}
MESSAGE = {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": [SAID]}


def answer(**message: Any) -> ChatCompletion:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": None, **message}}
    whole = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return ChatCompletion.model_validate(whole)


def response(*output: dict[str, Any]) -> Any:
    more: dict[str, Any] = {"object": "response", "created_at": 1, "model": "m", "tools": [], "tool_choice": "auto"}
    return Response.construct(id="r", parallel_tool_calls=True, output=list(output), **more)


def test_a_chat_completion_has_what_may_be_sent_back() -> None:
    message = answer(refusal=None, annotations=[], tool_calls=[CALL], reasoning_content="hm").choices[0].message

    assert plain_message(message) == {
        "role": "assistant",
        "content": None,
        "tool_calls": [CALL],
        "reasoning_content": "hm",
    }


def test_what_was_parsed_out_of_an_answer_is_not_sent_back() -> None:
    parsed = {**CALL, "function": {**CALL["function"], "parsed_arguments": {"to": "OSL"}}}
    message = ParsedChatCompletionMessage[dict[str, Any]].model_validate(
        {"role": "assistant", "content": '{"n": 1}', "parsed": {"n": 1}, "tool_calls": [parsed]}
    )

    assert plain_message(message) == {"role": "assistant", "content": '{"n": 1}', "tool_calls": [CALL]}


def test_sound_that_a_model_made_is_sent_back_by_its_id() -> None:
    sound = {"id": "a1", "data": "UklGRg==", "expires_at": 1, "transcript": "hi"}

    found = plain_message(answer(audio=sound).choices[0].message)

    assert found == {"role": "assistant", "content": None, "audio": {"id": "a1"}}


@pytest.mark.parametrize(
    "item",
    [
        {
            "type": "reasoning",
            "id": "rs",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "encrypted_content": "x",
        },
        MESSAGE,
        {"type": "function_call", "id": "f1", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"},
        {  # without the nulls, it would be refused
            "type": "code_interpreter_call",
            "id": "ci",
            "code": None,
            "container_id": "x",
            "outputs": None,
            "status": "completed",
        },
        {"type": "image_generation_call", "id": "ig", "result": "iVBORw0KGgo=", "status": "completed"},
    ],
)
def test_an_item_of_a_response_is_as_it_was_received(item: dict[str, Any]) -> None:
    found = plain_message(response(item).output[0])

    assert found == item
    assert read_message(found).shape == "responses"


def test_a_run_item_of_the_agents_sdk_is_its_input_item() -> None:
    agent = Agent(name="guide")

    assert plain_message(MessageOutputItem(agent, response(MESSAGE).output[0])) == MESSAGE


@pytest.mark.parametrize(
    ("item", "remedy"),
    [
        (answer(content="hi"), r"append\(reply\.choices\[0\]\.message\)"),
        (answer(content="hi").choices[0], r"append\(choice\.message\)"),
        (response(), r"append\(\*response\.output\)"),
        (ModelResponse([], Usage(), None), r"append\(\*response\.output\)"),
    ],
)
def test_a_whole_answer_is_refused_and_its_messages_are_named(item: object, remedy: str) -> None:
    with pytest.raises(InvalidEvent, match=remedy):
        plain_message(item)


@pytest.mark.parametrize(
    "item",
    [
        "hi",
        b"hi",
        7,
        None,
        [],
        {"role": "user", "content": "hi"},
        object(),
        int,
        Usage(),
        response(MESSAGE).output[0].content[0],
    ],
)
def test_anything_else_is_no_message(item: object) -> None:
    assert plain_message(item) is None


def test_calls_that_were_taken_out_of_a_message_are_json_again() -> None:
    message = answer(tool_calls=[CALL]).choices[0].message

    found = plain_parts({"role": "assistant", "content": None, "tool_calls": message.tool_calls})

    assert found == {"role": "assistant", "content": None, "tool_calls": [CALL]}


def test_a_message_without_objects_in_it_is_itself() -> None:
    message = {"role": "user", "content": ["hi", {"type": "text", "text": "you"}]}

    assert plain_parts(message) is message


async def test_what_a_client_returned_is_appended_as_it_is() -> None:
    message = answer(tool_calls=[CALL]).choices[0].message
    async with SessionManager.from_url("memory:") as sessions, sessions.open("trip") as chat:
        events = await chat.append(message, {"role": "assistant", "content": None, "tool_calls": message.tool_calls})

        assert [event.message["tool_calls"] for event in events] == [[CALL], [CALL]]
        assert {event.type for event in events} == {EventType.TOOL_CALL}
        with pytest.raises(InvalidEvent, match="is no message, but has some in it"):
            await chat.append(response())
