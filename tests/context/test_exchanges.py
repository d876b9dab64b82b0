"""A call and its results belong together, in every form that chat messages have."""

from __future__ import annotations

from typing import Any

import pytest

from a2a_session_manager.context.exchanges import exchanges

Message = dict[str, Any]


def called(*call_ids: str) -> Message:
    calls = [{"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}} for call_id in call_ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(call_id: str) -> Message:
    return {"role": "tool", "tool_call_id": call_id, "content": "ok"}


def used(*call_ids: str) -> Message:
    return {"role": "assistant", "content": [{"type": "tool_use", "id": call_id, "name": "f"} for call_id in call_ids]}


def answered(*call_ids: str) -> Message:
    return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call_id} for call_id in call_ids]}


USER = {"role": "user", "content": "hi"}
UNNAMED = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        pytest.param([USER, USER], [[0], [1]], id="plain"),
        pytest.param([called("a", "b"), result("a"), result("b"), USER], [[0, 1, 2], [3]], id="parallel calls"),
        pytest.param([called("a"), USER, result("a")], [[0, 2], [1]], id="something said meanwhile"),
        pytest.param([called("a"), called("b"), result("b"), result("a")], [[0, 3], [1, 2]], id="crossed"),
        pytest.param([USER, called("a", "b"), result("a")], [[0]], id="a result is missing"),
        pytest.param([result("a"), USER], [[1]], id="the call is missing"),
        pytest.param([result("a"), called("a"), USER], [[2]], id="the wrong way round"),
        pytest.param([called("a"), result("a"), called("a"), result("a")], [[0, 1], [2, 3]], id="an id used twice"),
        pytest.param([called("a"), called("a"), result("a")], [[1, 2]], id="an id used twice, answered once"),
        pytest.param([called("a"), result("a"), result("a")], [[0, 1, 2]], id="answered twice"),
        pytest.param([used("a", "b"), answered("a", "b")], [[0, 1]], id="parts of the content"),
        pytest.param([used("a"), used("b"), answered("b", "a")], [[0, 1, 2]], id="one message answers two"),
        pytest.param([used("a"), answered("a", "lost"), USER], [[2]], id="one of two calls is missing"),
        pytest.param(
            [{"role": "assistant", "function_call": {"name": "f"}}, {"role": "function", "name": "f", "content": "1"}],
            [[0, 1]],
            id="functions",
        ),
        pytest.param([UNNAMED, {"role": "tool", "tool_name": "f", "content": "1"}], [[0, 1]], id="calls without an id"),
        pytest.param(
            [{"role": "assistant", "tool_calls": ["?", None]}, {"role": "user", "content": ["?"]}],
            [[0], [1]],
            id="what is no call",
        ),
        pytest.param([], [], id="nothing"),
    ],
)
def test_what_belongs_together_is_found(messages: list[Message], expected: list[list[int]]) -> None:
    assert [exchange.indexes for exchange in exchanges(messages)] == expected
