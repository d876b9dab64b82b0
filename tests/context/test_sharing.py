"""Messages that hold one Python object in several places are shown as if each place had one of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.context.documented import documented
from tests.context.examples import ASK, Json, call, gemini, result, tool_result, used, uses, view
from tests.draws import few

FORMATS: Final = (None, "openai", "anthropic", "gemini", "responses")
_LISTS: Final = ("content", "parts", "tool_calls", "toolCalls", "toolInvocations")


def doubled(message: Json) -> Iterator[Json]:
    """Yield a message with each of its parts alone, twice."""
    for key, value in message.items():
        if key in ("data", "kwargs") and isinstance(value, dict):  # LangChain's
            yield from ({**message, key: each} for each in doubled(value))
        for each in value if key in _LISTS and isinstance(value, list) else ():
            yield {**message, key: [each, each]}


def check(*messages: Json, format: str | None) -> None:
    found, apart = view(*messages, format=format), view(*json.loads(json.dumps(messages)), format=format)
    assert (list(found), found.report, found.system) == (list(apart), apart.report, apart.system)


_messages: Final = list(documented())
_doubled: Final = [each for message in _messages for each in doubled(message)]


@settings(deadline=None, max_examples=few(50, of=3_000))
@given(message=st.sampled_from(_doubled), other=st.sampled_from(_messages), format=st.sampled_from(FORMATS))
def test_a_part_that_stands_twice_and_a_message_that_comes_again_are_there_twice(
    message: Json, other: Json, format: str | None
) -> None:
    check(ASK, message, format=format)
    check(ASK, other, message, other, message, format=format)


def test_no_call_and_no_result_is_lost() -> None:
    block: Any = {"type": "tool_use", "id": "c1", "name": "weather", "input": {}}
    part: Any = {"functionCall": {"name": "weather", "args": {}}}
    answer: Any = {"functionResponse": {"name": "weather", "response": {"output": "rain"}}}
    for each in FORMATS:
        check(ASK, gemini("model", part, part), gemini("user", answer, answer), format=each)
        check(ASK, {"role": "assistant", "content": [block, block]}, used(tool_result("c1")), format=each)
    made, said = call("c1"), result("c1")
    assert len(view(ASK, made, said, ASK, made, said)) == 6
    assert len(view(ASK, uses("c1"), used(tool_result("c1")), format="openai")) == 3

    found = view(ASK, gemini("model", part, part), gemini("user", answer, answer), format="anthropic")
    assert [each["type"] for message in found[1:] for each in message["content"]] == ["tool_use"] * 2 + [
        "tool_result"
    ] * 2
