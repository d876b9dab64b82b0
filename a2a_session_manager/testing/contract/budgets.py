"""Budgets: a hold passes when all limits above have room, and is settled by the commit that brings its usage."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio

from a2a_session_manager.exceptions import BudgetExceeded, InvalidSessionOperation, SessionNotFound
from a2a_session_manager.models.budget import BudgetAmounts, PlacedHold
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import Event, said, spending


async def settle(store: BaseSessionStore, session: str, hold: PlacedHold, event: Event) -> None:
    """Append what the request of a hold has cost, through a handle of the session."""
    handle = await store.get(session, last=0)
    assert handle is not None
    await store.settling(hold).append(handle, event)


async def tokens(store: BaseSessionStore, session: str) -> tuple[int | None, ...]:
    """Return what is spent, held, estimated and left of the tokens of the session's own budget."""
    shown = await store.budget(session)
    return shown.spent.tokens, shown.held.tokens, shown.estimated.tokens, shown.remaining.tokens


class LimitedTrees(ContractBase):
    """The trees that the tests of budgets begin with."""

    @pytest.fixture
    def kept(self, store: BaseSessionStore) -> BaseSessionStore:
        """The store under test, if it keeps budgets."""
        if not self.keeps_budgets:
            pytest.skip("the store keeps no budgets, and says so")
        return store

    @pytest_asyncio.fixture
    async def three(self, kept: BaseSessionStore) -> BaseSessionStore:
        """A store with a tree of three levels, of which the lowest has two sessions."""
        await kept.create("top")
        await kept.create("mid", parent_id="top")
        for low in ("low", "low2"):
            await kept.create(low, parent_id="mid")
        return kept


class BudgetsContract(LimitedTrees):
    async def test_a_store_without_budgets_says_so_and_another_one_sets_them(self, store: BaseSessionStore) -> None:
        await store.create("talk")
        if not self.keeps_budgets:
            with pytest.raises(InvalidSessionOperation, match="keeps no budgets"):
                await store.set_budget("talk", tokens=1)
            with pytest.raises(InvalidSessionOperation, match="keeps no budgets"):
                await store.place_hold("talk", tokens=1)
            return
        shown = await store.set_budget("talk", tokens=1)
        assert (shown.limit, shown.remaining) == (BudgetAmounts(None, 1, None),) * 2

    async def test_a_hold_is_settled_in_the_commit_of_its_usage(self, three: BaseSessionStore, reopen: Reopen) -> None:
        await three.set_budget("top", tokens=100)
        hold = await three.place_hold("low", id="request", tokens=30)
        assert await tokens(await reopen(), "top") == (0, 30, 0, 70)

        await settle(await reopen(), "low", hold, spending(10))

        again = await reopen()
        assert await tokens(again, "top") == (20, 0, 0, 80)
        assert (await again.budget("top")).holds == {}
        assert (await again.usage("top", tree=True)).total.total_tokens == 20

    async def test_an_event_with_the_id_of_a_hold_settles_it_and_so_does_a_late_one(
        self, three: BaseSessionStore, reopen: Reopen
    ) -> None:
        await three.set_budget("mid", tokens=100)
        for name in ("one", "two"):
            await three.place_hold("low", id=name, tokens=30)
        await three.charge_hold("low", "two")
        assert await tokens(await reopen(), "mid") == (0, 30, 30, 40)

        await (await reopen()).append("low", spending(5, id="one"), spending(6, id="two"))
        await (await reopen()).append("low", spending(5, id="one"))

        assert await tokens(await reopen(), "mid") == (22, 0, 0, 78)

    async def test_every_level_is_asked_and_none_holds_what_another_refuses(
        self, three: BaseSessionStore, reopen: Reopen
    ) -> None:
        await three.set_budget("top", tokens=100)
        await three.set_budget("mid", tokens=70)
        await three.set_budget("low", requests=2)
        await three.place_hold("top", tokens=20)
        await three.place_hold("low", id="first", tokens=40)

        refused: list[tuple[str, str]] = []
        for session, asked in (("low2", 31), ("top", 41), ("low2", 41)):
            with pytest.raises(BudgetExceeded) as error:
                await (await reopen()).place_hold(session, tokens=asked)
            refused.append((error.value.budget_session_id, error.value.axis))
        assert refused == [("mid", "tokens"), ("top", "tokens"), ("mid", "tokens")]
        await three.place_hold("low", tokens=10)
        with pytest.raises(BudgetExceeded) as error:
            await three.place_hold("low", tokens=1)
        assert (error.value.budget_session_id, error.value.axis, error.value.limit) == ("low", "requests", 2)
        assert (error.value.spent, error.value.held, error.value.asked) == (0, 2, 1)
        assert "first" in error.value.holds
        assert [shown.held.tokens for shown in await (await reopen()).budgets("low")] == [70, 50, 50]

    async def test_the_same_hold_again_is_held_once_and_a_released_one_no_more(
        self, three: BaseSessionStore, reopen: Reopen
    ) -> None:
        await three.set_budget("top", tokens=100)
        first = await three.place_hold("mid", id="request", tokens=60)
        again = await (await reopen()).place_hold("mid", id="request", tokens=60)
        other = await three.place_hold("low", id="request", tokens=30)
        assert first == again
        assert await tokens(three, "top") == (0, 90, 0, 10)

        await three.release_hold("mid", "request")
        await (await reopen()).release_hold("mid", "request")
        await settle(three, "mid", first, spending(3))  # what was released counts once all the same
        assert await tokens(await reopen(), "top") == (6, 30, 0, 64)
        await settle(three, "low", other, spending(4))
        await settle(three, "low", other, spending(1))
        assert await tokens(await reopen(), "top") == (16, 0, 0, 84)

    async def test_exactly_as_many_pass_as_there_is_room_for_whoever_asks(
        self, three: BaseSessionStore, reopen: Reopen
    ) -> None:
        await three.set_budget("top", tokens=50)
        await three.set_budget("mid", tokens=35)
        others = [three, await reopen(), await reopen()]

        async def ask(number: int) -> tuple[str, PlacedHold] | None:
            session = ("low", "low2", "top")[number % 3]
            try:
                return session, await others[number % len(others)].place_hold(session, tokens=5)
            except BudgetExceeded:
                return None

        passed = [each for each in await asyncio.gather(*map(ask, range(24))) if each is not None]
        # Of the eight asked for at the top all may pass, of the others seven, and ten of both.
        assert len(passed) == 10
        assert await tokens(await reopen(), "top") == (0, 50, 0, 0)

        # Each that is settled leaves 1 of its 5.
        await asyncio.gather(*(settle(three, *each, spending(2)) for each in passed[:5]))
        assert await tokens(await reopen(), "top") == (20, 25, 0, 5)
        top = await asyncio.gather(*(ask(2) for _ in range(3)))
        assert sum(each is not None for each in top) == 1

    async def test_what_nobody_settled_counts_as_estimated_until_it_is_voided(
        self, three: BaseSessionStore, reopen: Reopen
    ) -> None:
        await three.set_budget("top", tokens=100)
        await three.set_budget("mid", "watch", tokens=10, mode="warn")
        await three.place_hold("low", id="dead", tokens=60, expires=1)
        with pytest.raises(InvalidSessionOperation, match="is open"):
            await three.void_hold("top", "dead", reason="looked at the bill")
        await asyncio.sleep(1.1)

        with pytest.raises(BudgetExceeded) as error:
            await (await reopen()).place_hold("low2", tokens=50)
        assert (error.value.held, error.value.estimated, error.value.holds) == (0, 60, ["dead"])
        assert (await three.budget("mid", "watch")).remaining.tokens == 10
        with pytest.raises(InvalidSessionOperation, match="says nothing"):
            await three.void_hold("top", "dead", reason=" ")
        await three.void_hold("top", "dead", reason="looked at the bill")
        assert await tokens(await reopen(), "top") == (0, 0, 0, 100)
        [told] = await three.events("top", type="budget")
        assert told.message["voided"] == "dead"
        assert told.message["reason"] == "looked at the bill"

    async def test_nothing_gives_back_what_was_spent(self, three: BaseSessionStore, reopen: Reopen) -> None:
        await three.set_budget("top", tokens=100)
        await three.set_budget("mid", tokens=90)
        await three.append("low", spending(10, id="a"), said(id="b"))
        await three.retract("low", "a")
        await three.fork("low", at="b", new_id="fork")
        await three.append("fork", spending(3))
        dead = await three.place_hold("low", id="dead", tokens=7)
        settled = await three.place_hold("low2", id="settled", tokens=7)
        await settle(three, "low2", settled, spending(4))

        for session in ("low2", "fork", "low"):
            await (await reopen()).delete(session)

        again = await reopen()
        assert await tokens(again, "top") == (34, 7, 0, 59)
        assert await tokens(again, "mid") == (34, 7, 0, 49)
        assert {*(await again.budget("top")).holds} == {dead.id}  # with its session, nobody can settle it
        with pytest.raises(SessionNotFound):
            await again.place_hold("low", tokens=1)
        await again.delete("top", children="cascade")
        await again.create("top")
        assert await again.budgets("top") == []
