"""Every provider's usage becomes the same inclusive numbers, as a dict or as an object, in either case of its names."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import genai_prices
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from a2a_session_manager import InvalidEvent, TokenUsage
from a2a_session_manager.models.money import pico_from_usd
from a2a_session_manager.models.token_usage import priced
from a2a_session_manager.pricing.list_prices import load
from a2a_session_manager.pricing.usage_reader import snake
from a2a_session_manager.usage.provider_usage import merged_usage, usage_from
from tests.usage.provider_rows import ROWS
from tests.usage.row import Row

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
WITH_OBJECTS = [row for row in ROWS if row.is_object_too]
WITH_EXTRACTORS = [row for row in ROWS if row.extractor is not None]
THEIR_NAMES = {
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "cache_write_1h_tokens": "cache_write_1h_tokens",
    "reasoning_tokens": "output_reasoning_tokens",
    "input_audio_tokens": "input_audio_tokens",
    "output_audio_tokens": "output_audio_tokens",
    "web_searches": "web_searches",
}


class Loose(BaseModel):
    """A client library's model, with fields that came after it was written."""

    model_config = ConfigDict(extra="allow")


def as_namespace(value: Any) -> Any:
    return mapped(value, lambda fields: SimpleNamespace(**fields))


def as_pydantic(value: Any) -> Any:
    return mapped(value, lambda fields: Loose(**fields))


def as_dataclass(value: Any) -> Any:
    return mapped(value, lambda fields: dataclasses.make_dataclass("Usage", list(fields))(**fields))


def as_slots(value: Any) -> Any:
    def made(fields: dict[str, Any]) -> Any:
        thing = type("Usage", (), {"__slots__": tuple(fields)})()
        for name, part in fields.items():
            setattr(thing, name, part)
        return thing

    return mapped(value, made)


def mapped(value: Any, made: Any) -> Any:
    if isinstance(value, dict):
        return made({snake(name): mapped(part, made) for name, part in value.items()})
    return [mapped(part, made) for part in value] if isinstance(value, list) else value


def camel(value: Any) -> Any:
    if isinstance(value, dict):
        return {re.sub(r"_([a-z0-9])", lambda m: m[1].upper(), name): camel(part) for name, part in value.items()}
    return [camel(part) for part in value] if isinstance(value, list) else value


def counts_of(usage: TokenUsage) -> dict[str, int]:
    counts = usage.counters()
    counts.pop("unpriced_requests", None)
    counts.pop("cost_pico_usd", None)
    counts.pop("partially_priced_requests", None)
    return counts


def expected(row: Row) -> dict[str, int]:
    return {"requests": 1, **row.counts}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_dict_is_read(row: Row) -> None:
    usage = usage_from(row.usage, model="m", provider=row.provider)

    assert counts_of(usage) == expected(row)
    assert (usage.model, usage.provider, usage.basis) == ("m", row.provider, "reported")
    assert (usage.unread_keys, usage.partially_priced) == (row.unread, bool(row.unread))
    details = dict(usage.details or {})
    assert bool(details.pop("inconsistent", None)) is row.is_inconsistent
    assert details in ({}, row.usage)


@pytest.mark.parametrize("row", WITH_OBJECTS, ids=lambda row: row.name)
@pytest.mark.parametrize("made", [as_namespace, as_pydantic, as_dataclass, as_slots])
def test_an_object_is_read_as_its_dict(row: Row, made: Any) -> None:
    usage = usage_from(made(row.usage), provider=row.provider)

    assert counts_of(usage) == expected(row)
    assert ("inconsistent" in (usage.details or {})) is row.is_inconsistent


@pytest.mark.parametrize("row", WITH_OBJECTS, ids=lambda row: row.name)
@pytest.mark.parametrize("spelled", [camel, lambda usage: mapped(usage, dict)], ids=["camelCase", "snake_case"])
def test_the_case_of_the_names_changes_nothing(row: Row, spelled: Any) -> None:
    assert counts_of(usage_from(spelled(row.usage), provider=row.provider)) == expected(row)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_whole_reply_is_read_where_its_usage_lies(row: Row) -> None:
    reply = {"id": "1", "model": "the-model", "usage": row.usage}

    usage = usage_from(reply, provider=row.provider)

    assert counts_of(usage) == expected(row)
    assert usage.model == "the-model"
    assert counts_of(usage_from(SimpleNamespace(usage=row.usage), provider=row.provider)) == expected(row)


@dataclasses.dataclass
class RunUsage:
    """As pydantic-ai has it: data that can be called, too."""

    input_tokens: int = 1000
    output_tokens: int = 300
    requests: int = 3

    def __call__(self) -> RunUsage:
        return self


def test_a_usage_that_can_be_called_is_read_and_a_function_is_not() -> None:
    assert counts_of(usage_from(RunUsage())) == {"prompt_tokens": 1000, "completion_tokens": 300, "requests": 3}
    with pytest.raises(InvalidEvent, match="usage is not understood"):
        usage_from(RunUsage().__call__)


@pytest.mark.parametrize(
    "reply",
    [
        {"model_name": "the-model"},  # pydantic-ai
        {"model_version": "the-model"},  # google-genai
        {"response_metadata": {"model_name": "the-model"}},  # LangChain
    ],
)
def test_a_replys_model_is_found_under_every_name(reply: dict[str, Any]) -> None:
    usage = {"input_tokens": 1000, "output_tokens": 300}

    assert usage_from({**reply, "usage": usage}).model == "the-model"
    assert usage_from(SimpleNamespace(**reply, usage=usage)).model == "the-model"


@pytest.mark.parametrize("row", WITH_EXTRACTORS, ids=lambda row: row.name)
def test_genai_prices_extracts_the_same_and_it_costs_the_same(row: Row) -> None:
    load()
    assert row.extractor is not None
    provider_id, flavor, wrapping = row.extractor
    reply: Any = row.usage
    for name in reversed(wrapping):
        reply = {name: reply}

    theirs = genai_prices.extract_usage(reply, provider_id=provider_id, api_flavor=flavor).usage
    cost = genai_prices.calc_price(theirs, row.model, provider_id=provider_id, genai_request_timestamp=AT)
    ours = usage_from(row.usage, model=row.model, provider=row.provider)

    assert {ours_as: getattr(ours, ours_as) for ours_as in THEIR_NAMES} == {
        ours_as: theirs.reported_value(name) for ours_as, name in THEIR_NAMES.items()
    }
    with_cost = priced(ours.model_copy(update={"provider": provider_id}), AT)
    assert with_cost.cost_pico_usd == pico_from_usd(cost.total_price)


def test_anthropics_names_are_exclusive_and_litellms_are_not() -> None:
    usage = {"input_tokens": 1000, "output_tokens": 300, "cache_read_input_tokens": 600}

    assert usage_from(usage).prompt_tokens == 1600
    assert usage_from(usage, provider="anthropic").prompt_tokens == 1600
    assert usage_from(usage, provider="litellm").prompt_tokens == 1000


def test_a_total_tells_whether_the_caches_are_inside() -> None:
    usage = {"input_tokens": 1000, "output_tokens": 300, "cache_read_input_tokens": 600}

    assert usage_from({**usage, "total_tokens": 1300}).prompt_tokens == 1000
    assert usage_from({**usage, "total_tokens": 1900}).prompt_tokens == 1600


@pytest.mark.parametrize(
    ("usage", "provider", "counts", "problem"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 99}, None, (10, 5), "the total is 99"),
        ({"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 99}, None, (10, 5), "the total is 99"),
        ({"inputTokens": 10, "outputTokens": 5, "totalTokens": 99}, None, (10, 5), "the total is 99"),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 11}},
            None,
            (10, 5),
            "cache_read_tokens is 11, more than the 10",
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 6}},
            None,
            (10, 5),
            "reasoning_tokens is 6, more than the 5",
        ),
        (
            {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 8, "cache_creation_input_tokens": 8},
            "litellm",
            (10, 5),
            "cache_write_tokens is 8, more than the 2 left",
        ),
        (
            {
                "input_tokens": 10,
                "output_tokens": 5,
                "cache_creation_input_tokens": 8,
                "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 3},
            },
            None,
            (18, 5),
            "add up to 6, but their total is 8",
        ),
    ],
)
def test_a_providers_contradiction_is_kept_and_flagged(
    usage: dict[str, Any], provider: str | None, counts: tuple[int, int], problem: str
) -> None:
    read = usage_from(usage, provider=provider)

    assert (read.prompt_tokens, read.completion_tokens) == counts
    assert read.details is not None
    assert problem in read.details["inconsistent"][0]
    assert read.partially_priced  # nobody knows which of the numbers is on the bill
    assert not usage_from({**usage, "cost": 0.5}, provider=provider).partially_priced
    assert {name: read.details[name] for name in usage} == usage


@pytest.mark.parametrize(
    ("usage", "field"),
    [
        ({"prompt_tokens": -1, "completion_tokens": 2, "prompt_tokens_details": {}}, "prompt_tokens"),
        ({"prompt_tokens": -1}, "prompt_tokens"),
        (
            {"prompt_tokens": 1, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": -4}},
            "prompt_tokens_details.cached_tokens",
        ),
        ({"promptTokenCount": 1, "thoughtsTokenCount": -4}, "thoughtsTokenCount"),
        ({"inputTokens": 1, "cacheDetails": [{"ttl": "1h", "inputTokens": -1}]}, "cacheDetails[].input_tokens"),
        ({"gen_ai.usage.input_tokens": -1}, "gen_ai.usage.input_tokens"),
        ({"input_tokens": 1.5, "output_tokens": 1, "cache_read_input_tokens": 1}, "input_tokens"),
        ({"input_tokens": True, "output_tokens": 1, "cache_read_input_tokens": 1}, "input_tokens"),
        ({"input_tokens": float("nan"), "cache_read_input_tokens": 1}, "input_tokens"),
        ({"input_tokens": "many", "cache_read_input_tokens": 1}, "input_tokens"),
    ],
)
def test_what_is_no_count_is_refused_by_its_name(usage: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidEvent, match=re.escape(f"{field} is")) as caught:
        usage_from(usage)

    assert caught.value.path == f"usage.{field}"


@pytest.mark.parametrize(
    ("usage", "field"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": "lots"}, "prompt_tokens_details"),
        ({"prompt_tokens": 10, "completion_tokens": 2, "completion_tokens_details": [4]}, "completion_tokens_details"),
        ({"inputTokens": 10, "outputTokens": 2, "inputTokensDetails": 7}, "inputTokensDetails"),
    ],
)
def test_details_that_cannot_be_read_are_refused_and_never_0(usage: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidEvent, match=f"{field} is .*, not counts by their names") as caught:
        usage_from(usage)

    assert caught.value.path == f"usage.{field}"


@pytest.mark.parametrize("empty", [None, {}, [], ""])
def test_empty_details_hold_no_counts(empty: object) -> None:
    read = usage_from({"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": empty})

    assert (read.prompt_tokens, read.cache_read_tokens) == (10, 0)


def test_a_count_may_come_as_a_whole_float_or_as_protobufs_text() -> None:
    assert usage_from({"promptTokenCount": "12", "candidatesTokenCount": 3.0}).total_tokens == 15


def test_what_json_cannot_hold_is_kept_as_text() -> None:
    circle: dict[str, Any] = {
        "input_tokens": 1,
        "output_tokens": 2,
        "cost": {1, 2}.pop,
        "when": AT,
        "nan": float("nan"),
    }
    circle["self"] = circle

    details = usage_from(circle).details

    assert details is not None
    assert (details["when"], details["nan"]) == ("2026-11-20T12:00:00+00:00", "nan")


def test_spans_and_coheres_first_api_are_read() -> None:
    span = SimpleNamespace(attributes={"gen_ai.usage.input_tokens": 1, "gen_ai.response.model": "m"})

    assert usage_from(span) == TokenUsage(prompt_tokens=1, model="m", details=span.attributes)
    assert usage_from({"meta": {"billed_units": {"input_tokens": 4, "output_tokens": 5}}}).total_tokens == 9


NAMES = sorted({part for row in ROWS for name in row.usage for part in (name, snake(name))} | {"usage", "model"})
VALUES = st.none() | st.integers(-1, 50) | st.sampled_from(["7", "x", 1.0, 0.5, True, [], [1], {}])
USAGES = st.recursive(
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8),
    lambda inner: st.dictionaries(
        st.sampled_from([*NAMES, "cached_tokens", "reasoning_tokens", "audio_tokens", "modality", "tokenCount"]),
        VALUES | inner | st.lists(inner, max_size=2),
        max_size=8,
    ),
    max_leaves=6,
)


@given(st.lists(USAGES, min_size=1, max_size=3), st.sampled_from([None, "xai", "litellm", "anthropic", "perplexity"]))
def test_anything_is_a_usage_or_an_invalid_event(chunks: list[dict[str, Any]], provider: str | None) -> None:
    for read, given_usage in ((usage_from, chunks[0]), (merged_usage, chunks)):
        with contextlib.suppress(InvalidEvent):
            usage = read(given_usage, provider=provider)
            json.dumps(usage.details, allow_nan=False)
            assert usage == TokenUsage.model_validate(usage.model_dump())
