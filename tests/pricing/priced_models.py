"""Models that the list has prices of, by every name that it knows them by."""

from __future__ import annotations

from datetime import UTC, datetime

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
MODELS = [
    *(("openai", model) for model in ("gpt-3.5-turbo", "gpt-4", "gpt-4-turbo", "gpt-4o", "gpt-4o-mini", "gpt-4.1")),
    *(("openai", model) for model in ("gpt-4.1-mini", "gpt-4.1-nano", "o1", "o3", "o3-mini", "o4-mini", "gpt-5")),
    *(("openai", model) for model in ("gpt-5-mini", "gpt-5-nano", "gpt-5.1", "gpt-5.5", "gpt-4o-audio-preview")),
    *(("openai", model) for model in ("gpt-4o-realtime-preview", "gpt-4o-mini-realtime-preview")),
    *(("anthropic", model) for model in ("claude-3-5-haiku-latest", "claude-3-5-sonnet-latest", "claude-opus-4-1")),
    *(("anthropic", model) for model in ("claude-sonnet-4-0", "claude-sonnet-4-5", "claude-haiku-4-5")),
    *(("google", model) for model in ("gemini-1.5-pro", "gemini-2.0-flash", "gemini-2.5-flash", "gemini-2.5-pro")),
    *(("google", model) for model in ("gemini-2.5-flash-lite", "claude-sonnet-4-5@20250929")),
    *(("aws", model) for model in ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-pro-v1:0")),
    *(("x-ai", model) for model in ("grok-3", "grok-3-mini", "grok-4")),
    *(("deepseek", model) for model in ("deepseek-chat", "deepseek-reasoner")),
    *(("mistral", model) for model in ("mistral-large-latest", "mistral-small-latest", "codestral-latest")),
    *(("cohere", model) for model in ("command-r", "command-r-plus")),
    *(("perplexity", model) for model in ("sonar", "sonar-pro", "sonar-deep-research")),
    ("anthropic", "claude-opus-5"),
    ("azure", "gpt-4o"),
    ("groq", "openai/gpt-oss-120b"),
    ("openrouter", "anthropic/claude-sonnet-4.5"),
]
SHAPES: dict[str, dict[str, int]] = {
    "plain": {"prompt_tokens": 1_003, "completion_tokens": 307},
    "cached": {"prompt_tokens": 10_007, "completion_tokens": 301, "cache_read_tokens": 9_001},
    "cache write": {
        "prompt_tokens": 10_007,
        "completion_tokens": 301,
        "cache_read_tokens": 4_001,
        "cache_write_tokens": 5_003,
    },
    "1h cache write": {
        "prompt_tokens": 10_007,
        "completion_tokens": 301,
        "cache_read_tokens": 4_001,
        "cache_write_tokens": 5_003,
        "cache_write_1h_tokens": 2_999,
    },
    "reasoning": {"prompt_tokens": 1_003, "completion_tokens": 5_303, "reasoning_tokens": 5_001},
    "audio": {
        "prompt_tokens": 1_003,
        "completion_tokens": 307,
        "input_audio_tokens": 499,
        "output_audio_tokens": 101,
    },
    "above every tier": {"prompt_tokens": 1_200_001, "completion_tokens": 307, "cache_read_tokens": 300_007},
    "zero": {"prompt_tokens": 0, "completion_tokens": 0},
    "searches": {"prompt_tokens": 10_007, "completion_tokens": 301, "cache_read_tokens": 9_001, "web_searches": 3},
    "searches above every tier": {"prompt_tokens": 1_200_001, "completion_tokens": 307, "web_searches": 7},
    "every use": {
        "prompt_tokens": 1_003,
        "completion_tokens": 307,
        "web_searches": 1,
        "file_searches": 3,
        "code_executions": 2,
        "social_searches": 5,
        "rerank_searches": 1,
    },
}
THEIR_NAMES = {
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "reasoning_tokens": "output_reasoning_tokens",
    "file_searches": "storage_searches",
}
