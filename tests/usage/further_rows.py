"""Usages of further providers and frameworks; each row says in its comment where its names are documented."""

from __future__ import annotations

from typing import Any

from tests.usage.row import Row, counts

FURTHER_ROWS = [
    Row(  # docs.ollama.com/api/chat, the last object of a reply
        "ollama",
        {
            "done": True,
            "total_duration": 4883583458,
            "load_duration": 1334875,
            "prompt_eval_count": 26,
            "prompt_eval_duration": 342546000,
            "eval_count": 282,
            "eval_duration": 4535599000,
        },
        counts(26, 282),
    ),
    Row(  # ai-sdk.dev, AI SDK 5, `LanguageModelUsage`
        "ai sdk 5",
        {
            "inputTokens": 9000,
            "outputTokens": 300,
            "totalTokens": 9300,
            "reasoningTokens": 200,
            "cachedInputTokens": 8000,
        },
        counts(9000, 300, cache_read_tokens=8000, reasoning_tokens=200),
    ),
    Row(  # ai-sdk.dev, AI SDK 4, `LanguageModelUsage`
        "ai sdk 4", {"promptTokens": 10, "completionTokens": 3, "totalTokens": 13}, counts(10, 3)
    ),
    Row(  # vercel/ai, packages/provider, `LanguageModelV3Usage` of AI SDK 6 and 7
        "ai sdk 6, from the model",
        {
            "inputTokens": {"total": 9000, "noCache": 500, "cacheRead": 8000, "cacheWrite": 500},
            "outputTokens": {"total": 300, "text": 100, "reasoning": 200},
            "raw": {"input_tokens": 500},
        },
        counts(9000, 300, cache_read_tokens=8000, cache_write_tokens=500, reasoning_tokens=200),
    ),
    Row(  # Arize-ai/openinference, spec/semantic_conventions.md
        "openinference",
        {
            "llm.token_count.prompt": 9000,
            "llm.token_count.completion": 300,
            "llm.token_count.total": 9300,
            "llm.token_count.prompt_details.cache_read": 8000,
            "llm.token_count.prompt_details.cache_write": 500,
            "llm.token_count.prompt_details.audio": 20,
            "llm.token_count.completion_details.reasoning": 200,
        },
        counts(9000, 300, cache_read_tokens=8000, cache_write_tokens=500, reasoning_tokens=200, input_audio_tokens=20),
        is_object_too=False,
    ),
    Row(  # traceloop/openllmetry, before it took OpenTelemetry's names
        "openllmetry, the oldest names",
        {"llm.usage.prompt_tokens": 9, "llm.usage.completion_tokens": 3, "llm.usage.total_tokens": 12},
        counts(9, 3),
        is_object_too=False,
    ),
    Row(  # docs.aws.amazon.com/bedrock, InvokeModelWithResponseStream, `amazon-bedrock-invocationMetrics`
        "bedrock invocation metrics",
        {
            "inputTokenCount": 300,
            "outputTokenCount": 40,
            "invocationLatency": 900,
            "firstByteLatency": 80,
            "cacheReadInputTokenCount": 600,
            "cacheWriteInputTokenCount": 100,
        },
        counts(1000, 40, cache_read_tokens=600, cache_write_tokens=100),
    ),
    Row(  # the same, of a model without caches
        "bedrock invocation metrics, no caches", {"inputTokenCount": 300, "outputTokenCount": 40}, counts(300, 40)
    ),
    Row(  # docs.aws.amazon.com/bedrock, "Meta Llama models", response
        "llama on bedrock", {"prompt_token_count": 9, "generation_token_count": 3}, counts(9, 3)
    ),
    Row(  # langfuse.com/docs/observability/features/token-and-cost-tracking, `usage_details` made of OpenAI's
        "langfuse",
        {"input": 500, "input_cached_tokens": 8000, "output": 100, "output_reasoning_tokens": 200, "total": 8800},
        counts(8500, 300, cache_read_tokens=8000, reasoning_tokens=200),
    ),
    Row(  # the same page, made of Anthropic's
        "langfuse with anthropic",
        {"input": 500, "cache_read_input_tokens": 8000, "cache_creation_input_tokens": 500, "output": 300},
        counts(9000, 300, cache_read_tokens=8000, cache_write_tokens=500),
    ),
    Row(  # Langfuse's older `usage`
        "langfuse, the older usage", {"input": 9, "output": 3, "total": 12, "unit": "TOKENS"}, counts(9, 3)
    ),
    Row(  # sst/opencode, packages/opencode/src/session/message-v2.ts, `tokens`
        "opencode",
        {"input": 500, "output": 100, "reasoning": 200, "cache": {"read": 8000, "write": 500}},
        counts(9000, 300, cache_read_tokens=8000, cache_write_tokens=500, reasoning_tokens=200),
    ),
    Row(  # cline/cline, src/shared/ExtensionMessage.ts, `ClineApiReqInfo`
        "cline",
        {"tokensIn": 500, "tokensOut": 300, "cacheWrites": 500, "cacheReads": 8000},
        counts(9000, 300, cache_read_tokens=8000, cache_write_tokens=500),
    ),
    Row(  # docs.cohere.com/reference/chat, `usage`, with a search
        "cohere with a search",
        {
            "billed_units": {"input_tokens": 5, "output_tokens": 418, "search_units": 2},
            "tokens": {"input_tokens": 71, "output_tokens": 418},
        },
        counts(5, 418, rerank_searches=2),
    ),
    Row(  # docs.mistral.ai/api, `UsageInfo`
        "mistral",
        {
            "prompt_tokens": 16,
            "completion_tokens": 34,
            "total_tokens": 50,
            "num_cached_tokens": 4,
            "prompt_tokens_details": {"cached_tokens": 4},
        },
        counts(16, 34, cache_read_tokens=4),
    ),
    Row(  # docs.mistral.ai/agents/connectors/websearch, `ConversationUsageInfo`
        "mistral with a connector",
        {
            "prompt_tokens": 188,
            "completion_tokens": 55,
            "total_tokens": 7355,
            "connector_tokens": 7112,
            "connectors": {"web_search": 1},
        },
        counts(7300, 55, web_searches=1),
    ),
    Row(  # docs.mistral.ai/capabilities/audio, Voxtral
        "mistral, audio by the second",
        {"prompt_audio_seconds": 203, "prompt_tokens": 1407, "completion_tokens": 1999, "total_tokens": 3406},
        counts(1407, 1999),
        unread=("prompt_audio_seconds",),
    ),
    Row(  # console.groq.com/docs/api-reference, `usage`
        "groq",
        {
            "queue_time": 0.037,
            "prompt_tokens": 18,
            "prompt_time": 0.0006,
            "completion_tokens": 556,
            "completion_time": 0.463,
            "total_tokens": 574,
            "total_time": 0.464,
        },
        counts(18, 556),
    ),
    Row(  # docs.sambanova.ai, chat completion, `usage`
        "sambanova",
        {
            "prompt_tokens": 10,
            "completion_tokens": 3,
            "total_tokens": 13,
            "completion_tokens_per_sec": 200.5,
            "time_to_first_token": 0.1,
            "total_latency": 0.5,
            "end_time": 1725.5,
        },
        counts(10, 3),
    ),
    Row(  # platform.moonshot.ai/docs/api/chat, `usage`
        "moonshot",
        {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13, "cached_tokens": 4},
        counts(10, 3, cache_read_tokens=4),
    ),
    Row(  # alibabacloud.com/help/en/model-studio, DashScope, `usage`
        "dashscope",
        {
            "input_tokens": 10,
            "output_tokens": 3,
            "total_tokens": 13,
            "prompt_tokens_details": {"cached_tokens": 4},
            "output_tokens_details": {"reasoning_tokens": 1},
        },
        counts(10, 3, cache_read_tokens=4, reasoning_tokens=1),
    ),
    Row(  # cloud.ibm.com/apidocs/watsonx-ai, text generation, `results`
        "watsonx", {"input_token_count": 9, "generated_token_count": 3}, counts(9, 3)
    ),
    Row(  # agno-agi/agno, libs/agno/agno/models/metrics.py, `Metrics`
        "agno",
        {
            "input_tokens": 9,
            "output_tokens": 3,
            "total_tokens": 12,
            "audio_input_tokens": 2,
            "cache_read_tokens": 4,
            "reasoning_tokens": 1,
            "time_to_first_token": 0.3,
            "duration": 1.2,
        },
        counts(9, 3, cache_read_tokens=4, reasoning_tokens=1, input_audio_tokens=2),
    ),
    Row(  # ccusage.com/guide/json-output, a day's totals
        "ccusage",
        {
            "inputTokens": 500,
            "outputTokens": 300,
            "cacheCreationTokens": 500,
            "cacheReadTokens": 8000,
            "totalTokens": 9300,
        },
        counts(9000, 300, cache_read_tokens=8000, cache_write_tokens=500),
    ),
]

_CHAT = {"prompt_tokens": 1000, "completion_tokens": 300, "total_tokens": 1300}
_ANTHROPIC = {"input_tokens": 1000, "output_tokens": 300}
_CODEX = {"input_tokens": 1000, "cached_input_tokens": 0, "output_tokens": 300, "total_tokens": 1300}

# What holds a usage of 1,000 tokens in and 300 out: the name, the whole, the model that it names, its processing.
HOLDERS: list[tuple[str, dict[str, Any], str, str | None]] = [
    (  # platform.openai.com/docs/guides/batch, a line of the output file
        "openai batch",
        {
            "id": "batch_req_1",
            "custom_id": "r",
            "response": {"status_code": 200, "request_id": "x", "body": {"model": "gpt-4o", "usage": _CHAT}},
            "error": None,
        },
        "gpt-4o",
        "batch",
    ),
    (  # platform.claude.com/docs/en/build-with-claude/batch-processing, a line of the results
        "anthropic batch",
        {
            "custom_id": "r",
            "result": {"type": "succeeded", "message": {"model": "claude-sonnet-4-5", "usage": _ANTHROPIC}},
        },
        "claude-sonnet-4-5",
        "batch",
    ),
    (  # ai.google.dev/gemini-api/docs/batch-api, a line of the results
        "gemini batch",
        {
            "key": "r",
            "response": {
                "modelVersion": "gemini-2.5-flash",
                "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 300, "totalTokenCount": 1300},
            },
        },
        "gemini-2.5-flash",
        "batch",
    ),
    (  # docs.langchain.com, `AIMessage.response_metadata` of langchain-openai
        "langchain token_usage",
        {"content": "x", "response_metadata": {"token_usage": _CHAT, "model_name": "gpt-4o"}},
        "gpt-4o",
        None,
    ),
    (  # openai/codex, codex-rs/protocol/src/protocol.rs, `TokenCountEvent`
        "codex token_count",
        {
            "type": "event_msg",
            "payload": {
                "type": "token_count",
                "info": {"total_token_usage": {"input_tokens": 99}, "last_token_usage": _CODEX},
            },
        },
        "",
        None,
    ),
    (  # docs.aws.amazon.com/bedrock, the last chunk of InvokeModelWithResponseStream
        "bedrock stream",
        {
            "type": "message_stop",
            "amazon-bedrock-invocationMetrics": {"inputTokenCount": 1000, "outputTokenCount": 300},
        },
        "",
        None,
    ),
    (  # api.reference.langfuse.com, an observation
        "langfuse observation",
        {"type": "GENERATION", "model": "gpt-4o", "usageDetails": {"input": 1000, "output": 300, "total": 1300}},
        "gpt-4o",
        None,
    ),
    (  # sst/opencode, an assistant's message
        "opencode message",
        {
            "role": "assistant",
            "modelID": "gpt-4o",
            "tokens": {"input": 1000, "output": 300, "reasoning": 0, "cache": {"read": 0, "write": 0}},
        },
        "gpt-4o",
        None,
    ),
    (  # docs.ollama.com/api/chat
        "ollama reply",
        {
            "model": "llama3.2",
            "message": {"role": "assistant", "content": "x"},
            "context": [1, 2],
            "prompt_eval_count": 1000,
            "eval_count": 300,
        },
        "llama3.2",
        None,
    ),
]

# What is no usage of one request, and how its refusal names it.
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"total_token_usage": {"input_tokens": 9}}, "Codex's sum over its whole session"),
    ({"payload": {"type": "token_count", "info": None, "rate_limits": {}}}, "Codex's limits"),
    ({"modelUsage": {"claude-opus-5": {"inputTokens": 3, "outputTokens": 40}}}, "sums by model"),
    ({"usage_info": {"pages_processed": 3, "doc_size_bytes": 10}}, "counted in pages"),
    ({"usage": {"type": "duration", "seconds": 27}}, "counted in seconds"),
    ({"meta": {"billed_units": {"search_units": 1}}}, "counted in searches"),
    ({"usage": {"total_tokens": 10}}, "a total alone"),
]
