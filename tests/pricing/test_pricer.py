"""Costs equal the list's own to the pico-dollar, at the time of the request; unknown is None."""

from __future__ import annotations

import asyncio
import copy
import pickle
import socket
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Decimal
from types import MappingProxyType
from typing import Any

import genai_prices
import pytest

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.pricing.list_prices import load, prices_are_loaded, warm_up_prices
from a2a_session_manager.pricing.pricer import DEFAULT_PRICER, ListPricer
from a2a_session_manager.pricing.prices import Prices
from tests.pricing.priced_models import AT, MODELS, SHAPES, THEIR_NAMES

A_MILLION_IN = MappingProxyType({"prompt_tokens": 1_000_000})


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError(f"network: {args!r}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(autouse=True)
def loaded_prices() -> None:
    load()


def cost(
    model: str, provider: str | None = None, at: datetime = AT, counts: Mapping[str, int] = A_MILLION_IN
) -> int | None:
    usage = TokenUsage.model_validate(counts)
    found = DEFAULT_PRICER.price(usage, model, provider, at)
    return None if found is None else found.cost_pico_usd


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("provider", "model"), MODELS)
def test_a_cost_equals_the_lists_to_the_pico_dollar(provider: str, model: str, shape: str) -> None:
    counts = SHAPES[shape]
    theirs = genai_prices.Usage(**{THEIR_NAMES.get(name, name): count for name, count in counts.items()})
    listed = genai_prices.calc_price(theirs, model, provider_id=provider, genai_request_timestamp=AT)

    expected = (listed.total_price * 10**12).to_integral_value(rounding=ROUND_HALF_EVEN)
    assert cost(model, provider, counts=counts) == expected


def test_the_table_is_as_long_as_promised() -> None:
    assert (len(MODELS) >= 40, len(SHAPES) >= 11) == (True, True)


@pytest.mark.parametrize(
    ("spelling", "sold_as"),
    [
        ("gpt-4o", "openai/gpt-4o"),
        ("GPT-4o", "openai/gpt-4o"),
        ("openai/gpt-4o", "openai/gpt-4o"),
        ("openai:gpt-4o", "openai/gpt-4o"),
        ("litellm/openai/gpt-4o", "openai/gpt-4o"),
        ("azure/gpt-4o", "azure/gpt-4o"),
        ("anthropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
        ("openrouter/anthropic/claude-sonnet-4.5", "openrouter/anthropic/claude-sonnet-4.5"),
        ("models/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("gemini/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("publishers/google/models/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("projects/p/locations/l/publishers/google/models/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("google-gla:gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("vertex_ai/claude-sonnet-4-5@20250929", "google/claude-sonnet-4-5"),
        (
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "aws/regional.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        (
            "bedrock/converse/eu-west-1/anthropic.claude-sonnet-4-5-20250929-v1:0",
            "aws/regional.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        (
            "arn:aws:bedrock:us-east-1:1:inference-profile/global.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "aws/global.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        ("xai/grok-4", "x-ai/grok-4-0709"),
        ("groq/openai/gpt-oss-120b", "groq/openai/gpt-oss-120b"),
        ("ft:gpt-4o-mini:org::id", "openai/ft:gpt-4o-mini"),
        ("ft:gpt-4o-mini-2024-07-18:org:name:id", "openai/ft:gpt-4o-mini"),
        ("openai/ft:gpt-4o:org::id", "openai/ft:gpt-4o"),
    ],
)
def test_a_name_is_found_under_its_sellers_list_price(spelling: str, sold_as: str) -> None:
    found = DEFAULT_PRICER.price(TokenUsage(prompt_tokens=1), spelling, None, AT)

    assert found is not None
    assert found.priced_by == f"genai-prices {genai_prices.__version__} {sold_as}"


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("models/gemini-2.5-pro", "google"),
        ("models/gemini-2.5-pro", "gemini"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock"),
        ("claude-sonnet-4-5", "langchain"),
        ("gpt-4o", "pydantic_ai"),
        ("openai/gpt-4o", "openai"),
        ("grok-4", "xai"),
    ],
)
def test_the_provider_may_be_named_beside_the_model(model: str, provider: str) -> None:
    assert cost(model, provider) is not None


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("", None),
        ("  ", None),
        ("no-such-model", None),
        ("openai/no-such-model", None),
        ("no-such-seller/gpt-4o", None),
        ("gpt-4o", "ollama"),
        ("gpt-4o", "anthropic"),
        ("deepseek-r1:8b", None),
        ("llama3.2:latest", None),
        ("ft:gpt-4.1-mini:org::id", None),
        (":", None),
        ("/", None),
        ("ft:", None),
        ("arn:aws:bedrock", None),
        ("x" * 10_000, None),
        ("\x00\ud800", None),
    ],
)
def test_an_unknown_model_has_no_cost_and_no_reason(model: str, provider: str | None) -> None:
    usage = TokenUsage(prompt_tokens=1)

    assert DEFAULT_PRICER.price(usage, model, provider, AT) is None
    assert DEFAULT_PRICER.refusal(usage, model, provider, AT) is None


def test_a_price_holds_at_its_time() -> None:
    assert cost("o3", at=datetime(2025, 5, 1, tzinfo=UTC)) == 10 * 10**12
    assert cost("o3", at=AT) == 2 * 10**12


def test_a_time_of_day_is_the_same_moment_in_every_zone() -> None:
    night = datetime(2026, 1, 1, 20, tzinfo=UTC)

    assert cost("deepseek-chat", at=night) == cost("deepseek-chat", at=night.astimezone(timezone(timedelta(hours=9))))


@pytest.mark.parametrize("model", ["whisper-1", "github-copilot/gpt-4o"])
def test_a_model_listed_without_a_token_price_is_not_free(model: str) -> None:
    assert cost(model) is None
    assert "no price for input tokens" in str(DEFAULT_PRICER.refusal(TokenUsage(prompt_tokens=1), model, None, AT))


def test_numbers_that_the_list_refuses_have_a_reason() -> None:
    usage = TokenUsage.model_construct(prompt_tokens=10, cache_read_tokens=20)

    assert DEFAULT_PRICER.price(usage, "gpt-4o", None, AT) is None
    assert "cannot exceed" in str(DEFAULT_PRICER.refusal(usage, "gpt-4o", None, AT))


def test_an_override_is_first_in_line_for_every_spelling() -> None:
    pricer = ListPricer({"GPT-4o": Prices(1, 2), "azure/gpt-4o": Prices(3, 4), "ft:gpt-4.1": Prices(5, 6)})

    def found(model: str, provider: str | None = None) -> str | None:
        priced = pricer.price(TokenUsage(prompt_tokens=1), model, provider, AT)
        return None if priced is None else priced.priced_by

    assert [found(model) for model in ("gpt-4o", "openai/GPT-4o", "openai:gpt-4o")] == ["override gpt-4o"] * 3
    assert found("azure/gpt-4o") == found("gpt-4o", "azure") == "override azure/gpt-4o"
    assert found("ft:gpt-4.1-2025-04-14:org::id") == found("ft:gpt-4.1:org::id") == "override ft:gpt-4.1"
    assert str(found("ft:gpt-4o:org::id")).startswith("genai-prices")
    assert str(found("gpt-4o-mini")).startswith("genai-prices")


def test_overrides_price_each_part_and_default_to_what_it_is_a_part_of() -> None:
    counts = SHAPES["1h cache write"] | {"output_audio_tokens": 1}
    usage = TokenUsage.model_validate(counts)
    full = Prices(
        input=Decimal(1), output="2", cache_read=Decimal("0.1"), cache_write=3, cache_write_1h=4, output_audio=0.5
    )
    bare = Prices(input=1, output=2)

    costs = [ListPricer({"m": prices}).price(usage, "m", None, AT) for prices in (full, bare)]

    plain = 10_007 - 4_001 - 5_003
    assert costs[0] is not None
    assert costs[0].cost_pico_usd == 10**5 * (10 * plain + 4_001 + 30 * (5_003 - 2_999) + 40 * 2_999 + 20 * 300 + 5)
    assert costs[1] is not None
    assert costs[1].cost_pico_usd == 10**6 * (10_007 + 2 * 301)


def test_half_a_pico_dollar_goes_to_even() -> None:
    pricer = ListPricer({"m": Prices(input=Decimal("0.0000005"), output=0)})

    costs = [pricer.price(TokenUsage(prompt_tokens=n), "m", None, AT) for n in (1, 3, 5)]

    assert [cost.cost_pico_usd for cost in costs if cost is not None] == [0, 2, 2]


def test_an_override_says_when_audio_and_cache_overlap() -> None:
    pricer = ListPricer({"m": Prices(input=1, output=1, cache_read=0, input_audio=9)})
    usage = TokenUsage(prompt_tokens=10, cache_read_tokens=8, input_audio_tokens=5)

    assert pricer.price(usage, "m", None, AT) is None
    assert "overlap" in str(pricer.refusal(usage, "m", None, AT))


@pytest.mark.parametrize("bad", [-1, "-0.1", Decimal("NaN"), float("nan"), "Infinity", "much", True, None, [1]])
@pytest.mark.parametrize("name", ["input", "output", "cache_read", "cache_write", "cache_write_1h", "input_audio"])
def test_a_price_that_is_none_is_refused_by_its_name(name: str, bad: Any) -> None:
    if bad is None and name not in ("input", "output"):
        bad = "None"  # None leaves it out, its text is no price

    with pytest.raises(InvalidSessionOperation, match=rf"Prices\.{name} is"):
        Prices(**{"input": 1, "output": 1, name: bad})


def test_overrides_must_be_prices_by_model() -> None:
    with pytest.raises(InvalidSessionOperation, match="pass Prices"):
        ListPricer({"m": 3})  # type: ignore[dict-item]  # what is tested
    with pytest.raises(InvalidSessionOperation, match="no model's name"):
        ListPricer({" ": Prices(1, 1)})


async def test_pricing_on_the_loop_blocks_nothing_after_warm_up() -> None:
    await warm_up_prices()

    assert prices_are_loaded()
    assert cost("gpt-4o") == cost("gpt-4o", "openai") == 2_500_000_000_000


async def test_threads_price_alike() -> None:
    costs = await asyncio.gather(*(asyncio.to_thread(cost, model, provider) for provider, model in MODELS))

    assert costs == [cost(model, provider) for provider, model in MODELS]


def test_importing_the_library_does_not_import_the_price_list() -> None:
    program = """
import asyncio, sys
import a2a_session_manager, a2a_session_manager.storage.priced_events
from a2a_session_manager.pricing import list_prices
assert not [name for name in sys.modules if name.startswith("genai_prices")]
assert not list_prices.prices_are_loaded()
asyncio.run(list_prices.warm_up_prices())
assert list_prices.prices_are_loaded()
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=60)


def test_once_prices_are_loaded_nothing_is_imported_for_any_of_them() -> None:
    program = """
import sys
from datetime import UTC, datetime
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.pricing import list_prices
from a2a_session_manager.pricing.pricer import DEFAULT_PRICER

def price(model):
    return DEFAULT_PRICER.price(TokenUsage(prompt_tokens=1), model, None, datetime(2025, 6, 1, tzinfo=UTC))

assert price("nobody-sells-this") is None
assert list_prices.prices_are_loaded()
loaded = set(sys.modules)
assert price("gpt-4o") is not None
assert set(sys.modules) == loaded, set(sys.modules) - loaded
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=60)


def test_prices_are_loaded_from_a_list_of_the_users_own() -> None:
    program = """
from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot
from a2a_session_manager.pricing import list_prices

set_custom_snapshot(DataSnapshot(providers=[], from_auto_update=False))
list_prices.load()
assert list_prices.prices_are_loaded()
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=60)


def test_a_pricer_can_be_copied_and_sent_to_another_process() -> None:
    pricer = ListPricer({"m": Prices(1, 2)})
    pricer.price(TokenUsage(prompt_tokens=1), "gpt-4o", None, AT)

    sent = pickle.dumps(pricer)
    found = pickle.loads(sent).price(TokenUsage(prompt_tokens=1), "m", None, AT)

    assert copy.deepcopy(pricer) is pricer
    assert found is not None
    assert (found.cost_pico_usd, len(sent) < 1_000) == (10**6, True)
