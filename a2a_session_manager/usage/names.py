"""The names that providers and frameworks give their counts, by ours. Of several names the first count above 0 holds.

Dots lead into details. The names are those of the providers' client libraries, of November 2026.
"""

from __future__ import annotations

from collections.abc import Mapping

_MOST_SHAPES = 1_024


class Names:
    """The paths to each count, by our name for it."""

    def __init__(self, paths: Mapping[str, tuple[str, ...]]) -> None:
        self.paths = paths
        self._holders = {path.rpartition(".")[0] for several in paths.values() for path in several if "." in path}
        self._known: dict[tuple[str, ...], tuple[frozenset[str], tuple[tuple[str, tuple[str, ...]], ...]]] = {}

    def in_shape(self, shape: tuple[str, ...]) -> tuple[frozenset[str], tuple[tuple[str, tuple[str, ...]], ...]]:
        """Return what should hold names in a usage of such leaves and does not, and the counts that it has.

        Of the many names a usage has few, and usages come in few shapes.
        """
        found = self._known.get(shape)
        if found is None:
            leaves = frozenset(shape)
            present = ((name, tuple(path for path in paths if path in leaves)) for name, paths in self.paths.items())
            found = leaves & self._holders, tuple((name, paths) for name, paths in present if paths)
            if len(self._known) >= _MOST_SHAPES:
                self._known.clear()
            self._known[shape] = found
        return found


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

# These are the names of OpenAI, LangChain, pydantic-ai, our own, and of all that copied or mixed them.
_INCLUSIVE: Mapping[str, tuple[str, ...]] = {
    "cache_read_tokens": (
        "prompt_tokens_details.cached_tokens",
        "input_tokens_details.cached_tokens",
        "input_tokens_details.cache_read_input_tokens",  # Perplexity's Responses
        "prompt_token_details.cached_tokens",  # Mistral
        "prompt_token_details.cache_read",  # LangSmith
        "input_token_details.cache_read",
        "input_token_details.priority_cache_read",
        "input_token_details.flex_cache_read",
        "input_token_details.cached_tokens",
        "input_token_details.cache_read_tokens",  # AI SDK
        "cache_read_tokens",
        "cached_input_tokens",
        "cached_prompt_tokens",  # CrewAI
        "cached_tokens",
        "num_cached_tokens",  # Mistral
        "prompt_cache_hit_tokens",  # DeepSeek
        "cached_prompt_text_tokens",  # xAI's SDK
        "details.cache_read_tokens",
        *_ANTHROPIC_READ,
    ),
    "cache_write_tokens": (
        "prompt_tokens_details.cache_write_tokens",
        "prompt_tokens_details.cache_creation_tokens",
        "prompt_tokens_details.cache_creation_input_tokens",
        "input_tokens_details.cache_write_tokens",
        "prompt_token_details.cache_creation",
        "input_token_details.cache_creation",
        "input_token_details.priority_cache_creation",
        "input_token_details.flex_cache_creation",
        "input_token_details.cache_write_tokens",  # AI SDK
        "cache_write_tokens",
        "cache_creation_tokens",
        "details.cache_write_tokens",
        *ANTHROPIC_WRITE,
    ),
    "cache_write_1h_tokens": (
        "prompt_tokens_details.cache_creation_token_details.ephemeral_1h_input_tokens",
        "prompt_token_details.ephemeral_1h_input_tokens",
        "input_token_details.ephemeral_1h_input_tokens",
        "cache_creation.ephemeral_1h_input_tokens",
        "cache_write_1h_tokens",
    ),
    "reasoning_tokens": (
        "completion_tokens_details.reasoning_tokens",
        *_THOUGHT,
        "completion_token_details.reasoning",  # LangSmith
        "output_token_details.reasoning",
        "output_token_details.priority_reasoning",
        "output_token_details.flex_reasoning",
        "output_token_details.reasoning_tokens",  # AI SDK
        "output_reasoning_tokens",
        "reasoning_output_tokens",  # Codex
        "reasoning_tokens",
        "details.reasoning_tokens",  # pydantic-ai has it here, beside a 0 of its own
    ),
    "input_audio_tokens": (
        "prompt_tokens_details.audio_tokens",
        "prompt_token_details.audio",
        "input_tokens_details.audio_tokens",
        "input_token_details.audio",
        "input_token_details.audio_tokens",
        "input_audio_tokens",
        "audio_input_tokens",  # agno
    ),
    "output_audio_tokens": (
        "completion_tokens_details.audio_tokens",
        "completion_token_details.audio",
        "output_tokens_details.audio_tokens",
        "output_token_details.audio",
        "output_token_details.audio_tokens",
        "output_audio_tokens",
        "audio_output_tokens",
    ),
}
# These are cache writes for five minutes, where the writes come by duration.
SHORT_WRITES = (
    "prompt_tokens_details.cache_creation_token_details.ephemeral_5m_input_tokens",
    "prompt_token_details.ephemeral_5m_input_tokens",
    "input_token_details.ephemeral_5m_input_tokens",
    "cache_creation.ephemeral_5m_input_tokens",
)
CHAT = Names(
    {
        "prompt_tokens": ("prompt_tokens", "input_tokens"),
        "completion_tokens": ("completion_tokens", "output_tokens"),
        **_INCLUSIVE,
    }
)
INPUT_OUTPUT = Names(
    {
        "prompt_tokens": ("input_tokens", "input_token_count"),
        "completion_tokens": ("output_tokens", "output_token_count", "generated_token_count"),  # the last is watsonx'
        **_INCLUSIVE,
    }
)

# So pydantic-ai called its counts before its 1.0, with what the provider said of them beside.
EARLIER_PYDANTIC_AI = Names(
    {
        "prompt_tokens": ("request_tokens",),
        "completion_tokens": ("response_tokens",),
        "cache_read_tokens": ("details.cached_tokens", "details.cache_read_input_tokens"),
        "cache_write_tokens": ("details.cache_creation_input_tokens",),
        "reasoning_tokens": ("details.reasoning_tokens",),
    }
)

# These are the names of Anthropic and Bedrock, and of Bedrock's invocation metrics.
CACHES_APART = Names(
    {
        "prompt_tokens": ("input_tokens", "input_token_count"),
        "completion_tokens": ("output_tokens", "output_token_count"),
        "cache_read_tokens": _ANTHROPIC_READ,
        "reasoning_tokens": (*_THOUGHT, "reasoning_tokens"),
    }
)

_OTEL = "gen_ai.usage."
_INFERENCE = "llm.token_count."
# These are the names of spans: OpenTelemetry's conventions, OpenLLMetry, OpenInference, pydantic-ai and Logfire.
SPANS = Names(
    {
        "prompt_tokens": (
            f"{_OTEL}input_tokens",
            f"{_OTEL}prompt_tokens",
            f"{_INFERENCE}prompt",
            "llm.usage.prompt_tokens",
        ),
        "completion_tokens": (
            f"{_OTEL}output_tokens",
            f"{_OTEL}completion_tokens",
            f"{_INFERENCE}completion",
            "llm.usage.completion_tokens",
        ),
        "cache_read_tokens": (
            f"{_OTEL}cache_read.input_tokens",
            f"{_OTEL}cache_read_input_tokens",
            f"{_OTEL}details.cache_read_tokens",
            f"{_OTEL}details.cache_read_input_tokens",
            f"{_OTEL}details.cached_tokens",
            f"{_INFERENCE}prompt_details.cache_read",
            f"{_INFERENCE}prompt_details.cache_input",
        ),
        "cache_write_tokens": (
            f"{_OTEL}cache_creation.input_tokens",
            f"{_OTEL}cache_write.input_tokens",
            f"{_OTEL}cache_creation_input_tokens",
            f"{_OTEL}details.cache_write_tokens",
            f"{_OTEL}details.cache_creation_input_tokens",
            f"{_INFERENCE}prompt_details.cache_write",
        ),
        "reasoning_tokens": (
            f"{_OTEL}reasoning.output_tokens",
            f"{_OTEL}reasoning_tokens",
            f"{_OTEL}details.reasoning_tokens",
            f"{_INFERENCE}completion_details.reasoning",
        ),
        "input_audio_tokens": (f"{_OTEL}details.input_audio_tokens", f"{_INFERENCE}prompt_details.audio"),
        "output_audio_tokens": (f"{_OTEL}details.output_audio_tokens", f"{_INFERENCE}completion_details.audio"),
    }
)
SPAN_TOTALS = (f"{_OTEL}total_tokens", f"{_INFERENCE}total", "llm.usage.total_tokens")
