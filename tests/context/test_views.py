"""Whatever a log holds, the views of it are prompts that providers take, within their budget, and nothing is lost.

`rules.py` is what providers publish, `logs.py` what goes wrong in logs.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from a2a_session_manager import ActiveSession, InvalidSessionOperation, count_chat_tokens, event_from_message
from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.context import window as windows
from a2a_session_manager.context.conversion import MessageFormat
from a2a_session_manager.context.findings import INTERRUPTED
from a2a_session_manager.context.matching import Matching
from a2a_session_manager.context.view import MessageView
from a2a_session_manager.context.window import MessageWindow
from a2a_session_manager.storage import InMemorySessionStore
from benchmarks.payloads import chat_exchanges
from tests.context.checked_views import (
    FORMATS,
    bytes_of,
    columns_of,
    every_shape,
    refused,
    view_of_columns,
    view_of_log,
)
from tests.context.logs import Entry, logs, marks
from tests.context.rules import faults, spoken
from tests.draws import few

MODEL = "gpt-4o"


def check_nothing_is_lost(view: MessageView, entries: Sequence[Entry]) -> None:
    """Check that what a view says was said, at most as often, and that the report names each event not in it."""
    given = marks([view.system, list(view)])
    assert given <= marks([each.message for each in entries])
    named = {seq for finding in view.report for seq in finding.seqs}
    for seq, entry in enumerate(entries, 1):
        said = marks(entry.message)
        is_there = said <= given if said else seq in view.seqs
        assert is_there or seq in named, (seq, entry)


def check_view(shape: str | None, entries: Sequence[Entry], format: MessageFormat | None) -> MessageView:
    view = view_of_log(entries, format)
    found = refused(view, shape, format)
    assert not found, found
    check_nothing_is_lost(view, entries)
    return view


# What a view of a view may report: what is said of a message, and nothing that is done to one.
_REMARKS = {"unknown_shape", "unknown_part", "not_converted"}


def check_idempotent(entries: Sequence[Entry], format: MessageFormat | None) -> None:
    view = view_of_log(entries, format)

    again = view_of_log([Entry(each, None) for each in view], format)

    assert list(again) == list(view)
    assert {each.code for each in again.report} <= _REMARKS, again.report


def check_prefixes(entries: Sequence[Entry], format: MessageFormat | None) -> None:
    columns = columns_of(entries)
    previous = view_of_log([], format)
    for end in range(1, len(entries) + 1):
        view = view_of_columns(columns[:end], format)
        check = view.extends(previous)
        is_prefix = view.system == previous.system and list(view[: len(previous)]) == list(previous)
        assert bool(check) == is_prefix
        assert (view.prefix_digest == previous.prefix_digest) == (bytes_of(view) == bytes_of(previous))
        if check.change == "answer":
            assert check.at is not None
            assert INTERRUPTED in json.dumps(previous[check.at :])
        elif check.change is not None:
            # The provider demands that what one role says in a row is one message, or nobody had asked anything yet.
            assert check.change == "continuation"
            assert not previous or len({spoken(each).role for each in previous[check.at :]}) == 1
        previous = view


async def check_budgets(shape: str | None, entries: Sequence[Entry], format: MessageFormat | None) -> None:
    whole = view_of_log(entries, format)
    chat = await a_chat(entries)
    least = await tokens_of(MessageView(system=whole.system))
    most = await tokens_of(whole) + 5
    steps = few(6, of=20)
    for budget in (least + (most - least) * step // (steps - 1) for step in range(steps)):
        try:
            window = await chat.window(max_tokens=budget, model=MODEL, format=format)
        except InvalidSessionOperation:  # of a budget too small for what is asked
            continue
        view = window.messages
        assert await tokens_of(view) == window.token_count <= budget
        found = refused(view, shape, format)
        assert not found, found
        # Bedrock's user turns in a row are one message, which a window that begins between them has the end of.
        if format is not None or shape not in ("bedrock", None):
            check_is_newest(view, whole, entries, format)
        check_left_out(window, whole, entries)


async def a_chat(entries: Sequence[Entry]) -> ActiveSession:
    store = InMemorySessionStore()
    chat = ActiveSession(store, await store.create("chat"))
    events = [event_from_message(each.message, task_id=each.run_id) for each in entries]
    if events:
        await chat.append(*events)
    return chat


async def tokens_of(view: MessageView) -> int:
    system = [] if view.system is None else [{"role": "system", "content": view.system}]
    return int(await count_chat_tokens([*system, *view], MODEL))


def check_is_newest(
    view: MessageView, whole: MessageView, entries: Sequence[Entry], format: MessageFormat | None
) -> None:
    """Check that a window has the instructions and the newest messages, with the turn that is under way.

    A window does not look at what is before it: of a call that is made there, and again by the same run while it has no
    result, the second one is given as if it was new, and gets the result that comes next, whichever it is of. Of a log
    with such calls, a window is the newest of what some end of the log is given as.
    """
    if not is_newest(view, whole):
        assert makes_an_open_call_again(entries), (list(view), list(whole))
        head = head_of(entries)
        ends = ([*entries[:head], *entries[start:]] for start in range(head + 1, len(entries)))
        assert any(is_newest(view, view_of_log(each, format)) for each in ends), (list(view), list(whole))


def makes_an_open_call_again(entries: Sequence[Entry]) -> bool:
    """Tell whether a run makes a call that goes by what one before it does, which has no result until there."""
    made: Counter[tuple[str | None, str]] = Counter()
    for entry in entries:
        each = spoken(entry.message)
        if any(made[entry.run_id, call] for call in each.calls):
            return True
        made += Counter((entry.run_id, call) for call in each.calls)
        made -= Counter((entry.run_id, call) for call in each.results)
    return False


def is_newest(view: MessageView, whole: MessageView) -> bool:
    said = [spoken(each) for each in whole]
    head = next((at for at, each in enumerate(said) if each.role not in ("system", "developer")), len(said))
    rest = len(view) - head
    asked = [at for at, each in enumerate(said) if each.role == "user" and not each.results]
    first = asked[-1] if asked else head
    tail = list(whole[len(whole) - rest :])
    if any(each.code == "shortened_turn" for each in view.report):
        kept = rest - bool(asked)
        tail = [*whole[first : first + bool(asked)], *whole[len(whole) - kept :]]
    elif rest < len(whole) - first:
        return False
    return list(view) == [*whole[:head], *tail]


def head_of(entries: Sequence[Entry]) -> int:
    """Return how many messages of the system a log begins with."""
    roles = [spoken(each.message).role for each in entries]
    return next((at for at, role in enumerate(roles) if role not in ("system", "developer")), len(roles))


def check_left_out(window: MessageWindow, whole: MessageView, entries: Sequence[Entry]) -> None:
    """Check that what is not in a window is older than it, or named in its report, and that it is counted."""
    view = window.messages
    given = marks([view.system, list(view)])
    older = marks(list(whole)) - given
    assert given <= marks([each.message for each in entries])
    missing = {
        seq: marks(entry.message)
        for seq, entry in enumerate(entries, 1)
        if seq not in view.seqs and not marks(entry.message).keys() & given.keys()
    }
    # A window does not look at calls before it, so of a result without its call only the report of the whole can tell.
    named = {seq for finding in (*view.report, *whole.report) for seq in finding.seqs}
    first = min((seq for seq in view.seqs if seq > head_of(entries)), default=len(entries) + 1)
    assert {seq for seq, said in missing.items() if seq > first and not said <= older} <= named
    if view.format is None and len({json.dumps(each.message) for each in entries}) == len(entries):
        assert window.left_out_events == len(missing)


@every_shape
@given(data=st.data())
@settings(deadline=None, max_examples=few(8, of=300))
def test_a_provider_takes_every_view_and_nothing_is_lost(shape: str | None, data: st.DataObject) -> None:
    entries = data.draw(logs(shape))

    for each in FORMATS:
        check_view(shape, entries, each)


@every_shape
@given(data=st.data())
@settings(deadline=None, max_examples=few(5, of=200))
def test_a_view_of_a_view_is_the_same(shape: str | None, data: st.DataObject) -> None:
    entries = data.draw(logs(shape))

    for each in FORMATS:
        check_idempotent(entries, each)


@every_shape
@given(data=st.data())
@settings(deadline=None, max_examples=few(2, of=60))
def test_the_view_of_a_longer_log_begins_with_the_view_of_the_shorter_one(
    shape: str | None, data: st.DataObject
) -> None:
    entries = data.draw(logs(shape))

    for each in FORMATS:
        check_prefixes(entries, each)


@given(logs("openai"))
@settings(deadline=None, max_examples=few(50, of=2_000))
def test_messages_in_their_place_are_given_as_if_each_was_looked_into(entries: Sequence[Entry]) -> None:
    view = view_of_log(entries)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Matching, "_pass_regular", lambda self, index: index)
        thorough = view_of_log(entries)

    assert (list(view), view.seqs, view.report) == (list(thorough), thorough.seqs, thorough.report)


@every_shape
@given(data=st.data())
@settings(deadline=None, max_examples=few(5, of=200))
def test_without_repair_a_view_is_the_log(shape: str | None, data: st.DataObject) -> None:
    entries = data.draw(logs(shape))

    view = view_of_log(entries, repair=False)

    assert list(view) == [each.message for each in entries]
    assert (view.report, view.seqs) == ((), tuple(range(1, len(entries) + 1)))


@every_shape
@given(data=st.data())
@settings(deadline=None, max_examples=few(2, of=20), phases=[Phase.generate])
def test_a_provider_takes_every_window_within_its_budget(shape: str | None, data: st.DataObject) -> None:
    entries = data.draw(logs(shape))

    async def check() -> None:
        for each in FORMATS:
            await check_budgets(shape, entries, each)

    with pytest.MonkeyPatch.context() as patch:
        for name, few in (("_FEWEST", 2), ("_MOST", 4), ("_TOKENS_AN_EVENT", 10_000)):  # it looks at the log in steps
            patch.setattr(windows, name, few)
        asyncio.run(check())


def test_an_answer_with_no_calls_and_no_text_is_left_out() -> None:
    entries = [Entry({"role": "user", "content": "Hi."}, None)]
    entries.append(Entry({"role": "assistant", "content": None, "tool_calls": []}, None))

    view = view_of_log(entries)

    assert list(view) == [entries[0].message]
    assert [each.code for each in view.report] == ["empty_message"]


@pytest.mark.parametrize(("left_out", "threads"), [(0, 0), (2, 1)])
async def test_a_conversation_goes_to_a_thread_where_messages_have_to_be_looked_into(
    left_out: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    threaded = []

    async def noted(work: Any, *args: Any) -> Any:
        threaded.append(work)
        return await in_thread(work, *args)

    exchanges = [Entry(message, None) for exchange in chat_exchanges(600) for message in exchange]
    entries = [*exchanges[: 600 - left_out], Entry({"role": "user", "content": "Thanks."}, None)]
    chat = await a_chat(entries)
    monkeypatch.setattr("a2a_session_manager.context.reading.in_thread", noted)

    view = await chat.messages()

    assert len(threaded) == threads
    assert (list(view), view.seqs) == (list(view_of_log(entries)), view_of_log(entries).seqs)


def test_each_rule_of_a_provider_finds_what_breaks_it() -> None:
    user, call = {"role": "user", "content": "Oslo?"}, _call("c1")
    result = {"role": "tool", "tool_call_id": "c1", "content": "sunny"}

    assert faults("openai", [user, call, result]) == []
    assert faults("openai", [user, call]) == ["1: calls have no results: ['c1']"]
    assert faults("openai", [user, call, user, result]) != []
    assert faults("openai", [user, result, call]) != []
    assert faults("openai", [user, call, result, result]) != []
    assert faults("openai", [user, {"role": "assistant", "content": ""}]) != []


def _call(call_id: str) -> dict[str, Any]:
    function = {"name": "weather", "arguments": "{}"}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": call_id, "type": "function", "function": function}],
    }
