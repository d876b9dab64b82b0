"""Chat messages: the format's own tokens counted in, every text that is sent, media, and what is a guess says so."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager.tokens.chat import count_message, count_messages
from a2a_session_manager.tokens.counting import (
    DEFAULT_COUNTER,
    MediaTokens,
    TiktokenCounter,
    TokenCount,
    count_chat_tokens,
    count_prompt_tokens,
    count_tokens,
)
from a2a_session_manager.tokens.weight import is_heavier_than
from tests.draws import few
from tests.shapes.checks import json_values
from tests.tokens.counters import MEDIA, Characters
from tests.tokens.golden import COOKBOOK_MESSAGES

PIXELS = "data:image/png;base64," + "iVBORw0KGgo" * 5_000


def counted(message: dict[str, Any]) -> TokenCount:
    """Return what `message` takes, a token a character."""
    tokens, is_exact = count_message(message, Characters())
    return TokenCount(tokens, "counted" if is_exact else "estimated")


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
    assert count_messages(COOKBOOK_MESSAGES, Characters()) == 3 + sum(map(counted, COOKBOOK_MESSAGES))


@pytest.mark.parametrize(
    ("content", "text"),
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
def test_text_is_counted_as_text(content: Any, text: str) -> None:
    count = counted(user(content))

    assert (count.tokens, count.basis) == (USER + len(text), "counted")


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": PIXELS}},
        {"type": "input_image", "image_url": PIXELS},
        {"type": "image", "source": {"type": "base64", "data": "iVBORw0KGgo" * 5_000}},
        {"type": "input_audio", "input_audio": {"data": "UklGR" * 5_000, "format": "wav"}},
        {"type": "file", "file": {"file_data": "JVBERi0" * 5_000}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0" * 5_000}},
        {"type": "video_url", "video_url": {"url": "https://example.org/v.mp4"}},
    ],
)
def test_media_are_counted_as_media_and_make_the_sum_an_estimate(part: dict[str, Any]) -> None:
    count = counted(user([part, {"type": "text", "text": "what is this?"}]))

    assert (count.tokens, count.basis) == (USER + MEDIA + len("what is this?"), "estimated")


def test_media_in_a_tools_result_are_counted_as_media() -> None:
    part = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo" * 5_000}}

    assert counted(user([{"type": "tool_result", "tool_use_id": "t", "content": [part]}])) == USER + len("t") + MEDIA


@pytest.mark.parametrize("text", [PIXELS, f"![a]({PIXELS}) and ![b]({PIXELS})", "write data:…;base64, and the bytes"])
@pytest.mark.parametrize("content", [lambda text: text, lambda text: [{"type": "text", "text": text}]])
def test_a_data_url_inside_a_text_is_text_as_the_model_reads_it(text: str, content: Any) -> None:
    count = counted(user(content(text)))

    assert (count.tokens, count.basis) == (USER + len(text), "counted")


CALLS = [{"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"to": "Åre"}'}}]


def test_a_tool_call_counts_its_id_name_and_arguments_and_is_an_estimate() -> None:
    count = counted({"role": "assistant", "content": None, "tool_calls": CALLS})

    assert (count.tokens, count.basis) == (3 + len('assistantc1search{"to": "Åre"}'), "estimated")


def test_arguments_that_are_no_text_count_as_their_json() -> None:
    call = {"type": "tool_use", "id": "c1", "name": "search", "input": {"to": "Åre"}}

    assert counted({"role": "assistant", "content": [call]}) == 3 + len('assistantc1search{"to":"Åre"}')


def test_a_tool_result_counts_its_content_and_its_call_id() -> None:
    count = counted({"role": "tool", "tool_call_id": "c1", "content": "120 EUR"})

    assert (count.tokens, count.basis) == (3 + len("toolc1120 EUR"), "estimated")


def test_a_name_costs_one_token_more() -> None:
    assert counted({**user("hi"), "name": "ann"}) == USER + len("hi") + 1 + len("ann")


def test_unknown_keys_and_nulls_are_not_counted() -> None:
    message = {**user("hi"), "name": None, "tool_calls": None, "refusal": None, "annotations": ["…"], "audio": {}}

    assert counted(message) == USER + len("hi")


@pytest.mark.parametrize("part", [{"type": "data-weather", "data": "rain"}, {"type": "source-url", "url": "https://a"}])
def test_what_an_interface_shows_to_people_alone_is_not_counted(part: dict[str, Any]) -> None:
    text = {"type": "text", "text": "hi", "state": "done"}
    plain = {"id": "m", "role": "user", "parts": [{"type": "step-start"}, text]}

    assert counted({**plain, "parts": [*plain["parts"], part]}) == counted(plain) == USER + len("hi")


def test_calls_that_are_no_list_are_counted_as_those_of_one_and_what_is_no_call_is_not() -> None:
    made = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said = {"role": "assistant", "content": "hi"}

    assert counted({**said, "tool_calls": made}) == counted({**said, "tool_calls": [made]}) > counted(said)
    assert (
        counted({**said, "tool_calls": "data"}) == counted({**said, "tool_calls": {"data": "x" * 99}}) == counted(said)
    )


@pytest.mark.parametrize("content", [{"a": 1}, 12, [{"type": "other", "x": 1}], [[1]], [None, {"type": None}]])
def test_content_that_is_no_text_counts_as_json_and_is_an_estimate(content: Any) -> None:
    assert counted(user(content)).tokens > USER
    assert counted(user(content)).basis == "estimated"


def test_what_json_cannot_hold_is_counted_all_the_same() -> None:
    circle: dict[str, Any] = {}
    circle["self"] = circle

    assert counted(user(circle)).basis == "estimated"
    assert counted(user({"when": object()})).basis == "estimated"


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


# Where a text may stand that a model reads, by its format.
PLACES: dict[str, Any] = {
    "content": lambda text: user(text),
    "a part": lambda text: user([{"type": "text", "text": text}]),
    "OpenAI's name": lambda text: {**user("hi"), "name": text},
    "OpenAI's refusal": lambda text: {"role": "assistant", "content": None, "refusal": text},
    "DeepSeek's thoughts": lambda text: {"role": "assistant", "content": "4", "reasoning_content": text},
    "OpenRouter's thoughts": lambda text: {"role": "assistant", "content": "4", "reasoning": text},
    "OpenAI's arguments": lambda text: {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": text}}],
    },
    "OpenAI's result": lambda text: {"role": "tool", "tool_call_id": "c", "content": text},
    "OpenAI's result in parts": lambda text: {
        "role": "tool",
        "tool_call_id": "c",
        "content": [{"type": "text", "text": text}],
    },
    "Cohere's document": lambda text: {
        "role": "tool",
        "tool_call_id": "c",
        "content": [{"type": "document", "document": {"data": text}}],
    },
    "an item's text": lambda text: {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": text}],
    },
    "an item's arguments": lambda text: {"type": "function_call", "call_id": "c", "name": "f", "arguments": text},
    "an item's result": lambda text: {"type": "function_call_output", "call_id": "c", "output": text},
    "an item's result in parts": lambda text: {
        "type": "function_call_output",
        "call_id": "c",
        "output": [{"type": "input_text", "text": text}],
    },
    "an item's summary": lambda text: {
        "type": "reasoning",
        "id": "rs",
        "summary": [{"type": "summary_text", "text": text}],
    },
    "an item that nobody knows": lambda text: {"type": "future_item", "future": {"text": text}},
    "Anthropic's thoughts": lambda text: {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": text, "signature": "c2ln"}, {"type": "text", "text": "4"}],
    },
    "Anthropic's input": lambda text: {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"query": [text]}}],
    },
    "Anthropic's result": lambda text: user([{"type": "tool_result", "tool_use_id": "t", "content": text}]),
    "Anthropic's result in blocks": lambda text: user(
        [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": text}]}]
    ),
    "Anthropic's document": lambda text: user(
        [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": text}}]
    ),
    "Anthropic's document in blocks": lambda text: user(
        [{"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": text}]}}]
    ),
    "Anthropic's search result": lambda text: user(
        [{"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": text}]}]
    ),
    "Gemini's part": lambda text: {"role": "user", "parts": [{"text": text}]},
    "Gemini's thought": lambda text: {"role": "model", "parts": [{"text": text, "thought": True}]},
    "Gemini's arguments": lambda text: {
        "role": "model",
        "parts": [{"functionCall": {"name": "f", "args": {"query": text}}}],
    },
    "Gemini's result": lambda text: {
        "role": "user",
        "parts": [{"functionResponse": {"name": "f", "response": {"output": text}}}],
    },
    "Gemini's code": lambda text: {
        "role": "model",
        "parts": [{"executableCode": {"language": "PYTHON", "code": text}}],
    },
    "Bedrock's block": lambda text: {"role": "user", "content": [{"text": text}]},
    "Bedrock's input": lambda text: {
        "role": "assistant",
        "content": [{"toolUse": {"toolUseId": "t", "name": "f", "input": {"query": text}}}],
    },
    "Bedrock's result": lambda text: {
        "role": "user",
        "content": [{"toolResult": {"toolUseId": "t", "content": [{"json": {"found": text}}]}}],
    },
    "Bedrock's thoughts": lambda text: {
        "role": "assistant",
        "content": [{"reasoningContent": {"reasoningText": {"text": text, "signature": "c2ln"}}}, {"text": "4"}],
    },
    "the AI SDK's result": lambda text: {
        "role": "tool",
        "content": [
            {"type": "tool-result", "toolCallId": "t", "toolName": "f", "output": {"type": "json", "value": [text]}}
        ],
    },
    "the AI SDK's interface": lambda text: {"id": "1", "role": "user", "parts": [{"type": "text", "text": text}]},
    "A2A": lambda text: {
        "kind": "message",
        "messageId": "m",
        "role": "user",
        "parts": [{"kind": "data", "data": {"order": text}}],
    },
    "OpenTelemetry": lambda text: {"role": "user", "parts": [{"type": "text", "content": text}]},
    "LangChain": lambda text: {"type": "human", "data": {"content": text, "type": "human"}},
    "pydantic-ai": lambda text: {
        "kind": "request",
        "parts": [{"part_kind": "user-prompt", "content": text, "timestamp": "2026-01-01T00:00:00Z"}],
    },
    "a part that nobody knows": lambda text: user([{"type": "future", "inner": [{"said": text}]}]),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@settings(max_examples=20, deadline=None)
@given(words=st.lists(st.sampled_from(["flight", "Zoë", "4711", "東京", "<|endoftext|>"]), min_size=60, max_size=80))
def test_a_text_is_counted_wherever_a_model_reads_it(place: Any, words: list[str]) -> None:
    text = " ".join(words)
    counter = Characters()
    tokens, _ = count_message(place(text), counter)

    assert any(text in each for each in counter.texts)
    assert tokens >= len(text)


@settings(max_examples=few(100, of=1_000), deadline=None)
@given(message=st.dictionaries(st.text(), json_values, max_size=4))
def test_any_json_object_is_counted(message: dict[str, Any]) -> None:
    assert counted(message) >= 3


@settings(max_examples=few(100, of=1_000), deadline=None)
@given(
    place=st.sampled_from(sorted(PLACES)),
    values=st.lists(json_values, min_size=1, max_size=8),
    data=st.data(),
)
def test_any_json_in_any_shape_is_counted(place: str, values: list[Any], data: st.DataObject) -> None:
    message = PLACES[place]("text")
    for value in values:
        _put_somewhere(message, value, data)

    assert counted(message) >= 3


def _put_somewhere(holder: Any, value: Any, data: st.DataObject) -> None:
    """Put a value in the place of another one, at any depth."""
    keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    if not keys:
        return
    key = data.draw(st.sampled_from(keys))
    if isinstance(holder[key], dict | list) and data.draw(st.booleans()):
        _put_somewhere(holder[key], value, data)
    else:
        holder[key] = value


@settings(max_examples=60, deadline=None)
@given(places=st.lists(st.sampled_from(sorted(PLACES)), max_size=6), text=st.text(max_size=300))
async def test_counts_are_additive_over_messages(places: list[str], text: str) -> None:
    messages = [PLACES[place](text) for place in places]
    alone = [await count_chat_tokens([message], "gpt-4o") for message in messages]
    together = await count_chat_tokens(messages, "gpt-4o")

    assert together - 3 == sum(count - 3 for count in alone)
    assert together.basis == ("estimated" if any(count.basis == "estimated" for count in alone) else "counted")


@pytest.mark.parametrize(
    ("content", "tokens"),
    [
        ({"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "x" * 1_600}, 300),
        ({"type": "compaction", "id": "cmp", "encrypted_content": "x" * 1_600}, 300),
    ],
)
def test_what_only_the_provider_can_read_counts_as_the_text_that_it_may_hold(
    content: dict[str, Any], tokens: int
) -> None:
    count = counted(content)

    assert tokens <= count <= tokens + 20
    assert count.basis == "estimated"


def test_marks_for_the_provider_take_nothing() -> None:
    plain = {"type": "text", "text": "hello"}

    assert repr(counted(user([{**plain, "cache_control": {"type": "ephemeral"}}]))) == repr(counted(user([plain])))


async def test_a_counter_of_ones_own_says_what_media_take() -> None:
    class Words:
        media_tokens = MediaTokens(image=lambda width, height: 500)

        def count(self, text: str, model: str) -> TokenCount:
            return TokenCount(len(text.split()))

    picture = user([{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}])
    ours = TiktokenCounter(media_tokens=MediaTokens(image=lambda width, height: width + height))

    assert await count_chat_tokens([picture], "mine", counter=Words()) == 3 + 3 + 1 + 500
    assert await count_chat_tokens([picture], "gpt-4o", counter=ours) == 3 + 3 + 1 + 2 * 1024
    assert (await count_chat_tokens([picture], "gpt-4o", counter=ours)).basis == "estimated"


async def test_a_counter_counts_for_the_model_and_by_the_figures_of_each_call() -> None:
    picture = user([{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}])
    ours = TiktokenCounter(media_tokens=MediaTokens(image=lambda width, height: 100))
    await ours.warm_up(["gpt-4o", "gpt-4"])
    first = await count_chat_tokens([picture], "mine", counter=ours)
    ours.media_tokens = MediaTokens(image=lambda width, height: 1_100)

    assert await count_chat_tokens([picture], "mine", counter=ours) == first + 1_000
    counts = [await count_tokens("hello", model, counter=ours) for model in ("gpt-4o", "gpt-4", "mine")]
    assert [(count.encoding, count.basis) for count in counts] == [
        ("o200k_base", "counted"),
        ("cl100k_base", "counted"),
        ("o200k_base", "estimated"),
    ]


def test_a_prompt_is_counted_from_plain_code_too() -> None:
    counts = [DEFAULT_COUNTER.count(text, "gpt-4") for message in COOKBOOK_MESSAGES for text in message.values()]

    assert sum(counts) + 3 * len(COOKBOOK_MESSAGES) + 3 + sum("name" in each for each in COOKBOOK_MESSAGES) == 129
