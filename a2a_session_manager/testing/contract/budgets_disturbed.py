"""Budgets under disturbance: whatever is cut off or lost, what is spent is what the events say, and each hold is
accounted for."""

from __future__ import annotations

from contextlib import suppress

import pytest

from a2a_session_manager.context.summaries import Summary
from a2a_session_manager.exceptions import BudgetExceeded, InvalidSessionOperation, LeaseLost, StoreUnavailable
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.budget import PlacedHold
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.storage.commit_records import EventsKnown
from a2a_session_manager.testing.contract.base import Reopen
from a2a_session_manager.testing.contract.budgets import LimitedTrees, settle, tokens
from a2a_session_manager.testing.contract.cancelling import KINDS, turns_before_cancelling
from a2a_session_manager.testing.contract.lossy import LossyBackend
from a2a_session_manager.testing.contract.making import listening, spending

_USAGE = {"prompt_tokens": 6, "completion_tokens": 4}


class _LosesSome(LossyBackend):
    """Loses so many replies after the first ones, and none before and after."""

    first = 0

    def _lose_reply(self, answer: EventsKnown | None) -> None:
        if self.first:
            self.first -= 1
        else:
            super()._lose_reply(answer)


async def _ask(store: BaseSessionStore, session: str, hold_id: str, *, is_sent: bool) -> None:
    """Make one request of 10 tokens, for which 30 are held."""
    async with SessionManager(store).open(session) as chat, chat.spend(tokens=30, id=hold_id) as hold:
        if is_sent:
            hold.sent()
        await chat.assistant("Hello", model="m", usage=_USAGE)


class BudgetsDisturbedContract(LimitedTrees):
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("is_sent", [False, True], ids=["not sent", "sent"])
    async def test_a_block_cancelled_anywhere_leaves_nothing_that_nobody_knows_of(
        self, three: BaseSessionStore, reopen: Reopen, kind: str, is_sent: bool
    ) -> None:
        await three.set_budget("top", tokens=10**6)
        spent = estimated = 0
        for turns in turns_before_cancelling():
            name = f"cut after {turns}"
            ended = await KINDS[kind](lambda name=name: _ask(three, "low", name, is_sent=is_sent), turns)  # type: ignore[misc]

            again = await reopen()
            shown = await again.budget("top")
            is_stored = (await again.events_by_id("low", name))[0] is not None
            spent += 10 * is_stored
            # What was not sent is given back; of what was, nobody knows, until somebody says so.
            estimated += 30 * (name in shown.holds)
            assert (shown.spent.tokens, shown.held.tokens, shown.estimated.tokens) == (spent, 0, estimated)
            assert name not in shown.holds or (is_sent and not is_stored)
            assert (await again.usage("top", tree=True)).total.total_tokens == spent
            if ended:
                return
        pytest.fail("the block never ended by itself")

    @pytest.mark.parametrize("lost", [1, 4])
    async def test_a_block_whose_replies_are_lost_is_made_up_for_by_a_retry(
        self, three: BaseSessionStore, reopen: Reopen, lost: int
    ) -> None:
        """Whichever reply it is: to the hold, to the commit that settles it, or to what comes after."""
        await three.set_budget("top", tokens=100)
        for first in range(5):
            backend = _LosesSome(three._open_backend)
            lossy, name = BaseSessionStore(backend), f"request {first}"
            backend.first, backend.replies_to_lose = first, lost
            with suppress(StoreUnavailable):
                await _ask(lossy, "low", name, is_sent=True)
            shown = await (await reopen()).budget("top")
            assert {*shown.holds} <= {name}
            assert shown.spent.tokens in (10 * first, 10 * first + 10)
            await _ask(three, "low", name, is_sent=True)

            spent = 10 * (first + 1)
            assert await tokens(await reopen(), "top") == (spent, 0, 0, 100 - spent)

    async def test_another_sessions_hold_is_not_settled_but_refused_by_name(
        self, three: BaseSessionStore, reopen: Reopen
    ) -> None:
        await three.set_budget("top", tokens=100)
        hold = await three.place_hold("low", id="request", tokens=30)
        for session in ("low2", "mid"):
            with pytest.raises(InvalidSessionOperation, match="'request' is of session 'low'"):
                await settle(three, session, hold, spending(5))
            with pytest.raises(InvalidSessionOperation, match="'request' is of session 'low'"):
                await three.settling(hold).append(session, spending(5))
            await three.release_hold(session, "request")
        assert await tokens(await reopen(), "top") == (0, 30, 0, 70)

        await three.settling(hold).append("low", spending(5))  # by the id alone, too
        assert await tokens(await reopen(), "top") == (10, 0, 0, 90)

    async def test_the_id_of_a_settled_hold_may_be_taken_for_another_one(
        self, three: BaseSessionStore, reopen: Reopen
    ) -> None:
        await three.set_budget("top", tokens=100)
        await settle(three, "low", await three.place_hold("low", id="request", tokens=60), spending(5))

        again = await three.place_hold("low", id="request", tokens=60)
        assert await tokens(await reopen(), "top") == (10, 60, 0, 30)
        with pytest.raises(BudgetExceeded):
            await three.place_hold("low2", tokens=31)
        await settle(await reopen(), "low", again, spending(5))
        assert await tokens(await reopen(), "top") == (20, 0, 0, 80)

    async def test_a_hold_whose_usage_is_stored_already_keeps_no_room(
        self, three: BaseSessionStore, reopen: Reopen
    ) -> None:
        """Somebody who does again what was done, and whose answer was lost."""
        await three.set_budget("top", tokens=100)
        await three.append("low", spending(5, id="request"))
        await three.fork("low", at="request", new_id="fork")

        await (await reopen()).place_hold("low", id="request", tokens=60)
        assert await tokens(await reopen(), "top") == (10, 0, 0, 90)
        await three.charge_hold("low", "request")
        assert await tokens(await reopen(), "top") == (10, 0, 0, 90)
        with pytest.raises(BudgetExceeded):
            await three.place_hold("low", id="request", tokens=91)

        # What a fork has inherited, it has not spent.
        await three.place_hold("fork", id="request", tokens=50)
        await three.place_hold("low2", id="request", tokens=40)
        assert await tokens(await reopen(), "top") == (10, 90, 0, 0)

    async def test_spent_is_above_a_limit_by_no_more_than_requests_cost_more_than_was_held(
        self, three: BaseSessionStore, reopen: Reopen
    ) -> None:
        """Whoever asks, in whichever order they are settled, and also what nobody expected any more."""
        limit = 100
        await three.set_budget("top", tokens=limit)
        waiting: list[tuple[str, PlacedHold]] = []
        excess = refused = 0

        async def settle_one(place: int, more: int) -> None:
            nonlocal excess
            session, hold = waiting.pop(place)
            cost = max((hold.tokens or 0) + more, 2) // 2 * 2
            excess += max(cost - (hold.tokens or 0), 0)
            await settle(await reopen(), session, hold, spending(cost // 2, id=hold.id))

        async def check() -> int:
            shown = await three.budget("top")
            counted = [part.tokens or 0 for part in (shown.spent, shown.held, shown.estimated)]
            assert sum(counted) <= limit + excess
            assert counted[0] == (await three.usage("top", tree=True)).total.total_tokens
            return counted[0]

        for number in range(40):
            session = ("low", "low2", "mid")[number % 3]
            try:
                hold = await three.place_hold(session, tokens=(7, 11, 5)[number // 3 % 3])
            except BudgetExceeded:
                refused += 1
            else:
                waiting.append((session, hold))
                if len(waiting) % 2:
                    await three.charge_hold(session, hold.id)
            if number % 3 == 2 and len(waiting) > 4:
                await settle_one(number % 4, (-9, 0, -4)[number % 5 % 3])
            await check()
        while waiting:
            await settle_one(0 if len(waiting) % 2 else -1, 6 if len(waiting) < 5 else 0)
            await check()
        assert refused
        assert limit < await check() <= limit + excess

    async def test_a_compaction_spends_and_hiding_and_showing_do_not(
        self, three: BaseSessionStore, reopen: Reopen
    ) -> None:
        await three.set_budget("top", tokens=100)
        async with SessionManager(three).open("low") as chat:
            for number in range(3):
                await chat.user(f"Where to, for the {number}th time? " * 10)
                await chat.assistant("To Oslo. " * 10)
            usage = TokenUsage(prompt_tokens=6, completion_tokens=4, model="m")
            event = await chat.compact(lambda view: Summary("Oslo", usage=usage))
            assert await tokens(await reopen(), "top") == (10, 0, 0, 90)

            await chat.retract(event.id)
            await chat.restore(event.id)
            await chat.retract(after=0)
        assert await tokens(await reopen(), "top") == (10, 0, 0, 90)

    async def test_a_run_that_has_ended_holds_nothing(self, three: BaseSessionStore) -> None:
        await three.set_budget("top", tokens=100)
        async with SessionManager(three).open("low") as chat:
            async with chat.run(id="run") as run:
                pass
            with pytest.raises(InvalidSessionOperation, match="has ended"):
                async with run.spend(tokens=1):
                    pass
        assert await tokens(three, "top") == (0, 0, 0, 100)

    async def test_what_is_held_outlives_its_session_and_the_budgets_of_that(
        self, three: BaseSessionStore, reopen: Reopen
    ) -> None:
        await three.set_budget("low", tokens=100)
        await three.place_hold("low", tokens=30)
        await three.delete("low")
        await three.set_budget("top", tokens=50)
        assert await tokens(await reopen(), "top") == (0, 30, 0, 20)
        with pytest.raises(BudgetExceeded):
            await three.place_hold("low2", tokens=21)

    async def test_what_a_run_spends_that_was_taken_over_counts_in_limits_and_windows(
        self, three: BaseSessionStore, reopen: Reopen
    ) -> None:
        await three.set_budget("top", tokens=100)
        await three.set_budget("low", tokens=100, window="month", timezone="UTC")
        async with SessionManager(three).open("low") as chat, SessionManager(three).open("low") as other:
            run = await chat.run(id="run").__aenter__()
            async with other.run(id="run", busy="take_over"):
                with pytest.raises(LeaseLost):
                    await run.assistant("too late", model="m", usage=_USAGE)
            with pytest.raises(LeaseLost):
                await run.__aexit__(None, None, None)
        cold = await reopen()
        assert [await tokens(cold, limited) for limited in ("top", "low")] == [(10, 0, 0, 90)] * 2

    async def test_who_follows_sees_what_is_crossed_with_or_without_a_hold(
        self, three: BaseSessionStore, reopen: Reopen
    ) -> None:
        """With one, as soon as it is settled; without, at the next time that somebody asks for room, even in vain."""
        await three.set_budget("top", tokens=20)
        async with listening(await reopen(), "top") as take:
            async with SessionManager(three).open("low") as chat, chat.spend(tokens=10):
                await chat.assistant("Hello", model="m", usage=_USAGE)
            crossed = await take(1)
            await three.append("low2", spending(3))
            await three.place_hold("low2", tokens=1)
            crossed += await take(1)
            await three.append("low2", spending(3))
            with pytest.raises(BudgetExceeded):
                await (await reopen()).place_hold("low", tokens=1)
            crossed += await take(1)
        assert [event.message["crossed"] for event in crossed] == [50, 80, 100]
