"""The shortcuts to a message's normal form lead where the whole way leads."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager.shapes.normal_form import UNKNOWN_SHAPE, Message, Other
from a2a_session_manager.shapes.recognition import SHAPES, read_message, role_of, shape_of
from a2a_session_manager.shapes.shape import role_named
from tests.draws import few
from tests.shapes import (
    test_a2a,
    test_ag_ui,
    test_ai_sdk,
    test_ai_sdk_ui,
    test_anthropic,
    test_bedrock,
    test_gemini,
    test_langchain,
    test_openai_chat,
    test_otel,
    test_pydantic_ai,
    test_responses,
)
from tests.shapes.checks import json_values, mangled

MODULES = (
    test_a2a,
    test_ag_ui,
    test_ai_sdk,
    test_ai_sdk_ui,
    test_anthropic,
    test_bedrock,
    test_gemini,
    test_langchain,
    test_openai_chat,
    test_otel,
    test_pydantic_ai,
    test_responses,
)
_ROWS: list[Any] = [value for module in MODULES for row in module.ROWS for value in row]
MESSAGES: list[dict[str, Any]] = [value for value in _ROWS if isinstance(value, dict)]

_texts = st.sampled_from(["", "hello", "c1"]) | st.none() | json_values
_calls = st.lists(st.just({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}) | json_values)
_chat = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool", "model", "agent", "critic"]) | json_values},
    optional={
        "content": _texts,
        "tool_calls": _calls | json_values,
        "tool_call_id": _texts,
        "name": _texts,
        "id": _texts,
    },
)


def whole_way(message: dict[str, Any]) -> Message:
    shape = shape_of(message)
    if shape is None:
        role = role_named(message.get("role"))
        if role in ("system", "user", "assistant") and not (message.keys() - {"role"} - _nulls(message)):
            return Message(role, (), UNKNOWN_SHAPE, None, message)
        return Message(role, (Other(message),), UNKNOWN_SHAPE, None, message)
    return shape.read(message)


def _nulls(message: dict[str, Any]) -> set[str]:
    return {key for key, value in message.items() if value is None}


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_read_as_by_its_shape(message: dict[str, Any]) -> None:
    assert read_message(message) == whole_way(message)
    assert role_of(message) == whole_way(message).role


@settings(max_examples=few(100, of=5_000))
@given(st.one_of([mangled(message) for message in MESSAGES]) | _chat)
def test_any_message_is_read_as_by_its_shape(message: dict[str, Any]) -> None:
    assert read_message(message) == whole_way(message)
    assert role_of(message) == whole_way(message).role


_contents: Any = [
    {"role": role, "content": content}
    for module in MODULES
    for row in module.ROWS
    for each in row
    if isinstance(each, dict)
    for content in (each.get("content"), each.get("parts"), [each], each)
    for role in ("user", "assistant", "tool", "model", "reasoning", each.get("role"))
]


@settings(deadline=None, max_examples=few(50, of=3_000))
@given(st.sampled_from(_contents).flatmap(mangled))
def test_a_role_and_a_content_are_of_the_first_shape_that_has_them(message: dict[str, Any]) -> None:
    assert shape_of(message) is next((shape for shape in SHAPES if shape.is_mine(message)), None)


def test_each_role_and_content_is_of_the_first_shape_that_has_them() -> None:
    for message in _contents:
        assert shape_of(message) is next((shape for shape in SHAPES if shape.is_mine(message)), None)
