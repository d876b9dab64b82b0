"""A tool call and its result as the chat messages that providers expect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from a2a_session_manager import InvalidEvent
from a2a_session_manager.context.tools import as_text, call_message, is_open, result_message


def test_a_call_carries_its_id_and_its_arguments() -> None:
    message = call_message("search", '{"to":"OSL"}', "c1")

    call = message["tool_calls"][0]
    assert (message["role"], message["content"]) == ("assistant", None)
    assert (call["id"], call["type"], call["function"]["name"]) == ("c1", "function", "search")
    assert json.loads(call["function"]["arguments"]) == {"to": "OSL"}


def test_a_result_names_its_call() -> None:
    message = result_message("search", "120", "c1")

    assert message == {"role": "tool", "tool_call_id": "c1", "name": "search", "content": "120"}


@pytest.mark.parametrize(
    ("value", "text"),
    [("plain", "plain"), ("", ""), ("{broken", "{broken"), ({"eur": 120}, '{"eur":120}'), (None, "null"), (0, "0")],
)
async def test_text_stays_as_it_is_and_the_rest_becomes_json_text(value: Any, text: str) -> None:
    assert await as_text(value, "result") == text


@pytest.mark.parametrize(
    ("what", "value", "culprit"), [("args", {"when": {1}}, r"args\.when.*set"), ("result", [b"x"], r"result\[0\]")]
)
async def test_what_is_not_json_is_refused_with_the_path(what: str, value: Any, culprit: str) -> None:
    with pytest.raises(InvalidEvent, match=culprit):
        await as_text(value, what)


@pytest.mark.parametrize(
    ("message", "is_call"),
    [
        (call_message("f", "{}", "c1"), True),
        (call_message("f", "{}", "c2"), False),
        (result_message("f", "1", "c1"), False),
        ({"role": "assistant", "tool_calls": None}, False),
        ({"role": "assistant", "tool_calls": ["c1"]}, False),
        ({"role": "assistant", "tool_calls": [{"id": "c0"}, {"id": "c1"}]}, True),
    ],
)
def test_a_call_is_known_by_its_id(message: dict[str, Any], is_call: bool) -> None:
    assert is_open("c1", [message]) is is_call
