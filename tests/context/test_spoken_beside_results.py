"""What the user says in one message with a tool's result begins no turn, and does not get lost without a word."""

from __future__ import annotations

import json
from typing import Any

import pytest

from a2a_session_manager import InvalidSessionOperation, SessionManager
from a2a_session_manager.storage import InMemorySessionStore
from tests.context.examples import (
    ASK,
    SAY,
    Json,
    block,
    function_call,
    function_response,
    gemini,
    tool_result,
    used,
    uses,
    view,
)


def converse_result(call_id: str, *more: Json) -> Json:
    return {"role": "user", "content": [{"toolResult": {"toolUseId": call_id, "content": [{"text": "rain"}]}}, *more]}


def converse_call(call_id: str) -> Json:
    return {"role": "assistant", "content": [{"toolUse": {"toolUseId": call_id, "name": "weather", "input": {}}}]}


ROME = {"text": "Rome, too."}
# By format: what the user asks, and exchanges, in the first of which the user says more beside the result.
SPOKEN_BESIDE_RESULTS: dict[str, list[Json]] = {
    "anthropic": [ASK, uses("a"), used(tool_result("a"), block("Rome, too.")), uses("b"), used(tool_result("b"))],
    "gemini": [
        gemini("user", {"text": "Weather?"}),
        *(gemini("model", function_call("Oslo")), gemini("user", function_response("rain"), ROME)),
        *(gemini("model", function_call("Rome")), gemini("user", function_response("sun"))),
    ],
    "bedrock, at once": [
        {"role": "user", "content": [{"text": "Weather?"}]},
        *(converse_call("a"), converse_result("a", ROME)),
        *(converse_call("b"), converse_result("b")),
    ],
    "bedrock, while it ran": [
        {"role": "user", "content": [{"text": "Weather?"}]},
        *(converse_call("a"), {"role": "user", "content": [ROME]}, converse_result("a")),
        *(converse_call("b"), converse_result("b")),
    ],
}


@pytest.mark.parametrize("messages", SPOKEN_BESIDE_RESULTS.values(), ids=SPOKEN_BESIDE_RESULTS.keys())
@pytest.mark.parametrize("format", [None, "openai", "anthropic", "gemini", "responses"])
async def test_what_the_user_says_beside_a_result_is_shown_or_named(messages: list[Json], format: Any) -> None:
    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        await chat.append(*messages)
        spoken = next(seq for seq, each in enumerate(messages, 1) if "Rome, too." in json.dumps(each))
        whole = await chat.window(format=format)
        shown = []
        for budget in range(10, whole.token_count.tokens + 1):
            try:
                window = await chat.window(max_tokens=budget, format=format)
            except InvalidSessionOperation:
                continue
            named = [seq for each in window.report if each.code == "left_out_words" for seq in each.seqs]
            shown.append("Rome, too." in json.dumps(window.messages))
            assert (spoken in named) is not shown[-1]

    assert shown[-1]
    assert "left_out_words" not in [each.code for each in whole.report]


def test_what_the_user_says_beside_a_result_before_all_else_is_named_where_a_format_leaves_it_out() -> None:
    found = view(uses("a"), used(tool_result("a"), block("Rome, too.")), SAY, ASK, format="gemini")

    assert found.seqs == (4,)
    assert [(each.code, each.seqs) for each in found.report] == [("opening", (1, 2, 3)), ("left_out_words", (2,))]
