"""Whatever a log holds, a view under a compaction is a prompt that providers take, and nothing is lost by it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager import (
    ActiveSession,
    CompactionPolicy,
    EventSource,
    InMemorySessionStore,
    InvalidSessionOperation,
    MessageView,
    Session,
    SessionConflict,
    SessionEvent,
    SessionManager,
    Summary,
    event_from_message,
)
from a2a_session_manager.context.findings import Finding
from a2a_session_manager.context.reading import newest_messages
from a2a_session_manager.context.summaries import summarised
from a2a_session_manager.models.compaction import Compaction, compaction_in, digest
from a2a_session_manager.models.event_type import EventType
from tests.context.checked_views import FORMATS, bytes_of, every_shape, refused, view_of_log
from tests.context.logs import Entry, logs, marks

USER: dict[str, Any] = {"role": "user", "content": "Oslo? " * 10}
ANSWER: dict[str, Any] = {"role": "assistant", "content": "Sunny. " * 10}


async def said(chat: ActiveSession, entries: Sequence[Entry]) -> None:
    events = [event_from_message(each.message, task_id=each.run_id) for each in entries]
    if events:
        await chat.append(*events)


class _Summariser:
    """Remembers what it was given."""

    def __init__(self) -> None:
        self.given: list[MessageView] = []

    def __call__(self, view: MessageView) -> str:
        self.given.append(view)
        return "s"


async def compacted(chat: ActiveSession, summarize: _Summariser, keep: int) -> SessionEvent[Any] | None:
    try:
        return await chat.compact(summarize, keep=keep)
    except InvalidSessionOperation:  # nothing is to be gained
        return None


async def check_compacting(shape: str | None, entries: Sequence[Entry], steps: Sequence[tuple[int, int]]) -> None:
    store = InMemorySessionStore()
    chat = ActiveSession(store, await store.create("chat"))
    summarize, start = _Summariser(), 0
    for size, keep in steps:
        before = await chat.messages()
        await said(chat, entries[start : start + size])
        start += size
        grown = await chat.messages()
        assert grown.extends(before).change in (None, "answer", "continuation")
        event = await compacted(chat, summarize, keep)
        if event is not None:
            assert (await chat.messages()).extends(grown).change == "compaction"
            await chat.retract(event.id)
            assert bytes_of(await chat.messages()) == bytes_of(grown)
            await chat.restore(event.id)
        for each in FORMATS:
            view = await chat.messages(format=each)
            assert not refused(view, None, each), refused(view, None, each)
        check_nothing_is_lost(await chat.messages(), summarize, entries[:start])
        assert bytes_of(await chat.messages(compacted=False)) == bytes_of(await uncompacted(chat))
    summarised_views = [refused(view, None, None) for view in summarize.given]
    assert not any(summarised_views)


async def uncompacted(chat: ActiveSession) -> MessageView:
    """Return the view of the same messages without the events of summaries."""
    events = [each for each in await chat.events() if each.type != EventType.SUMMARY]
    return view_of_log([Entry(each.message, each.task_id) for each in events])


def check_nothing_is_lost(view: MessageView, summarize: _Summariser, entries: Sequence[Entry]) -> None:
    """Check that what a view of the log says is said, or was given to the summariser."""
    whole = view_of_log(entries)
    known = marks([list(view), *map(list, summarize.given)])
    assert marks([whole.system, list(whole)]).keys() <= known.keys()


@every_shape
@given(data=st.data())
@settings(deadline=None, max_examples=15)
def test_a_provider_takes_every_view_under_a_compaction_and_nothing_is_lost(
    shape: str | None, data: st.DataObject
) -> None:
    entries = data.draw(logs(shape))
    steps = data.draw(st.lists(st.tuples(st.integers(1, 6), st.sampled_from([0, 0, 15, 40])), min_size=1, max_size=4))

    asyncio.run(check_compacting(shape, entries, steps))


async def test_originals_are_summarised_while_they_fit_and_then_the_summary_with_what_came_since() -> None:
    summarize, store = _Summariser(), InMemorySessionStore()
    chat = ActiveSession(store, await store.create("chat"))
    generations = []
    for _ in range(4):
        await chat.append(USER, ANSWER, USER, ANSWER)
        event = await chat.compact(summarize, budget=300)
        generations.append(event.metadata["compaction"]["generation"])

    assert [len(view) for view in summarize.given] == [4, 8, 5, 5]
    assert generations == [1, 1, 2, 3]
    short = {"role": "user", "content": "s"}
    assert summarize.given[2][0] == short
    assert list(await chat.messages()) == [short]
    assert len(await chat.messages(compacted=False)) == 16


async def test_what_does_not_fit_the_budget_is_summarised_from_the_start_as_far_as_it_does() -> None:
    summarize, store = _Summariser(), InMemorySessionStore()
    chat = ActiveSession(store, await store.create("chat"))
    await chat.append(*[USER, ANSWER] * 5)

    await chat.compact(summarize, budget=140)
    await chat.compact(summarize, budget=140)
    with pytest.raises(InvalidSessionOperation, match="budget=10"):
        await chat.compact(summarize, budget=10)

    assert [len(view) for view in summarize.given] == [4, 5]
    assert list(await chat.messages()) == [{"role": "user", "content": "s"}, USER, ANSWER]


async def test_the_question_that_is_worked_on_and_the_newest_exchange_of_an_open_run_stay() -> None:
    call = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    }
    result = {"role": "tool", "tool_call_id": "c", "content": "found " * 9}
    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        await chat.append(USER, ANSWER, USER)
        async with chat.run(id="r") as run:
            for _ in range(3):
                await run.append(call, result)
            await chat.compact(_Summariser())
            inside = await chat.messages()
        await chat.append(ANSWER, {**USER, "content": "And now?"})
        await chat.compact(_Summariser())

    short = {"role": "user", "content": "s"}
    assert list(inside) == [short, USER, call, result]
    assert list(await chat.messages()) == [short, {**USER, "content": "And now?"}]


async def test_a_result_whose_interrupted_call_is_summarised_is_not_said_to_answer_nothing() -> None:
    function = {"name": "f", "arguments": "{}"}
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": function}]}
    late = {"role": "tool", "tool_call_id": "c", "content": "found"}
    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        await chat.append(USER, call)
        await chat.repair()
        await chat.append(ANSWER)
        await chat.compact(_Summariser())
        await chat.append(late, USER)
        view, window = await chat.messages(), (await chat.window()).messages
        found = await chat.check()
        await chat.append(ANSWER)
        await chat.compact(summarize := _Summariser())

    assert list(view) == list(window) == [{"role": "user", "content": "s"}, USER]
    text = "event 6 answers the call 'c', which a summary stands for, or nobody made, and is left out"
    assert view.report == window.report == (Finding("orphan_result", (6,), text),)
    assert [each.code for each in found] == ["repeated_result", "moved_result"]
    assert late in summarize.given[0]


async def test_a_compaction_that_reaches_less_far_than_the_one_that_counts_is_refused() -> None:
    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        await chat.append(USER, ANSWER)
        async with chat.run(id="r") as run:
            await run.append(USER, ANSWER)
            await chat.append(USER, ANSWER, USER, ANSWER)
            first = await chat.compact(_Summariser())
        assert list(await chat.messages()) == [{"role": "user", "content": "s"}, ANSWER]

        # What the run has said last is over by now, but it stands before all that is to stay.
        with pytest.raises(InvalidSessionOperation, match="nothing left to gain"):
            await chat.compact(_Summariser(), keep=150)
        assert (await chat.messages()).compaction == first.seq
        await chat.compact(_Summariser())
        assert list(await chat.messages()) == [{"role": "user", "content": "s"}]


async def test_what_only_a_provider_reads_is_given_to_it_alone() -> None:
    opaque = {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAA"}
    block = {"role": "assistant", "content": [{"type": "compaction", "content": "They spoke of Oslo."}]}
    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        await chat.append(*[USER, ANSWER] * 3)
        event = await chat.compact(lambda view: [{"role": "user", "content": "Oslo?"}, opaque])
        assert list(await chat.messages(format="responses"))[-1] == opaque
        other = await chat.messages(format="openai")
        assert (list(other), [each.code for each in other.report]) == (
            [{"role": "user", "content": "Oslo?"}],
            ["not_converted"],
        )
        await chat.retract(event.id)
        await chat.compact(lambda view: block)
        assert list(await chat.messages(format="anthropic")) == [block]
        assert "They spoke of Oslo." in str(await chat.messages(format="openai"))
        assert "They spoke of Oslo." in str(await chat.messages(format="gemini"))


class _Reply:
    """A client's reply: OpenAI's chat completion, as far as it is looked at."""

    choices = ({"message": {"role": "assistant", "content": " They spoke of Oslo. "}, "finish_reason": "stop"},)
    usage = MappingProxyType({"prompt_tokens": 20, "completion_tokens": 4, "total_tokens": 24})
    model = "gpt-4o"


SHORT = "They spoke of Oslo."
THINKING = {"type": "thinking", "thinking": "hm", "signature": "x"}
ITEM = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": SHORT}]}


@pytest.mark.parametrize(
    "answer",
    [
        SHORT,
        {"role": "assistant", "content": SHORT},
        [{"role": "assistant", "content": SHORT}],
        {"role": "assistant", "content": [THINKING, {"type": "text", "text": SHORT}]},
        {"output": [{"type": "reasoning", "summary": []}, ITEM]},
        {"candidates": [{"content": {"role": "model", "parts": [{"text": SHORT}]}}]},
        _Reply(),
        Summary(_Reply(), usage={"input_tokens": 20, "output_tokens": 4}, model="gpt-4o"),
    ],
)
def test_a_text_and_what_a_model_says_speak_as_the_user(answer: object) -> None:
    made = summarised(answer)

    assert made.messages == [{"role": "user", "content": SHORT}]
    if isinstance(answer, _Reply | Summary):
        assert made.usage is not None
        assert (made.usage.total_tokens, made.usage.model) == (24, "gpt-4o")


RESULT = {"role": "tool", "tool_call_id": "c", "content": "found"}


@pytest.mark.parametrize("answer", [RESULT, [{"role": "user", "content": SHORT}, RESULT], Summary(SHORT, method=5)])  # type: ignore[arg-type]  # on purpose
async def test_a_summary_that_no_view_would_show_is_refused(answer: object) -> None:
    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        await chat.append(*[USER, ANSWER] * 3)
        with pytest.raises(InvalidSessionOperation, match="nothing was written"):
            await chat.compact(lambda view: answer)
        assert len(await chat.events()) == 6


async def test_what_summaries_that_came_too_late_have_used_is_counted() -> None:
    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        await chat.append(*[USER, ANSWER] * 4)

        async def summarize(view: MessageView) -> Summary:
            await chat.retract((await chat.events(limit=1))[0].id)
            return Summary(SHORT, usage={"input_tokens": 10, "output_tokens": 2})

        with pytest.raises(SessionConflict, match="do it again"):
            await chat.compact(summarize)
        spent = (await chat.usage()).total
        assert (spent.requests, spent.total_tokens) == (3, 36)
        assert await chat.context_size() is None
        assert await chat.messages() == [ANSWER, *[USER, ANSWER] * 2]


async def test_the_id_of_another_event_is_no_summarys() -> None:
    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        [asked, *_] = await chat.append(*[USER, ANSWER] * 3)
        with pytest.raises(InvalidSessionOperation, match="is no summary"):
            await chat.compact(_Summariser(), id=asked.id)


@pytest.mark.parametrize("content", [{}, {"first": 1}, {"first": "1"}, {"last": 0}, {"pins": [[9, 9]]}, {"more": 1}, 5])
def test_a_summary_whose_range_is_none_is_one_without_a_range(content: Any) -> None:
    sound = Compaction(2, 4, ((3, 3),), "creation", digest([]))
    told = sound.as_metadata()["compaction"]
    assert compaction_in(EventType.SUMMARY, {"compaction": told}) == sound

    broken = {**told, **content} if content and content != {"first": 1} and isinstance(content, dict) else content
    assert compaction_in(EventType.SUMMARY, {"compaction": broken}) is None
    assert compaction_in(EventType.MESSAGE, sound.as_metadata()) is None


class _EventsAlone:
    """A store that does not keep which compaction counts, and reads no messages without their events."""

    def __init__(self, store: InMemorySessionStore) -> None:
        self._store = store

    async def get(self, session_id: str, *, last: int | None = None) -> Session[Any] | None:
        return await self._store.get(session_id, last=last)


async def test_a_store_without_compactions_gives_the_same_view_by_its_events() -> None:
    store = InMemorySessionStore()
    async with SessionManager(store).open("chat") as chat:
        await chat.append({"role": "system", "content": "Plan."}, *[USER, ANSWER] * 3)
        await chat.compact(_Summariser())
        await chat.append(USER)
        bare: Any = _EventsAlone(store)

        for last in (None, 2):
            tail = await newest_messages(bare, "chat", last=last, compacted=True)
            own = await newest_messages(store, "chat", last=None, compacted=True)
            assert tail == own
        await chat.retract((await chat.events(after=3, limit=1))[0].id)
        assert (await newest_messages(bare, "chat", last=None, compacted=True)).compaction is None


async def test_a_copy_of_a_summary_in_another_session_covers_nothing_there() -> None:
    store = InMemorySessionStore()
    async with SessionManager(store).open("chat") as chat, SessionManager(store).open("other") as other:
        await chat.append(*[USER, ANSWER] * 3)
        event = await chat.compact(_Summariser())
        await other.append(*[USER, ANSWER] * 3, SessionEvent(**event.model_dump(exclude={"seq"})))

        assert len(await other.messages()) == 6
        assert (await other.messages()).compaction is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"start_at": 0},
        {"start_at": 10, "keep": 10},
        {"start_at": -1},
        {"start_at": 10, "pause": -1},
        {"start_at": "9"},
        {"start_at": 10, "pause": math.nan},
        {"start_at": 10, "pause": "9"},
    ],
)
def test_a_policy_that_cannot_be_kept_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidSessionOperation):
        CompactionPolicy(**wrong)


async def test_of_what_a_policy_asks_for_at_once_one_is_done() -> None:
    policy, made = CompactionPolicy(start_at=50, keep=0, minimum_gain=1), list[int]()

    async def summarize(view: MessageView) -> str:
        made.append(len(view))
        await asyncio.sleep(0)
        return "s"

    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        await chat.append(*[USER, ANSWER] * 3)
        await chat.assistant("Sunny.", usage={"input_tokens": 90, "output_tokens": 5})
        found = await asyncio.gather(*[chat.maybe_compact(policy, summarize) for _ in range(3)])

    assert len(made) == 1
    assert len([event for event in found if event is not None]) == 1


async def test_what_is_asked_for_wrongly_is_refused_before_anything_is_read() -> None:
    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        for wrong in ({"keep": -1}, {"budget": -1}, {"max_tokens": "9"}, {"format": "morse"}, {"minimum_gain": None}):
            with pytest.raises(InvalidSessionOperation):
                await chat.compact(_Summariser(), **wrong)
        with pytest.raises(InvalidSessionOperation, match="no function"):
            await chat.compact("short")  # type: ignore[arg-type]  # on purpose
        with pytest.raises(InvalidSessionOperation, match="no function"):
            await chat.maybe_compact(CompactionPolicy(start_at=9), "short")  # type: ignore[arg-type]  # on purpose
        with pytest.raises(InvalidSessionOperation):
            await chat.expand(-1, 2)
        assert list(await chat.expand(5, 2)) == []
        await chat.append(SessionEvent(message="hi", source=EventSource.USER))
        assert list(await chat.expand(1, 9)) == [{"role": "user", "content": "hi"}]
