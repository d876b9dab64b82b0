"""Which result is shown with which call."""

from __future__ import annotations

from typing import Any

import pytest

from a2a_session_manager import SessionEvent
from a2a_session_manager.timeline.pairing import answers_in


def chat_call(*ids: str) -> dict[str, Any]:
    functions = [{"id": each, "type": "function", "function": {"name": "f", "arguments": "{}"}} for each in ids]
    return {"role": "assistant", "content": None, "tool_calls": functions}


def chat_result(id: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id, "content": "r"}


def use(id: str) -> dict[str, Any]:
    return {"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "f", "input": {}}]}


def used(*ids: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": each, "content": "r"} for each in ids]}


CASES: list[tuple[list[dict[str, Any]], dict[tuple[int, int], tuple[int, int]]]] = [
    ([chat_call("a"), chat_result("a")], {(2, 0): (1, 0)}),
    ([chat_call("a", "b"), chat_result("b"), chat_result("a")], {(2, 0): (1, 1), (3, 0): (1, 0)}),
    ([use("a"), used("a")], {(2, 0): (1, 0)}),
    ([use("a"), use("b"), used("b", "a")], {(3, 0): (2, 0), (3, 1): (1, 0)}),
    ([chat_call("a"), {"role": "user", "content": "Hi"}, chat_result("a")], {(3, 0): (1, 0)}),
    ([chat_call("a"), chat_result("a"), chat_call("a"), chat_result("a")], {(2, 0): (1, 0), (4, 0): (3, 0)}),
    ([chat_result("a")], {}),
    ([chat_call("a")], {}),
    ([{"role": "user", "content": "Hi"}], {}),
    ([], {}),
]


@pytest.mark.parametrize(("messages", "answers"), CASES)
def test_a_result_goes_to_its_call(
    messages: list[dict[str, Any]], answers: dict[tuple[int, int], tuple[int, int]]
) -> None:
    assert answers_in([SessionEvent(message=each, seq=at + 1) for at, each in enumerate(messages)]) == answers


def test_what_is_retracted_answers_what_is_retracted() -> None:
    messages = [chat_call("a"), chat_result("a"), chat_call("a"), chat_result("a")]
    events = [SessionEvent(message=each, seq=at + 1, retracted=at < 2) for at, each in enumerate(messages)]

    assert answers_in(events) == {(2, 0): (1, 0), (4, 0): (3, 0)}
