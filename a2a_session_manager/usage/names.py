"""The names that providers give their counts, by ours. Of several names the first one there holds.

Dots lead into details. The names are those of the providers' client libraries, of November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping

Names = Mapping[str, tuple[str, ...]]

_OTEL = "gen_ai.usage."
_ANTHROPIC_READ = ("cache_read_input_tokens", "cache_read_input_token_count")

ANTHROPIC_WRITE = (
    "cache_creation_input_tokens",
    "cache_write_input_tokens",
    "cache_creation_input_token_count",
    "cache_write_input_token_count",
)
_THOUGHT = ("output_tokens_details.thinking_tokens", "output_tokens_details.reasoning_tokens")
# In a usage that has one of these names, the caches may be outside the input.
APART = frozenset({*_ANTHROPIC_READ, *ANTHROPIC_WRITE, "cache_creation", "cache_details"})

# These are the names of OpenAI's chat completions, and of all that copied them.
CHAT: Names = {
    "prompt_tokens": ("prompt_tokens",),
    "completion_tokens": ("completion_tokens",),
    "cache_read_tokens": (
        "prompt_tokens_details.cached_tokens",
        "cached_tokens",
        "prompt_cache_hit_tokens",  # DeepSeek
        "cached_prompt_text_tokens",  # xAI's SDK
        *_ANTHROPIC_READ,
    ),
    "cache_write_tokens": (
        "prompt_tokens_details.cache_write_tokens",
        "prompt_tokens_details.cache_creation_tokens",
        *ANTHROPIC_WRITE,
    ),
    "cache_write_1h_tokens": (
        "prompt_tokens_details.cache_creation_token_details.ephemeral_1h_input_tokens",
        "cache_creation.ephemeral_1h_input_tokens",
    ),
    "reasoning_tokens": ("completion_tokens_details.reasoning_tokens", "reasoning_tokens"),
    "input_audio_tokens": ("prompt_tokens_details.audio_tokens",),
    "output_audio_tokens": ("completion_tokens_details.audio_tokens",),
}

# These are the names of Anthropic and Bedrock.
CACHES_APART: Names = {
    "prompt_tokens": ("input_tokens",),
    "completion_tokens": ("output_tokens",),
    "cache_read_tokens": _ANTHROPIC_READ,
    "reasoning_tokens": _THOUGHT,
}

# These are the names of OpenAI Responses and Realtime, LangChain, pydantic-ai, and our own.
INPUT_OUTPUT: Names = {
    "prompt_tokens": ("input_tokens",),
    "completion_tokens": ("output_tokens",),
    "cache_read_tokens": (
        "input_tokens_details.cached_tokens",
        "input_tokens_details.cache_read_input_tokens",  # Perplexity's Responses
        "input_token_details.cache_read",
        "input_token_details.priority_cache_read",
        "input_token_details.flex_cache_read",
        "input_token_details.cached_tokens",
        "cache_read_tokens",
        "cached_input_tokens",
    ),
    "cache_write_tokens": (
        "input_tokens_details.cache_write_tokens",
        "input_token_details.cache_creation",
        "cache_write_tokens",
    ),
    "cache_write_1h_tokens": ("input_token_details.ephemeral_1h_input_tokens", "cache_write_1h_tokens"),
    "reasoning_tokens": (
        *_THOUGHT,
        "output_token_details.reasoning",
        "output_token_details.priority_reasoning",
        "output_token_details.flex_reasoning",
        "output_reasoning_tokens",
        "reasoning_tokens",
    ),
    "input_audio_tokens": (
        "input_tokens_details.audio_tokens",
        "input_token_details.audio",
        "input_token_details.audio_tokens",
        "input_audio_tokens",
    ),
    "output_audio_tokens": (
        "output_tokens_details.audio_tokens",
        "output_token_details.audio",
        "output_token_details.audio_tokens",
        "output_audio_tokens",
    ),
}

# These are the names of OpenTelemetry's attributes.
OTEL: Names = {
    "prompt_tokens": (f"{_OTEL}input_tokens", f"{_OTEL}prompt_tokens"),
    "completion_tokens": (f"{_OTEL}output_tokens", f"{_OTEL}completion_tokens"),
    "cache_read_tokens": (f"{_OTEL}cache_read.input_tokens",),
    "cache_write_tokens": (f"{_OTEL}cache_creation.input_tokens",),
    "reasoning_tokens": (f"{_OTEL}reasoning.output_tokens",),
}
