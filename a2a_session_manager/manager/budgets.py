"""BudgetingVerbs: limits on what sessions spend. Each verb does what BudgetKeeper says."""

from __future__ import annotations

from decimal import Decimal
from typing import Unpack

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.manager.base import ManagerBase
from a2a_session_manager.models.budget import BudgetOptions, BudgetStatus
from a2a_session_manager.protocols import BudgetKeeper


class BudgetingVerbs(ManagerBase):
    """Budgets by the ids of their sessions. A store that keeps none raises InvalidSessionOperation."""

    async def set_budget(self, session_id: str, id: str = "default", **options: Unpack[BudgetOptions]) -> BudgetStatus:
        """Limit what a session and all below it may spend together, and return how things stand.

        `id` names the budget among the session's. The options are those of BudgetKeeper.set_budget: `usd`, `tokens` and
        `requests`, of which one at least is given; `mode`, "hard" or "warn"; `window`, with a `timezone` for days and
        months; `unpriced`, for requests of which nobody knows the price; `grant`; `replace`; and `write_id`.

        Raises InvalidSessionOperation for what is no limit, and for a budget that is there, unless it is to `replace`
        it; BudgetExceeded for a grant that there is no room for; and SessionNotFound.
        """
        return await self._budgets.set_budget(session_id, id, **options)

    async def raise_budget(
        self,
        session_id: str,
        id: str = "default",
        *,
        usd: Decimal | float | str | None = None,
        tokens: int | None = None,
        requests: int | None = None,
        write_id: str | None = None,
    ) -> BudgetStatus:
        """Raise limits of the budget `id` of a session, and return how things stand; those that are left out stay.

        `usd`, in dollars, `tokens` and `requests` are the new limits. A retry takes the same `write_id`. Raises
        InvalidSessionOperation for a limit that is not above the present one, and above what is spent, and
        BudgetExceeded for a grant that there is no room for.
        """
        return await self._budgets.raise_budget(
            session_id, id, usd=usd, tokens=tokens, requests=requests, write_id=write_id
        )

    async def remove_budget(self, session_id: str, id: str = "default", *, write_id: str | None = None) -> None:
        """Remove the budget `id` of a session; what a grant has left returns to the budgets above.

        A retry takes the same `write_id`. Raises InvalidSessionOperation where there is none.
        """
        await self._budgets.remove_budget(session_id, id, write_id=write_id)

    async def budget(self, session_id: str, id: str = "default") -> BudgetStatus:
        """Return how things stand with the budget `id` of a session. Raises InvalidSessionOperation without one."""
        return await self._budgets.budget(session_id, id)

    async def budgets(self, session_id: str) -> list[BudgetStatus]:
        """Return how things stand with all budgets that a session spends from, the root's first."""
        return await self._budgets.budgets(session_id)

    async def void_hold(self, session_id: str, hold_id: str, *, reason: str) -> None:
        """Let an estimated hold of a session, or of one below it, count no more; its log says so, with the `reason`.

        Raises InvalidSessionOperation for a hold that is open, or not there.
        """
        await self._budgets.void_hold(session_id, hold_id, reason=reason)

    @property
    def _budgets(self) -> BudgetKeeper:
        store = self._store
        if not isinstance(store, BudgetKeeper):
            raise InvalidSessionOperation(f"{type(store).__name__} keeps no budgets: use a store that does")
        return store
