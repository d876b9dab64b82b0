"""What in a provider's usage looks like a count, and nobody has read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from a2a_session_manager.pricing.media import media_of
from a2a_session_manager.pricing.usage_reader import UsageReader

# These split a count that was read into parts of one price, repeat one, or count nothing that is paid for.
_NO_COUNTS = frozenset(
    {
        "accepted_prediction_tokens",
        "rejected_prediction_tokens",
        "text_tokens",
        "text",
        "prompt_text_tokens",
        "no_cache_tokens",
        "no_cache",
        "prompt_cache_miss_tokens",
        "initial_input_tokens",  # of a Gemini interaction's first turn
        "total_tokens",
        "total_token_count",
        "total",
        "tool_calls",
        "context_window",
        "model_context_window",
        "max_context_window",
        "per_turn_token",
        "status",
        "status_code",
        "index",
        "created",
        "timestamp",
        "ttft",
        "time",
        "duration",
        "latency",
        "time_to_first_token",
        "priority",  # LangChain says the tier by these, beside the whole
        "flex",
    }
)
_NO_COUNT_ENDINGS = ("_time", "_duration", "_latency", "_ms", "_at", "_per_sec", "_per_second", "_timestamp")
# These hold the same numbers once more, as the provider gave them or by request.
_REPEATED = frozenset({"raw", "request_usage_entries", "usage_details_raw"})
# In a span, only these attributes are about usage.
_SPAN_NAMES = ("gen_ai.usage.", "llm.usage.", "llm.token_count.")
# pydantic-ai repeats in its details what the provider said of each side.
_DETAILS = ("details.", "gen_ai.usage.details.")
_SIDES = frozenset({"input_tokens", "output_tokens", "prompt_tokens", "completion_tokens"})


def unread_keys(raw: Mapping[str, Any], usage: UsageReader) -> tuple[str, ...]:
    """Return the paths in `raw`, a usage that was read through `usage`, of numbers above 0 that nobody has read.

    They are spelled as in `raw`; an item of a list is `[]`. Times are no counts, and what
    splits a count into parts of the same price is read with it. Names of media are read by the price.
    """
    media_of(usage)
    found = list(_Walk(usage).numbers())
    if found and any(path.startswith(_SPAN_NAMES) for path in usage.read):
        found = [pair for pair in found if pair[0].startswith(_SPAN_NAMES)]
    return tuple(dict.fromkeys(spelled for _, spelled in found))


class _Walk:
    """Goes through all of a usage, in which a name may stand twice, spelled in two ways: the first one was read."""

    def __init__(self, usage: UsageReader) -> None:
        self._usage = usage
        self._firsts: dict[str, Any] = {}

    def numbers(self) -> Iterator[tuple[str, str]]:
        flat, read = self._usage.flat, self._usage.read
        is_said_once = len(flat) == len(self._usage.leaves)
        for path, spelled, value in flat:
            if is_said_once and path in read:
                continue  # nearly all
            if type(value) is list:
                if _may_count(path):
                    yield from self._in_list(value, f"{path}[]", f"{spelled}[]")
            elif not self._is_read(path, value) and _is_number(value) and _may_count(path):
                yield path, spelled

    def _is_read(self, path: str, value: Any) -> bool:
        if path in self._usage.read:
            return bool(self._firsts.setdefault(path, value) == value)
        return path.startswith(_DETAILS) and value in self._usage.counted

    def _in_list(self, items: list[Any], path: str, spelled: str) -> Iterator[tuple[str, str]]:
        if path in self._usage.read:
            return
        for item in items:
            if isinstance(item, Mapping):
                for inner, shown, value in UsageReader(item).flat:
                    here = f"{path}.{inner}"
                    if type(value) is list:
                        yield from self._in_list(value, f"{here}[]", f"{spelled}.{shown}[]")
                    elif here not in self._usage.read and _is_number(value) and _may_count(here):
                        yield here, f"{spelled}.{shown}"
            elif isinstance(item, list):
                yield from self._in_list(item, f"{path}[]", f"{spelled}[]")
            elif _is_number(item):
                yield path, spelled


def _is_number(value: Any) -> bool:
    if isinstance(value, str):  # protobuf's JSON writes 64-bit integers as strings
        return len(value) < 20 and value.isascii() and value.isdecimal() and int(value) > 0
    return isinstance(value, int | float) and not isinstance(value, bool) and value != 0


@lru_cache(maxsize=4_096)
def _may_count(path: str) -> bool:
    """Tell whether what stands at `path` may be a count that is paid for."""
    *holders, step = path.split(".")
    if step in _REPEATED or not _REPEATED.isdisjoint(holders):
        return False
    if step in _NO_COUNTS or step.endswith(_NO_COUNT_ENDINGS):
        return False
    return not (step in _SIDES and path.startswith(_DETAILS))
