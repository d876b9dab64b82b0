"""SpendingVerbs: room in the budgets for a request, and what it may cost at most."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from a2a_session_manager.active.base import ActiveBase
from a2a_session_manager.active.holds import DEFAULT_EXPIRES, Hold, keeps_budgets
from a2a_session_manager.context.reading import conversation
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.models.budget import SpendEstimate
from a2a_session_manager.tokens.counting import TokenCounter


class SpendingVerbs(ActiveBase):
    """What is asked before a request that costs something."""

    def spend(
        self,
        usd: Decimal | float | str | None = None,
        *,
        tokens: int | None = None,
        estimate: SpendEstimate | None = None,
        requests: int = 1,
        id: str | None = None,
        expires: float = DEFAULT_EXPIRES,
    ) -> Hold:
        """Return a hold for `async with`: room for one request in every budget that the session spends from.

        The append in the block that brings the usage settles the hold in the same commit. Without one, the hold is
        given back; after `hold.sent()`, it counts as estimated, until a late usage or a person says otherwise. Where
        nothing is limited, nothing is held.

        Args:
            usd: how many dollars the request may cost; None is an unknown price, which a limit of dollars refuses
                unless it says what such requests count.
            tokens: how many tokens it may use, which a limit of tokens has to be told.
            estimate: both, as `estimate()` returns them.
            requests: how many responses are paid for.
            id: of the hold, and of the event that brings the usage, unless that is given another one. A retry takes the
                same one; None makes a random one.
            expires: after how many seconds what is held counts as estimated, should this process die; a little more
                than the request may take. `hold.renew()` begins them anew.

        Entering the block raises BudgetExceeded where a budget has no room; then nothing is held, and a run that is
        left by it waits. Raises InvalidSessionOperation for amounts that are none, and outside a run's block.
        """
        self._check_may_begin()
        if estimate is not None:
            if usd is not None or tokens is not None:
                raise InvalidSessionOperation("an estimate says both: leave usd= and tokens= out, or estimate=")
            usd, tokens, requests = estimate[:3]
        return Hold(self._store, self.session, id=id, usd=usd, tokens=tokens, requests=requests, expires=expires)

    async def estimate(
        self,
        *,
        model: str,
        max_output_tokens: int,
        messages: str | Iterable[Mapping[str, Any]] | None = None,
        tools: Iterable[Mapping[str, Any]] | None = None,
        provider: str | None = None,
        service_tier: str | None = None,
        counter: TokenCounter | None = None,
    ) -> SpendEstimate:
        """Return the most that a request may cost, for `spend(estimate=…)`.

        The tokens of the prompt are counted, as if none of them were in a cache, and priced with an answer of
        `max_output_tokens` at the highest tier that the request can reach.

        Args:
            model, provider, service_tier: those of the request; an unknown price is None.
            max_output_tokens: what the request allows the model to return, reasoning included.
            messages: what is sent; None stands for the conversation as `messages()` returns it.
            tools: their definitions, as they go with the request. They count as JSON text, which is an estimate: no
                provider says how a model is given them.
            counter: counts the tokens in place of the library's own TiktokenCounter.
        """
        store = self._store
        if not keeps_budgets(store):
            raise InvalidSessionOperation(f"{type(store).__name__} keeps no budgets, and estimates nothing")
        prompt = messages
        if prompt is None:
            prompt = await conversation(self._store, self.session, format=None, repair=True)
        return await store.estimate(
            prompt,
            tools=tools,
            model=model,
            max_output_tokens=max_output_tokens,
            provider=provider,
            service_tier=service_tier,
            counter=counter,
        )
