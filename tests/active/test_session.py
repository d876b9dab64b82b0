"""ActiveSession: every verb has written when it returns, and the handle shows what was written through it."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest

from a2a_session_manager import (
    ActiveSession,
    InvalidEvent,
    InvalidSessionOperation,
    SessionEvent,
    SessionManager,
    SessionNotFound,
)
from a2a_session_manager.storage.commit_records import EncodedCommit, Receipt
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.store import BaseSessionStore
from tests.active.slow_store import backend, chat, payloads, store

__all__ = ["backend", "chat", "store"]


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
