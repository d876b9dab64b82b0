"""The newest messages that fit a budget: whole exchanges, the instructions kept, the same from every store."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from a2a_session_manager import (
    ActiveSession,
    ChatMessage,
    EventType,
    InvalidSessionOperation,
    SessionEvent,
    SessionManager,
    TokenCount,
)
from a2a_session_manager.context.findings import INTERRUPTED
from a2a_session_manager.storage import InMemorySessionStore
from tests.context.real_conversations import AIRLINE, EXAMPLES, budgets, transcripts
from tests.context.spoken import MODEL, SYSTEM, a_chat, call, said, tokens
from tests.stores import OpenStore, open_store

__all__ = ["open_store"]


def orphans(messages: Sequence[ChatMessage]) -> list[str]:
    """Return the call ids that are on one side only; every result must come after its call."""
    calls = [each["id"] for message in messages for each in message.get("tool_calls") or ()]
    results = [message["tool_call_id"] for message in messages if message["role"] == "tool"]
    open_calls: set[str] = set()
    wrong = [call_id for call_id in calls if call_id not in results]
    for message in messages:
        open_calls.update(each["id"] for each in message.get("tool_calls") or ())
        if message["role"] == "tool" and message["tool_call_id"] not in open_calls:
            wrong.append(message["tool_call_id"])
    return wrong


# Real conversations


async def test_real_conversations_fit_every_budget_whole_and_alike_in_every_store(open_store: OpenStore) -> None:
    await check_conversations(transcripts(EXAMPLES), open_store)


@pytest.mark.skipif(not AIRLINE.exists(), reason="the larger transcripts are not on this machine")
async def test_many_real_conversations_do_so_too(open_store: OpenStore) -> None:
    await check_conversations((await asyncio.to_thread(transcripts, AIRLINE))[::4], open_store)


async def check_conversations(conversations: list[list[ChatMessage]], open_store: OpenStore) -> None:
    async with open_store() as store:
        for at, messages in enumerate(conversations):
            async with SessionManager(store).open(f"chat-{at}") as chat:
                await chat.append(*messages)
    async with open_store() as cold, InMemorySessionStore() as other:
        for at, messages in enumerate(conversations):
            async with SessionManager(cold).open(f"chat-{at}") as chat:
                warm = ActiveSession(other, await other.create(f"chat-{at}"))
                await warm.append(*messages)
                await check_budgets(messages, chat, warm)


async def check_budgets(messages: list[ChatMessage], chat: ActiveSession, other: ActiveSession) -> None:
    shown = 0
    for budget in await budgets(messages, 20):
        try:
            window = await chat.window(max_tokens=budget, model=MODEL)
        except InvalidSessionOperation:
            assert shown == 0, f"a smaller budget than {budget} had a window"
            continue
        assert await tokens(window.messages) == window.token_count <= budget
        assert orphans(window.messages) == []
        assert window.messages[0] == messages[0] or messages[0]["role"] != "system"
        assert len(window.messages) + window.left_out_events == len(messages)
        assert len(window.messages) >= shown
        assert await chat.messages(max_tokens=budget, model=MODEL) == window.messages
        assert await other.window(max_tokens=budget, model=MODEL) == window
        shown = len(window.messages)
    assert window.messages == await chat.messages()
    assert window.left_out_events == len(messages) - len(window.messages)


@pytest.mark.parametrize("seed", range(30))
async def test_any_log_of_calls_has_whole_windows_as_if_it_were_read_at_once(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    messages = [SYSTEM][: rng.randrange(2)]
    for number in range(60):
        pair = call(str(number), rng.randrange(1, 40))
        mixed = [pair, pair[:1], pair[1:], [*pair[:1], *said(2, first=number), *pair[1:]], said(1, first=number)]
        messages += rng.choice(mixed)
    chat = await a_chat(messages)
    await chat.retract(*(event.id for event in await chat.events() if rng.random() < 0.2))
    log, visible = await chat.messages(repair=False), await chat.messages()
    most = await tokens(visible)

    budgets = [most * step // 20 for step in range(3, 21)]
    paged = [await chat.window(max_tokens=budget, model=MODEL) for budget in budgets]
    monkeypatch.setattr("a2a_session_manager.context.window._FEWEST", 10_000)
    monkeypatch.setattr("a2a_session_manager.context.window._MOST", 10_000)
    at_once = [await chat.window(max_tokens=budget, model=MODEL) for budget in budgets]

    assert paged == at_once
    for budget, window in zip(budgets, paged, strict=True):
        assert await tokens(window.messages) == window.token_count <= budget
        assert orphans(window.messages) == []
        stored = [message for message in window.messages if message.get("content") != INTERRUPTED]
        assert len(stored) + window.left_out_events == len(log)
        assert all(message in visible for message in window.messages)


# What stays and what goes


async def test_the_newest_messages_stay_in_their_order_and_the_rest_is_counted() -> None:
    chat = await a_chat([SYSTEM, *said(10)])

    window = await chat.window(max_tokens=await tokens([SYSTEM, *said(3, first=7)]), model=MODEL)

    assert window.messages == [SYSTEM, *said(2, first=8)]  # a turn begins with the user
    assert window.left_out_events == 8
    assert window.basis == "counted"


async def test_a_window_without_a_budget_is_everything() -> None:
    chat = await a_chat([SYSTEM, *said(1_200)])

    window = await chat.window(model=MODEL)

    assert window.messages == await chat.messages()
    assert window.token_count == await tokens(window.messages)
    assert window.left_out_events == 0


async def test_what_was_left_out_can_be_told_in_tokens() -> None:
    chat = await a_chat([SYSTEM, *said(10)])

    whole, part = await chat.window(model=MODEL), await chat.window(max_tokens=40, model=MODEL)

    left_out = list(await chat.messages())
    left_out = left_out[1 : 1 + part.left_out_events]
    assert whole.token_count - part.token_count == await tokens(left_out) - 3


async def test_an_exchange_that_does_not_fit_ends_the_window_though_older_ones_would() -> None:
    chat = await a_chat([SYSTEM, *said(2), *call("big", 500), *said(1)])

    window = await chat.window(max_tokens=200, model=MODEL)

    assert window.messages == [SYSTEM, *said(1)]
    assert window.left_out_events == 4


async def test_a_call_without_its_result_is_closed_and_a_result_without_its_call_left_out() -> None:
    first, second = call("a"), call("b")
    chat = await a_chat([SYSTEM, first[0], second[1], *said(1)])

    window = await chat.window(max_tokens=10_000, model=MODEL)

    made = {"role": "tool", "tool_call_id": "a", "content": INTERRUPTED, "name": "search"}
    assert window.messages == [SYSTEM, first[0], made, *said(1)]
    assert [(each.code, each.seqs) for each in window.report] == [("closed_call", (2,)), ("orphan_result", (3,))]
    assert window.left_out_events == 1


async def test_all_instructions_at_the_start_stay_and_later_ones_are_messages_like_others() -> None:
    heads = [{"role": "developer", "content": f"rule {at}"} for at in range(20)]
    late = {"role": "system", "content": "From now on in French."}
    chat = await a_chat([*heads, late, *said(30), late, *said(30)])

    window = await chat.window(max_tokens=await tokens([*heads, late, *said(4, first=26)]), model=MODEL)

    assert window.messages == [*heads, late, *said(4, first=26)]
    assert window.left_out_events == 57


async def test_hidden_events_and_references_are_no_part_of_it() -> None:
    chat = await a_chat([SYSTEM, *said(40)])
    await chat.append(SessionEvent(message="ref", type=EventType.REFERENCE))
    await chat.retract(last=10)
    await chat.append(*said(2, first=90))

    window = await chat.window(max_tokens=await tokens([SYSTEM, *said(2, first=90)]) + 2, model=MODEL)

    assert window.messages == [SYSTEM, *said(2, first=90)]
    assert window.left_out_events == len(await chat.events()) - 3


async def test_a_run_sees_the_window_of_its_session() -> None:
    chat = await a_chat([SYSTEM, *said(10)])

    async with chat.run() as run:
        assert await run.window(max_tokens=40, model=MODEL) == await chat.window(max_tokens=40, model=MODEL)


async def test_nothing_said_is_an_empty_window() -> None:
    chat = await a_chat([])

    assert (await chat.window(max_tokens=3, model=MODEL)).messages == []


async def test_without_a_model_the_count_is_an_estimate() -> None:
    chat = await a_chat(said(2))

    assert (await chat.window(max_tokens=100)).basis == "estimated"
    assert (await chat.window(max_tokens=100, model=MODEL)).basis == "counted"


async def test_another_counter_decides_what_fits() -> None:
    class ByLetters:
        def count(self, text: str, model: str) -> TokenCount:
            return TokenCount(len(text), "counted", None)

    chat = await a_chat(said(10))

    window = await chat.window(max_tokens=3 + 2 * (3 + len("assistantmessage 9")), counter=ByLetters())

    assert window.messages == said(2, first=8)
