"""Which messages are in their place as they stand, and which have to be looked into."""

from __future__ import annotations

from typing import Any

import pytest

from a2a_session_manager.context.findings import INTERRUPTED
from a2a_session_manager.context.prompt import view_at_once
from a2a_session_manager.context.regular_messages import end_of_regular, may_come_again
from a2a_session_manager.models.event_message import EventMessage, MessageColumns
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.event_type import EventType
from tests.context.examples import ASK, HELLO, SAY, call, result

_IRREGULAR: dict[str, list[Any]] = {
    "no object": ["Hello."],
    "no role": [{"content": "Hello.", "parts": []}],
    "a role that has no hash": [{"role": ["user"], "content": "Hello."}],
    "an unknown role": [{"role": "critic", "content": "Hello."}],
    "nothing said": [{"role": "user", "content": ""}],
    "white space": [{"role": "user", "content": " \n"}],
    "parts": [{"role": "user", "content": [{"type": "text", "text": "Hello."}]}],
    "another key": [{"role": "user", "content": "Hello.", "name": "ann"}],
    "a result without a call": [result("c1")],
    "a call without a result": [call("c1")],
    "one result for two calls": [call("c1", "c2"), result("c1"), SAY],
    "a text between": [call("c1"), SAY, result("c1")],
    "the result of another call": [call("c1"), result("c2")],
    "a call's id that has no hash": [call("c1"), {**result("c1"), "tool_call_id": ["c1"]}],
    "two results for a call": [call("c1", "c2"), result("c1"), result("c1")],
    "two calls of an id": [call("c1", "c1"), result("c1"), result("c1")],
    "a result with another key": [call("c1"), {**result("c1"), "is_error": True}],
    "a call with another key": [{**call("c1"), "reasoning": "Hm."}, result("c1")],
    "an interruption": [call("c1"), {**result("c1"), "content": INTERRUPTED}],
    "the call of one that is open": [call("open"), result("open")],
}


@pytest.mark.parametrize("others", _IRREGULAR.values(), ids=_IRREGULAR)
def test_the_first_message_that_is_not_in_its_place_ends_them(others: list[Any]) -> None:
    messages = [ASK, call("a", "b"), result("b"), result("a"), SAY, *others, HELLO]

    assert end_of_regular(messages, 0, {"open": 1}, {}) == 5
    assert end_of_regular(messages, 4, {}, {"open": 1}) == 5
    assert end_of_regular(messages[:5], 1, {}, {}) == 5


@pytest.mark.parametrize("kind", [EventType.SUMMARY, EventType.REFERENCE, "note"])
def test_what_is_no_message_is_not_given_as_it_is_stored(kind: EventType | str) -> None:
    events = [_event(1, EventType.MESSAGE), _event(2, EventType.TOOL_RESULT)]

    assert view_at_once(MessageColumns.of(events), "talk") == [ASK, ASK]
    assert view_at_once(MessageColumns.of([*events, _event(3, kind)]), "talk") is None


def _event(seq: int, kind: EventType | str) -> EventMessage:
    return EventMessage(seq, f"e{seq}", ASK, EventSource.USER, kind, None, {})


@pytest.mark.parametrize(
    ("call_id", "is_drawn"),
    [
        (None, False),
        ("c", False),
        ("call_0", False),
        ("functions.get_weather:12", False),
        ("functioncallnumber12", False),
        ("call_000000000000000000000012", False),
        ("call_Zq3FpR7xW0bTkY", True),
        ("toolu_01A09q90qw90lq917835lq9", True),
        ("chatcmpl-tool-3c6f0ad1b2e94d0c8a7b5e6f7a8b9c0d", True),
        ("pyd_ai_1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed", True),
    ],
)
def test_an_id_that_was_drawn_at_random_comes_once(call_id: str | None, is_drawn: bool) -> None:
    assert may_come_again(call_id) is not is_drawn
