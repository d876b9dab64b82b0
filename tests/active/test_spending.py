"""`chat.spend`: the block is the only way in and out of a hold, and the append inside it settles it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager import (
    ActiveSession,
    BudgetExceeded,
    FileSessionStore,
    InMemorySessionStore,
    InvalidSessionOperation,
    LeaseLost,
    ListPricer,
    Prices,
    RunStatus,
    SessionManager,
    StoreUnavailable,
)
from a2a_session_manager.active.holds import Hold
from a2a_session_manager.models.budget import SpendEstimate
from a2a_session_manager.testing.contract.lossy import LossyBackend
from a2a_session_manager.tokens.counting import count_tokens

USAGE = {"prompt_tokens": 6, "completion_tokens": 4}


@pytest.fixture(params=["memory", "file"])
async def sessions(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SessionManager]:
    pricer = ListPricer({"priced": Prices(input=1, output=2)})
    memory = request.param == "memory"
    store = InMemorySessionStore(pricer=pricer) if memory else FileSessionStore(tmp_path, pricer=pricer)
    async with store:
        yield SessionManager(store)


@pytest.fixture
async def chat(sessions: SessionManager) -> AsyncIterator[ActiveSession]:
    async with sessions.open("talk") as chat:
        await sessions.set_budget("talk", tokens=100, usd="1", unpriced=0)
        yield chat


async def figures(sessions: SessionManager) -> tuple[int | None, ...]:
    shown = await sessions.budget("talk")
    return shown.spent.tokens, shown.held.tokens, shown.estimated.tokens


async def test_the_append_in_the_block_settles_the_hold(sessions: SessionManager, chat: ActiveSession) -> None:
    async with chat.run(id="run") as run, run.spend("0.1", tokens=30, id="request") as hold:
        assert await figures(sessions) == (0, 30, 0)
        hold.sent()
        answer = await run.assistant("Hello", model="priced", usage=USAGE)
        assert await figures(sessions) == (10, 0, 0)
        await run.assistant("And", model="priced", usage=USAGE)

    assert answer.id == hold.id == "request"
    assert hold.is_settled
    assert await figures(sessions) == (20, 0, 0)
    assert (await sessions.budget("talk")).spent.usd == Decimal("0.000028")


async def test_a_block_that_is_left_gives_back_what_was_not_sent_and_charges_what_was(
    sessions: SessionManager, chat: ActiveSession
) -> None:
    with pytest.raises(ConnectionError):
        async with chat.spend("0.1", tokens=30):
            raise ConnectionError
    assert await figures(sessions) == (0, 0, 0)

    async def send_and_wait_in_vain() -> None:
        async with chat.spend("0.1", tokens=30, id="late") as hold:
            hold.sent()
            raise TimeoutError

    with pytest.raises(TimeoutError):
        await send_and_wait_in_vain()
    assert await figures(sessions) == (0, 0, 30)

    await chat.assistant("at last", id="late", model="priced", usage=USAGE)
    assert await figures(sessions) == (10, 0, 0)


async def test_an_answer_without_a_usage_was_paid_for(sessions: SessionManager, chat: ActiveSession) -> None:
    async with chat.spend("0.1", tokens=30):
        await chat.user("no usage at all")
        await chat.assistant("Hello", model="priced")

    assert await figures(sessions) == (0, 0, 30)


async def test_events_and_replies_settle_as_well_and_those_of_others_do_not(
    sessions: SessionManager, chat: ActiveSession
) -> None:
    reply = {"role": "assistant", "content": "Hello", "usage": USAGE, "model": "priced"}
    async with chat.child("below") as child:
        async with chat.spend("0.1", tokens=30) as hold:
            await child.append(reply)
            settled = [hold.is_settled]
            await chat.append(reply)
            assert [*settled, hold.is_settled] == [False, True]
        async with child.spend("0.1", tokens=30):
            await chat.append(reply)
            assert await figures(sessions) == (30, 30, 0)
    assert await figures(sessions) == (30, 0, 0)


async def test_blocks_in_tasks_settle_their_own(sessions: SessionManager, chat: ActiveSession) -> None:
    async def ask(number: int) -> None:
        async with chat.spend("0.01", tokens=20, id=f"request {number}"):
            await asyncio.sleep(0.001 * number)
            await chat.assistant("Hello", model="priced", usage=USAGE)

    await asyncio.gather(*map(ask, range(5)))

    assert await figures(sessions) == (50, 0, 0)
    assert {event.id for event in await chat.events()} >= {f"request {number}" for number in range(5)}


async def test_a_retry_of_the_whole_block_counts_once(sessions: SessionManager, chat: ActiveSession) -> None:
    for _ in range(2):
        async with chat.spend("0.1", tokens=30, id="request"):
            await chat.assistant("Hello", model="priced", usage=USAGE)

    assert await figures(sessions) == (10, 0, 0)


async def test_a_run_waits_for_room_and_goes_on_with_more(sessions: SessionManager, chat: ActiveSession) -> None:
    with pytest.raises(BudgetExceeded) as refused:
        async with chat.run(id="run") as run, run.spend("0.1", tokens=101):
            await asyncio.sleep(0)
    assert run.status is RunStatus.WAITING
    assert (refused.value.axis, refused.value.limit, refused.value.asked) == ("tokens", 100, 101)

    await sessions.raise_budget("talk", tokens=200)
    async with chat.run(id="run") as run, run.spend("0.1", tokens=101):
        await run.assistant("Hello", model="priced", usage=USAGE)
    assert run.status is RunStatus.COMPLETED
    with pytest.raises(InvalidSessionOperation, match="has ended"):
        run.spend("0.1", tokens=1)
    assert await figures(sessions) == (10, 0, 0)


async def test_what_a_refused_write_has_used_settles_its_hold(sessions: SessionManager, chat: ActiveSession) -> None:
    async def be_too_late() -> None:
        async with chat.run(id="run") as run, run.spend("0.1", tokens=30):
            async with sessions.open("talk") as other, other.run(id="run", busy="take_over"):
                pass
            await run.assistant("Hello", model="priced", usage=USAGE)

    with pytest.raises(LeaseLost):
        await be_too_late()

    assert await figures(sessions) == (10, 0, 0)


async def test_an_estimate_counts_the_prompt_and_the_largest_answer(chat: ActiveSession) -> None:
    await chat.user("Two days in Oslo?")
    known = await chat.estimate(model="gpt-4o", max_output_tokens=1000)
    assert known.tokens is not None
    assert known.tokens > 1000
    # 2.5 and 10 dollars a million, which no cache makes less.
    assert known.usd == Decimal("0.0000025") * (known.tokens - 1000) + Decimal("0.01")
    unknown = await chat.estimate(model="nobody sells it", max_output_tokens=10, messages="Hello")
    assert unknown.usd is None
    # Above 200,000 tokens of a prompt each costs more; what is counted just below may be above.
    near, far = [
        await chat.estimate(model="gemini-2.5-pro", max_output_tokens=1000, messages="word " * count)
        for count in (100, 199_900)
    ]
    assert near.usd is not None
    assert far.usd is not None
    assert far.usd > Decimal("0.0000025") * 199_900
    assert near.usd < Decimal("0.011")
    with pytest.raises(InvalidSessionOperation, match="no answer"):
        await chat.estimate(model="gpt-4o", max_output_tokens=0)


async def test_an_estimate_counts_definitions_of_tools_as_the_json_that_they_are(chat: ActiveSession) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string", "description": "Where to look"}}}
    tools = [{"type": "function", "function": {"name": name, "parameters": schema}} for name in ("weather", "trains")]
    text = "".join(json.dumps(tool, separators=(",", ":")) for tool in tools)

    async def estimated(**more: Any) -> SpendEstimate:
        return await chat.estimate(model="gpt-4o", max_output_tokens=10, messages="Hello", **more)

    plain, with_tools = await estimated(), await estimated(tools=iter(tools))
    assert plain.tokens is not None
    assert plain.usd is not None
    assert with_tools.tokens is not None
    assert with_tools.tokens == pytest.approx(plain.tokens + await count_tokens(text, "gpt-4o"), abs=2)
    assert with_tools.usd == plain.usd + Decimal("0.0000025") * (with_tools.tokens - plain.tokens)
    assert (plain.basis, with_tools.basis, (await estimated(tools=[])).basis) == ("counted", "estimated", "counted")
    async with chat.spend(estimate=with_tools):
        pass
    for wrong in ("weather", tools[0], [object()], 5):
        with pytest.raises(InvalidSessionOperation, match="tools="):
            await estimated(tools=wrong)


async def test_an_estimate_is_what_is_held(sessions: SessionManager, chat: ActiveSession) -> None:
    estimate = await chat.estimate(model="priced", max_output_tokens=50, messages="Hello")
    assert estimate.usd is not None
    async with chat.spend(estimate=estimate):
        assert await figures(sessions) == (0, estimate.tokens, 0)
    with pytest.raises(InvalidSessionOperation, match="says both"):
        chat.spend(1, estimate=estimate)


async def test_a_hold_is_entered_once_and_renewed_while_it_is_open(
    sessions: SessionManager, chat: ActiveSession
) -> None:
    hold = chat.spend("0.1", tokens=30, expires=2)
    async with hold:
        before = (await sessions.budget("talk")).holds[hold.id].expires_at
        await asyncio.sleep(0.01)
        await hold.renew()
        assert (await sessions.budget("talk")).holds[hold.id].expires_at > before
    with pytest.raises(InvalidSessionOperation, match="entered before"):
        await hold.__aenter__()


async def test_lost_replies_leave_nothing_held(chat: ActiveSession, sessions: SessionManager) -> None:
    store = sessions.store
    assert isinstance(store, InMemorySessionStore | FileSessionStore)
    backends: list[LossyBackend] = []
    original = store._open_backend

    def wrapped(backend: object) -> LossyBackend:
        backends.append(LossyBackend(original))
        return backends[-1]

    store.wrap_backend(wrapped)
    [lossy] = backends
    for lost in (1, 2):  # once it is sent again; then nobody knows, and it is given back
        lossy.replies_to_lose = lost
        try:
            async with chat.spend("0.1", tokens=30, id=f"request {lost}"):
                await chat.assistant("Hello", model="priced", usage=USAGE)
        except StoreUnavailable:
            assert lost == 2
    assert await figures(sessions) == (10, 0, 0)


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 40])
async def test_a_cancellation_leaves_no_hold_that_was_not_sent(
    sessions: SessionManager, chat: ActiveSession, turns: int
) -> None:
    async def ask() -> None:
        async with chat.spend("0.1", tokens=30, id="request"):
            await chat.assistant("Hello", model="priced", usage=USAGE)

    task = asyncio.ensure_future(ask())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})

    spent, held, estimated = await figures(sessions)
    assert (held, estimated) == (0, 0)
    assert spent in (0, 10)
    assert spent == (await chat.usage()).total_tokens


def test_a_hold_says_where_it_stands(chat: ActiveSession) -> None:
    assert repr(Hold(chat._store, chat.session, id="h", usd=None, tokens=None, requests=1, expires=9)) == (
        "<Hold 'h' closed session='talk'>"
    )
