"""A cost that is reported with a usage is its cost; the list's is kept beside it, and a bad one is named."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from a2a_session_manager import InMemorySessionStore, SessionManager, TokenUsage
from a2a_session_manager.models.token_usage import priced
from a2a_session_manager.pricing.list_prices import load
from a2a_session_manager.pricing.pricer import ListPricer
from a2a_session_manager.pricing.prices import Prices
from a2a_session_manager.usage.provider_usage import merged_usage, usage_from

AT = datetime(2026, 11, 20, tzinfo=UTC)
CHAT = {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}
SIDES = {"input_tokens": 1000, "output_tokens": 300}

ROWS: list[tuple[str, object, str | None]] = [
    ("OpenRouter", {**CHAT, "cost": 0.00042, "is_byok": False}, "0.00042"),
    ("OpenRouter, free", {**CHAT, "cost": 0, "is_byok": False}, "0"),
    (
        "OpenRouter, an own key",
        {**CHAT, "cost": 0.00002, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.0004}},
        "0.00042",
    ),
    (
        "OpenRouter, what its provider asked",
        {**CHAT, "cost": 0.00042, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.0004}},
        "0.00042",
    ),
    (
        "Perplexity",
        {**CHAT, "cost": {"input_tokens_cost": 0.1, "request_cost": 0.005, "total_cost": 0.00511}},
        "0.00511",
    ),
    ("xAI", {**CHAT, "cost_in_usd_ticks": 37_756_000}, "0.0037756"),
    ("pydantic-ai", SimpleNamespace(**SIDES, details={}, cost=Decimal("0.1")), "0.1"),
    ("LangSmith", {**CHAT, "prompt_cost": "0.001", "completion_cost": "0.002", "total_cost": "0.003"}, "0.003"),
    ("Claude Code, a result", {"type": "result", "total_cost_usd": 0.25, "usage": SIDES}, "0.25"),
    ("Claude Code, a line", {"type": "assistant", "costUSD": 0.5, "message": {"usage": SIDES}}, "0.5"),
    ("LiteLLM", SimpleNamespace(usage=SimpleNamespace(**CHAT), _hidden_params={"response_cost": 0.01}), "0.01"),
    (
        "LiteLLM, unknown to it",
        SimpleNamespace(usage=SimpleNamespace(**CHAT), _hidden_params={"response_cost": 0.0}),
        None,
    ),
    ("DeepInfra", {**CHAT, "estimated_cost": 1.5e-05}, "0.000015"),
    ("the AI SDK's gateway", {"usage": SIDES, "providerMetadata": {"gateway": {"cost": "0.0027"}}}, "0.0027"),
    ("Langfuse", {"totalCost": 0.125, "usage": SIDES}, "0.125"),
    (
        "OpenTelemetry",
        {"gen_ai.usage.input_tokens": 1, "gen_ai.usage.output_tokens": 1, "gen_ai.usage.cost": 0.5},
        "0.5",
    ),
    ("LiteLLM's log of a reply", {"response_cost": 0.5, "response": {"id": "chatcmpl-1", "usage": CHAT}}, "0.5"),
    ("Langfuse, by kind", {"usageDetails": {"input": 3, "output": 4}, "costDetails": {"input": 1, "total": 3}}, "3"),
    ("Dify", {**CHAT, "prompt_unit_price": "0.001", "total_price": "0.5", "currency": "USD", "latency": 1.5}, "0.5"),
    ("pydantic-ai's spans", {"gen_ai.usage.input_tokens": 1, "operation.cost": 0.5}, "0.5"),
    ("spelled as in JavaScript", {**CHAT, "totalCostUsd": 0.5}, "0.5"),
    ("spelled in capitals", {**CHAT, "costUSD": 0.5}, "0.5"),
    ("beside it something else", SimpleNamespace(usage=CHAT, cost=object()), None),
    ("costs by kind, and their sum", {**CHAT, "cost": {"input": 1, "output": 2, "total": 3}}, "3"),
    ("nothing reported", {**CHAT, "cost": None}, None),
]


@pytest.fixture(autouse=True)
def loaded_prices() -> None:
    load()


@pytest.mark.parametrize(("reply", "usd"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_what_is_reported_is_the_cost(reply: object, usd: str | None) -> None:
    usage = usage_from(reply)

    if usd is None:
        assert (usage.cost_pico_usd, usage.priced_by) == (None, None)
    else:
        assert (usage.estimated_cost_usd, usage.priced_by) == (Decimal(usd), "reported")
    assert not usage.partially_priced


async def test_the_lists_price_is_kept_beside_it() -> None:
    async with SessionManager() as sessions, sessions.open("talk") as chat:
        near = await chat.assistant("x", model="gpt-5", usage={**CHAT, "cost": 0.01126})
        far = await chat.assistant("x", model="gpt-5", usage={**CHAT, "cost": 0.0115})
        unlisted = await chat.assistant("x", model="openrouter/auto", usage={**CHAT, "cost": 0.5})
        stored = [event.token_usage for event in await chat.events()]
        total = (await chat.usage()).total

    assert stored == [event.token_usage for event in (near, far, unlisted)]
    found = [usage for usage in stored if usage is not None]
    assert [usage.list_cost_usd for usage in found] == [Decimal("0.01125"), Decimal("0.01125"), None]
    assert [usage.differs_from_list for usage in found] == [False, True, False]
    assert total.estimated_cost_usd == Decimal("0.52276")
    assert not total.is_lower_bound


async def test_own_prices_stand_beside_what_is_reported_and_do_not_replace_it() -> None:
    store = InMemorySessionStore(pricer=ListPricer({"gpt-5": Prices(1, 1)}))
    async with SessionManager(store) as sessions, sessions.open("talk") as chat:
        event = await chat.assistant("x", model="gpt-5", usage={**CHAT, "cost": 0.5})

    assert event.token_usage is not None
    assert (event.token_usage.estimated_cost_usd, event.token_usage.list_cost_usd) == (Decimal("0.5"), Decimal("0.002"))


@pytest.mark.parametrize("ticks", [-1, float("inf"), float("nan"), "x", [1], 10**30])
def test_ticks_that_are_none_are_named(ticks: Any) -> None:
    usage = usage_from({**CHAT, "cost_in_usd_ticks": ticks})

    assert usage.details is not None
    assert usage.details["inconsistent"][0].startswith("usage.cost_in_usd_ticks is ")
    assert (usage.cost_pico_usd, usage.partially_priced) == (None, True)


@pytest.mark.parametrize("bad", [float("nan"), -0.1, "much", float("inf"), True, [1], 1e300])
async def test_a_cost_that_is_none_is_named_and_the_answer_is_kept(bad: Any) -> None:
    async with SessionManager() as sessions, sessions.open("talk") as chat:
        await chat.assistant("x", model="gpt-5", usage={**CHAT, "cost": bad})
        (event,) = await chat.events()
        total = (await chat.usage()).total

    usage = event.token_usage
    assert usage is not None
    assert usage.details is not None
    assert (usage.prompt_tokens, usage.priced_by != "reported", usage.partially_priced) == (1000, True, True)
    assert usage.details["cost"] in (bad, str(bad))
    assert usage.details["inconsistent"][0].startswith("usage.cost is ")
    assert (total.estimated_cost_usd, total.is_lower_bound) == (Decimal("0.01125"), True)


def test_a_bad_cost_beside_the_usage_is_named_too() -> None:
    usage = usage_from({"total_cost_usd": -1, "usage": SIDES})

    assert usage.details is not None
    assert usage.details["inconsistent"] == [
        "reply.total_cost_usd is -1, not an amount of US dollars of 0 or more",
    ]


def test_costs_by_kind_without_their_sum_are_named() -> None:
    usage = usage_from({**CHAT, "cost": {"input": 1, "output": 2}})

    assert (usage.unread_keys, usage.cost_pico_usd, usage.partially_priced) == (
        ("cost.input", "cost.output"),
        None,
        True,
    )


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"cost": 0.4, "currency": "EUR"}, "usage.cost is in 'EUR', not in US dollars"),
        ({"total_price": "0.4", "currency": "RMB"}, "usage.total_price is in 'RMB', not in US dollars"),
        # OpenRouter's own fee, and nothing of what its customer's key paid to the model's provider.
        ({"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": None}}, "usage.cost leaves out what"),
        ({"cost": 0.00002, "is_byok": True}, "usage.cost leaves out what the own key paid"),
    ],
)
def test_an_amount_that_is_not_the_cost_in_us_dollars_is_named(more: dict[str, Any], problem: str) -> None:
    usage = priced(usage_from({**CHAT, **more}, model="gpt-5"), AT)

    assert usage.details is not None
    assert usage.details["inconsistent"][0].startswith(problem)
    assert (usage.estimated_cost_usd, usage.partially_priced) == (Decimal("0.01125"), True)


@pytest.mark.parametrize("name", ["input_cost", "searchCost", "costs_of_moon"])
def test_a_cost_by_a_name_that_nobody_knows_is_named(name: str) -> None:
    usage = usage_from({**CHAT, name: 0.4})

    assert (usage.unread_keys, usage.partially_priced) == ((name,), True)
    assert usage_from({**CHAT, name: 0.4, "total_cost": 0.5}).unread_keys == ()


def test_a_stream_reports_its_cost_at_its_end() -> None:
    chunks = [{"usage": {**CHAT, "cost": None}}, {"usage": {**CHAT, "cost": 0.25}}]

    assert merged_usage(chunks).estimated_cost_usd == Decimal("0.25")
    assert merged_usage([{"usage": SIDES}, {"total_cost_usd": 0.5}]).estimated_cost_usd == Decimal("0.5")


def test_the_callers_own_cost_is_not_looked_up() -> None:
    usage = TokenUsage(prompt_tokens=1000, model="gpt-5", cost_pico_usd=1, priced_by="caller")

    assert priced(usage, AT) is usage
