from __future__ import annotations

from typing import Any

import pytest

from a2a_session_manager.context.matching import Said
from a2a_session_manager.context.prompt import prompt_of

CALL = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": "{}"}}
PATCH = {"id": "c2", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}
MESSAGES: list[dict[str, Any]] = [
    {"role": "user", "content": "go"},
    {"role": "assistant", "content": None, "tool_calls": [CALL, PATCH]},
    {"role": "tool", "tool_call_id": "c1", "content": "4"},
    {"role": "tool", "tool_call_id": "c2", "content": "5"},
]


def converted(format: str) -> list[dict[str, Any]]:
    return prompt_of(Said(MESSAGES, list(range(1, 5)), [None] * 4), format).messages


def test_a_result_has_the_name_of_its_call_where_a_format_wants_one() -> None:
    responses = [part["functionResponse"] for part in converted("gemini")[-1]["parts"]]

    assert [each["name"] for each in responses] == ["search", "patch"]


@pytest.mark.parametrize("format", ["openai", "anthropic"])
def test_a_result_is_given_no_name_where_a_format_wants_none(format: str) -> None:
    assert not any("name" in message for message in converted(format))


def test_a_result_is_of_the_kind_of_its_call() -> None:
    assert [item["type"] for item in converted("responses")[1:]] == [
        "function_call",
        "custom_tool_call",
        "function_call_output",
        "custom_tool_call_output",
    ]
