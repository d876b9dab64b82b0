"""UsageNumbers: the counts of one request that a price is made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

# What one usage may say of anything it counts: a trillion. Sums go on above.
MOST_COUNTED = 10**12

# What is paid by use, beside the tokens. The last one counts paid uses of tools that have no name of their own here.
TOOL_USES: Final = (
    "web_searches",
    "web_fetches",
    "file_searches",
    "code_executions",
    "social_searches",
    "map_searches",
    "rerank_searches",
    "other_tool_uses",
)


class UsageNumbers(Protocol):
    """The counts a price is made from: a TokenUsage, or anything like it.

    Inclusive: cached and audio tokens are part of their side, reasoning of the output. An object may bring `media`
    as well, further counts by their genai-prices name, such as `output_image_tokens`; a TokenUsage reads them from
    the provider's object in its `details`. It may bring `tool_uses`, too, what is paid by use by the names of a
    TokenUsage, such as `{"web_searches": 2}`, and a `price_context`, a mapping of what the price depends on besides,
    such as `{"service_tier": "flex"}`.
    """

    @property
    def prompt_tokens(self) -> int: ...
    @property
    def completion_tokens(self) -> int: ...
    @property
    def cache_read_tokens(self) -> int: ...
    @property
    def cache_write_tokens(self) -> int: ...
    @property
    def cache_write_1h_tokens(self) -> int: ...
    @property
    def reasoning_tokens(self) -> int: ...
    @property
    def input_audio_tokens(self) -> int: ...
    @property
    def output_audio_tokens(self) -> int: ...
    @property
    def requests(self) -> int: ...


def tool_uses_of(usage: object) -> Mapping[str, int]:
    """Return what `usage` says is paid by use; nothing where it has none."""
    return getattr(usage, "tool_uses", None) or {}
