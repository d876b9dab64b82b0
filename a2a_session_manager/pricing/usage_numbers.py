"""UsageNumbers: the counts of one request that a price is made from."""

from __future__ import annotations

from typing import Protocol

# What one usage may say of anything it counts: a trillion. Sums go on above.
MOST_COUNTED = 10**12


class UsageNumbers(Protocol):
    """The counts a price is made from: a TokenUsage, or anything like it.

    Inclusive: cached and audio tokens are part of their side, reasoning of the output. An object may bring `media`
    as well, further counts by their genai-prices name, such as `output_image_tokens`; a TokenUsage reads them from
    the provider's object in its `details`. It may bring a `price_context`, too, a mapping of what the price depends on
    besides, such as `{"service_tier": "flex"}`.
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
