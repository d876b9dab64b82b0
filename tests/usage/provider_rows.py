"""One usage of every provider, and what it says in inclusive numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Row:
    """A provider's usage as its JSON has it; `extractor` is (provider, flavor, wrapping) of genai-prices' own."""

    name: str
    usage: dict[str, Any]
    counts: dict[str, int]
    provider: str | None = None
    extractor: tuple[str, str, tuple[str, ...]] | None = None
    model: str = "gpt-4o"
    is_object_too: bool = field(default=True)


def _counts(prompt: int, completion: int, **parts: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, **parts}


ROWS = [
    Row(
        "openai chat",
        {
            "prompt_tokens": 1000,
            "completion_tokens": 300,
            "total_tokens": 1300,
            "prompt_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 50, "audio_tokens": 20},
            "completion_tokens_details": {
                "reasoning_tokens": 200,
                "audio_tokens": 10,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        _counts(
            1000,
            300,
            cache_read_tokens=600,
            cache_write_tokens=50,
            reasoning_tokens=200,
            input_audio_tokens=20,
            output_audio_tokens=10,
        ),
        extractor=("openai", "chat", ("usage",)),
    ),
    Row(
        "openai chat, short",
        {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10, "prompt_tokens_details": None},
        _counts(7, 3),
    ),
    Row(
        "deepseek",
        {
            "prompt_tokens": 1000,
            "completion_tokens": 300,
            "total_tokens": 1300,
            "prompt_cache_hit_tokens": 600,
            "prompt_cache_miss_tokens": 400,
        },
        _counts(1000, 300, cache_read_tokens=600),
    ),
    Row(
        "openai responses",
        {
            "input_tokens": 1000,
            "input_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 50},
            "output_tokens": 300,
            "output_tokens_details": {"reasoning_tokens": 200},
            "total_tokens": 1300,
        },
        _counts(1000, 300, cache_read_tokens=600, cache_write_tokens=50, reasoning_tokens=200),
        extractor=("openai", "responses", ("usage",)),
        model="gpt-5",
    ),
    Row(
        "openai realtime",
        {
            "input_tokens": 1000,
            "output_tokens": 300,
            "total_tokens": 1300,
            "input_token_details": {
                "text_tokens": 700,
                "audio_tokens": 300,
                "image_tokens": 0,
                "cached_tokens": 600,
                "cached_tokens_details": {"text_tokens": 500, "audio_tokens": 100, "image_tokens": 0},
            },
            "output_token_details": {"text_tokens": 100, "audio_tokens": 200},
        },
        _counts(1000, 300, cache_read_tokens=600, input_audio_tokens=300, output_audio_tokens=200),
        extractor=("openai", "realtime", ("response", "usage")),
        model="gpt-4o-realtime-preview",
    ),
    Row(
        "anthropic",
        {
            "input_tokens": 300,
            "cache_read_input_tokens": 600,
            "cache_creation_input_tokens": 100,
            "cache_creation": {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 40},
            "output_tokens": 300,
            "output_tokens_details": {"thinking_tokens": 200},
            "server_tool_use": None,
            "service_tier": "standard",
        },
        _counts(
            1000, 300, cache_read_tokens=600, cache_write_tokens=100, cache_write_1h_tokens=40, reasoning_tokens=200
        ),
        extractor=("anthropic", "default", ("usage",)),
        model="claude-sonnet-4-5",
    ),
    Row(
        "anthropic, nothing cached",
        {"input_tokens": 300, "output_tokens": 30, "cache_read_input_tokens": 0, "cache_creation_input_tokens": None},
        _counts(300, 30),
    ),
    Row(
        "gemini",
        {
            "promptTokenCount": 900,
            "toolUsePromptTokenCount": 100,
            "cachedContentTokenCount": 600,
            "candidatesTokenCount": 100,
            "thoughtsTokenCount": 200,
            "totalTokenCount": 1300,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 880},
                {"modality": "AUDIO", "tokenCount": 20},
            ],
            "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 590}, {"modality": "AUDIO", "tokenCount": 10}],
            "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 100}],
        },
        _counts(1000, 300, cache_read_tokens=600, reasoning_tokens=200, input_audio_tokens=20),
        extractor=("google", "default", ("usageMetadata",)),
        model="gemini-2.5-flash",
    ),
    Row(
        "gemini, an image drawn",
        {
            "promptTokenCount": 100,
            "candidatesTokenCount": 1300,
            "totalTokenCount": 1400,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 100}],
            "candidatesTokensDetails": [
                {"modality": "IMAGE", "tokenCount": 1290},
                {"modality": "TEXT", "tokenCount": 10},
            ],
        },
        _counts(100, 1300),
        extractor=("google", "default", ("usageMetadata",)),
        model="gemini-2.5-flash-image",
    ),
    Row(
        "gemini live",
        {"promptTokenCount": 1000, "responseTokenCount": 300, "totalTokenCount": 1300},
        _counts(1000, 300),
        provider="google",
        model="gemini-2.5-flash",
    ),
    Row(
        "bedrock converse",
        {
            "inputTokens": 300,
            "cacheReadInputTokens": 600,
            "cacheWriteInputTokens": 100,
            "cacheDetails": [{"ttl": "5m", "inputTokens": 60}, {"ttl": "1h", "inputTokens": 40}],
            "outputTokens": 300,
            "totalTokens": 1300,
        },
        _counts(1000, 300, cache_read_tokens=600, cache_write_tokens=100, cache_write_1h_tokens=40),
        extractor=("aws", "default", ("usage",)),
        model="us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ),
    Row(
        "xai, reasoning outside",
        {
            "prompt_tokens": 1000,
            "completion_tokens": 100,
            "total_tokens": 1300,
            "prompt_tokens_details": {"cached_tokens": 600},
            "completion_tokens_details": {"reasoning_tokens": 200},
        },
        _counts(1000, 300, cache_read_tokens=600, reasoning_tokens=200),
        provider="xai",
        extractor=("x-ai", "chat", ("usage",)),
        model="grok-4",
    ),
    Row(
        "xai, reasoning inside",
        {
            "prompt_tokens": 1000,
            "completion_tokens": 300,
            "total_tokens": 1300,
            "completion_tokens_details": {"reasoning_tokens": 200},
        },
        _counts(1000, 300, reasoning_tokens=200),
        provider="x-ai",
        model="grok-4",
    ),
    Row(
        "xai without a total",
        {"prompt_tokens": 1000, "completion_tokens": 100, "completion_tokens_details": {"reasoning_tokens": 200}},
        _counts(1000, 300, reasoning_tokens=200),
        provider="xai",
        model="grok-4",
    ),
    Row(
        "xai sdk",
        {
            "prompt_tokens": 1000,
            "cached_prompt_text_tokens": 600,
            "completion_tokens": 100,
            "reasoning_tokens": 200,
            "total_tokens": 1300,
        },
        _counts(1000, 300, cache_read_tokens=600, reasoning_tokens=200),
        provider="x-ai",
        extractor=("x-ai", "default", ("usage",)),
        model="grok-4",
    ),
    Row(
        "perplexity",
        {
            "prompt_tokens": 33,
            "completion_tokens": 7163,
            "total_tokens": 7196,
            "citation_tokens": 20016,
            "num_search_queries": 30,
            "reasoning_tokens": 73997,
        },
        _counts(33, 7163 + 20016 + 73997, reasoning_tokens=73997),
        provider="perplexity",
        extractor=("perplexity", "default", ("usage",)),
        model="sonar-deep-research",
    ),
    Row(
        "cohere",
        {
            "billed_units": {"input_tokens": 1000, "output_tokens": 300},
            "tokens": {"input_tokens": 1100, "output_tokens": 310},
            "cached_tokens": 600,
        },
        _counts(1000, 300, cache_read_tokens=600),
    ),
    Row(
        "cohere, unbilled",
        {"tokens": {"input_tokens": 1000, "output_tokens": 300}},
        _counts(1000, 300),
        extractor=("cohere", "tokens", ("usage",)),
        model="command-r",
    ),
    Row(
        "langchain",
        {
            "input_tokens": 1000,
            "output_tokens": 300,
            "total_tokens": 1300,
            "input_token_details": {"audio": 20, "cache_read": 600, "cache_creation": 100},
            "output_token_details": {"audio": 10, "reasoning": 200},
        },
        _counts(
            1000,
            300,
            cache_read_tokens=600,
            cache_write_tokens=100,
            reasoning_tokens=200,
            input_audio_tokens=20,
            output_audio_tokens=10,
        ),
        provider="langchain",
    ),
    Row(
        "langchain with anthropic",
        {
            "input_tokens": 1000,
            "output_tokens": 300,
            "total_tokens": 1300,
            "input_token_details": {
                "cache_read": 600,
                "cache_creation": 0,
                "ephemeral_5m_input_tokens": 60,
                "ephemeral_1h_input_tokens": 40,
            },
        },
        _counts(1000, 300, cache_read_tokens=600, cache_write_tokens=100, cache_write_1h_tokens=40),
    ),
    Row(
        "pydantic-ai request",
        {
            "input_tokens": 1000,
            "cache_write_tokens": 100,
            "cache_write_1h_tokens": 40,
            "cache_read_tokens": 600,
            "output_tokens": 300,
            "output_reasoning_tokens": 200,
            "input_audio_tokens": 20,
            "cache_audio_read_tokens": 10,
            "details": {"reasoning_tokens": 200},
            "cost": "0.1",
        },
        _counts(
            1000,
            300,
            cache_read_tokens=600,
            cache_write_tokens=100,
            cache_write_1h_tokens=40,
            reasoning_tokens=200,
            input_audio_tokens=20,
        ),
    ),
    Row(
        "pydantic-ai request, reasoning among the details",
        {
            "input_tokens": 1000,
            "output_tokens": 300,
            "output_reasoning_tokens": 0,
            "details": {"reasoning_tokens": 200},
        },
        _counts(1000, 300, reasoning_tokens=200),
        provider="pydantic-ai",
    ),
    Row(
        "pydantic-ai run",
        {"requests": 3, "tool_calls": 2, "input_tokens": 1000, "output_tokens": 300, "unmeasured_requests": 0},
        _counts(1000, 300, requests=3),
        provider="pydantic-ai",
    ),
    Row(
        "litellm",
        {
            "prompt_tokens": 1000,
            "completion_tokens": 300,
            "total_tokens": 1300,
            "cache_read_input_tokens": 600,
            "cache_creation_input_tokens": 100,
            "prompt_tokens_details": {
                "cached_tokens": 600,
                "cache_creation_tokens": 100,
                "cache_creation_token_details": {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 40},
            },
            "completion_tokens_details": {"reasoning_tokens": 200},
        },
        _counts(
            1000, 300, cache_read_tokens=600, cache_write_tokens=100, cache_write_1h_tokens=40, reasoning_tokens=200
        ),
        provider="litellm",
    ),
    Row(
        "litellm under Anthropic's names",
        {
            "input_tokens": 1000,
            "output_tokens": 300,
            "cache_read_input_tokens": 600,
            "cache_creation_input_tokens": 100,
        },
        _counts(1000, 300, cache_read_tokens=600, cache_write_tokens=100),
        provider="litellm",
    ),
    Row(
        "opentelemetry",
        {
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.cache_read.input_tokens": 600,
            "gen_ai.usage.cache_creation.input_tokens": 100,
            "gen_ai.usage.output_tokens": 300,
            "gen_ai.usage.reasoning.output_tokens": 200,
            "gen_ai.operation.name": "chat",
        },
        _counts(1000, 300, cache_read_tokens=600, cache_write_tokens=100, reasoning_tokens=200),
        is_object_too=False,
    ),
    Row(
        "our own names",
        {"input_tokens": 1000, "output_tokens": 300, "total_tokens": 1300, "cache_read_tokens": 600, "requests": 2},
        _counts(1000, 300, cache_read_tokens=600, requests=2),
    ),
]
