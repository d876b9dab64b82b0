"""What decides a regular message's count is all of it: one that says more, or less, is counted in full."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a2a_session_manager.tokens.regular import texts_of
from tests.tokens.regular_messages import regular_messages

FUNCTION = {"name": "book", "arguments": "{}"}
CALLS = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "call-1", "type": "function", "function": FUNCTION}],
}
RESULT = {"role": "tool", "tool_call_id": "call-1", "name": "book", "content": "booked"}


def test_a_regular_message_is_its_texts() -> None:
    assert texts_of([{"role": "user", "content": "Hi."}]) == ["user", "Hi."]
    assert texts_of([CALLS]) == ["silent assistant", "call", "call-1", "book", "{}"]
    assert texts_of([{**CALLS, "content": "Yes."}]) == ["assistant", "Yes.", "call", "call-1", "book", "{}"]
    assert texts_of([RESULT]) == ["named result", "booked", "call-1", "book"]
    assert texts_of([{"role": "tool", "content": "booked", "tool_call_id": "1"}]) == ["result", "booked", "1"]


def test_the_texts_of_several_messages_stand_one_after_the_other() -> None:
    said = {"role": "user", "content": "Hi."}

    assert texts_of([said, RESULT, said]) == ["user", "Hi.", "named result", "booked", "call-1", "book", "user", "Hi."]
    assert texts_of([said, {**said, "name": "mia"}]) is None


@given(st.lists(regular_messages(), max_size=4))
def test_the_texts_tell_what_the_messages_are(messages: list[dict[str, Any]]) -> None:
    texts = texts_of(messages)

    assert texts is not None
    assert list(read_back(texts)) == messages


def read_back(texts: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the messages that have these texts: there are no two ways to read them."""
    rest = deque(texts)
    while rest:
        word = rest.popleft()
        if word in ("result", "named result"):
            keys = ["content", "tool_call_id", "name"][: 2 if word == "result" else 3]
            yield {"role": "tool", **{key: rest.popleft() for key in keys}}
            continue
        content = None if word == "silent assistant" else rest.popleft()
        calls = []
        while word.endswith("assistant") and rest and rest[0] == "call":
            rest.popleft()
            call_id, name, arguments = rest.popleft(), rest.popleft(), rest.popleft()
            calls.append({"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}})
        yield {"role": word.split()[-1], "content": content, **({"tool_calls": calls} if calls else {})}


@pytest.mark.parametrize("message", [{"role": "user", "content": "Hi."}, CALLS, RESULT])
def test_a_message_with_another_key_is_not_regular(message: dict[str, Any]) -> None:
    assert texts_of([{**message, "refusal": "No."}]) is None


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

        assert texts_of([message]) is None, (place, change)
