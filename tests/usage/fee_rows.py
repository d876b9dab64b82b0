"""What providers say of uses that are paid by themselves; each row says in its comment where that is documented.

The costs are made by hand of the prices of 20 November 2026 in the providers' price lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FeeRow:
    """A reply as its JSON has it, and what in it is paid by use.

    `cost` is in US dollars, None for none; `unpriced` is what has no price, by which the cost is a lower bound.
    """

    name: str
    model: str
    provider: str | None
    reply: dict[str, Any]
    uses: dict[str, int]
    cost: str | None
    unpriced: str | None = None


_RESPONSES = {"input_tokens": 1000, "output_tokens": 300, "total_tokens": 1300}
_CHAT = {"prompt_tokens": 1000, "completion_tokens": 300, "total_tokens": 1300}
_GEMINI = {"promptTokenCount": 1000, "candidatesTokenCount": 300, "totalTokenCount": 1300}
_ANTHROPIC = {"input_tokens": 1000, "output_tokens": 300}
_SEARCH = {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "fjords"}}
_OPENED = {"type": "web_search_call", "status": "completed", "action": {"type": "open_page", "url": "https://fjord.no"}}


def _grounded(*queries: str, **more: Any) -> dict[str, Any]:
    return {
        "candidates": [{"groundingMetadata": {"webSearchQueries": list(queries), **more}}],
        "usageMetadata": _GEMINI,
    }


FEE_ROWS = [
    FeeRow(  # platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool, "Usage and pricing"
        "anthropic, a web search",
        "claude-sonnet-4-5",
        "anthropic",
        {
            "usage": {
                "input_tokens": 105,
                "output_tokens": 6039,
                "cache_read_input_tokens": 7123,
                "cache_creation_input_tokens": 7345,
                "server_tool_use": {"web_search_requests": 1},
            }
        },
        {"web_searches": 1},
        "0.13058065",  # 105 x 3 + 7,123 x 0.30 + 7,345 x 3.75 + 6,039 x 15 millionths, and a cent
    ),
    FeeRow(  # platform.claude.com/docs/en/agents-and-tools/tool-use/web-fetch-tool: at no additional cost
        "anthropic, a web fetch",
        "claude-sonnet-4-5",
        "anthropic",
        {
            "usage": {
                "input_tokens": 25039,
                "output_tokens": 931,
                "server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 1},
            }
        },
        {"web_fetches": 1},
        "0.089082",
    ),
    FeeRow(  # platform.claude.com/docs/en/agents-and-tools/tool-use/code-execution-tool: by the hour of a container
        "anthropic, code executed",
        "claude-sonnet-4-5",
        "anthropic",
        {"usage": {**_ANTHROPIC, "server_tool_use": {"code_execution_requests": 1}}},
        {"code_executions": 1},
        "0.0075",
        "code_executions=1",
    ),
    FeeRow(  # the same in a batch: tokens cost half, searches do not
        "anthropic, a web search in a batch",
        "claude-sonnet-4-5",
        "anthropic",
        {"usage": {**_ANTHROPIC, "service_tier": "batch", "server_tool_use": {"web_search_requests": 2}}},
        {"web_searches": 2},
        "0.02375",
    ),
    FeeRow(  # developers.openai.com/api/docs/guides/tools-web-search: searches cost, opened pages do not
        "openai, a search and a page opened",
        "gpt-5",
        "openai",
        {"output": [_SEARCH, _OPENED, {"type": "message"}], "usage": _RESPONSES},
        {"web_searches": 1},
        "0.01425",  # 1,000 x 1.25 + 300 x 10 millionths, and a cent
    ),
    FeeRow(  # developers.openai.com/api/docs/api-reference/responses/object, `tool_usage`: discounted ones are left out
        "openai, searches that it counts itself",
        "gpt-5",
        "openai",
        {
            "output": [_SEARCH, _SEARCH, _SEARCH],
            "usage": _RESPONSES,
            "tool_usage": {"image_gen": {"total_tokens": 0}, "web_search": {"num_requests": 2}},
        },
        {"web_searches": 2},
        "0.02425",
    ),
    FeeRow(  # the same, of a discounted search
        "openai, a search that costs nothing",
        "gpt-5",
        "openai",
        {"output": [_SEARCH], "usage": _RESPONSES, "tool_usage": {"web_search": {"num_requests": 0}}},
        {},
        "0.00425",
    ),
    FeeRow(  # developers.openai.com/api/docs/guides/tools-file-search; $2.50 a thousand in /api/docs/pricing
        "openai, a file search",
        "gpt-4.1",
        "openai",
        {"output": [{"type": "file_search_call", "status": "completed", "queries": ["fjords"]}], "usage": _RESPONSES},
        {"file_searches": 1},
        "0.0069",
    ),
    FeeRow(  # developers.openai.com/api/docs/guides/tools-code-interpreter: by the session of a container
        "openai, code interpreted",
        "gpt-4.1",
        "openai",
        {"output": [{"type": "code_interpreter_call", "container_id": "c1", "code": "1"}], "usage": _RESPONSES},
        {"code_executions": 1},
        "0.0044",
        "code_executions=1",
    ),
    FeeRow(  # developers.openai.com/api/docs/guides/tools-image-generation: tokens of another model
        "openai, an image drawn by a tool",
        "gpt-4.1",
        "openai",
        {"output": [{"type": "image_generation_call", "status": "completed"}], "usage": _RESPONSES},
        {"other_tool_uses": 1},
        "0.0044",
        "other_tool_uses=1",
    ),
    FeeRow(  # the same guide as for web searches, of chat completions, which cite what they have found
        "openai chat, a citation",
        "gpt-4o-search-preview",
        "openai",
        {
            "choices": [{"message": {"content": "…", "annotations": [{"type": "url_citation", "url_citation": {}}]}}],
            "usage": _CHAT,
        },
        {"web_searches": 1},
        "0.0055",
        "web_searches=1",
    ),
    FeeRow(  # ai.google.dev/gemini-api/docs/pricing: up to Gemini 2.5, $35 for 1,000 grounded prompts
        "gemini 2.5, three queries for a prompt",
        "gemini-2.5-flash",
        "google",
        _grounded("fjords", "fjord tours", "oslo"),
        {"web_searches": 1},
        "0.03605",  # 1,000 x 0.30 + 300 x 2.50 millionths, and 3.5 cents
    ),
    FeeRow(  # ai.google.dev/gemini-api/docs/google-search: from Gemini 3 on, each query, empty ones left out
        "gemini 3, queries",
        "gemini-3-flash-preview",
        "google",
        _grounded("", "fjords", "", "oslo", "oslo"),
        {"web_searches": 2},
        "0.0294",  # 1,000 x 0.50 + 300 x 3 millionths, and 2 x 1.4 cents
    ),
    FeeRow(  # discuss.ai.google.dev/t/174074, `usageMetadata.billedToolCalls`
        "gemini 3, searches that it counts itself",
        "gemini-3-flash-preview",
        "google",
        {
            **_grounded("fjords"),
            "usageMetadata": {
                **_GEMINI,
                "billedToolCalls": [{"tool": "GOOGLE_SEARCH", "successfulToolCallCount": 3}],
            },
        },
        {"web_searches": 3},
        "0.0434",
    ),
    FeeRow(  # ai.google.dev/gemini-api/docs/maps-grounding
        "gemini, maps",
        "gemini-2.5-flash",
        "google",
        _grounded(groundingChunks=[{"maps": {"placeId": "x"}}, {"maps": {"placeId": "y"}}]),
        {"map_searches": 1},
        "0.00105",
        "map_searches=1",
    ),
    FeeRow(  # google-genai 3.6, types/interactions/usage.py, `grounding_tool_count`
        "gemini interactions",
        "gemini-3-flash-preview",
        "google",
        {
            "usage": {
                "total_input_tokens": 900,
                "total_tool_use_tokens": 100,
                "total_output_tokens": 100,
                "total_thought_tokens": 200,
                "total_tokens": 1300,
                "input_tokens_by_modality": [{"modality": "text", "tokens": 900}],
                "grounding_tool_count": [{"type": "google_search", "count": 2}],
            }
        },
        {"web_searches": 2},
        "0.0294",
    ),
    FeeRow(  # docs.x.ai/developers/tools/overview, `server_side_tool_usage_details`; docs.x.ai/developers/pricing
        "xai, searches on the web and on x",
        "grok-4",
        "x-ai",
        {
            "usage": {
                **_RESPONSES,
                "num_sources_used": 0,
                "num_server_side_tools_used": 4,
                "server_side_tool_usage_details": {"web_search_calls": 2, "x_search_calls": 1, "mcp_calls": 1},
            }
        },
        {"web_searches": 2, "social_searches": 1},
        "0.0075",
        "web_searches=2, social_searches=1",
    ),
    FeeRow(  # the same, as it comes: with its cost, of which a tick is 10⁻¹⁰ dollars
        "xai, with its cost",
        "grok-4",
        "x-ai",
        {
            "usage": {
                **_RESPONSES,
                "cost_in_usd_ticks": 292_331_500,
                "num_server_side_tools_used": 3,
                "server_side_tool_usage_details": {"x_search_calls": 3, "code_interpreter_calls": 0},
            }
        },
        {"social_searches": 3},
        "0.02923315",
    ),
    FeeRow(  # xai-org/xai-sdk-python, usage.proto, `server_side_tools_used`, an enum
        "xai sdk, tools by number",
        "grok-4",
        "x-ai",
        {"usage": {**_CHAT, "server_side_tools_used": [1, 1, 3, 4]}},
        {"web_searches": 2, "code_executions": 1},
        "0.0075",
        "web_searches=2, code_executions=1",
    ),
    FeeRow(  # docs.x.ai/docs/guides/live-search, which was paid by the source
        "xai, sources",
        "grok-4",
        "x-ai",
        {"usage": {**_CHAT, "num_sources_used": 5}},
        {"other_tool_uses": 5},
        "0.0075",
        "other_tool_uses=5",
    ),
    FeeRow(  # docs.perplexity.ai/docs/getting-started/pricing, sonar-deep-research without its cost
        "perplexity, deep research",
        "sonar-deep-research",
        "perplexity",
        {"usage": {**_CHAT, "citation_tokens": 100, "num_search_queries": 3, "reasoning_tokens": 200}},
        {"web_searches": 3},
        "0.0202",  # 1,000 x 2 + 300 x 8 + 100 x 2 + 200 x 3 millionths, and 3 x 0.5 cents
    ),
    FeeRow(  # the same page: a request costs by the size of its search, and the list has the largest
        "perplexity, a small search without its cost",
        "sonar",
        "perplexity",
        {"usage": {**_CHAT, "search_context_size": "low"}},
        {},
        None,
        "search_context_size=low",
    ),
    FeeRow(  # the same
        "perplexity, a large search without its cost",
        "sonar",
        "perplexity",
        {"usage": {**_CHAT, "search_context_size": "high", "num_search_queries": 1}},
        {"web_searches": 1},
        "0.0133",  # 1,300 x 1 millionths, and 1.2 cents for the request
    ),
    FeeRow(  # docs.perplexity.ai/api-reference, Agent API, `ResponsesUsage`
        "perplexity's agent",
        "openai/gpt-5.2",
        "perplexity",
        {
            "usage": {
                **_RESPONSES,
                "cost": {"currency": "USD", "total_cost": 0.01},
                "tool_calls_details": {"search_web": {"invocation": 1}, "fetch_url": {"invocation": 2}},
            }
        },
        {"web_searches": 1, "web_fetches": 2},
        "0.01",
    ),
    FeeRow(  # openrouter.ai/docs, `ServerToolUse`: a search is counted in the calls, too
        "openrouter",
        "openai/gpt-6-sol",
        "openrouter",
        {
            "usage": {
                **_CHAT,
                "cost": 0.05,
                "server_tool_use": {"tool_calls_executed": 3, "tool_calls_requested": 3, "web_search_requests": 2},
            }
        },
        {"web_searches": 2, "other_tool_uses": 1},
        "0.05",
    ),
    FeeRow(  # docs.litellm.ai/docs/completion/web_search, `prompt_tokens_details`
        "litellm over gemini",
        "gemini-3-flash-preview",
        "google",
        {"usage": {**_CHAT, "prompt_tokens_details": {"web_search_requests": 2}}},
        {"web_searches": 2},
        "0.0294",
    ),
    FeeRow(  # docs.mistral.ai/agents/connectors, `connectors`: two kinds of search are two searches
        "mistral, connectors",
        "mistral-large-2512",
        "mistral",
        {
            "usage": {
                **_CHAT,
                "connector_tokens": None,
                "connectors": {"web_search": 1, "web_search_premium": 2, "code_interpreter": 1},
            }
        },
        {"web_searches": 3, "code_executions": 1},
        "0.00095",
        "web_searches=3, code_executions=1",
    ),
    FeeRow(  # vercel/ai, packages/provider, `LanguageModelV3Usage`, whose raw has what was not made the SDK's own
        "ai sdk, from the model",
        "claude-sonnet-4-5",
        "anthropic",
        {
            "usage": {
                "inputTokens": {"total": 1000, "noCache": 1000},
                "outputTokens": {"total": 300},
                "raw": {**_ANTHROPIC, "server_tool_use": {"web_search_requests": 1}},
            }
        },
        {"web_searches": 1},
        "0.0175",
    ),
    FeeRow(  # ai-sdk.dev/providers/ai-sdk-providers/google-generative-ai, `providerMetadata`
        "ai sdk, over gemini",
        "gemini-3-flash-preview",
        "google",
        {
            "usage": {"inputTokens": 1000, "outputTokens": 300, "totalTokens": 1300},
            "providerMetadata": {"google": {"groundingMetadata": {"webSearchQueries": ["fjords"]}}},
        },
        {"web_searches": 1},
        "0.0154",
    ),
    FeeRow(  # pydantic-ai 2.68, usage.py, whose further counts have the names of genai-prices
        "pydantic-ai",
        "gpt-4.1",
        "openai",
        {"usage": {"input_tokens": 1000, "output_tokens": 300, "web_searches": 1, "storage_searches": 2}},
        {"web_searches": 1, "file_searches": 2},
        "0.0194",
    ),
    FeeRow(  # docs.langchain.com, langchain-anthropic, `response_metadata`
        "langchain over anthropic",
        "claude-sonnet-4-5",
        "anthropic",
        {
            "content": [{"type": "server_tool_use", "name": "web_search", "input": {}}],
            "usage_metadata": {"input_tokens": 1000, "output_tokens": 300, "total_tokens": 1300},
            "response_metadata": {"usage": {"server_tool_use": {"web_search_requests": 1}}},
        },
        {"web_searches": 1},
        "0.0175",
    ),
    FeeRow(  # docs.cohere.com/reference/chat, `billed_units`; docs.cohere.com/docs/how-does-cohere-pricing-work
        "cohere, search units",
        "command-r",
        "cohere",
        {"usage": {"billed_units": {"input_tokens": 1000, "output_tokens": 300, "search_units": 1}}},
        {"rerank_searches": 1},
        "0.00033",
        "rerank_searches=1",
    ),
    FeeRow(  # console.groq.com/docs/compound, `executed_tools`
        "groq compound",
        "openai/gpt-oss-120b",
        "groq",
        {"choices": [{"message": {"executed_tools": [{"type": "search"}, {"type": "python"}]}}], "usage": _CHAT},
        {"web_searches": 1, "code_executions": 1},
        "0.00033",
        "web_searches=1, code_executions=1",
    ),
    FeeRow(  # docs.aws.amazon.com/nova, "Web Grounding", blocks of Converse
        "bedrock, nova's grounding",
        "amazon.nova-pro-v1:0",
        "aws",
        {
            "output": {"message": {"content": [{"toolUse": {"type": "server_tool_use", "name": "nova_grounding"}}]}},
            "usage": {"inputTokens": 1000, "outputTokens": 300, "totalTokens": 1300},
        },
        {"web_searches": 1},
        "0.00176",
        "web_searches=1",
    ),
]
