"""What a provider, a router or a framework says that a request cost, in the usage or beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from a2a_session_manager.identifiers import shown
from a2a_session_manager.models.money import MOST_PICO_USD, pico_from_usd
from a2a_session_manager.usage.parts import at, part

# Paths into a usage, of which the first one there holds.
_IN_USAGE = (
    "cost.total_cost",  # Perplexity
    "cost.total",
    "cost",  # OpenRouter, pydantic-ai, agno
    "total_cost",  # LangSmith
    "total_cost_usd",
    "cost_usd",
    "costUSD",
    "estimated_cost",  # DeepInfra
    "response_cost",  # LiteLLM
    "total_price",  # Dify
    "cost_details.total",  # Langfuse
    "gen_ai.usage.cost",
    "operation.cost",  # pydantic-ai's spans
    "llm.cost.total",  # OpenInference
)
# Paths into the reply that holds the usage.
_IN_REPLY = (
    "total_cost_usd",  # Claude Code's result
    "costUSD",  # Claude Code's log
    "total_cost",
    "cost_usd",
    "cost",  # agno, opencode, pydantic-ai
    "_hidden_params.response_cost",  # LiteLLM
    "response_cost",
    "response_metadata.token_usage.cost",  # LangChain over OpenRouter
    "providerMetadata.gateway.cost",  # Vercel's gateway, in the AI SDK
    "provider_metadata.gateway.cost",
    "totalCost",  # Langfuse
    "calculatedTotalCost",
    "costDetails.total",
    "gen_ai.usage.cost",
    "operation.cost",
    "llm.cost.total",
)
_ATTRIBUTES = ("gen_ai.", "llm.", "operation.")  # their dots are their own
_LATER_WORD = re.compile("_([a-z])")


def _spellings(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Return `paths`, each followed by how JavaScript spells it."""
    both = (
        (path, path if path.startswith(_ATTRIBUTES) else _LATER_WORD.sub(lambda found: found[1].upper(), path))
        for path in paths
    )
    return tuple(dict.fromkeys(spelled for pair in both for spelled in pair))


_ALL_IN_USAGE, _ALL_IN_REPLY = _spellings(_IN_USAGE), _spellings(_IN_REPLY)
# These are bills. What others say was looked up in a price list, and there a 0 mostly means that nothing was found.
_BILLS = frozenset({"usage.cost", "usage.cost.total_cost", "usage.cost_in_usd_ticks"})
_XAI_TICKS = "cost_in_usd_ticks"
_PICO_PER_TICK = 100  # a tick is 10⁻¹⁰ dollars
_AMOUNTS = (int, float, str, Decimal)
_OWN_KEY = "is_byok"
_UPSTREAM = "cost_details.upstream_inference_cost"
_DOLLARS = frozenset({"usd", "us$", "$"})

# The keys under which a cost lies, or what leads to it.
COST_KEYS = frozenset(
    path if path.startswith(_ATTRIBUTES) else path.split(".")[0]
    for path in (*_ALL_IN_USAGE, *_ALL_IN_REPLY, _XAI_TICKS)
)


class ReportedCost(NamedTuple):
    """The cost in pico-dollars, None where none is reported; `problem` names a field that holds none in dollars."""

    pico_usd: int | None = None
    problem: str | None = None


def reported_cost(usage: Mapping[str, Any], reply: object) -> ReportedCost:
    """Return the cost that `usage`, a provider's object as plain JSON, or the `reply` that holds it reports."""
    for path, value in _said(usage, reply):
        try:
            pico = _pico(path, value)
            if path == "usage.cost":
                pico += _upstream(usage)
            if not 0 <= pico <= MOST_PICO_USD:
                raise ValueError("no cost of one request")
        except (ValueError, ArithmeticError, TypeError):
            return ReportedCost(problem=f"{path} is {shown(value)}, not an amount of US dollars of 0 or more")
        if (problem := _problem(path, usage if path.startswith("usage.") else reply)) is not None:
            return ReportedCost(problem=problem)
        if pico or path in _BILLS:
            return ReportedCost(pico)
    return ReportedCost()


def _problem(path: str, holder: object) -> str | None:
    """Return why the amount at `path` is not what the request cost in US dollars; None where it is."""
    currency = part(holder, "currency")
    if isinstance(currency, str) and currency.strip().lower() not in _DOLLARS:
        return f"{path} is in {shown(currency)}, not in US dollars"
    if path == "usage.cost" and part(holder, _OWN_KEY) is True and _at(holder, _UPSTREAM) is None:
        return f"{path} leaves out what the own key paid, and {_UPSTREAM} does not say it"
    return None


def _said(usage: Mapping[str, Any], reply: object) -> Iterator[tuple[str, Any]]:
    if (ticks := usage.get(_XAI_TICKS)) is not None:
        yield f"usage.{_XAI_TICKS}", ticks
    for where, holder, paths in (("usage", usage, _ALL_IN_USAGE), ("reply", reply, _ALL_IN_REPLY)):
        if holder is None or (isinstance(holder, Mapping) and COST_KEYS.isdisjoint(holder)):
            continue  # nearly all
        for path in paths:
            value = _at(holder, path)
            # Costs by kind, without a sum of them, are no cost, and beside a usage many things may have such a name.
            if (
                value is not None
                and not isinstance(value, Mapping)
                and (holder is usage or isinstance(value, _AMOUNTS))
            ):
                yield f"{where}.{path}", value


def _at(holder: object, path: str) -> Any:
    return part(holder, path) if path.startswith(_ATTRIBUTES) else at(holder, path)


def _pico(path: str, value: Any) -> int:
    if isinstance(value, bool):
        raise ValueError("True and False are no amounts")
    return int(value) * _PICO_PER_TICK if path.endswith(_XAI_TICKS) else pico_from_usd(value)


def _upstream(usage: Mapping[str, Any]) -> int:
    """Return what OpenRouter's customer pays to the model's own provider, with a key of theirs."""
    upstream = _at(usage, _UPSTREAM)
    pico = _pico("", upstream) if usage.get(_OWN_KEY) is True and upstream is not None else 0
    if pico < 0:
        raise ValueError("less than nothing")
    return pico
