"""How a request was served is read from its usage, the reply beside it, or the verb, wherever its provider says it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from a2a_session_manager import SessionManager, TokenUsage
from a2a_session_manager.usage.provider_usage import merged_usage, usage_from

CHAT = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
ANTHROPIC = {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
GEMINI = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
LANGCHAIN = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
BEDROCK = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}

ROWS: list[tuple[str, object, dict[str, str]]] = [
    ("OpenAI chat", {"model": "gpt-5", "service_tier": "priority", "usage": CHAT}, {"service_tier": "priority"}),
    ("OpenAI, scale", {"service_tier": "scale", "usage": CHAT}, {"service_tier": "scale"}),
    ("OpenAI, default", {"service_tier": "default", "usage": CHAT}, {}),
    ("OpenAI, nothing said", {"service_tier": None, "usage": CHAT}, {}),
    ("an SDK's object", SimpleNamespace(service_tier="flex", usage=SimpleNamespace(**CHAT)), {"service_tier": "flex"}),
    ("OpenAI, an event", {"response": {"service_tier": "flex", "usage": CHAT}}, {"service_tier": "flex"}),
    ("Anthropic, batch", {"usage": {**ANTHROPIC, "service_tier": "batch"}}, {"processing": "batch"}),
    ("Anthropic, priority", {**ANTHROPIC, "service_tier": "priority"}, {"service_tier": "priority"}),
    ("Anthropic, standard", {**ANTHROPIC, "service_tier": "standard", "speed": "standard"}, {}),
    ("Anthropic, fast", {**ANTHROPIC, "speed": "fast"}, {"speed": "fast"}),
    ("Anthropic, in the US", {**ANTHROPIC, "inference_geo": "us"}, {"region": "us"}),
    ("Anthropic, anywhere", {**ANTHROPIC, "inference_geo": "not_available"}, {}),
    (
        "Anthropic, few counts",
        {"input_tokens": 1, "output_tokens": 1, "service_tier": "batch"},
        {"processing": "batch"},
    ),
    ("Gemini", {"usageMetadata": {**GEMINI, "trafficType": "ON_DEMAND"}}, {}),
    ("Gemini, flex", {**GEMINI, "trafficType": "ON_DEMAND_FLEX"}, {"service_tier": "flex"}),
    ("Gemini, bought", {**GEMINI, "trafficType": "PROVISIONED_THROUGHPUT"}, {"service_tier": "provisioned_throughput"}),
    ("Groq", {"service_tier": "on_demand", "usage": CHAT}, {}),
    ("Bedrock", {"usage": BEDROCK, "serviceTier": {"type": "priority"}}, {"service_tier": "priority"}),
    ("Bedrock, standard", {"usage": BEDROCK, "performanceConfig": {"latency": "standard"}}, {}),
    (
        "LangChain",
        {"usage_metadata": {**LANGCHAIN, "input_token_details": {"flex": 10}}},
        {"service_tier": "flex"},
    ),
    ("a tier that nobody knows", {"service_tier": "Turbo-9", "usage": CHAT}, {"service_tier": "turbo_9"}),
    ("a tier that is no text", {"service_tier": 5, "usage": CHAT}, {"service_tier": "5"}),
]


@pytest.mark.parametrize(("reply", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_a_reply_says_how_it_was_served(reply: object, expected: dict[str, str]) -> None:
    usage = usage_from(reply)

    assert usage.price_context == expected
    assert usage.total_tokens in (2, 15)


def test_a_stream_says_so_in_any_of_its_events() -> None:
    chunks: list[dict[str, Any]] = [
        {"choices": [], "service_tier": "auto", "usage": None},
        {"choices": [], "service_tier": "flex", "usage": None},
        {"choices": [], "usage": CHAT},
    ]
    started = {"type": "message_start", "message": {"usage": {**ANTHROPIC, "service_tier": "batch", "speed": "fast"}}}
    ended = {"type": "message_delta", "usage": {"output_tokens": 7}}

    assert merged_usage(chunks).price_context == {"service_tier": "flex"}
    assert merged_usage([started, ended]).price_context == {"processing": "batch", "speed": "fast"}


def test_what_was_served_goes_before_what_was_asked_for() -> None:
    asked: dict[str, Any] = {"service_tier": "flex", "batch": True}

    assert usage_from({"usage": CHAT}, **asked).price_context == {"service_tier": "flex", "processing": "batch"}
    assert usage_from({"service_tier": "default", "usage": CHAT}, service_tier="flex").price_context == {}
    assert usage_from(TokenUsage(prompt_tokens=1), **asked).price_context == {
        "service_tier": "flex",
        "processing": "batch",
    }
    assert usage_from(TokenUsage(service_tier="priority"), service_tier="flex").service_tier == "priority"


def test_a_usage_that_is_made_by_hand_means_the_same() -> None:
    assert TokenUsage(service_tier="default", region="global", speed="Standard").price_context == {}
    assert TokenUsage(service_tier="batch").price_context == {"processing": "batch"}


def test_a_dumped_usage_is_read_as_it_was() -> None:
    usage = TokenUsage(prompt_tokens=3, model="m", service_tier="flex", partially_priced=True)

    assert usage_from(usage.model_dump()) == usage


async def test_the_verb_takes_what_was_asked_for() -> None:
    async with SessionManager() as sessions, sessions.open("talk") as chat:
        flex = await chat.assistant("x", model="o3", usage=CHAT, service_tier="flex")
        batch = await chat.assistant("x", model="o3", usage=CHAT, batch=True)
        standard = await chat.assistant("x", model="o3", usage=CHAT)

    costs = [event.token_usage.cost_pico_usd for event in (flex, batch, standard) if event.token_usage]
    assert costs == [30_000_000, 30_000_000, 60_000_000]
