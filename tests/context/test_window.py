"""The newest messages that fit a budget: whole exchanges, the instructions kept, the same from every store."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager import (
    ActiveSession,
    ChatMessage,
    EventType,
    InvalidSessionOperation,
    SessionEvent,
    SessionManager,
    SessionNotFound,
    TokenCount,
    count_chat_tokens,
    event_from_message,
)
from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.context.findings import INTERRUPTED
from a2a_session_manager.storage import InMemorySessionStore
from a2a_session_manager.storage.read_records import LoadedSession
from tests.stores import OpenStore, open_store

__all__ = ["open_store"]

EXAMPLES = Path(__file__).parents[2] / "examples" / "data" / "conversations.jsonl"
# A larger set that some machines have beside the checkout; nobody else needs it.
AIRLINE = Path(__file__).parents[3] / "shared" / "data" / "airline_transcripts.jsonl"
MODEL = "gpt-4o"
SYSTEM = {"role": "system", "content": "You plan trips."}


def transcripts(path: Path) -> list[list[ChatMessage]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line)["messages"] for line in lines]


def said(count: int, *, first: int = 0) -> list[ChatMessage]:
    roles = ("user", "assistant")
    return [{"role": roles[at % 2], "content": f"message {at}"} for at in range(first, first + count)]


def call(call_id: str, size: int = 1) -> list[ChatMessage]:
    function = {"name": "search", "arguments": "{}"}
    calls = [{"id": call_id, "type": "function", "function": function}]
    return [
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": call_id, "content": "found " * size},
    ]


async def tokens(messages: Sequence[ChatMessage], model: str = MODEL) -> int:
    return int(await count_chat_tokens(messages, model))


async def a_chat(messages: Sequence[ChatMessage]) -> ActiveSession:
    store = InMemorySessionStore()
    chat = ActiveSession(store, await store.create("chat"))
    for start in range(0, len(messages), 1_000):
        await chat.append(*messages[start : start + 1_000])
    return chat


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


async def budgets(messages: Sequence[ChatMessage], count: int) -> list[int]:
    """Return so many budgets, from the least that holds the instructions and a word to more than everything."""
    least = await tokens([each for each in messages[:1] if each["role"] == "system"])
    most = await tokens(messages) + 10
    return [least + (most - least) * step // (count - 1) for step in range(count)]


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


# Two runs' calls may go by one id, or by the name of their tool, and either run may be none.
RUNS = [("a", "b"), ("a", None), (None, "b")]


def openai_part(call_id: str, *, query: str | None = None, output: str = "") -> ChatMessage:
    if query is None:
        return {"role": "tool", "tool_call_id": call_id, "content": output}
    function = {"name": "search", "arguments": json.dumps({"q": query})}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": call_id, "type": "function", "function": function}],
    }


def gemini_part(call_id: str, *, query: str | None = None, output: str = "") -> ChatMessage:
    if query is None:
        response = {"name": "search", "response": {"output": output}}
        return {"role": "user", "parts": [{"functionResponse": response}]}
    return {"role": "model", "parts": [{"functionCall": {"name": "search", "args": {"q": query}}}]}


@pytest.mark.parametrize("part", [openai_part, gemini_part])
@pytest.mark.parametrize("runs", RUNS)
@pytest.mark.parametrize("results", ["A", "B", "AB", "BA", "AA", "ABA", "iA"])
@pytest.mark.parametrize("between", [0, 2])
async def test_a_result_is_given_to_the_call_of_its_run_also_where_that_lies_before_the_look_back(
    part: Callable[..., ChatMessage], runs: tuple[str | None, str | None], results: str, between: int
) -> None:
    """Run A calls before the look back, B in it; `results` says whose come, `i` being that B's call is interrupted."""
    by_run = {"A": runs[0], "B": runs[1], "i": runs[1]}
    chat = await a_chat([SYSTEM, *said(1)])

    async def say(run_id: str | None, message: ChatMessage) -> None:
        await chat.append(event_from_message(message, task_id=run_id))

    await say(runs[0], part("c", query="of A"))
    await chat.append(*said(40))
    await say(runs[1], part("c", query="of B"))
    await chat.append(*said(between, first=100))
    for at, each in enumerate(results):
        await say(by_run[each], part("c", output=INTERRUPTED if each == "i" else f"got {at} of {each}"))
    await chat.append(*said(2, first=102))

    whole, window = await chat.messages(), (await chat.window(max_tokens=100, model=MODEL)).messages

    count = len(window) - 1
    assert 8 < count < 20
    assert list(window) == [SYSTEM, *whole[-count:]]
    shown = {seq for each in window.report for seq in each.seqs}
    told = [(each.code, each.seqs) for each in whole.report]
    assert [(each.code, each.seqs) for each in window.report] == [each for each in told if shown.intersection(each[1])]


# How much is read


@pytest.mark.parametrize("hidden", [0, 4_000])
async def test_only_the_end_and_the_start_of_a_long_log_are_read(hidden: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = await a_chat([SYSTEM, *said(5_000)])
    if hidden:
        await chat.retract(*(event.id for event in (await chat.events())[-hidden - 5 : -5]))
    backend: Any = chat._store._backend  # type: ignore[attr-defined]  # what the store asks of it is the point
    read: list[int] = []
    for verb in ("load", "read_log"):
        monkeypatch.setattr(backend, verb, counting_events(getattr(backend, verb), read))
    tails = counted_messages(chat, monkeypatch)

    window = await chat.window(max_tokens=1_000, model=MODEL)

    assert len(window.messages) > 100
    assert 0 < sum(read) + sum(tails) < 4 * len(window.messages) + 16
    assert 0 < len(tails) <= 6
    assert len(read) <= 6


@pytest.mark.parametrize(("call_id", "is_all"), [("call_Zq3FpR7xW0bTkY", False), ("call_0", True)])
async def test_a_window_reads_further_back_for_a_call_of_another_run_only_where_its_id_may_come_again(
    call_id: str, is_all: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = await a_chat([SYSTEM, *said(5_000)])
    async with chat.run() as run:
        await run.append(call(call_id)[0])
    await chat.append(call(call_id)[1], *said(3, first=5_000))
    read = counted_messages(chat, monkeypatch)

    window = await chat.window(max_tokens=1_000, model=MODEL)

    assert window.report == ()
    assert (max(read) > 5_000) is is_all


@pytest.mark.parametrize("is_right_before", [True, False])
async def test_a_window_gives_a_result_that_names_nothing_to_the_call_that_a_view_of_all_gives_it_to(
    is_right_before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(name: str) -> ChatMessage:
        return {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": name, "arguments": {}}}]}

    between = said(1 if not is_right_before else 0, first=5_000)
    nameless: ChatMessage = {"role": "tool", "content": "rain"}
    chat = await a_chat([SYSTEM, made("map"), *said(5_000), made("weather"), *between, nameless, *said(3)])
    read = counted_messages(chat, monkeypatch)

    window = await chat.window(max_tokens=1_000, model=MODEL)

    whole = await chat.messages()
    assert list(window.messages[1:]) == list(whole[1 - len(window.messages) :])
    assert (nameless in window.messages) is is_right_before
    assert (max(read[:-1]) > 5_000) is not is_right_before


def counted_messages(chat: ActiveSession, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that tells after each look at the tail how many messages it brought."""
    read: list[int] = []
    read_messages = getattr(chat._store, "read_messages")  # noqa: B009  # not every store has it

    async def counted(*args: Any, **kwargs: Any) -> Any:
        found = await read_messages(*args, **kwargs)
        read.append(len(found.messages))
        return found

    monkeypatch.setattr(chat._store, "read_messages", counted)
    return read


def counting_events(verb: Any, read: list[int]) -> Any:
    async def counted(*args: Any, **kwargs: Any) -> Any:
        found = await verb(*args, **kwargs)
        one = found[0] if isinstance(found, list) else found
        if isinstance(one, LoadedSession):
            one.events = list(one.events)
        read.append(len(one.events))
        return found

    return counted


async def test_long_messages_are_counted_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threaded = []

    async def noted(work: Any, *args: Any) -> Any:
        threaded.append(work)
        return await in_thread(work, *args)

    chat = await a_chat([*said(2), {"role": "user", "content": "word " * 80_000}])
    await chat.window(model=MODEL)
    monkeypatch.setattr("a2a_session_manager.tokens.counting.in_thread", noted)

    await chat.window(model=MODEL)

    assert len(threaded) == 1


# Bad input


async def test_a_budget_below_the_instructions_is_an_error_with_the_numbers() -> None:
    chat = await a_chat([SYSTEM, *said(3)])
    head, last = await tokens([SYSTEM]) - 3, await tokens(said(1, first=2)) - 3

    with pytest.raises(InvalidSessionOperation) as caught:
        await chat.messages(max_tokens=5, model=MODEL)

    assert f"max_tokens=5 is too small: the system messages take {head} tokens" in str(caught.value)
    assert f"the newest exchange {last}" in str(caught.value)
    assert f"allow {head + last + 3} or more" in str(caught.value)
    assert caught.value.session_id == "chat"


async def test_what_the_error_asks_for_is_enough() -> None:
    asked = said(1, first=2)
    chat = await a_chat([SYSTEM, *said(2), *asked, *call("a", 50)])
    enough = await tokens([SYSTEM, *asked, *call("a", 50)])

    with pytest.raises(InvalidSessionOperation, match=f"allow {enough} or more"):
        await chat.messages(max_tokens=enough - 1, model=MODEL)
    assert await chat.messages(max_tokens=enough, model=MODEL) == [SYSTEM, *asked, *call("a", 50)]


async def test_instructions_alone_may_be_too_much() -> None:
    chat = await a_chat([SYSTEM])

    with pytest.raises(InvalidSessionOperation, match="the system messages take 8 tokens, the reply's beginning 3"):
        await chat.messages(max_tokens=10, model=MODEL)


@pytest.mark.parametrize("bad", [-1, 1.5, "100", True])
async def test_a_budget_that_is_no_number_of_tokens_is_refused(bad: Any) -> None:
    chat = await a_chat(said(1))

    with pytest.raises(InvalidSessionOperation, match="is no number of tokens"):
        await chat.messages(max_tokens=bad)


async def test_a_session_that_is_gone_or_was_made_anew_is_not_found() -> None:
    chat = await a_chat(said(1))
    await chat._store.delete("chat")

    with pytest.raises(SessionNotFound):
        await chat.window(max_tokens=100)
    await chat._store.create("chat")
    with pytest.raises(SessionNotFound):
        await chat.window(max_tokens=100)


async def test_what_the_system_says_in_the_middle_is_no_instruction_where_the_look_back_begins_with_it() -> None:
    notice = {"role": "system", "content": "From now on in French."}
    asked = said(1, first=8)
    loop = [message for number in range(7) for message in call(str(number), 5)]
    chat = await a_chat([SYSTEM, *said(8), notice, *asked, *loop])  # the last 16 begin with it

    window = await chat.window(max_tokens=140, model=MODEL)

    assert window.messages[:2] == [SYSTEM, *asked]
    assert [each.code for each in window.report] == ["shortened_turn"]


@pytest.mark.parametrize("is_made_again", [False, True])
async def test_a_result_between_a_summary_and_the_window_is_given_with_its_call(is_made_again: bool) -> None:
    """A compaction leaves a call without a result where it is, and the window shows it whatever its budget."""
    asked, result = call("slow")
    chat = await a_chat([*said(1), asked, *said(3, first=2)])
    await chat.compact(lambda messages: "in short", minimum_gain=0)
    await chat.append(*said(1, first=6), result)
    if is_made_again:
        await chat.append(asked, *said(40, first=7), {**result, "content": "found it"}, *said(1, first=7))
    await chat.append(*said(40, first=8))

    window = await chat.window(max_tokens=200, model=MODEL)

    assert len(window.messages) < 60
    assert window.messages[:3] == [{"role": "user", "content": "in short"}, asked, result]
    assert (await chat.messages())[:3] == window.messages[:3]
    assert "closed_call" not in {each.code for each in window.report}
