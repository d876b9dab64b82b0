"""TokenCounts: the counts that one request's usage and a sum of usages both have."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from a2a_session_manager.models.fields_set import SharedFieldsSet

Count = Annotated[int, Field(ge=0)]


class TokenCounts(SharedFieldsSet):
    """Inclusive counts: cached and audio tokens are part of their side, reasoning of the output."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt_tokens: Count = 0
    completion_tokens: Count = 0
    cache_read_tokens: Count = 0
    cache_write_tokens: Count = 0
    cache_write_1h_tokens: Count = 0
    reasoning_tokens: Count = 0
    input_audio_tokens: Count = 0
    output_audio_tokens: Count = 0

    @property
    def total_tokens(self) -> int:
        """`prompt_tokens` and `completion_tokens` together."""
        return self.prompt_tokens + self.completion_tokens
