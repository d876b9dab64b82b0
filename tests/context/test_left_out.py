"""How many events a window leaves out: those that are visible, that no summary stands for, and that are not in it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager import (
    ActiveSession,
    EventSource,
    EventType,
    InvalidSessionOperation,
    SessionEvent,
    SessionManager,
    event_from_message,
)
from a2a_session_manager.context import window as windows
from a2a_session_manager.context.compacted import placed
from a2a_session_manager.context.conversion import MessageFormat
from a2a_session_manager.context.messages import message_from_event
from a2a_session_manager.context.reading import newest_messages
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.models.compaction import compaction_in
from a2a_session_manager.storage import InMemorySessionStore
from tests.context.logs import Entry, log_of
from tests.draws import few

ASK: dict[str, Any] = {"role": "user", "content": "Oslo?"}
SAY: dict[str, Any] = {"role": "assistant", "content": "It rains in Oslo. " * 5}
# None of these join messages, so that `seqs` has all events of a view.
FORMATS: Sequence[MessageFormat | None] = (None, "openai", "responses")


def summary(text: str) -> SessionEvent[str]:
    return SessionEvent(message=text, type=EventType.SUMMARY, source=EventSource.SYSTEM)


class _Talk:
    """A chat that grows by steps drawn at random: messages, summaries, what no model is told, retractions."""

    def __init__(self, chat: ActiveSession, random: Random) -> None:
        self._chat = chat
        self._random = random

    async def grow(self, entries: list[Entry]) -> None:
        steps: list[Callable[[], Awaitable[object]]] = [self._compact, self._replace, self._refer, self._retract]
        while entries:
            some, entries = entries[:4], entries[4:]
            await self._chat.append(*(event_from_message(each.message, task_id=each.run_id) for each in some))
            if self._random.random() < 0.5:
                await self._random.choice(steps)()

    async def _compact(self) -> None:
        told = self._random.choice(["s", [{**ASK, "content": "s"}, {**ASK, "content": "t"}]])
        try:
            await self._chat.compact(lambda _: told, keep=self._random.choice([0, 15, 40]))
        except InvalidSessionOperation:  # nothing is to be gained
            return

    async def _replace(self) -> None:
        hidden = Retraction([each.id for each in await self._some()])
        await self._chat._store.commit(self._chat.id, SessionChange(events=[summary("old")], retraction=hidden))

    async def _refer(self) -> None:
        await self._chat.append(SessionEvent(message="see there", type=EventType.REFERENCE), summary("old"))

    async def _retract(self) -> None:
        await self._chat.retract(*(each.id for each in await self._some()))

    async def _some(self) -> list[SessionEvent[Any]]:
        return self._random.sample(await self._chat.events(), 2)


async def check_left_out(chat: ActiveSession, format: MessageFormat | None, budget: int | None) -> None:
    try:
        window = await chat.window(max_tokens=budget, model="gpt-4o", format=format)
    except InvalidSessionOperation:  # of a budget too small for what is asked
        return
    everything = await newest_messages(chat._store, chat.id, last=None, compacted=True)
    order = list(dict.fromkeys(placed(everything).seqs))
    assert set(order) == await visible_and_uncovered(chat, window.messages.compaction)
    said = {each.seq for each in await chat.events() if message_from_event(each) is not None} | {*everything.summaries}
    kept = set(window.messages.seqs)
    front = {each.seq for each in windows._front(everything)}
    first = next((at for at, seq in enumerate(order) if seq in kept - front - {*everything.summaries}), len(order))

    left_out = [seq for at, seq in enumerate(order) if seq not in kept and (at < first or seq in said)]
    assert window.left_out_events == len(left_out)


async def visible_and_uncovered(chat: ActiveSession, compaction: int | None) -> set[int]:
    found = {each.seq: each for each in await chat.events() if each.seq}
    told = None if compaction is None else compaction_in(found[compaction].type, found[compaction].metadata)
    if told is None:
        return set(found)
    pins = {seq for first, last in told.pins for seq in range(first, last + 1)}
    return {seq for seq in found if not told.first <= seq <= told.last or seq in pins}


@given(seed=st.integers(0, 2**32), looks=st.sampled_from([2, 16]))
@settings(deadline=None, max_examples=few(6, of=300))
def test_what_is_visible_and_not_covered_is_in_the_window_or_counted(seed: int, looks: int) -> None:
    random = Random(seed)

    async def check() -> None:
        async with SessionManager(InMemorySessionStore()).open("chat") as chat:
            await _Talk(chat, random).grow([*log_of(random, ["openai"]), *log_of(random, ["openai"])])
            for each in FORMATS:
                for budget in (None, 30, 60, 100, 200, 400):
                    await check_left_out(chat, each, budget)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("_FEWEST", "_MOST"):  # it looks at the log in steps
            patch.setattr(windows, name, looks)
        asyncio.run(check())


async def test_a_call_that_a_format_leaves_out_before_the_user_speaks_is_counted_under_a_compaction_too() -> None:
    call = {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f"}}]}
    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        await chat.append(ASK, call, ASK, SAY, ASK)
        await chat.compact(lambda _: [SAY, {"type": "compaction", "encrypted_content": "x"}], keep=1, minimum_gain=0)
        stored = await chat.window()
        window = await chat.window(format="anthropic")

    assert (set(stored.messages.seqs), stored.left_out_events) == ({2, 5, 6}, 0)
    assert [(each.code, each.seqs) for each in window.report if each.code == "opening"] == [("opening", (2,))]
    assert window.left_out_events == 1


async def test_what_the_system_says_beside_the_messages_is_not_left_out_and_what_says_nothing_is() -> None:
    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        await chat.append({"role": "system", "content": "Be brief."}, {"role": "system", "content": " "}, ASK, SAY, ASK)
        whole, window = await chat.window(format="anthropic"), await chat.window(format="anthropic", max_tokens=20)
        stored = await chat.window()

    assert (whole.messages.system, len(whole.messages), whole.left_out_events) == ("Be brief.", 3, 1)
    assert (window.messages.system, len(window.messages), window.left_out_events) == ("Be brief.", 1, 3)
    assert (len(stored.messages), stored.left_out_events) == (4, 1)


async def test_what_no_model_is_told_counts_alike_however_far_a_window_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        await chat.append(ASK, SAY)
        hidden = Retraction([each.id for each in await chat.events()])
        await chat._store.commit(chat.id, SessionChange(events=[summary("in short")], retraction=hidden))
        await chat.append(SessionEvent(message="see there", type=EventType.REFERENCE), *[ASK, SAY] * 20, ASK)
        paged = await chat.window(max_tokens=30, model="gpt-4o")
        monkeypatch.setattr(windows, "_FEWEST", 10_000)
        at_once = await chat.window(max_tokens=30, model="gpt-4o")

    assert paged.messages.seqs == (3, 45)
    assert (paged.left_out_events, at_once.left_out_events) == (41, 41)
