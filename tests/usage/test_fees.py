"""What is paid by use is counted beside the tokens, costs what the list says, and is never left out in silence."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from a2a_session_manager import InvalidEvent, ListPricer, Prices, TokenUsage, merged_usage, usage_from
from a2a_session_manager.models.token_usage import priced
from a2a_session_manager.pricing.list_prices import load
from a2a_session_manager.pricing.usage_numbers import TOOL_USES
from a2a_session_manager.usage.recorded import recorded_usage
from tests.usage.fee_rows import FEE_ROWS, FeeRow

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
PLAIN = {"input_tokens": 10, "output_tokens": 5}


@pytest.fixture(autouse=True)
def loaded_prices() -> None:
    load()


def as_object(value: Any) -> Any:
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_object(part) for name, part in value.items()})
    return [as_object(part) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize("made", [lambda reply: reply, as_object], ids=["dict", "object"])
@pytest.mark.parametrize("row", FEE_ROWS, ids=lambda row: row.name)
def test_what_is_paid_by_use_is_counted_and_priced(row: FeeRow, made: Any) -> None:
    usage = priced(usage_from(made(row.reply), model=row.model, provider=row.provider), AT)

    assert (usage.tool_uses, usage.unread_keys) == (row.uses, ())
    assert usage.cost_pico_usd == (None if row.cost is None else Decimal(row.cost).scaleb(12))
    assert usage.partially_priced is (row.unpriced is not None)
    assert "inconsistent" not in (usage.details or {})
    if row.unpriced is not None:
        assert f"no price is known for {row.unpriced}" in (usage.details or {})["unpriced"]


@pytest.mark.parametrize("row", FEE_ROWS, ids=lambda row: row.name)
def test_a_fee_is_in_every_sum(row: FeeRow) -> None:
    usage = priced(usage_from(row.reply, model=row.model, provider=row.provider), AT)

    counted = usage.counters()

    assert {name: counted[name] for name in TOOL_USES if name in counted} == row.uses
    assert ("partially_priced_requests" in counted) is (row.unpriced is not None)


@pytest.mark.parametrize(
    ("usage", "field"),
    [
        ({**PLAIN, "server_tool_use": {"web_search_requests": -1}}, "server_tool_use.web_search_requests"),
        ({**PLAIN, "connectors": {"web_search": 0.5}}, "connectors.web_search"),
        ({**PLAIN, "server_side_tool_usage_details": {"web_search_calls": "many"}}, "web_search_calls"),
        ({**PLAIN, "num_sources_used": -3}, "num_sources_used"),
        ({"usage": PLAIN, "tool_usage": {"web_search": {"num_requests": -1}}}, "tool_usage.web_search.num_requests"),
        ({**PLAIN, "web_searches": -1}, "web_searches"),
    ],
)
def test_a_fee_that_is_no_count_is_refused_by_its_name_and_its_answer_is_kept(
    usage: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidEvent, match=field):
        usage_from(usage, model="m")

    kept = recorded_usage(usage, model="m")

    assert (kept.basis, kept.counters()["requests_without_usage"]) == ("unknown", 1)
    assert kept.details is not None
    assert field in kept.details["not_understood"]
    assert kept.details["input_tokens"] == 10


def test_a_negative_fee_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match="web_searches"):
        TokenUsage(web_searches=-1)


def test_one_count_said_at_two_places_is_one_and_a_contradiction_is_noted() -> None:
    same = {**PLAIN, "server_tool_use": {"web_search_requests": 2}, "web_search_requests": 2}
    other = {**PLAIN, "server_tool_use": {"web_search_requests": 2}, "web_search_requests": 3}

    assert (usage_from(same).web_searches, "inconsistent" in (usage_from(same).details or {})) == (2, False)
    assert usage_from(other).web_searches == 3
    assert "web_searches is" in (usage_from(other).details or {})["inconsistent"][0]


def test_what_a_reply_counts_beside_its_usage_is_kept_with_it_and_flagged_where_nobody_knows_it() -> None:
    tools = {"web_search": {"num_requests": 1}, "image_gen": {"output_tokens": 1000, "total_tokens": 1000}}

    usage = usage_from({"usage": PLAIN, "tool_usage": tools})

    assert (usage.tool_uses, usage.details) == ({"web_searches": 1}, {**PLAIN, "tool_usage": tools})
    assert (usage.unread_keys, usage.partially_priced) == (("tool_usage.image_gen.output_tokens",), True)


@pytest.mark.parametrize(
    ("reply", "uses"),
    [
        (
            {**PLAIN, "raw": {"billedToolCalls": [{"tool": "GOOGLE_MAPS", "successfulToolCallCount": 2}]}},
            "map_searches",
        ),
        ({"usage": PLAIN, "steps": [{"content": [{"type": "web_search_call"}] * 2}, {}]}, "web_searches"),
        ({**PLAIN, "gen_ai.usage.details.web_fetch_requests": 2}, "web_fetches"),
        ({**PLAIN, "serverToolUse": {"codeExecutionRequests": 2}}, "code_executions"),
        ({**PLAIN, "tool_calls_details": {"sandbox": {"invocation": 1}, "code_interpreter": 1}}, "code_executions"),
        ({**PLAIN, "grounding_tool_count": {"retrieval": 2}}, "file_searches"),
        ({**PLAIN, "server_side_tools_used": ["SERVER_SIDE_TOOL_X_SEARCH", 2]}, "social_searches"),
        ({**PLAIN, "x_tools": {"web_search": {"count": 2}}}, "web_searches"),
        ({**PLAIN, "server_tool_use": {"tool_calls_executed": 2, "tool_calls_requested": 5}}, "other_tool_uses"),
        ({**PLAIN, "server_tool_use_details": {"web_search_requests": 2, "tool_calls_requested": 2}}, "web_searches"),
        ({"usage": PLAIN, "choices": [{"message": {"executed_tools": [{"type": "visit"}] * 2}}]}, "web_fetches"),
        ({"usage": PLAIN, "tools": 3, "server_side_tool_usage": {"SERVER_SIDE_TOOL_WEB_SEARCH": 2}}, "web_searches"),
        ({"usage": PLAIN, "content": [{"type": "server_tool_use", "name": "web_fetch"}] * 2}, "web_fetches"),
    ],
)
def test_relatives_of_the_rows_are_counted(reply: dict[str, Any], uses: str) -> None:
    usage = usage_from(reply)

    assert (usage.tool_uses, usage.unread_keys) == ({uses: 2}, ())


def test_a_stream_brings_its_fees_once() -> None:
    chunks = [
        {
            "candidates": [{"groundingMetadata": {"webSearchQueries": ["fjords"]}}],
            "modelVersion": "gemini-3-pro-preview",
        },
        {
            "candidates": [{"groundingMetadata": {"webSearchQueries": ["fjords", "oslo"]}}],
            "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5},
        },
    ]
    anthropic = [
        {"message": {"usage": {**PLAIN, "server_tool_use": {"web_search_requests": 1}}}},
        {"usage": {"output_tokens": 9, "server_tool_use": {"web_search_requests": 3}}},
    ]

    assert merged_usage(chunks).tool_uses == {"web_searches": 2}
    assert merged_usage(anthropic).tool_uses == {"web_searches": 3}


def test_a_free_reply_of_a_stream_costs_nothing() -> None:
    chunks = [{"usage": {"prompt_tokens": 10, "completion_tokens": 5, "cost": 0}}]

    assert merged_usage(chunks).cost_pico_usd == 0


def test_own_prices_price_uses_and_those_without_one_are_a_lower_bound() -> None:
    usage = TokenUsage(prompt_tokens=1_000_000, model="ours", web_searches=3, code_executions=1)

    both = priced(usage, AT, ListPricer({"ours": Prices(1, 1, web_searches=10, code_executions=0)}))
    one = priced(usage, AT, ListPricer({"ours": Prices(1, 1, web_searches=Decimal("2.5"))}))

    assert (both.cost_pico_usd, both.partially_priced) == (1_030_000_000_000, False)
    assert (one.cost_pico_usd, one.partially_priced) == (1_007_500_000_000, True)
    assert (one.details or {})["unpriced"] == "no price is known for code_executions=1"


@pytest.mark.parametrize(
    ("item", "uses"),
    [
        ({"type": "web_search_call", "status": "failed"}, {}),
        ({"type": "mcp_call"}, {}),
        ({"type": "function_call", "name": "web_search"}, {}),
        ({"type": "shell_call", "environment": {"type": "local"}}, {}),
        ({"type": "shell_call", "environment": {"type": "container_reference"}}, {"other_tool_uses": 1}),
        ({"type": "server_tool_use", "name": "moon_search"}, {"other_tool_uses": 1}),
        ({"type": "tool.execution", "name": "web_search_premium"}, {"web_searches": 1}),
        ({"part_kind": "builtin-tool-call", "tool_name": "code_execution"}, {"code_executions": 1}),
        ({"type": "tool-call", "toolName": "web_search", "providerExecuted": True}, {"web_searches": 1}),
        ({"type": "tool-call", "toolName": "web_search"}, {}),
    ],
)
def test_only_what_the_provider_has_run_is_paid(item: dict[str, Any], uses: dict[str, int]) -> None:
    assert usage_from({"content": [item], "usage": PLAIN}).tool_uses == uses
