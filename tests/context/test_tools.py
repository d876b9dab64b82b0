"""A tool call and its result as the chat messages that providers expect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from a2a_session_manager import InvalidEvent, SessionEvent, event_from_message
from a2a_session_manager.context.tools import call_message, is_call_of, result_message


def test_a_call_carries_its_id_and_its_arguments_as_json_text() -> None:
    message = call_message("search", {"to": "OSL", "days": [1, 2]}, "c1")

    call = message["tool_calls"][0]
    assert (message["role"], message["content"]) == ("assistant", None)
    assert (call["id"], call["type"], call["function"]["name"]) == ("c1", "function", "search")
    assert json.loads(call["function"]["arguments"]) == {"to": "OSL", "days": [1, 2]}


@pytest.mark.parametrize(("args", "text"), [(None, "{}"), ({}, "{}"), ("{broken", "{broken"), ("", "")])
def test_text_arguments_stay_as_the_model_wrote_them(args: Any, text: str) -> None:
    assert call_message("f", args, "c1")["tool_calls"][0]["function"]["arguments"] == text


@pytest.mark.parametrize(
    ("result", "content"),
    [("plain", "plain"), ("", ""), ({"eur": 120}, '{"eur":120}'), (None, "null"), (0, "0"), ([1], "[1]")],
)
def test_a_result_that_is_not_text_becomes_json_text(result: Any, content: str) -> None:
    message = result_message("search", result, "c1")

    assert message == {"role": "tool", "tool_call_id": "c1", "name": "search", "content": content}


def test_arguments_and_results_that_are_not_json_are_refused_with_the_path() -> None:
    with pytest.raises(InvalidEvent, match=r"args\.when.*isoformat|args\.when.*set"):
        call_message("f", {"when": {1}}, "c1")
    with pytest.raises(InvalidEvent, match=r"result\[0\].*base64"):
        result_message("f", [b"x"], "c1")


@pytest.mark.parametrize(
    ("message", "is_call"),
    [
        (call_message("f", {}, "c1"), True),
        (call_message("f", {}, "c2"), False),
        (result_message("f", 1, "c1"), False),
        ({"role": "assistant", "tool_calls": None}, False),
        ({"role": "assistant", "tool_calls": ["c1"]}, False),
        ({"role": "assistant", "tool_calls": [{"id": "c0"}, {"id": "c1"}]}, True),
    ],
)
def test_a_call_is_known_by_its_id(message: dict[str, Any], is_call: bool) -> None:
    assert is_call_of(event_from_message(message), "c1") is is_call


@pytest.mark.parametrize("message", [None, "c1", ["c1"], {"id": "c1"}])
def test_other_payloads_are_no_calls(message: Any) -> None:
    assert not is_call_of(SessionEvent(message=message), "c1")
