"""What a request may cost at most, before it is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import shown
from a2a_session_manager.models import arguments
from a2a_session_manager.models.budget import SpendEstimate
from a2a_session_manager.models.clock import utc_now
from a2a_session_manager.models.money import usd_from_pico
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.pricing.list_prices import warm_up_prices
from a2a_session_manager.pricing.pricer import Pricer
from a2a_session_manager.pricing.usage_price import price_usage
from a2a_session_manager.tokens.counting import (
    TokenCount,
    TokenCounter,
    count_prompt_tokens,
    count_tool_tokens,
    weakest_basis,
)


async def estimate_request(
    pricer: Pricer,
    *,
    model: str,
    prompt: str | Iterable[Mapping[str, Any]],
    max_output_tokens: int,
    provider: str | None,
    service_tier: str | None,
    counter: TokenCounter | None,
    tools: Iterable[Mapping[str, Any]] | None,
) -> SpendEstimate:
    """Return the most that a request may take: no part of the prompt is taken to be in a cache.

    Where a price depends on how large a request is, it is that of the largest one that this may become.
    """
    most = arguments.whole_number("max_output_tokens", max_output_tokens)
    if most == 0:
        raise InvalidSessionOperation("max_output_tokens=0 is no answer: say how many tokens the model may return")
    counts = [await count_prompt_tokens(prompt, model, counter=counter)]
    if tools is not None:
        counts.append(await _count_tools(tools, model, counter))
    tokens, basis = sum(counts), weakest_basis(*counts)
    await warm_up_prices()
    at = utc_now()

    def pico_usd(prompt_tokens: int, completion_tokens: int) -> int | None:
        usage = TokenUsage(
            model=model,
            provider=provider,
            service_tier=service_tier,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
        )
        cost = price_usage(usage, at, pricer).cost
        return None if cost is None else cost.cost_pico_usd

    plain = pico_usd(tokens, most)
    # A tier begins at so many tokens of a request: the price of each token in the highest one that can be reached.
    largest, prompt_alone = pico_usd(tokens + most, most), pico_usd(tokens + most, 0)
    if plain is None or largest is None or prompt_alone is None:
        return SpendEstimate(None, tokens + most, basis=basis)
    in_highest = -(-prompt_alone * tokens // (tokens + most)) + largest - prompt_alone
    return SpendEstimate(usd_from_pico(max(plain, in_highest)), tokens + most, basis=basis)


async def _count_tools(tools: Iterable[Mapping[str, Any]], model: str, counter: TokenCounter | None) -> TokenCount:
    try:
        return await count_tool_tokens(tools, model, counter=counter)
    except TypeError as error:
        raise InvalidSessionOperation(f"tools={shown(tools)} cannot be counted: {error}") from error
