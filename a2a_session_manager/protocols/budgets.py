"""BudgetKeeper: what a store promises that keeps budgets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Literal, Protocol, runtime_checkable

from a2a_session_manager.models.budget import BudgetMode, BudgetStatus, BudgetWindow, PlacedHold, SpendEstimate
from a2a_session_manager.models.session import Session
from a2a_session_manager.protocols.session_store import SessionStore
from a2a_session_manager.tokens.counting import TokenCounter


@runtime_checkable
class BudgetKeeper(Protocol):
    """A store that keeps budgets. A budget limits what a session and all below it spend together, forks included, and
    also what those had spent that were deleted.

    Each verb takes a session that was read, or the id of one, and raises SessionNotFound, StoreUnavailable, and
    InvalidSessionOperation for amounts that are none and for what is not there.
    """

    async def set_budget(
        self,
        session: Session[Any] | str,
        id: str = "default",
        *,
        usd: Decimal | float | str | None = None,
        tokens: int | None = None,
        requests: int | None = None,
        mode: BudgetMode = "hard",
        window: BudgetWindow | None = None,
        timezone: str | None = None,
        unpriced: Decimal | float | str | Literal["refuse"] = "refuse",
        grant: bool = False,
        replace: bool = False,
        write_id: str | None = None,
    ) -> BudgetStatus:
        """Set a budget of the session, and return how things stand with it.

        What was spent before counts, in a limit for good. Recording is never refused: above a limit, it is holds that
        are. Only who names this session raises or removes its budget: nothing below it can.

        Args:
            id: names the budget among those of the session.
            usd, tokens, requests: the limits, one at least; a request is a provider's response with a usage, and tokens
                are those of prompts, cached ones included, and of completions. Dollars are exact to 12 digits after the
                point.
            mode: "hard" refuses holds for which there is no room; "warn" only tells what is crossed.
            window: the limit is for each "day" or "month" of `timezone`, or for each timedelta from now on. None is a
                limit for good.
            timezone: such as "Europe/Oslo"; for days and months.
            unpriced: what a request counts of which nobody knows the price, in dollars; "refuse" refuses holds then,
                under a limit of dollars.
            grant: what is left of this limit is held out of the budgets above the session, so that nobody else takes
                it. It returns when the budget is removed, or the session deleted. Raises BudgetExceeded where they have
                no room for it.
            replace: sets a budget anew that is there; without it, that raises InvalidSessionOperation.
            write_id: names the call, so that a retry changes nothing that others have set since.
        """
        ...

    async def raise_budget(
        self,
        session: Session[Any] | str,
        id: str = "default",
        *,
        usd: Decimal | float | str | None = None,
        tokens: int | None = None,
        requests: int | None = None,
        write_id: str | None = None,
    ) -> BudgetStatus:
        """Raise limits of the budget `id` of the session; those that are left out stay.

        `usd`, in dollars, `tokens` and `requests` are the new limits. `write_id` names the call, so that a retry
        changes nothing that others have set since.

        Raises InvalidSessionOperation for a limit that is not above the present one, and above what is spent; and
        BudgetExceeded for a grant that the budgets above have no room for.
        """
        ...

    async def remove_budget(
        self, session: Session[Any] | str, id: str = "default", *, write_id: str | None = None
    ) -> None:
        """Remove the budget `id` of the session; what a grant has left returns to the budgets above.

        A retry takes the same `write_id`.
        """
        ...

    async def budget(self, session: Session[Any] | str, id: str = "default") -> BudgetStatus:
        """Return how things stand with the budget `id` of the session."""
        ...

    async def budgets(self, session: Session[Any] | str) -> list[BudgetStatus]:
        """Return how things stand with all budgets that the session spends from: its own, and those above it.

        The root's come first.
        """
        ...

    async def void_hold(self, session: Session[Any] | str, hold_id: str, *, reason: str) -> None:
        """Let the estimated hold `hold_id` count no more, of the session or of one below it.

        The log of the session says so, with the `reason`: an event of the type "budget", which no view shows. Raises
        InvalidSessionOperation for a hold that is open: its block ends it, or it expires.
        """
        ...

    async def place_hold(
        self,
        session: Session[Any] | str,
        *,
        id: str | None = None,
        usd: Decimal | float | str | None = None,
        tokens: int | None = None,
        requests: int = 1,
        expires: float = 660.0,
    ) -> PlacedHold:
        """Hold room in all budgets that the session spends from, or in none.

        Args:
            id: of the hold; None makes a random one. The same again, while it is held, answers as before. Where an
                event that was appended to the session has it, its usage is counted: the hold is answered if there is
                room for it, and keeps none.
            usd: how many dollars the request may cost; None is an unknown price, which a limit of dollars refuses
                unless it says what such requests count.
            tokens: how many tokens it may use, which a limit of tokens has to be told.
            requests: how many responses are paid for.
            expires: after how many seconds a hold that was not released or settled counts as estimated.

        Raises BudgetExceeded.
        """
        ...

    async def renew_hold(self, session: Session[Any] | str, hold_id: str, *, expires: float = 660.0) -> None:
        """Let a hold expire in `expires` seconds from now; nothing happens to one that is not there."""
        ...

    async def charge_hold(self, session: Session[Any] | str, hold_id: str) -> None:
        """Count a hold as estimated: its request went out, and its usage never came. Nothing happens to one that is not
        there."""
        ...

    async def release_hold(self, session: Session[Any] | str, hold_id: str) -> None:
        """Give a hold back. Nothing happens to one that is not there."""
        ...

    async def note_crossings(self, session: Session[Any] | str) -> None:
        """Append what was crossed, 50, 80 and 100 percent, to the log of each budget's session, once per setting."""
        ...

    async def estimate(
        self,
        prompt: str | Iterable[Mapping[str, Any]],
        *,
        model: str,
        max_output_tokens: int,
        tools: Iterable[Mapping[str, Any]] | None = None,
        provider: str | None = None,
        service_tier: str | None = None,
        counter: TokenCounter | None = None,
    ) -> SpendEstimate:
        """Return the most that a request may cost: its prompt counted, and as much of an answer as it may give.

        No cache hit is assumed, and where a price depends on how large a request is, it is the highest that this one
        may reach.

        Args:
            prompt: a text, or chat messages.
            model, provider, service_tier: of the request, as those of a TokenUsage; they decide about the price.
            max_output_tokens: what the request allows the model to return, reasoning included.
            tools: the definitions that go with the request; they count as JSON text.
            counter: counts the tokens in place of the library's own TiktokenCounter.
        """
        ...

    def settling(self, hold: PlacedHold) -> SessionStore:
        """Return this store for the write that brings the usage of a hold: the hold ends in the same step.

        A write to another session than the one that asked for it raises InvalidSessionOperation.
        """
        ...
