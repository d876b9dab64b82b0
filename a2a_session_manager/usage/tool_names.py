"""The names that providers give to what is paid by use, by ours."""

from __future__ import annotations

from functools import lru_cache

from a2a_session_manager.pricing.usage_numbers import TOOL_USES

# The tools behind each counter of a TokenUsage. What costs nothing but its tokens is a tool without a counter.
_TOOLS: dict[str | None, tuple[str, ...]] = {
    "web_searches": (
        "web_search",
        "web_search_premium",  # Mistral
        "web_search_preview",
        "search_web",  # Perplexity
        "enterprise_web_search",
        "google_search",
        "google_search_retrieval",
        "nova_grounding",  # Bedrock
        "browser_search",  # Groq
    ),
    "web_fetches": ("web_fetch", "fetch_url", "url_fetch", "visit_website"),  # the last is Groq's
    "file_searches": (
        "file_search",
        "collections_search",  # xAI
        "attachment_search",
        "document_search",
        "document_library",  # Mistral
        "retrieval",  # Gemini
    ),
    "code_executions": (
        "code_execution",
        "code_interpreter",
        "bash_code_execution",  # Anthropic
        "text_editor_code_execution",
        "nova_code_interpreter",  # Bedrock
        "sandbox",  # Perplexity
    ),
    "social_searches": ("x_search",),
    "map_searches": ("google_maps",),
    "other_tool_uses": (
        "image_generation",
        "image_search",
        "people_search",  # Perplexity
        "finance_search",
        "browser_automation",  # Groq
        "wolfram_alpha",
        "shell",
    ),
    None: ("mcp", "tool_search", "url_context", "view_image", "view_x_video"),
}
_BY_TOOL = {tool: counter for counter, tools in _TOOLS.items() for tool in tools}
# The names of counts that stand for themselves.
_BY_COUNT = {
    **{name: name for name in TOOL_USES},
    "storage_searches": "file_searches",  # genai-prices, and so pydantic-ai
    "num_search_queries": "web_searches",  # Perplexity
    "search_units": "rerank_searches",  # Cohere
}
_UNITS = ("_requests", "_calls", "_count", "_invocations", "_queries", "_uses")
_PREFIX = "server_side_tool_"  # of xAI's SDK


def is_tool(name: str) -> bool:
    """Tell whether `name` is that of a tool that a provider runs."""
    return _tool(name) in _BY_TOOL


def counter_of_tool(name: str) -> str | None:
    """Return the counter of a tool; None for one that costs nothing but its tokens, or that is not known."""
    return _BY_TOOL.get(_tool(name))


def is_count(name: str) -> bool:
    """Tell whether `name` says by itself that it counts the uses of a tool, as `web_search_requests` does."""
    return name in _BY_COUNT or (name.endswith(_UNITS) and is_tool(name))


def counter_of_count(name: str) -> str | None:
    """Return the counter of such a count; None where it counts what costs nothing."""
    return _BY_COUNT.get(name) or counter_of_tool(name)


@lru_cache(maxsize=1_024)
def _tool(name: str) -> str:
    plain = name.lower().replace("-", "_").removeprefix(_PREFIX)
    for unit in _UNITS:
        if plain.endswith(unit) and plain not in _BY_TOOL:
            return plain.removesuffix(unit)
    return plain
