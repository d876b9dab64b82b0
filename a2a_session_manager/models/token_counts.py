"""TokenCounts: the counts that one request's usage and a sum of usages both have."""

from __future__ import annotations

from operator import itemgetter
from typing import Annotated

from pydantic import ConfigDict, Field

from a2a_session_manager.models.fields_set import SharedFieldsSet
from a2a_session_manager.pricing.usage_numbers import TOOL_USES

Count = Annotated[int, Field(ge=0)]

_TOOL_USES_OF = itemgetter(*TOOL_USES)
_NO_TOOL_USES = (0,) * len(TOOL_USES)


class TokenCounts(SharedFieldsSet):
    """Inclusive counts: cached and audio tokens are part of their side, reasoning of the output.

    What is paid by use comes beside the tokens: `web_searches` and `web_fetches`, `file_searches` (in files, stores and
    collections), `code_executions`, `social_searches`, `map_searches`, `rerank_searches`, and `other_tool_uses`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt_tokens: Count = 0
    completion_tokens: Count = 0
    cache_read_tokens: Count = 0
    cache_write_tokens: Count = 0
    cache_write_1h_tokens: Count = 0
    reasoning_tokens: Count = 0
    input_audio_tokens: Count = 0
    output_audio_tokens: Count = 0
    web_searches: Count = 0
    web_fetches: Count = 0
    file_searches: Count = 0
    code_executions: Count = 0
    social_searches: Count = 0
    map_searches: Count = 0
    rerank_searches: Count = 0
    other_tool_uses: Count = 0

    @property
    def total_tokens(self) -> int:
        """`prompt_tokens` and `completion_tokens` together."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def tool_uses(self) -> dict[str, int]:
        """What is paid by use, by the names of the fields here: those above 0."""
        # To ask the dict in which a model keeps its fields takes a fraction of the time.
        held = self.__dict__
        try:
            if _TOOL_USES_OF(held) == _NO_TOOL_USES:
                return {}
        except KeyError:  # of an object that an older release has pickled
            pass
        return {name: count for name in TOOL_USES if (count := held.get(name))}
