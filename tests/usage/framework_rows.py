"""Usages as frameworks and their spans name them; each row says in its comment where its names are documented."""

from __future__ import annotations

from tests.usage.row import Row, counts

FRAMEWORK_ROWS = [
    Row(  # ai-sdk.dev/docs/reference/ai-sdk-core/generate-text, `usage: LanguageModelUsage` of AI SDK 6
        "ai sdk 6",
        {
            "inputTokens": 9000,
            "inputTokenDetails": {"noCacheTokens": 500, "cacheReadTokens": 8000, "cacheWriteTokens": 500},
            "outputTokens": 300,
            "outputTokenDetails": {"textTokens": 100, "reasoningTokens": 200},
            "totalTokens": 9300,
        },
        counts(9000, 300, cache_read_tokens=8000, cache_write_tokens=500, reasoning_tokens=200),
    ),
    Row(  # OpenHands, openhands/sdk/llm/utils/metrics.py, `TokenUsage`
        "openhands",
        {
            "model": "claude-sonnet-4-5",
            "prompt_tokens": 9000,
            "completion_tokens": 300,
            "cache_read_tokens": 8000,
            "cache_write_tokens": 500,
            "reasoning_tokens": 200,
            "context_window": 200000,
            "per_turn_token": 9300,
            "response_id": "x",
        },
        counts(9000, 300, cache_read_tokens=8000, cache_write_tokens=500, reasoning_tokens=200),
    ),
    Row(  # CrewAI, crewai/types/usage_metrics.py, `UsageMetrics`
        "crewai",
        {
            "total_tokens": 9300,
            "prompt_tokens": 9000,
            "cached_prompt_tokens": 8000,
            "completion_tokens": 300,
            "successful_requests": 2,
        },
        counts(9000, 300, cache_read_tokens=8000, requests=2),
    ),
    Row(  # LangSmith, langsmith/schemas.py, the token fields of `Run`
        "langsmith run",
        {
            "prompt_tokens": 9000,
            "completion_tokens": 300,
            "total_tokens": 9300,
            "prompt_token_details": {"cache_read": 8000, "cache_creation": 500},
            "completion_token_details": {"reasoning": 200},
        },
        counts(9000, 300, cache_read_tokens=8000, cache_write_tokens=500, reasoning_tokens=200),
    ),
    Row(  # Codex, codex-rs/protocol/src/protocol.rs, `TokenUsage`
        "codex, last_token_usage",
        {
            "input_tokens": 9000,
            "cached_input_tokens": 8000,
            "output_tokens": 300,
            "reasoning_output_tokens": 200,
            "total_tokens": 9300,
        },
        counts(9000, 300, cache_read_tokens=8000, reasoning_tokens=200),
    ),
    Row(  # OpenLLMetry, opentelemetry-semantic-conventions-ai/__init__.py, `SpanAttributes`
        "openllmetry",
        {
            "gen_ai.usage.input_tokens": 9000,
            "gen_ai.usage.output_tokens": 300,
            "gen_ai.usage.cache_read_input_tokens": 8000,
            "gen_ai.usage.cache_creation_input_tokens": 500,
            "llm.usage.total_tokens": 9300,
            "gen_ai.request.max_tokens": 4096,
        },
        counts(9000, 300, cache_read_tokens=8000, cache_write_tokens=500),
        is_object_too=False,
    ),
    Row(  # pydantic-ai, pydantic_ai/usage.py, `RequestUsage.opentelemetry_attributes`
        "pydantic-ai span",
        {
            "gen_ai.usage.input_tokens": 9000,
            "gen_ai.usage.output_tokens": 300,
            "gen_ai.usage.details.cache_read_tokens": 8000,
            "gen_ai.usage.details.reasoning_tokens": 200,
        },
        counts(9000, 300, cache_read_tokens=8000, reasoning_tokens=200),
        is_object_too=False,
    ),
    Row(  # docs.langchain.com, `UsageMetadata` with a service tier, langchain-openai 1.x
        "langchain, a tier",
        {
            "input_tokens": 9000,
            "output_tokens": 300,
            "total_tokens": 9300,
            "input_token_details": {"priority_cache_read": 8000, "priority_cache_creation": 500},
            "output_token_details": {"priority_reasoning": 200},
        },
        counts(9000, 300, cache_read_tokens=8000, cache_write_tokens=500, reasoning_tokens=200),
        provider="langchain",
    ),
]
