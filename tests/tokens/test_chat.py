"""Chat messages: the format's own tokens counted in, media left out, and what is a guess says so."""

from __future__ import annotations

import json
from typing import Any

import pytest

from a2a_session_manager.tokens.chat import count_message, count_messages, is_heavier_than
from a2a_session_manager.tokens.counting import DEFAULT_COUNTER, TokenCount, count_chat_tokens, count_prompt_tokens
from tests.tokens.golden import COOKBOOK_MESSAGES

PIXELS = "data:image/png;base64," + "iVBORw0KGgo" * 5_000


def chars(text: str) -> TokenCount:
    """A token a character: what is counted can be read off."""
    return TokenCount(len(text), "counted", "chars")


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


USER = 3 + len("user")


@pytest.mark.parametrize(("model", "tokens"), [("gpt-4", 129), ("gpt-3.5-turbo", 129), ("gpt-4o", 124)])
async def test_the_cookbook_example_comes_out_as_published(model: str, tokens: int) -> None:
    count = await count_chat_tokens(COOKBOOK_MESSAGES, model)

    assert (count.tokens, count.basis) == (tokens, "counted")


async def test_a_prompt_is_a_text_or_messages() -> None:
    assert await count_prompt_tokens("hello world", "gpt-4") == 2
    assert await count_prompt_tokens(COOKBOOK_MESSAGES, "gpt-4") == 129


async def test_no_message_takes_what_begins_the_reply() -> None:
    count = await count_chat_tokens([], "gpt-4o")

    assert (count.tokens, count.basis, count.encoding) == (3, "counted", "o200k_base")


async def test_another_model_is_estimated() -> None:
    assert (await count_chat_tokens(COOKBOOK_MESSAGES, "claude-sonnet-4-5")).basis == "estimated"


def test_a_chat_is_the_sum_of_its_messages() -> None:
    assert count_messages(COOKBOOK_MESSAGES, chars) == 3 + sum(count_message(m, chars) for m in COOKBOOK_MESSAGES)


@pytest.mark.parametrize(
    ("content", "counted"),
    [
        (None, ""),
        ("", ""),
        ("hello", "hello"),
        ([{"type": "text", "text": "hello"}, {"type": "input_text", "text": "you"}], "helloyou"),
        ([{"text": "hello", "cache_control": {"type": "ephemeral"}}], "hello"),
        (["hello", "you"], "helloyou"),
        ([{"type": "refusal", "refusal": "no"}], "no"),
        ([{"type": "thinking", "thinking": "hm", "signature": "c2ln" * 999}], "hm"),
        ("<|endoftext|>", "<|endoftext|>"),
    ],
)
def test_text_is_counted_as_text(content: Any, counted: str) -> None:
    count = count_message(user(content), chars)

    assert (count.tokens, count.basis) == (USER + len(counted), "counted")


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": PIXELS}},
        {"type": "input_image", "image_url": PIXELS},
        {"type": "image", "source": {"type": "base64", "data": "iVBORw0KGgo" * 5_000}},
        {"type": "input_audio", "input_audio": {"data": "UklGR" * 5_000, "format": "wav"}},
        {"type": "file", "file": {"file_data": "JVBERi0" * 5_000}},
        {"type": "document", "source": {"data": "JVBERi0" * 5_000}},
        {"type": "video_url", "video_url": {"url": "https://example.org/v.mp4"}},
        {"type": "text", "text": PIXELS},
        {"type": "tool_result", "content": [{"type": "image", "source": {"data": "iVBORw0KGgo" * 5_000}}]},
    ],
)
def test_media_are_not_counted_as_text_and_make_the_sum_an_estimate(part: dict[str, Any]) -> None:
    count = count_message(user([part, {"type": "text", "text": "what is this?"}]), chars)

    assert (count.tokens, count.basis) == (USER + len("what is this?"), "estimated")


def test_a_data_url_inside_a_text_is_left_out_and_the_text_around_it_counted() -> None:
    count = count_message(user(f"![a]({PIXELS}) and ![b]({PIXELS})"), chars)

    assert (count.tokens, count.basis) == (USER + len("![a]() and ![b]()"), "estimated")


def test_text_that_only_mentions_base64_stays_as_it_is() -> None:
    text = "write data:…;base64, and then the bytes"

    assert count_message(user(text), chars).basis == "counted"
    assert count_message(user(text), chars).tokens == USER + len(text)


CALLS = [{"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"to": "Åre"}'}}]


def test_tool_calls_count_as_their_json_text() -> None:
    count = count_message({"role": "assistant", "content": None, "tool_calls": CALLS}, chars)

    text = json.dumps(CALLS, ensure_ascii=False, separators=(",", ":"))
    assert (count.tokens, count.basis) == (3 + len("assistant") + len(text), "estimated")


def test_a_tool_result_counts_its_content_and_its_call_id() -> None:
    count = count_message({"role": "tool", "tool_call_id": "c1", "content": "120 EUR"}, chars)

    assert (count.tokens, count.basis) == (3 + len("toolc1120 EUR"), "estimated")


def test_a_name_costs_one_token_more() -> None:
    assert count_message({**user("hi"), "name": "ann"}, chars) == USER + len("hi") + 1 + len("ann")


def test_unknown_keys_and_nulls_are_not_counted() -> None:
    message = {**user("hi"), "name": None, "tool_calls": None, "refusal": None, "annotations": ["…"], "audio": {}}

    assert count_message(message, chars) == USER + len("hi")


@pytest.mark.parametrize("content", [{"a": 1}, 12, [{"type": "other", "x": 1}], [[1]], [None, {"type": None}]])
def test_content_that_is_no_text_counts_as_json_and_is_an_estimate(content: Any) -> None:
    assert count_message(user(content), chars).tokens > USER
    assert count_message(user(content), chars).basis == "estimated"


def test_what_json_cannot_hold_is_counted_all_the_same() -> None:
    circle: dict[str, Any] = {}
    circle["self"] = circle

    assert count_message(user(circle), chars).basis == "estimated"
    assert count_message(user({"when": object()}), chars).basis == "estimated"


async def test_what_is_no_message_is_refused_by_its_type() -> None:
    with pytest.raises(TypeError, match="not str"):
        await count_chat_tokens("hello", "gpt-4o")  # type: ignore[arg-type]  # that is the mistake


async def test_a_long_chat_counts_in_a_thread_as_it_does_in_place() -> None:
    messages = [user(f"message {number}: " + "words and more words " * 20) for number in range(300)]

    assert is_heavier_than(messages, 16_384)
    one_by_one = 3 + sum([await count_chat_tokens([message], "gpt-4o") - 3 for message in messages])
    assert await count_chat_tokens(iter(messages), "gpt-4o") == one_by_one


def test_the_weight_is_found_without_walking_everything() -> None:
    class Untouchable(dict[str, Any]):
        def values(self) -> Any:
            raise AssertionError("walked on")

    assert is_heavier_than(["x" * 100, Untouchable(a=1)], 1) is True
    assert is_heavier_than([], 100) is False
    assert is_heavier_than([{"content": ["x" * 100]}], 100) is True


def test_the_counter_counts_from_plain_code_too() -> None:
    assert count_messages(COOKBOOK_MESSAGES, lambda text: DEFAULT_COUNTER.count(text, "gpt-4")) == 129
