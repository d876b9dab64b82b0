"""Streamed usage is cumulative: the largest values hold, nothing is added."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from a2a_session_manager import InvalidEvent
from a2a_session_manager.usage.provider_usage import merged_usage

ANTHROPIC: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {
            "model": "claude-sonnet-4-5",
            "usage": {
                "input_tokens": 25,
                "cache_read_input_tokens": 100,
                "cache_creation_input_tokens": 10,
                "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 6},
                "output_tokens": 1,
            },
        },
    },
    {"type": "content_block_delta", "delta": {"text": "hi"}},
    {"type": "message_delta", "usage": {"output_tokens": 7, "input_tokens": None}},
    {"type": "message_delta", "usage": {"output_tokens": 15, "cache_read_input_tokens": None}},
    {"type": "message_stop"},
]


def test_anthropics_events_overwrite_field_by_field() -> None:
    usage = merged_usage(ANTHROPIC)

    assert (usage.prompt_tokens, usage.completion_tokens) == (135, 15)
    assert (usage.cache_read_tokens, usage.cache_write_tokens, usage.cache_write_1h_tokens) == (100, 10, 6)
    assert usage.model == "claude-sonnet-4-5"
    assert usage.requests == 1


def test_the_events_stay_as_they_were() -> None:
    merged_usage(ANTHROPIC)

    assert ANTHROPIC[0]["message"]["usage"]["output_tokens"] == 1


def test_openais_last_chunk_brings_the_usage() -> None:
    chunks = [
        SimpleNamespace(model="gpt-4o", usage=None, choices=[1]),
        SimpleNamespace(
            model="gpt-4o", choices=[], usage=SimpleNamespace(prompt_tokens=9, completion_tokens=2, total_tokens=11)
        ),
    ]

    usage = merged_usage(chunks, provider="openai")

    assert (usage.total_tokens, usage.model, usage.provider) == (11, "gpt-4o", "openai")


def test_geminis_chunks_are_totals_so_far() -> None:
    chunks = [
        {"usageMetadata": {"promptTokenCount": 8, "totalTokenCount": 8}, "modelVersion": "gemini-2.5-flash"},
        {"usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 3, "totalTokenCount": 11}},
        {
            "usageMetadata": {
                "promptTokenCount": 8,
                "candidatesTokenCount": 5,
                "thoughtsTokenCount": 4,
                "totalTokenCount": 17,
            }
        },
    ]

    usage = merged_usage(chunks)

    assert (usage.prompt_tokens, usage.completion_tokens, usage.reasoning_tokens) == (8, 9, 4)
    assert (usage.model, "inconsistent" in (usage.details or {})) == ("gemini-2.5-flash", False)


def test_bare_usages_and_bedrocks_and_responses_events_are_read() -> None:
    assert merged_usage([{"input_tokens": 1, "output_tokens": 1}, {"output_tokens": 4}]).total_tokens == 5
    bedrock = [
        {"messageStop": {"stopReason": "end_turn"}},
        {"metadata": {"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}}},
    ]
    assert merged_usage(bedrock).total_tokens == 3
    responses = [
        {"type": "response.created", "response": {"model": "gpt-5", "usage": None}},
        {
            "type": "response.completed",
            "response": {"model": "gpt-5", "usage": {"input_tokens": 5, "output_tokens": 6, "total_tokens": 11}},
        },
    ]
    assert (merged_usage(responses).total_tokens, merged_usage(responses).model) == (11, "gpt-5")


def test_a_total_never_shrinks_and_what_is_empty_wipes_out_nothing() -> None:
    chunks: list[dict[str, Any]] = [
        {"usage": {"input_tokens": 25, "cache_read_input_tokens": 100, "output_tokens": 7, "iterations": [{"a": 1}]}},
        {"usage": {"input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 15, "iterations": []}},
        {"usage": {"output_tokens": 3, "cache_creation": {}}},
    ]

    usage = merged_usage(chunks)

    assert (usage.prompt_tokens, usage.cache_read_tokens, usage.completion_tokens) == (125, 100, 15)
    assert (usage.details or {})["iterations"] == [{"a": 1}]


def test_lists_of_counts_never_shrink_either() -> None:
    audio, none = [{"modality": "AUDIO", "tokenCount": "4"}], [{"modality": "AUDIO", "tokenCount": 0}]
    first = {"usageMetadata": {"promptTokenCount": "8", "promptTokensDetails": audio}}

    usage = merged_usage([first, {"usageMetadata": {"promptTokenCount": 0, "promptTokensDetails": none}}])

    assert (usage.prompt_tokens, usage.input_audio_tokens) == (8, 4)


@pytest.mark.parametrize("chunks", [[], [{"choices": []}], ["text", None, 3]])
def test_a_stream_without_usage_is_refused_with_what_to_ask_for(chunks: list[Any]) -> None:
    with pytest.raises(InvalidEvent, match="include_usage"):
        merged_usage(chunks)


def test_langchains_differences_are_refused() -> None:
    with pytest.raises(InvalidEvent, match="differences"):
        merged_usage([{"input_tokens": 1, "output_tokens": 0}], provider="langchain")
