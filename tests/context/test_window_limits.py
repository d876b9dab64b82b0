"""How a window is counted and where it ends: other runs, long logs, budgets that are none, and what errors ask for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from a2a_session_manager import (
    ActiveSession,
    ChatMessage,
    InvalidSessionOperation,
    SessionNotFound,
    event_from_message,
)
from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.context.findings import INTERRUPTED
from a2a_session_manager.storage.read_records import LoadedSession
from tests.context.spoken import MODEL, SYSTEM, a_chat, call, said, tokens

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
