"""What decides a regular message's count is all of it: one that says more, or less, is counted in full."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from a2a_session_manager.tokens.regular import texts_of

FUNCTION = {"name": "book", "arguments": "{}"}
CALLS = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "call-1", "type": "function", "function": FUNCTION}],
}
RESULT = {"role": "tool", "tool_call_id": "call-1", "name": "book", "content": "booked"}


def test_a_regular_message_is_its_texts() -> None:
    assert texts_of({"role": "user", "content": "Hi."}) == ["user", "Hi."]
    assert texts_of(CALLS) == ["assistant", None, "call-1", "book", "{}"]
    assert texts_of(RESULT) == ["tool", "booked", "call-1", "book"]
    assert texts_of({"role": "tool", "content": "booked", "name": "book"}) == ["tool", "booked", None, "book"]


@pytest.mark.parametrize("message", [{"role": "user", "content": "Hi."}, CALLS, RESULT])
def test_a_message_with_another_key_is_not_regular(message: dict[str, Any]) -> None:
    assert texts_of({**message, "refusal": "No."}) is None


@pytest.mark.parametrize("place", [[], [0], [0, "function"]])
def test_calls_with_a_key_too_many_or_too_few_are_not_regular(place: list[Any]) -> None:
    for change in ("more", "other", "less"):
        message = deepcopy(CALLS)
        part: Any = message["tool_calls"] if place else message
        for step in place:
            part = part[step]
        if change != "more":
            del part["content" if not place else "id" if len(place) == 1 else "name"]
        if change != "less":
            part["index"] = "0"

        assert texts_of(message) is None, (place, change)
