"""RequestCounts: the counts of one usage, each up to a trillion, and no part larger than its whole."""

from __future__ import annotations

from operator import itemgetter
from typing import Annotated

from pydantic import AliasChoices, Field, model_validator

from a2a_session_manager.models.token_counts import Count, TokenCounts
from a2a_session_manager.pricing.usage_numbers import MOST_COUNTED

Counted = Annotated[Count, Field(le=MOST_COUNTED)]

# These are made once, because every event with a usage is checked against them.
INTS = frozenset({int})
COUNTS_OF = itemgetter(
    "prompt_tokens",
    "completion_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "requests",
)


class RequestCounts(TokenCounts):
    """The counts of one request, or of `requests` where a provider's object is a sum itself."""

    prompt_tokens: Counted = Field(default=0, validation_alias=AliasChoices("prompt_tokens", "input_tokens"))
    completion_tokens: Counted = Field(default=0, validation_alias=AliasChoices("completion_tokens", "output_tokens"))
    cache_read_tokens: Counted = 0
    cache_write_tokens: Counted = 0
    cache_write_1h_tokens: Counted = 0
    reasoning_tokens: Counted = 0
    input_audio_tokens: Counted = 0
    output_audio_tokens: Counted = 0
    web_searches: Counted = 0
    web_fetches: Counted = 0
    file_searches: Counted = 0
    code_executions: Counted = 0
    social_searches: Counted = 0
    map_searches: Counted = 0
    rerank_searches: Counted = 0
    other_tool_uses: Counted = 0
    requests: Counted = 1

    @model_validator(mode="after")
    def _parts_fit_their_whole(self) -> RequestCounts:
        # Every usage is checked twice, as it is made and in its event, and nearly all are right.
        counts = COUNTS_OF(self.__dict__)
        if INTS.issuperset(map(type, counts)) and parts_fit(counts):
            return self
        self._check("prompt_tokens", ("cache_read_tokens", "cache_write_tokens"))
        self._check("prompt_tokens", ("input_audio_tokens",))
        self._check("cache_write_tokens", ("cache_write_1h_tokens",))
        self._check("completion_tokens", ("reasoning_tokens",))
        self._check("completion_tokens", ("output_audio_tokens",))
        return self

    def _check(self, whole: str, parts: tuple[str, ...]) -> None:
        counts = [getattr(self, name) for name in (whole, *parts)]
        # A usage that model_copy has changed is checked for the first time in its event.
        if not all(isinstance(count, int) for count in counts):
            raise ValueError(f"{whole} and {' + '.join(parts)} are whole numbers")
        limit, total = counts[0], sum(counts[1:])
        if total > limit:
            raise ValueError(f"{' + '.join(parts)} is {total}, more than the {limit} {whole} it is part of")


def parts_fit(counts: tuple[int, ...]) -> bool:
    """Tell whether no part is larger than its whole, and nothing is negative; `counts` are those of COUNTS_OF."""
    prompt, completion, cache_read, cache_write, cache_write_1h, reasoning, input_audio, output_audio, requests = counts
    # Each whole is at least as large as a part of it that is not negative.
    return (
        0 <= cache_write_1h <= cache_write
        and 0 <= cache_read <= prompt - cache_write
        and 0 <= input_audio <= prompt
        and 0 <= reasoning <= completion
        and 0 <= output_audio <= completion
        and requests >= 0
    )
