"""How budgets are set: grants, limits that change, prices that nobody knows, and what is refused."""

from __future__ import annotations

import pytest

from a2a_session_manager.context.reading import conversation
from a2a_session_manager.exceptions import BudgetExceeded, InvalidSessionOperation, SessionNotFound
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import Reopen
from a2a_session_manager.testing.contract.budgets import LimitedTrees, settle, tokens
from a2a_session_manager.testing.contract.making import ids, said, spending, whole


class BudgetsSetContract(LimitedTrees):
    async def test_a_grant_is_held_out_of_what_is_above_and_returns(
        self, three: BaseSessionStore, reopen: Reopen
    ) -> None:
        await three.set_budget("top", tokens=100)
        with pytest.raises(BudgetExceeded):
            await three.set_budget("mid", tokens=101, grant=True)
        await three.set_budget("mid", tokens=60, grant=True)
        assert await tokens(await reopen(), "top") == (0, 60, 0, 40)
        await settle(three, "low", await three.place_hold("low", tokens=50), spending(10))
        assert await tokens(await reopen(), "top") == (20, 40, 0, 40)
        with pytest.raises(BudgetExceeded):
            await three.place_hold("top", tokens=41)

        await three.remove_budget("mid")
        assert await tokens(await reopen(), "top") == (20, 0, 0, 80)
        await three.set_budget("low2", tokens=50, grant=True)
        assert await tokens(three, "top") == (20, 50, 0, 30)
        await three.delete("low2")
        assert await tokens(await reopen(), "top") == (20, 0, 0, 80)

    async def test_settings_are_made_once_and_only_where_they_are(
        self, three: BaseSessionStore, reopen: Reopen
    ) -> None:
        await three.set_budget("top", tokens=100, write_id="first")
        with pytest.raises(InvalidSessionOperation, match="already"):
            await three.set_budget("top", tokens=50)
        await three.raise_budget("top", tokens=200, write_id="second")
        await (await reopen()).raise_budget("top", tokens=200, write_id="second")
        await (await reopen()).set_budget("top", tokens=100, write_id="first")
        assert (await three.budget("top")).limit.tokens == 200
        for session in ("mid", "low"):
            with pytest.raises(InvalidSessionOperation, match="session 'top' that has one"):
                await three.raise_budget(session, tokens=1000)
            with pytest.raises(InvalidSessionOperation, match="session 'top' that has one"):
                await three.remove_budget(session)

        await three.append("low", spending(60))
        lowered = await (await reopen()).set_budget("top", tokens=50, replace=True)
        assert (lowered.spent.tokens, lowered.remaining.tokens) == (120, 0)
        with pytest.raises(BudgetExceeded):
            await three.place_hold("low", tokens=1)
        await three.append("low", spending(1))  # recording is never refused
        with pytest.raises(InvalidSessionOperation, match="cannot be raised"):
            await three.raise_budget("top", tokens=122)
        await three.raise_budget("top", tokens=123)
        await three.place_hold("low", tokens=1)
        await three.remove_budget("top", write_id="third")
        with pytest.raises(InvalidSessionOperation, match="no budget"):  # a late copy brings nothing back
            await (await reopen()).set_budget("top", tokens=100, write_id="first")
        assert await (await reopen()).budgets("low") == []
        assert not (await three.place_hold("low", tokens=10**9)).is_held

    async def test_a_price_that_nobody_knows_is_never_0(self, three: BaseSessionStore, reopen: Reopen) -> None:
        await three.set_budget("top", usd="1")
        with pytest.raises(BudgetExceeded) as error:
            await three.place_hold("low", tokens=5)
        assert error.value.reason == "unpriced"
        usage = spending(5).token_usage
        assert usage is not None
        unpriced = usage.model_copy(update={"cost_pico_usd": None, "model": "nobody sells it"})
        await three.append("low", said(token_usage=unpriced))
        with pytest.raises(BudgetExceeded):
            await (await reopen()).place_hold("low", usd="0.1")

        await three.set_budget("top", usd="1", unpriced="0.4", replace=True)
        shown = await (await reopen()).budget("top")
        assert (str(shown.spent.usd), shown.unpriced_requests) == ("0.4", 1)
        await three.place_hold("low", tokens=5)
        with pytest.raises(BudgetExceeded):
            await three.place_hold("low", tokens=5)

    async def test_what_is_crossed_is_told_once_to_all_who_follow(
        self, three: BaseSessionStore, reopen: Reopen
    ) -> None:
        await three.set_budget("top", tokens=100)
        for tokens_spent in (20, 10, 15, 10):
            hold = await (await reopen()).place_hold("low", tokens=tokens_spent)
            await settle(three, "low", hold, spending(tokens_spent // 2))
            await three.note_crossings("low")
            await three.note_crossings("low2")
        await three.append("low", spending(25))
        with pytest.raises(BudgetExceeded):
            await three.place_hold("low", tokens=1)
        await (await reopen()).note_crossings("top")

        told = await (await reopen()).events("top", type="budget")
        assert [event.message["crossed"] for event in told] == [50, 80, 100]
        assert len(set(ids(told))) == 3
        top = await whole(three, "top")
        assert list(await conversation(three, top, format=None, repair=True)) == []

    async def test_bad_amounts_and_unknown_sessions_hold_nothing(self, three: BaseSessionStore) -> None:
        await three.set_budget("top", tokens=100)
        for asked in ({"usd": -1}, {"tokens": 0}, {"usd": 0.1 + 0.2}, {"tokens": 5, "requests": 0}):
            with pytest.raises(InvalidSessionOperation):
                await three.place_hold("low", **asked)
        with pytest.raises(InvalidSessionOperation, match="limits tokens"):
            await three.place_hold("low", usd=1)
        for missing in (three.place_hold("none", tokens=1), three.set_budget("none", tokens=1), three.budgets("none")):
            with pytest.raises(SessionNotFound):
                await missing
        old = await three.get("low2", last=0)
        assert old is not None
        await three.delete("low2")
        await three.create("low2", parent_id="mid")
        with pytest.raises(SessionNotFound):
            await three.place_hold(old, tokens=1)
        assert await tokens(three, "top") == (0, 0, 0, 100)
