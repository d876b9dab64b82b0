"""Chat messages become events and come back key for key; what was never said stays out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager import (
    EventSource,
    EventType,
    InMemorySessionStore,
    InvalidEvent,
    SessionEvent,
    SessionManager,
    chat_messages,
    event_from_message,
)
from a2a_session_manager.context.messages import ChatMessage, message_from_event
from a2a_session_manager.context.prompt import said_in
from a2a_session_manager.models.event_message import MessageColumns, message_of

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)
CALL = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"to": "OSL"}'}}


@st.composite
def messages(draw: st.DrawFn) -> ChatMessage:
    known = {
        "role": st.sampled_from(["user", "assistant", "system", "developer", "tool", "function", "critic"]),
        "content": st.none() | st.text() | st.lists(st.dictionaries(st.text(), json_values, max_size=2), max_size=2),
        "name": st.none() | st.text(),
        "tool_calls": st.none() | st.just([]) | st.just([CALL]),
        "tool_call_id": st.text(),
        "function_call": st.none() | st.dictionaries(st.text(), st.text(), max_size=2),
        "refusal": st.none() | st.text(),
    }
    optional = draw(st.lists(st.sampled_from([name for name in known if name != "role"]), unique=True))
    extra = draw(st.dictionaries(st.text(), json_values, max_size=2))
    keys = draw(st.permutations(list({"role", *optional, *extra})))
    return {key: draw(known[key]) if key in known else extra[key] for key in keys}


def in_order(message: ChatMessage) -> str:
    """Equal only when the keys come in the same order too, at every level."""
    return json.dumps(message)


@given(st.lists(messages(), max_size=4))
@settings(deadline=None)
def test_messages_come_back_key_for_key_in_their_order(conversation: list[ChatMessage]) -> None:
    events = [event_from_message(message) for message in conversation]

    assert [in_order(message) for message in chat_messages(events)] == [in_order(each) for each in conversation]


@given(st.lists(messages(), max_size=4))
@settings(deadline=None, max_examples=50)
async def test_messages_come_back_key_for_key_from_a_store(conversation: list[ChatMessage]) -> None:
    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        await chat.append(*conversation)

        assert [in_order(message) for message in await chat.messages(repair=False)] == [
            in_order(each) for each in conversation
        ]


@given(messages())
@settings(deadline=None)
def test_turning_a_message_into_an_event_does_not_change_it(message: ChatMessage) -> None:
    before = in_order(message)

    event = event_from_message(message)
    event.message["added"] = "later"

    assert in_order(message) == before


@pytest.mark.parametrize(
    ("message", "source", "kind"),
    [
        ({"role": "user", "content": "x"}, EventSource.USER, EventType.MESSAGE),
        ({"role": "assistant", "content": "x"}, EventSource.LLM, EventType.MESSAGE),
        ({"role": "system", "content": "x"}, EventSource.SYSTEM, EventType.MESSAGE),
        ({"role": "developer", "content": "x"}, EventSource.SYSTEM, EventType.MESSAGE),
        ({"role": "critic", "content": "x"}, EventSource.SYSTEM, EventType.MESSAGE),
        ({"role": "assistant", "content": None, "tool_calls": [CALL]}, EventSource.LLM, EventType.TOOL_CALL),
        ({"role": "assistant", "content": None, "function_call": {"name": "f"}}, EventSource.LLM, EventType.TOOL_CALL),
        ({"role": "assistant", "content": "x", "tool_calls": []}, EventSource.LLM, EventType.MESSAGE),
        ({"role": "assistant", "content": "x", "tool_calls": None}, EventSource.LLM, EventType.MESSAGE),
        ({"role": "user", "content": "x", "tool_calls": [CALL]}, EventSource.USER, EventType.MESSAGE),
        ({"role": "tool", "content": "x", "tool_call_id": "c1"}, EventSource.SYSTEM, EventType.TOOL_RESULT),
        ({"role": "function", "content": "x", "name": "f"}, EventSource.SYSTEM, EventType.TOOL_RESULT),
    ],
)
def test_an_event_says_who_spoke_and_what_kind_it_is(
    message: ChatMessage, source: EventSource, kind: EventType
) -> None:
    event = event_from_message(message)

    assert (event.source, event.type) == (source, kind)


def test_further_fields_go_to_the_event() -> None:
    event = event_from_message({"role": "user", "content": "x"}, id="e", task_id="r", metadata={"k": 1})

    assert (event.id, event.task_id, event.metadata) == ("e", "r", {"k": 1})


@pytest.mark.parametrize("message", [{}, {"content": "x"}, {"role": None}, {"role": ""}, {"role": 7}])
def test_a_message_without_a_role_is_refused(message: ChatMessage) -> None:
    with pytest.raises(InvalidEvent, match="needs a role") as caught:
        event_from_message(message)

    assert caught.value.path == "role"


async def test_a_message_without_a_role_writes_nothing_of_its_batch() -> None:
    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        with pytest.raises(InvalidEvent):
            await chat.append({"role": "user", "content": "x"}, {"content": "y"})

        assert await chat.events() == []


@pytest.mark.parametrize(
    ("source", "role"),
    [(EventSource.USER, "user"), (EventSource.LLM, "assistant"), (EventSource.SYSTEM, "system")],
)
def test_plain_text_speaks_with_the_role_of_its_source(source: EventSource, role: str) -> None:
    event = SessionEvent(message="hello", source=source)

    assert message_from_event(event) == {"role": role, "content": "hello"}


@pytest.mark.parametrize(
    ("kind", "source", "role"),
    [
        (EventType.SUMMARY, EventSource.SYSTEM, "system"),
        (EventType.SUMMARY, EventSource.USER, "user"),
        (EventType.SUMMARY, EventSource.LLM, "user"),
        *((EventType.TOOL_CALL, source, "assistant") for source in EventSource),
        *((EventType.TOOL_RESULT, source, "user") for source in EventSource),
    ],
)
def test_neither_a_tool_nor_a_model_speaks_as_the_system(kind: EventType, source: EventSource, role: str) -> None:
    event = SessionEvent(message="so far: Oslo", source=source, type=kind)

    assert message_from_event(event) == {"role": role, "content": "so far: Oslo"}


def test_content_parts_stay_parts_and_other_json_becomes_text() -> None:
    parts = [{"type": "text", "text": "x"}]

    assert message_from_event(SessionEvent(message=parts)) == {"role": "assistant", "content": parts}
    assert message_from_event(SessionEvent(message={"a": 1})) == {"role": "assistant", "content": '{"a":1}'}
    assert message_from_event(SessionEvent(message=7)) == {"role": "assistant", "content": "7"}
    assert message_from_event(SessionEvent(message=False)) == {"role": "assistant", "content": "false"}


spoken = st.builds(event_from_message, messages())
unspoken = st.builds(
    SessionEvent[Any],
    message=scalars | messages() | st.just({"role": None}) | st.just({"content": "no role"}),
    source=st.sampled_from(EventSource),
    type=st.sampled_from(EventType) | st.just("own"),
)


@given(st.lists(spoken, max_size=4), st.lists(unspoken, max_size=1), st.lists(spoken, max_size=2))
@settings(deadline=None)
def test_columns_say_what_their_events_do(
    first: list[SessionEvent[Any]], odd: list[SessionEvent[Any]], last: list[SessionEvent[Any]]
) -> None:
    events = [*first, *odd, *last]
    columns = MessageColumns.of(map(message_of, events))

    assert [in_order(message) for message in said_in(columns).messages] == [
        in_order(message) for message in chat_messages(events)
    ]


@pytest.mark.parametrize(
    "event",
    [
        SessionEvent(message={"role": None, "content": "x"}),
        SessionEvent(message={"content": "x"}),
        SessionEvent(message=None),
        SessionEvent(message="x", source=EventSource.USER),
        SessionEvent(message={"role": "user", "content": "x"}, type="own"),
    ],
)
def test_columns_of_what_is_no_chat_message_say_what_its_event_does(event: SessionEvent[Any]) -> None:
    columns = MessageColumns.of([message_of(event)])

    assert said_in(columns).messages == chat_messages([event]) != [event.message]


@pytest.mark.parametrize("message", ["x", {"a": 1}, {"role": "admin", "name": "Ann"}, ["x"]])
@pytest.mark.parametrize("kind", [EventType.REFERENCE, EventType.CONTEXT_BRIDGE, "my.audit"])
def test_references_bridges_and_own_types_are_never_sent_to_a_model(kind: EventType | str, message: Any) -> None:
    assert chat_messages([SessionEvent(message=message, type=kind)]) == []


def test_an_event_without_a_payload_is_no_message() -> None:
    assert chat_messages([SessionEvent(), SessionEvent(type=EventType.SUMMARY)]) == []


def test_what_is_left_out_does_not_disturb_the_order() -> None:
    events = [
        SessionEvent(message="one", source=EventSource.USER),
        SessionEvent(message="doc-7", type=EventType.REFERENCE),
        event_from_message({"content": None, "role": "assistant", "tool_calls": [CALL]}),
        SessionEvent(message="two", source=EventSource.LLM),
    ]

    assert [message.get("content") for message in chat_messages(events)] == ["one", None, "two"]
