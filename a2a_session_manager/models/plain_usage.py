"""What nearly all usages are made of: values that their fields hold as they are, for which pydantic takes longer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from a2a_session_manager.identifiers import is_id
from a2a_session_manager.models.money import MOST_PICO_USD
from a2a_session_manager.models.request_counts import COUNTS_OF, INTS, parts_fit
from a2a_session_manager.pricing.usage_numbers import MOST_COUNTED

BASES: Final = ("reported", "counted", "estimated", "unknown")

# The counts of COUNTS_OF, and what says which request it was.
_PLAIN: Final = frozenset(
    {
        "prompt_tokens",
        "completion_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "cache_write_1h_tokens",
        "reasoning_tokens",
        "input_audio_tokens",
        "output_audio_tokens",
        "requests",
        "model",
        "provider",
        "basis",
        "cost_pico_usd",
        "priced_by",
        "response_id",
    }
)


def plain_usage(given: Mapping[str, Any], nothing: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return all fields of a usage of which some are `given`, the others as in `nothing`.

    None where there is anything to be converted or refused, or a field that few usages have: the class decides then.
    """
    if not _PLAIN.issuperset(given):
        return None
    fields = {**nothing, **given}
    counts = COUNTS_OF(fields)
    if not (INTS.issuperset(map(type, counts)) and parts_fit(counts) and max(counts) <= MOST_COUNTED):
        return None
    cost, response_id = fields["cost_pico_usd"], fields["response_id"]
    is_plain = (
        type(fields["model"]) is str
        and (cost is None or (type(cost) is int and 0 <= cost <= MOST_PICO_USD))
        and (response_id is None or is_id(response_id))
        and _is_text_or_none(fields["provider"])
        and _is_text_or_none(fields["priced_by"])
        and type(fields["basis"]) is str
        and fields["basis"] in BASES
    )
    return fields if is_plain else None


def _is_text_or_none(value: object) -> bool:
    return value is None or type(value) is str
