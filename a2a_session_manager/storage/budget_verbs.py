"""BudgetVerbs: what a store does with budgets and holds: asked for in the words of users, done by a backend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, Literal

from a2a_session_manager.budgets import given
from a2a_session_manager.budgets.amounts import Some
from a2a_session_manager.budgets.settling import Settlement
from a2a_session_manager.budgets.steps import (
    BudgetReply,
    BudgetStep,
    ChargeHold,
    PlaceHold,
    RaiseBudget,
    ReadBudgets,
    ReleaseHold,
    RemoveBudget,
    RenewHold,
    SetBudget,
    VoidHold,
)
from a2a_session_manager.concurrency.cancellation import finish
from a2a_session_manager.concurrency.retries import retry_if_unknown
from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.exceptions import BudgetExceeded, InvalidSessionOperation
from a2a_session_manager.identifiers import checked_id, hidden_id, shown
from a2a_session_manager.models import arguments
from a2a_session_manager.models.budget import BudgetMode, BudgetStatus, BudgetWindow, PlacedHold, SpendEstimate
from a2a_session_manager.models.clock import now_micros
from a2a_session_manager.models.session import Session
from a2a_session_manager.pricing.pricer import Pricer
from a2a_session_manager.protocols import BudgetKeeper
from a2a_session_manager.storage import crossings
from a2a_session_manager.storage.budget_status import status_of
from a2a_session_manager.storage.spend_estimates import estimate_request
from a2a_session_manager.storage.target import Target
from a2a_session_manager.tokens.counting import TokenCounter

# Seconds: a little above the ten minutes that the clients of providers wait for an answer.
DEFAULT_EXPIRES: Final = 660.0


class BudgetVerbs(BudgetKeeper):
    """The verbs of BudgetKeeper, for a store that says which session is meant."""

    # The hold that every write settles.
    _settles: PlacedHold | None = None
    _pricer: Pricer
    _target: Callable[[Session[Any] | str], Target]

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
        target = self._target(session)
        is_hard = given.is_hard(mode)
        if grant and (window is not None or not is_hard):
            raise InvalidSessionOperation(
                "a grant is a limit for good that refuses: leave out window= and mode=, or grant=",
                session_id=target.key.id,
            )
        now = now_micros() // 1000
        # The zone is read from a file.
        stretches = window is not None or timezone is not None
        in_zone = await in_thread(given.window, window, timezone, now) if stretches else None
        step = SetBudget(
            checked_id(id, "budget id"),
            given.limits(usd, tokens, requests),
            is_hard,
            given.unpriced(unpriced),
            grant,
            in_zone,
            _setting(write_id),
            replace,
        )
        return _own(await self._done(target, step), target, id)

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
        target = self._target(session)
        step = RaiseBudget(checked_id(id, "budget id"), given.limits(usd, tokens, requests), _setting(write_id))
        return _own(await self._done(target, step), target, id)

    async def remove_budget(
        self, session: Session[Any] | str, id: str = "default", *, write_id: str | None = None
    ) -> None:
        step = RemoveBudget(checked_id(id, "budget id"), _setting(write_id))
        await self._done(self._target(session), step)

    async def budget(self, session: Session[Any] | str, id: str = "default") -> BudgetStatus:
        target = self._target(session)
        return _own(await self._done(target, ReadBudgets()), target, checked_id(id, "budget id"))

    async def budgets(self, session: Session[Any] | str) -> list[BudgetStatus]:
        reply = await self._done(self._target(session), ReadBudgets())
        return [status_of(each, reply.now) for each in reply.figures]

    async def void_hold(self, session: Session[Any] | str, hold_id: str, *, reason: str) -> None:
        if not arguments.text("reason", reason).strip():
            raise InvalidSessionOperation(f"reason={shown(reason)} says nothing: say why the hold counts no more")
        target = self._target(session)
        hold_id = checked_id(hold_id, "hold id")
        hold = (await self._done(target, VoidHold(hold_id, only_looks=True))).hold
        assert hold is not None, "a hold that is not there is refused"
        # The reason comes first: who is cut off after it does so again, and leaves neither without the other.
        await crossings.note_voided(target, hold, reason, self._pricer)
        await self._done(target, VoidHold(hold_id, may_be_gone=True))

    async def place_hold(
        self,
        session: Session[Any] | str,
        *,
        id: str | None = None,
        usd: Decimal | float | str | None = None,
        tokens: int | None = None,
        requests: int = 1,
        expires: float = DEFAULT_EXPIRES,
    ) -> PlacedHold:
        target = self._target(session)
        asked = given.some(usd, tokens, requests)
        hold_id = hidden_id() if id is None else checked_id(id, "hold id")
        step = PlaceHold(hold_id, Some(*asked), given.milliseconds(expires))
        try:
            reply = await self._done(target, step)
        except BudgetExceeded:
            # Nothing is held; and what was spent without a hold may have brought the budget to where it refuses.
            await crossings.note(target, await self._done(target, ReadBudgets()), self._pricer)
            raise
        except BaseException as error:
            # Whether it is held is not known, or its caller was cancelled and will not come for it.
            if not isinstance(error, InvalidSessionOperation):
                await crossings.release_quietly(target, hold_id, error)
            raise
        await crossings.note(target, reply, self._pricer)
        return _placed(hold_id, reply, asked)

    async def renew_hold(self, session: Session[Any] | str, hold_id: str, *, expires: float = DEFAULT_EXPIRES) -> None:
        await self._done(self._target(session), RenewHold(hold_id, given.milliseconds(expires)))

    async def charge_hold(self, session: Session[Any] | str, hold_id: str) -> None:
        await self._done(self._target(session), ChargeHold(hold_id))

    async def release_hold(self, session: Session[Any] | str, hold_id: str) -> None:
        await self._done(self._target(session), ReleaseHold(hold_id))

    async def note_crossings(self, session: Session[Any] | str) -> None:
        target = self._target(session)
        await crossings.note(target, await self._done(target, ReadBudgets()), self._pricer)

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
        return await estimate_request(
            self._pricer,
            model=model,
            prompt=prompt,
            max_output_tokens=max_output_tokens,
            provider=provider,
            service_tier=service_tier,
            counter=counter,
            tools=tools,
        )

    def _settlement(self, session_id: str, creation_id: str | None) -> Settlement | None:
        """Return what a write to a session settles. Raises InvalidSessionOperation for another session's hold."""
        hold = self._settles
        if hold is None or not hold.is_held:
            return None
        if hold.session_id not in ("", session_id) or (creation_id and hold.creation_id not in ("", creation_id)):
            raise InvalidSessionOperation(
                f"hold {hold.id!r} is of session {hold.session_id!r}, and session {session_id!r} cannot settle it: "
                "append its usage there, or ask for a hold of this one; nothing was written",
                session_id=session_id,
            )
        return Settlement(hold.id, hold.made_at)

    async def _done(self, target: Target, step: BudgetStep) -> BudgetReply:
        backend, key, limits, creation_id = target[:4]
        return await retry_if_unknown(
            lambda: finish(backend.step_budget(key, creation_id, step), patience=limits.cancel_seconds)
        )


def _setting(write_id: str | None) -> str:
    return hidden_id() if write_id is None else checked_id(write_id, "write id")


def _own(reply: BudgetReply, target: Target, budget_id: str) -> BudgetStatus:
    """Return how things stand with a budget of the session itself."""
    named = [each for each in reply.figures if each.budget.id == budget_id]
    for each in named:
        if each.budget.session_id == target.key.id:
            return status_of(each, reply.now)
    remedy = f"it is session {named[-1].budget.session_id!r} that has one" if named else "see budgets()"
    raise InvalidSessionOperation(
        f"session {target.key.id!r} has no budget {budget_id!r}: {remedy}", session_id=target.key.id
    )


def _placed(hold_id: str, reply: BudgetReply, asked: Some) -> PlacedHold:
    hold = reply.hold
    if hold is None:
        return PlacedHold(hold_id, False, 0, 0, asked.pico_usd, asked.tokens, False)
    likely = any(crossings.is_near(each) for each in reply.figures)
    asked = hold.asked
    return PlacedHold(
        hold_id,
        True,
        hold.made_at,
        hold.expires_at,
        asked.pico_usd,
        asked.tokens,
        likely,
        hold.session_id,
        hold.creation_id,
    )
