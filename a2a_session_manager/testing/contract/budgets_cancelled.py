"""Cancellation at every await of what is done to budgets and holds: it is whole or absent, and a retry completes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, NamedTuple

import pytest

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.models.budget import HoldStatus
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import Reopen
from a2a_session_manager.testing.contract.budgets import LimitedTrees
from a2a_session_manager.testing.contract.cancelling import KINDS, turns_before_cancelling
from a2a_session_manager.testing.contract.making import spending

Act = Callable[[BaseSessionStore, str], Awaitable[object]]


class BudgetVerb(NamedTuple):
    """What may be cut off: how a session gets ready for it, and what is done, by the same ids each time.

    With `tells_first`, its session may tell of it already while it is not done: a retry does it.
    """

    name: str
    send: Act
    prepare: tuple[Act, ...] = ()
    tells_first: bool = False

    def __str__(self) -> str:
        return self.name


async def _limit(store: BaseSessionStore, session: str) -> object:
    return await store.set_budget(session, tokens=100, write_id="limit")


async def _hold(store: BaseSessionStore, session: str) -> object:
    return await store.place_hold(session, id="hold", tokens=30)


async def _charge(store: BaseSessionStore, session: str) -> None:
    await store.charge_hold(session, "hold")


async def _settle(store: BaseSessionStore, session: str) -> object:
    return await store.append(session, spending(5, id="hold"))


async def _void(store: BaseSessionStore, session: str) -> None:
    with suppress(InvalidSessionOperation):  # it was voided before
        await store.void_hold(session, "hold", reason="the bill says so")


BUDGET_VERBS: Final = (
    BudgetVerb("set", _limit),
    BudgetVerb("raise", lambda store, session: store.raise_budget(session, tokens=200, write_id="raise"), (_limit,)),
    BudgetVerb("remove", lambda store, session: store.remove_budget(session, write_id="remove"), (_limit,)),
    BudgetVerb("hold", _hold, (_limit,)),
    BudgetVerb("renew", lambda store, session: store.renew_hold(session, "hold", expires=10_000), (_limit, _hold)),
    BudgetVerb("charge", _charge, (_limit, _hold)),
    BudgetVerb("release", lambda store, session: store.release_hold(session, "hold"), (_limit, _hold)),
    BudgetVerb("settle", _settle, (_limit, _hold)),
    BudgetVerb("void", _void, (_limit, _hold, _charge), tells_first=True),
)


async def _seen(store: BaseSessionStore, session: str) -> tuple[object, object]:
    """Return all that budgets, holds and the log of a session tell."""
    shown = [
        (each.id, each.limit, each.spent, each.held, each.estimated, [*map(_lasts, each.holds.values())])
        for each in await store.budgets(session)
    ]
    told = [event.message if event.token_usage else event.message["voided"] for event in await store.events(session)]
    return shown, told


def _lasts(hold: HoldStatus) -> tuple[str, bool, bool]:
    return hold.id, hold.is_estimated, (hold.expires_at - hold.made_at).total_seconds() > 1_000


class BudgetsCancelledContract(LimitedTrees):
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("write", BUDGET_VERBS, ids=str)
    async def test_a_step_cancelled_anywhere_is_whole_or_absent_and_a_retry_completes_it_once(
        self, kept: BaseSessionStore, reopen: Reopen, write: BudgetVerb, kind: str
    ) -> None:
        async def prepared(name: str) -> str:
            await kept.create(name)
            for act in write.prepare:
                await act(kept, name)
            return name

        absent = await _seen(kept, await prepared("prepared"))
        await write.send(kept, await prepared("sent"))
        complete = await _seen(kept, "sent")
        assert absent != complete
        between = (absent[0], complete[1]) if write.tells_first else absent

        for turns in turns_before_cancelling():
            name = await prepared(f"cut after {turns}")
            ended = await KINDS[kind](lambda name=name: write.send(kept, name), turns)  # type: ignore[misc]

            shown = await _seen(await reopen(), name)
            assert shown == complete if ended else shown in (absent, complete, between)
            await write.send(kept, name)
            assert await _seen(await reopen(), name) == complete
            if ended:
                return
        pytest.fail("the step never ended by itself")
