"""No number of a provider's usage is left out in silence: it is read, or flagged, or the usage is refused."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager import InvalidEvent, TokenUsage
from a2a_session_manager.usage.provider_usage import usage_from
from tests.draws import few
from tests.usage.fee_rows import FEE_ROWS
from tests.usage.provider_rows import ROWS

PLAIN = {"prompt_tokens": 10, "completion_tokens": 5}
LARGE = 10**9


@pytest.mark.parametrize(
    ("more", "unread"),
    [
        ({"cached_moon_tokens": 4}, ("cached_moon_tokens",)),
        ({"promptTokensDetails": {"moonTokens": 4}}, ("promptTokensDetails.moonTokens",)),
        ({"server_tool_use": {"moon_search_requests": 2}}, ("server_tool_use.moon_search_requests",)),
        ({"parts": [{"moon": 1}, {"moon": 2}, {"sun": 3}]}, ("parts[].moon", "parts[].sun")),
        ({"moons": [1, 2]}, ("moons[]",)),
        ({"connectors": {"web_search": 1, "moon_search": 2}}, ("connectors.moon_search",)),
        ({"tool_calls_details": {"moon": {"invocation": 2}}}, ("tool_calls_details.moon.invocation",)),
        ({"billedToolCalls": [{"tool": "x", "failed": 2}]}, ("billedToolCalls[].failed",)),
        (
            {"server_side_tool_usage_details": {"x_posts_fetched": 9}},
            ("server_side_tool_usage_details.x_posts_fetched",),
        ),
        ({"moon_tokens": "12"}, ("moon_tokens",)),
        ({"moon_tokens": 0.5}, ("moon_tokens",)),
        ({"promptTokens": 11}, ("promptTokens",)),
        ({"moon_tokens": 0, "is_moon": True, "moon": "full", "no_moon": None}, ()),
        ({"total_time": 0.4, "queue_time": 1, "load_duration": 99, "cost": 0.4}, ()),
        ({"raw": {"moon_tokens": 4}}, ()),
    ],
)
def test_a_number_that_nobody_knows_is_named_as_it_is_spelled(more: dict[str, Any], unread: tuple[str, ...]) -> None:
    usage = usage_from({**PLAIN, **more})

    assert (usage.prompt_tokens, usage.completion_tokens) == (10, 5)
    assert usage.unread_keys == unread
    assert usage.partially_priced is bool(unread)
    assert usage.details == {**PLAIN, **more}


def test_other_attributes_of_a_span_are_no_counts() -> None:
    span = {"gen_ai.usage.input_tokens": 3, "gen_ai.request.max_tokens": 4096, "server.port": 443}

    assert usage_from(span).unread_keys == ()
    assert usage_from({**span, "gen_ai.usage.moon_tokens": 4}).unread_keys == ("gen_ai.usage.moon_tokens",)


def test_a_flagged_usage_makes_the_sum_a_lower_bound() -> None:
    usage = usage_from({**PLAIN, "moon_tokens": 4}, model="gpt-4o").model_copy(update={"cost_pico_usd": 7})

    assert usage.counters()["partially_priced_requests"] == 1
    assert "partially_priced_requests" not in usage_from(PLAIN).counters()


def test_two_names_of_one_count_that_differ_are_noted_and_a_0_wipes_out_nothing() -> None:
    usage = usage_from({**PLAIN, "cached_tokens": 0, "prompt_tokens_details": {"cached_tokens": 4}})
    other = usage_from({**PLAIN, "cached_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}})

    assert (usage.cache_read_tokens, "inconsistent" in (usage.details or {})) == (4, False)
    assert (other.details or {})["inconsistent"] == ["prompt_tokens_details.cached_tokens is 4, but cached_tokens is 3"]


# A mapping of a TokenUsage's own fields may have details of the caller's.
WITH_FEES: list[dict[str, Any]] = [row.reply["usage"] for row in FEE_ROWS if "usage" in row.reply]
WITH_FEES += [row.reply["usageMetadata"] for row in FEE_ROWS if "usageMetadata" in row.reply]
KNOWN_USAGES = [row.usage for row in ROWS] + WITH_FEES
NAMES = sorted(({name for usage in KNOWN_USAGES for name in usage} | {"moon_tokens", "sun"}) - {"details"})
INNER = sorted({name for usage in KNOWN_USAGES for part in usage.values() if isinstance(part, dict) for name in part})
COUNTS = st.integers(0, 50)
USAGES = st.dictionaries(
    st.sampled_from(NAMES),
    COUNTS
    | st.dictionaries(st.sampled_from([*INNER, "moon"]), COUNTS, max_size=3)
    | st.lists(
        st.fixed_dictionaries({"modality": st.sampled_from(["TEXT", "AUDIO", "MOON"]), "tokenCount": COUNTS}),
        max_size=2,
    ),
    max_size=6,
)
# These repeat or split what is read elsewhere, or count nothing that is paid for. They are written down here once more,
# so that nothing becomes such a name by mistake.
KNOWN = {
    "accepted_prediction_tokens",
    "completion_time",
    "completion_tokens_per_sec",
    "context_window",
    "cost",
    "duration",
    "end_time",
    "eval_duration",
    "firstByteLatency",
    "flex",
    "invocationLatency",
    "llm.usage.total_tokens",
    "load_duration",
    "mcp_calls",  # not paid by use
    "noCache",
    "noCacheTokens",
    "num_sources_used",  # not paid where the searches are
    "per_turn_token",
    "priority",
    "prompt_cache_miss_tokens",
    "prompt_eval_duration",
    "prompt_time",
    "queue_time",
    "rejected_prediction_tokens",
    "text",
    "textTokens",
    "text_tokens",
    "time_to_first_token",
    "tool_calls",
    "total",
    "totalTokenCount",
    "totalTokens",
    "total_duration",
    "total_latency",
    "total_time",
    "total_tokens",
}


@given(st.sampled_from(KNOWN_USAGES) | USAGES, USAGES)
@settings(deadline=None, max_examples=few(100, of=1_000))
def test_no_number_is_left_out_in_silence(base: dict[str, Any], more: dict[str, Any]) -> None:
    given_usage = {**base, **more}
    before = read(given_usage)
    if before is None:
        return  # it is refused as a whole
    for place in list(numbers(given_usage)):
        if spelled(place) not in before.unread_keys and not is_said_elsewhere(place, given_usage):
            after = read(with_large(given_usage, place))

            assert after is None or said(after) != said(before), place


def with_large(usage: dict[str, Any], place: tuple[Any, ...]) -> dict[str, Any]:
    larger = deepcopy(usage)
    holder: Any = larger
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = LARGE
    return larger


def read(usage: dict[str, Any]) -> TokenUsage | None:
    try:
        return usage_from(usage)
    except InvalidEvent:
        return None


def said(usage: TokenUsage) -> tuple[object, ...]:
    details = usage.details or {}
    return usage.counters(), usage.media, usage.unread_keys, details.get("inconsistent")


def numbers(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from numbers(part, (*place, name))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from numbers(part, (*place, index))
    elif isinstance(value, int | float) and not isinstance(value, bool) and value != LARGE:
        yield place


def spelled(place: tuple[Any, ...]) -> str:
    return ".".join("[]" if isinstance(step, int) else step for step in place).replace(".[]", "[]")


def is_said_elsewhere(place: tuple[Any, ...], usage: dict[str, Any]) -> bool:
    """Tell whether a number is none of this usage: another attribute of a span, or what Cohere saw beside its bill."""
    if place[0] == "details" and place[-1] in ("input_tokens", "output_tokens", "prompt_tokens", "completion_tokens"):
        return True
    if "raw" in place or "cost" in str(place[-1]):
        return True
    if place[-1] == "tool_calls_requested" and any(other[-1] == "tool_calls_executed" for other in numbers(usage)):
        return True  # what was asked for is not paid where the usage says what was done
    is_span = any(str(name).startswith(("gen_ai.", "llm.")) for name in usage)
    return (
        str(place[-1]) in KNOWN
        or is_span
        or place[0] in ("tokens", "billed_units")
        or place[-1] in ("tokenCount", "tokens")
    )
