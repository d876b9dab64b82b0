"""ActiveSession and ActiveRun: every verb has written when it returns, and a run's record says how it ended."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from a2a_session_manager import (
    ActiveRun,
    ActiveSession,
    EventSource,
    EventType,
    InvalidEvent,
    InvalidSessionOperation,
    RunBusy,
    RunStatus,
    SessionEvent,
    SessionManager,
    SessionNotFound,
    SessionRun,
    StoreUnavailable,
    TokenUsage,
)
from a2a_session_manager.models.token_usage import priced
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Receipt
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.store import BaseSessionStore
from tests.stops import REASON, STOPS, Reached, Stop, task_cancel

Verb = Callable[[ActiveSession | ActiveRun], Awaitable[Any]]


class SlowBackend(MemoryBackend):
    """Memory that gives way before and after each write, and that can be switched off."""

    def __init__(self) -> None:
        super().__init__()
        self.is_down = False

    async def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Receipt:
        await asyncio.sleep(0)
        receipt = await super().create(key, creation, commit)
        await asyncio.sleep(0)
        return receipt

    async def commit(self, key: SessionKey, commit: EncodedCommit) -> Receipt:
        await asyncio.sleep(0)
        if self.is_down:
            raise StoreUnavailable("the line is dead")
        receipt = await super().commit(key, commit)
        await asyncio.sleep(0)
        return receipt


@pytest.fixture
def backend() -> SlowBackend:
    return SlowBackend()


@pytest.fixture
def store(backend: SlowBackend) -> BaseSessionStore:
    return BaseSessionStore(backend)


@pytest.fixture
async def chat(store: BaseSessionStore) -> AsyncIterator[ActiveSession]:
    async with SessionManager(store).open("chat") as chat:
        yield chat


async def stored_run(store: BaseSessionStore, run_id: str, session_id: str = "chat") -> SessionRun:
    return next(run for run in await store.runs(session_id) if run.id == run_id)


async def payloads(store: BaseSessionStore, session_id: str = "chat") -> list[Any]:
    return [event.message for event in await store.events(session_id)]


def payload(event: SessionEvent[Any]) -> Any:
    return event.message


# What is said


async def test_what_was_said_is_stored_when_the_verb_returns(store: BaseSessionStore, chat: ActiveSession) -> None:
    await chat.system("Be brief.")
    await chat.user("Two days in Oslo?")
    await chat.assistant("Day 1: …")

    said = await store.events("chat")
    assert [(event.source, event.message) for event in said] == [
        (EventSource.SYSTEM, "Be brief."),
        (EventSource.USER, "Two days in Oslo?"),
        (EventSource.LLM, "Day 1: …"),
    ]
    assert [event.seq for event in said] == [1, 2, 3]


async def test_what_was_said_comes_back_as_chat_messages(chat: ActiveSession) -> None:
    await chat.user("hi")
    await chat.user("hello", name="Ann")
    await chat.assistant(None, tool_calls=[{"id": "c"}], refusal=None)
    await chat.user([{"type": "text", "text": "x"}])

    assert await chat.messages(repair=False) == [
        {"role": "user", "content": "hi"},
        {"role": "user", "content": "hello", "name": "Ann"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c"}]},
        {"role": "user", "content": [{"type": "text", "text": "x"}]},
    ]


async def test_usage_goes_on_the_event_under_the_model(store: BaseSessionStore, chat: ActiveSession) -> None:
    event = await chat.assistant("x", model="gpt-4o", usage={"input_tokens": 3, "output_tokens": 4})

    expected = TokenUsage(prompt_tokens=3, completion_tokens=4, model="gpt-4o")
    assert event.token_usage == priced(expected, event.timestamp)
    assert (await store.usage("chat")).usage_by_model["gpt-4o"].total_tokens == 7
    assert (await chat.usage()).total_tokens == 7


async def test_a_model_without_usage_is_a_request_of_which_nothing_is_known(chat: ActiveSession) -> None:
    await chat.assistant("x", model="gpt-4o", usage={"prompt_tokens": 90, "completion_tokens": 12})
    event = await chat.assistant("half an ans", model="gpt-4o")

    assert event.metadata == {"model": "gpt-4o"}
    total = (await chat.usage()).total
    assert (total.requests, total.requests_without_usage, total.is_lower_bound) == (2, 1, True)
    assert await chat.context_size() == 102


FAULTY: dict[str, Any] = {
    "empty": {},
    "nulls": {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None},
    "a negative count": {"prompt_tokens": -1},
    "a fraction": {"prompt_tokens": 1.5, "completion_tokens": 2, "prompt_tokens_details": None},
    "a total alone": {"total_tokens": 10},
    "nobody's": {"tokens": 3},
    "a reply without usage": {"id": "c", "object": "chat.completion", "model": "gpt-4o", "choices": [], "usage": None},
    "a reply whose usage is empty": {"model": "gpt-4o", "usage": {}},
    "more digits than Python writes": {"prompt_tokens": 10**5_000},
    "a model alone": {"model": "gpt-4o"},
    "tokens in a place that nobody knows": {"details": {"generated_tokens": 5}},
    "an empty list": [],
    "a stream's chunks": [{"usage": None}, {"usage": {"prompt_tokens": 3, "completion_tokens": 4}}],
    "as large as no event": {"prompt_tokens": -1, "text": "x" * 20_000_000},
}


@pytest.mark.parametrize("usage", FAULTY.values(), ids=FAULTY)
async def test_an_answer_is_not_lost_for_a_fault_in_its_usage(
    store: BaseSessionStore, chat: ActiveSession, usage: Any
) -> None:
    await chat.assistant("the answer", model="gpt-4o", usage=usage)

    [event] = await store.events("chat")
    assert event.message == "the answer"
    assert event.token_usage is not None
    assert (event.token_usage.basis, event.token_usage.model) == ("unknown", "gpt-4o")
    assert "usage is not understood" in (event.token_usage.details or {})["not_understood"]
    assert (await chat.usage()).total.requests_without_usage == 1


def _deep() -> Any:
    whole: Any = 1
    for _ in range(5_000):
        whole = {"in": whole}
    return whole


class _Shy:
    def __str__(self) -> str:
        raise RuntimeError("nobody may read this")

    __repr__ = __str__


UNSTORABLE: dict[str, Any] = {
    "deeper than Python's stack": _deep(),
    "more digits than Python writes": 10**5_000,
    "as large as no event": "x" * 20_000_000,
    "in a list": [{"text": "x" * 20_000_000}],
    "what has no text": _Shy(),
}


@pytest.mark.parametrize("more", UNSTORABLE.values(), ids=UNSTORABLE)
async def test_an_answer_is_not_lost_for_what_no_store_could_keep_beside_its_counts(
    store: BaseSessionStore, chat: ActiveSession, more: Any
) -> None:
    await chat.assistant("the answer", model="gpt-4o", usage={"prompt_tokens": 3, "completion_tokens": 4, "more": more})

    [event] = await store.events("chat")
    assert event.message == "the answer"
    assert event.token_usage is not None
    assert event.token_usage.total_tokens == 7
    assert (event.token_usage.details or {})["prompt_tokens"] == 3


async def test_the_usage_with_a_fault_is_kept_as_it_came(chat: ActiveSession) -> None:
    usage = {"prompt_tokens": 1.5, "completion_tokens": 2, "service_tier": "flex", "cost": 0.25}

    event = await chat.assistant("x", model="gpt-4o", usage={"model": "m", "usage": usage})

    kept = event.token_usage
    assert kept is not None
    details = dict(kept.details or {})
    assert "prompt_tokens is 1.5" in details.pop("not_understood")
    assert {name: details[name] for name in usage} == usage
    assert (kept.service_tier, kept.priced_by, str(kept.estimated_cost_usd)) == ("flex", "reported", "0.25")
    assert (await chat.usage()).is_lower_bound


@pytest.mark.parametrize("bad", ["12 tokens", 7, [1], b"1", TokenUsage])
async def test_what_is_no_usage_at_all_is_refused_and_writes_nothing(
    store: BaseSessionStore, chat: ActiveSession, bad: Any
) -> None:
    with pytest.raises(InvalidEvent):
        await chat.assistant("x", usage=bad)

    assert await store.events("chat") == []


async def test_a_reply_that_is_appended_as_a_message_brings_its_usage(chat: ActiveSession) -> None:
    usage = {"input_tokens": 1000, "output_tokens": 100, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
    reply = {"id": "msg_1", "role": "assistant", "model": "claude-sonnet-4-5", "content": "hi", "usage": usage}

    [event] = await chat.append(reply)

    assert event.message == reply
    assert (await chat.usage()).usage_by_model["claude-sonnet-4-5"].total_tokens == 1100
    assert await chat.context_size() == 1100


async def test_append_takes_events_and_messages_in_one_commit(store: BaseSessionStore, chat: ActiveSession) -> None:
    events = await chat.append(SessionEvent(message="a"), {"role": "user", "content": "b"})

    assert [event.seq for event in events] == [1, 2]
    assert await payloads(store) == ["a", {"role": "user", "content": "b"}]
    assert chat.session.revision == 2


async def test_append_of_nothing_writes_nothing(chat: ActiveSession) -> None:
    assert await chat.append() == []
    assert chat.session.revision == 1


@pytest.mark.parametrize("count", [0, 2])
async def test_one_id_names_one_event(store: BaseSessionStore, chat: ActiveSession, count: int) -> None:
    with pytest.raises(InvalidSessionOperation, match="fits one event"):
        await chat.append(*[SessionEvent(message=n) for n in range(count)], id="e")

    assert await store.events("chat") == []


SAYING: dict[str, Verb] = {
    "user": lambda log: log.user("x", id="e"),
    "system": lambda log: log.system("x", id="e"),
    "assistant": lambda log: log.assistant("x", id="e", usage={"prompt_tokens": 5}),
    "append an event": lambda log: log.append(SessionEvent(message="x"), id="e"),
    "append a message": lambda log: log.append({"role": "user", "content": "x"}, id="e"),
    "call": lambda log: log.tool("f", {"a": 1}, id="e"),
    "call and result": lambda log: log.tool("f", {"a": 1}, result=2, id="e"),
    "call and result with a call id": lambda log: log.tool("f", {"a": 1}, result=2, call_id="c", id="e"),
}


@pytest.mark.parametrize("name", SAYING)
async def test_the_same_id_again_changes_nothing(name: str, store: BaseSessionStore, chat: ActiveSession) -> None:
    await SAYING[name](chat)
    before, revision, spent = await store.events("chat"), chat.session.revision, await store.usage("chat")

    await SAYING[name](chat)

    assert await store.events("chat") == before
    assert chat.session.events == before
    assert chat.session.revision == revision
    assert await store.usage("chat") == spent == chat.session.token_summary


@pytest.mark.parametrize("name", SAYING)
async def test_the_same_id_again_through_a_second_handle_changes_nothing(name: str, store: BaseSessionStore) -> None:
    async with SessionManager(store).open("chat") as first, SessionManager(store).open("chat") as second:
        await SAYING[name](first)
        before = await store.events("chat")

        await SAYING[name](second)

        assert await store.events("chat") == before


@pytest.mark.parametrize("bad", ["", "x" * 600, "\ud800"])
@pytest.mark.parametrize("name", ["user", "tool", "append an event", "append a message"])
async def test_a_bad_id_is_refused_before_anything_is_written(
    name: str, bad: str, store: BaseSessionStore, chat: ActiveSession
) -> None:
    verbs: dict[str, Verb] = {
        "user": lambda log: log.user("x", id=bad),
        "tool": lambda log: log.tool("f", {}, result=1, id=bad),
        "append an event": lambda log: log.append(SessionEvent(message="x"), id=bad),
        "append a message": lambda log: log.append({"role": "user", "content": "x"}, id=bad),
    }

    with pytest.raises(InvalidSessionOperation, match=r"cannot be used|lone surrogate"):
        await verbs[name](chat)

    assert await store.events("chat") == []


async def test_the_longest_id_is_good_for_a_tool_call_or_refused_before_anything_is_written(
    store: BaseSessionStore, chat: ActiveSession
) -> None:
    try:
        await chat.tool("f", {}, result=1, id="x" * 512)
    except InvalidSessionOperation:
        assert await store.events("chat") == []
    else:
        assert len(await store.events("chat")) == 2


# Tools


async def test_a_call_and_its_result_land_in_one_commit(store: BaseSessionStore, chat: ActiveSession) -> None:
    call, result = await chat.tool("search", {"to": "OSL"}, result={"eur": 120})

    assert (call.type, result.type) == (EventType.TOOL_CALL, EventType.TOOL_RESULT)
    assert payload(result)["tool_call_id"] == payload(call)["tool_calls"][0]["id"]
    assert (await store.get("chat", last=0)).revision == 2  # type: ignore[union-attr]  # it is there


async def test_without_a_result_the_call_is_alone(chat: ActiveSession) -> None:
    events = await chat.tool("search", {}, call_id="c")

    assert [event.type for event in events] == [EventType.TOOL_CALL]


async def test_a_result_of_none_is_a_result(chat: ActiveSession) -> None:
    events = await chat.tool("search", {}, result=None)

    assert payload(events[1])["content"] == "null"


async def test_a_recorded_call_gets_its_result_alone(store: BaseSessionStore, chat: ActiveSession) -> None:
    await chat.tool("search", {}, call_id="c")

    events = await chat.tool("search", {}, result=1, call_id="c")

    assert [event.type for event in events] == [EventType.TOOL_RESULT]
    assert len(await payloads(store)) == 2


async def test_a_call_recorded_by_the_assistant_gets_its_result_alone(
    store: BaseSessionStore, chat: ActiveSession
) -> None:
    await chat.assistant(None, tool_calls=[{"id": "c", "type": "function", "function": {"name": "f"}}])

    await chat.tool("f", result=1, call_id="c")

    assert [event.type for event in await store.events("chat")] == [EventType.TOOL_CALL, EventType.TOOL_RESULT]


async def test_a_call_recorded_by_somebody_else_is_found_in_the_store(store: BaseSessionStore) -> None:
    async with SessionManager(store).open("chat") as first, SessionManager(store).open("chat") as second:
        await first.tool("f", {}, call_id="c")

        events = await second.tool("f", result=1, call_id="c")

    assert [event.type for event in events] == [EventType.TOOL_RESULT]


async def test_an_unrecorded_call_id_brings_call_and_result(chat: ActiveSession) -> None:
    await chat.tool("f", {}, call_id="other")

    call, result = await chat.tool("f", {"a": 1}, result=1, call_id="c")

    assert payload(call)["tool_calls"][0]["id"] == "c"
    assert payload(result)["tool_call_id"] == "c"


# State


async def test_state_is_a_read_only_copy(chat: ActiveSession) -> None:
    await chat.set_state(plan={"days": 2})
    state = chat.state

    with pytest.raises(TypeError):
        state["plan"] = 1  # type: ignore[index]  # read-only is what is tested
    state["plan"]["days"] = 9

    assert chat.state == {"plan": {"days": 2}}
    assert chat.session.state == {"plan": {"days": 2}}


async def test_a_state_that_was_read_does_not_follow_later_writes(chat: ActiveSession) -> None:
    await chat.set_state(a=1)
    before = chat.state

    await chat.set_state(a=2)

    assert (before, chat.state) == ({"a": 1}, {"a": 2})


async def test_of_a_state_only_what_is_read_is_copied_and_all_of_it(chat: ActiveSession) -> None:
    class Uncopied:
        def __deepcopy__(self, memo: object) -> Uncopied:
            raise AssertionError("copied before it was read")

    chat.session.state |= {"large": Uncopied(), "days": [{"stops": [["Oslo"], ["Bergen"]]}, 2], "text": "x"}
    state = chat.state

    days = state["days"]
    days[0]["stops"][1].append("Stavanger")
    days.append(3)

    assert state["days"] == chat.session.state["days"] == [{"stops": [["Oslo"], ["Bergen"]]}, 2]
    assert ("large" in state, "absent" in state) == (True, False)
    assert (len(state), sorted(state)) == (3, ["days", "large", "text"])
    assert state == chat.session.state
    with pytest.raises(AssertionError, match="copied"):
        state["large"]
    with pytest.raises(KeyError):
        state["absent"]
    del chat.session.state["large"]
    view: Any = chat.state
    assert view | {"text": "y"} == {**chat.session.state, "text": "y"}
    assert {"more": 1, "text": "y"} | view == {"more": 1, **chat.session.state}
    assert pickle.loads(pickle.dumps(chat.state)) == chat.state


async def test_setting_state_leaves_the_keys_of_others(store: BaseSessionStore) -> None:
    async with SessionManager(store).open("chat") as first, SessionManager(store).open("chat") as second:
        await first.set_state(a=1, b=1)
        await second.set_state({"b": 2, "a key": 3}, c=4)
        await first.unset_state("a", "never there")

    session = await store.get("chat")
    assert session is not None
    assert session.state == {"b": 2, "a key": 3, "c": 4}


async def test_a_state_value_that_is_not_json_is_refused(store: BaseSessionStore, chat: ActiveSession) -> None:
    with pytest.raises(InvalidEvent, match=r"state\.a"):
        await chat.set_state(a={1, 2}, b=1)

    assert chat.state == {}
    assert (await store.get("chat")).state == {}  # type: ignore[union-attr]  # it is there


# Retract, read, follow


async def test_retract_hides_in_the_store_and_on_the_handle(store: BaseSessionStore, chat: ActiveSession) -> None:
    for text in "abc":
        await chat.user(text)

    hidden = await chat.retract(last=1)

    assert [(event.message, event.retracted) for event in hidden] == [("c", True)]
    assert [event.message for event in chat.session.events] == ["a", "b"]
    assert await payloads(store) == ["a", "b"]
    assert [event.message for event in await chat.events(include_retracted=True)] == ["a", "b", "c"]


async def test_an_appended_event_that_was_hidden_does_not_come_back(
    store: BaseSessionStore, chat: ActiveSession
) -> None:
    await chat.user("a", id="e")
    await chat.retract("e")

    event = await chat.user("a", id="e")

    assert (event.seq, event.retracted) == (1, True)
    assert chat.session.events == []
    assert await payloads(store) == []


async def test_events_returns_those_of_other_writers_after_a_seq(store: BaseSessionStore, chat: ActiveSession) -> None:
    await chat.user("a")
    await store.append("chat", SessionEvent(message="b"), SessionEvent(message="c"))

    assert [event.message for event in await chat.events(after=1)] == ["b", "c"]
    assert [event.message for event in await chat.events(limit=2)] == ["a", "b"]


async def test_follow_replays_and_then_goes_on(chat: ActiveSession) -> None:
    await chat.user("a")
    following = chat.follow()

    first = await anext(following)
    waiting = asyncio.ensure_future(anext(following))
    await chat.user("b")

    assert (first.message, (await waiting).message) == ("a", "b")


# The handle keeps in step


async def test_the_handle_shows_what_was_written_through_it(store: BaseSessionStore, chat: ActiveSession) -> None:
    await chat.user("a", id="1")
    await chat.set_state(k=1)
    async with chat.run(id="r"):
        pass

    assert chat.session == await store.get("chat")
    assert chat.session.revision == 5


async def test_the_revision_of_a_handle_advances_only_without_a_gap(
    store: BaseSessionStore, chat: ActiveSession
) -> None:
    await chat.user("mine")
    await store.append("chat", SessionEvent(message="theirs"))
    await chat.user("mine again")

    assert (chat.session.revision, chat.session.last_seq) == (2, 1)
    assert [event.seq for event in chat.session.events] == [1, 3]


async def test_two_tasks_through_one_handle_leave_its_events_in_order(
    store: BaseSessionStore, chat: ActiveSession
) -> None:
    async with asyncio.TaskGroup() as group:
        for n in range(20):
            group.create_task(chat.user(str(n)))

    assert [event.seq for event in chat.session.events] == list(range(1, 21))
    assert chat.session.events == await store.events("chat")


async def test_answers_that_come_in_another_order_leave_the_events_in_order(chat: ActiveSession) -> None:
    class Reordering(MemoryBackend):
        async def commit(self, key: SessionKey, commit: EncodedCommit) -> Receipt:
            receipt = await super().commit(key, commit)
            for _ in range(10 - receipt.revision):
                await asyncio.sleep(0)
            return receipt

    async with SessionManager(BaseSessionStore(Reordering())).open("s") as handle:
        await asyncio.gather(*(handle.user(str(n)) for n in range(8)))

        assert [event.seq for event in handle.session.events] == list(range(1, 9))
        assert [event.message for event in handle.session.events] == [str(n) for n in range(8)]


async def test_saving_a_handles_session_commits_nothing_new(store: BaseSessionStore, chat: ActiveSession) -> None:
    await chat.user("a")
    await chat.set_state(k={"deep": [1]})
    await chat.tool("f", {}, result=1)
    await chat.retract(last=1)
    async with chat.run(id="r"):
        await chat.unset_state("k")
    before = chat.session.revision

    await store.save(chat.session)

    assert chat.session.revision == before
    assert (await store.get("chat")).revision == before  # type: ignore[union-attr]  # it is there


async def test_an_unsaved_event_on_the_handle_stays_after_what_is_written_through(
    store: BaseSessionStore, chat: ActiveSession
) -> None:
    chat.session.add_event(SessionEvent(message="later"))
    await chat.user("first")

    await store.save(chat.session)

    assert await payloads(store) == ["first", "later"]
    assert [event.message for event in chat.session.events] == ["first", "later"]


async def test_a_verb_after_the_session_was_deleted_says_so(store: BaseSessionStore, chat: ActiveSession) -> None:
    await store.delete("chat")
    await store.create("chat")

    with pytest.raises(SessionNotFound):
        await chat.user("to whom?")

    assert await store.events("chat") == []


# Children


async def test_a_child_has_its_own_log_and_totals(store: BaseSessionStore, chat: ActiveSession) -> None:
    await chat.assistant("x", usage={"prompt_tokens": 1})
    async with chat.child("below", agent="flights", properties={"k": 1}) as child:
        await child.assistant("y", usage={"prompt_tokens": 2})

    session = await store.get("below")
    assert session is not None
    assert (session.parent_id, session.root_id) == ("chat", "chat")
    assert session.metadata.properties == {"agent": "flights", "k": 1}
    assert await payloads(store) == ["x"]
    assert (await chat.usage()).total_tokens == 1
    assert (await chat.usage(tree=True)).total_tokens == 3


async def test_a_child_without_an_id_gets_one(chat: ActiveSession) -> None:
    async with chat.child() as first, chat.child() as second:
        assert first.id != second.id


async def test_a_child_opened_again_is_the_same_one(store: BaseSessionStore, chat: ActiveSession) -> None:
    async with chat.child("below") as first:
        await first.user("a")
    async with chat.child("below", last=None) as second:
        assert [event.message for event in second.session.events] == ["a"]

    assert await store.children("chat") == ["below"]


async def test_a_child_that_is_somebody_elses_is_refused(store: BaseSessionStore, chat: ActiveSession) -> None:
    await store.create("other")
    await store.create("taken", parent_id="other")

    for taken in ("taken", "other"):
        with pytest.raises(InvalidSessionOperation, match="a parent never changes"):
            async with chat.child(taken):
                raise AssertionError("it was opened")

    assert await store.children("chat") == []


async def test_a_child_of_a_run_names_the_run(store: BaseSessionStore, chat: ActiveSession) -> None:
    async with chat.run(id="r") as run, run.child("below", agent="a") as child:
        await child.user("x")

    session = await store.get("below")
    assert session is not None
    assert session.metadata.properties == {"agent": "a", "parent_run_id": "r"}
    assert session.events[0].task_id is None


# Runs: how the block ends


async def test_a_run_is_stored_as_running_when_the_block_begins(store: BaseSessionStore, chat: ActiveSession) -> None:
    async with chat.run("planner", id="r", metadata={"k": 1}) as run:
        record = await stored_run(store, "r")

    assert (run.id, record.status, record.agent, record.metadata) == ("r", RunStatus.RUNNING, "planner", {"k": 1})
    assert record.started_at is not None


async def test_a_block_that_ends_well_completes_the_run(store: BaseSessionStore, chat: ActiveSession) -> None:
    async with chat.run(id="r") as run:
        pass

    record = await stored_run(store, "r")
    assert (record.status, record.error, record.error_type) == (RunStatus.COMPLETED, None, None)
    assert record.ended_at is not None
    assert run.status is RunStatus.COMPLETED


async def test_an_error_fails_the_run_with_its_type_and_text_and_goes_on(
    store: BaseSessionStore, chat: ActiveSession
) -> None:
    with pytest.raises(LookupError, match="no seats"):
        async with chat.run(id="r"):
            raise LookupError("no seats")

    record = await stored_run(store, "r")
    assert (record.status, record.error, record.error_type) == (RunStatus.FAILED, "no seats", "LookupError")


async def test_an_error_whose_text_is_no_valid_unicode_is_recorded_as_it_is(
    store: BaseSessionStore, chat: ActiveSession
) -> None:
    with pytest.raises(ValueError, match="bad"):
        async with chat.run(id="r"):
            raise ValueError("bad \ud800 text")

    assert (await stored_run(store, "r")).error == "bad \ud800 text"


async def test_events_of_a_run_carry_its_id(store: BaseSessionStore, chat: ActiveSession) -> None:
    async with chat.run(id="r") as run:
        await run.user("a")
        await run.tool("f", {}, result=1)
        await run.append({"role": "user", "content": "b"}, SessionEvent(message="c"))
        await run.append(SessionEvent(message="d", task_id="own"))
        await chat.user("e")

    assert [event.task_id for event in await store.events("chat")] == ["r", "r", "r", "r", "r", "own", None]


async def test_the_spend_of_a_run_is_known_by_its_id(store: BaseSessionStore, chat: ActiveSession) -> None:
    async with chat.run(id="r") as run:
        await run.assistant("x", usage={"prompt_tokens": 5})
    await chat.assistant("y", usage={"prompt_tokens": 2})

    assert (await store.usage("chat")).by_run["r"].total_tokens == 5


@pytest.mark.parametrize("stop", STOPS)
async def test_a_cancelled_block_cancels_the_run_and_the_record_is_written(
    store: BaseSessionStore, chat: ActiveSession, stop: Stop
) -> None:
    async def body(reached: Reached) -> None:
        async with chat.run(id="r") as run:
            await run.user("working")
            reached()
            await asyncio.Event().wait()

    await stop(body)

    record = await stored_run(store, "r")
    assert (record.status, record.error_type) == (RunStatus.CANCELLED, "CancelledError")
    assert record.ended_at is not None
    assert chat.session.runs == [record]


async def test_a_cancelled_run_keeps_the_reason(store: BaseSessionStore, chat: ActiveSession) -> None:
    async def body(reached: Reached) -> None:
        async with chat.run(id="r"):
            reached()
            await asyncio.Event().wait()

    await task_cancel(body)

    assert (await stored_run(store, "r")).error == REASON


async def test_nested_runs_end_each_on_its_own(store: BaseSessionStore, chat: ActiveSession) -> None:
    async with chat.run(id="outer") as outer:
        await outer.user("a")
        with pytest.raises(ValueError, match="inner"):  # noqa: PT012  # how the block ends is the test
            async with outer.run(id="inner") as inner:
                await inner.user("b")
                raise ValueError("inner")
        await outer.user("c")

    assert (await stored_run(store, "outer")).status is RunStatus.COMPLETED
    assert (await stored_run(store, "inner")).status is RunStatus.FAILED
    assert [event.task_id for event in await store.events("chat")] == ["outer", "inner", "outer"]


async def test_an_error_goes_up_through_all_nested_runs(store: BaseSessionStore, chat: ActiveSession) -> None:
    with pytest.raises(ValueError, match="deep"):
        async with chat.run(id="outer") as outer, outer.child("below") as child, child.run(id="inner"):
            raise ValueError("deep")

    assert (await stored_run(store, "outer")).status is RunStatus.FAILED
    assert (await stored_run(store, "inner", "below")).status is RunStatus.FAILED


async def test_a_run_ended_by_hand_inside_its_block_is_stored_as_ended(
    store: BaseSessionStore, chat: ActiveSession
) -> None:
    async with chat.run(id="r") as run:
        run.record.mark_failed("the tool gave up")

    record = await stored_run(store, "r")
    assert (record.status, record.error) == (RunStatus.FAILED, "the tool gave up")


# Runs: waiting and resuming


async def test_a_block_left_while_waiting_leaves_the_run_waiting(store: BaseSessionStore, chat: ActiveSession) -> None:
    async with chat.run(id="r") as run:
        await run.mark_waiting()
        assert (await stored_run(store, "r")).status is RunStatus.WAITING

    record = await stored_run(store, "r")
    assert (record.status, record.ended_at) == (RunStatus.WAITING, None)


async def test_a_waiting_run_is_resumed_by_its_id_elsewhere(store: BaseSessionStore, chat: ActiveSession) -> None:
    async with chat.run("planner", id="r") as run:
        await run.mark_waiting()
    started = (await stored_run(store, "r")).started_at

    async with SessionManager(store).open("chat") as again, again.run(id="r") as resumed:
        assert resumed.status is RunStatus.RUNNING
        assert (await stored_run(store, "r")).status is RunStatus.RUNNING

    record = await stored_run(store, "r")
    assert (record.status, record.agent, record.started_at) == (RunStatus.COMPLETED, "planner", started)
    assert len(await store.runs("chat")) == 1


async def test_a_run_can_wait_and_go_on_inside_one_block(store: BaseSessionStore, chat: ActiveSession) -> None:
    async with chat.run(id="r") as run:
        await run.mark_waiting()
        await run.mark_running()

    assert (await stored_run(store, "r")).status is RunStatus.COMPLETED


async def test_an_error_while_waiting_fails_the_run(store: BaseSessionStore, chat: ActiveSession) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012  # how the block ends is the test
        async with chat.run(id="r") as run:
            await run.mark_waiting()
            raise ZeroDivisionError

    assert (await stored_run(store, "r")).status is RunStatus.FAILED


async def test_a_run_that_was_interrupted_without_a_word_is_resumed(
    store: BaseSessionStore, chat: ActiveSession
) -> None:
    entered = chat.run(id="r")
    await entered.__aenter__()  # and the process dies here

    with pytest.raises(RunBusy):
        await chat.run(id="r").__aenter__()
    async with chat.run(id="r", busy="take_over"):
        pass

    assert [run.status for run in await store.runs("chat")] == [RunStatus.COMPLETED]


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
async def test_the_id_of_a_finished_run_is_refused_and_its_record_stays(
    store: BaseSessionStore, chat: ActiveSession, end: str
) -> None:
    session = await store.get("chat")
    assert session is not None
    session.runs.append(SessionRun(id="r", status=RunStatus(end)))
    await store.save(session)

    with pytest.raises(InvalidSessionOperation, match=f"'r' has ended as {end}: start a new run"):
        async with chat.run(id="r"):
            raise AssertionError("it was entered")

    assert (await stored_run(store, "r")).status.value == end


async def test_a_finished_run_is_refused_however_old_it_is(store: BaseSessionStore, chat: ActiveSession) -> None:
    for n in range(30):
        async with chat.run(id=f"r{n}"):
            pass

    with pytest.raises(InvalidSessionOperation):
        async with SessionManager(store).open("chat") as again, again.run(id="r0"):
            raise AssertionError("it was entered")

    assert (await stored_run(store, "r0")).status is RunStatus.COMPLETED


async def test_an_unfinished_run_is_found_however_old_it_is(store: BaseSessionStore, chat: ActiveSession) -> None:
    async with chat.run("first", id="r") as run:
        await run.mark_waiting()
    for _ in range(30):
        async with chat.run():
            pass

    async with SessionManager(store).open("chat") as again, again.run(id="r") as resumed:
        assert resumed.record.agent == "first"


# Runs: when the last write fails


async def test_an_ending_that_cannot_be_written_is_noted_on_the_error_of_the_body(
    backend: SlowBackend, store: BaseSessionStore, chat: ActiveSession
) -> None:
    with pytest.raises(ValueError, match="own error") as caught:  # noqa: PT012  # how the block ends is the test
        async with chat.run(id="r"):
            backend.is_down = True
            raise ValueError("own error")

    assert caught.value.__notes__ == ["run 'r' could not be recorded as failed: the line is dead"]
    assert (await stored_run(store, "r")).status is RunStatus.RUNNING


async def test_an_ending_that_cannot_be_written_after_a_good_block_raises(
    backend: SlowBackend, store: BaseSessionStore, chat: ActiveSession
) -> None:
    with pytest.raises(StoreUnavailable, match="the line is dead"):
        async with chat.run(id="r"):
            backend.is_down = True

    backend.is_down = False
    async with chat.run(id="r", busy="take_over"):  # the lease could not be given up either
        pass
    assert (await stored_run(store, "r")).status is RunStatus.COMPLETED


async def test_a_start_that_cannot_be_written_enters_no_block(backend: SlowBackend, chat: ActiveSession) -> None:
    backend.is_down = True

    with pytest.raises(StoreUnavailable):
        async with chat.run(id="r"):
            raise AssertionError("it was entered")

    assert chat.session.runs == []


# Opening


async def test_two_tasks_that_open_one_id_create_one_session(store: BaseSessionStore) -> None:
    manager = SessionManager(store)

    async def open_and_say(n: int) -> str:
        async with manager.open("new", properties={"by": n}) as chat:
            await chat.user(str(n))
            return chat.session.root_id or ""

    await asyncio.gather(*(open_and_say(n) for n in range(5)))

    assert await store.list_sessions() == ["new"]
    assert sorted(await payloads(store, "new")) == ["0", "1", "2", "3", "4"]
