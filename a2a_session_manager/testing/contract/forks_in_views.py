"""What a model is given of a fork: that of the source up to there, summaries included, and never half an exchange."""

from __future__ import annotations

from typing import Any

import pytest

from a2a_session_manager.context.findings import INTERRUPTED
from a2a_session_manager.exceptions import InvalidSessionOperation, SessionAlreadyExists
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import ids, messages, said, several, spending


def _call(*call_ids: str) -> dict[str, Any]:
    function = {"name": "weather", "arguments": "{}"}
    calls = [{"id": call_id, "type": "function", "function": function} for call_id in call_ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def _result(call_id: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": f"sun at {call_id}"}


async def _view(store: BaseSessionStore, session_id: str, **options: Any) -> list[Any]:
    async with SessionManager(store).open(session_id) as chat:
        return list(await chat.messages(**options))


class ForksInViewsContract(ContractBase):
    async def test_a_fork_gives_a_model_what_the_source_gave_up_to_there_and_its_own(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        sessions = SessionManager(store)
        async with sessions.open("trip") as chat:
            await chat.system("You plan trips.")
            await chat.user("Two days in Oslo?")
            await chat.tool("weather", {"at": "OSL"}, result={"sun": True})
            await chat.assistant("Go to the fjord.")
            before = list(await chat.messages())
            branch = await chat.fork(new_id="other")
            await chat.user("And a hotel?")
            await branch.user("And a museum?")
            await branch.assistant("The Munch.")

        again = await reopen()

        assert await _view(again, "other") == [
            *before,
            {"role": "user", "content": "And a museum?"},
            {"role": "assistant", "content": "The Munch."},
        ]
        assert (await _view(again, "trip"))[-1] == {"role": "user", "content": "And a hotel?"}
        async with SessionManager(again).open("other") as branch:
            window = await branch.window(max_tokens=1_000)
            assert list(window.messages) == await _view(again, "other")
            assert list((await branch.messages()).seqs) == [1, 2, 3, 4, 5, 6, 7]

    async def test_a_point_inside_an_exchange_is_refused_with_the_open_calls_named(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        sessions = SessionManager(store)
        async with sessions.open("trip") as chat:
            await chat.user("Where is it sunny?")
            await chat.append(_call("c1", "c2"))
            await chat.user("Hurry, please.")
            await chat.append(_result("c1"))
            await chat.append(_result("c2"))
            await chat.assistant("At c1 and c2.")
        for at in (2, 3, 4):
            with pytest.raises(InvalidSessionOperation, match=r"'trip'.*weather \(event 2\).*interrupt"):
                await sessions.fork("trip", at=at, new_id="fork")
        with pytest.raises(InvalidSessionOperation, match="on_open"):
            await sessions.fork("trip", at=1, new_id="fork", on_open="ask")  # type: ignore[arg-type]  # a bad value
        assert await (await reopen()).forks("trip") == []
        await sessions.fork("trip", at=1, new_id="before")
        await sessions.fork("trip", at=5, new_id="after")

        again = await reopen()

        assert await again.forks("trip") == ["before", "after"]
        async with SessionManager(again).open("after") as fork:
            assert await fork.open_calls() == []

    async def test_open_calls_are_ended_by_the_forks_own_first_events_when_that_is_asked_for(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        sessions = SessionManager(store)
        async with sessions.open("trip") as chat:
            await chat.user("Where is it sunny?")
            await chat.append(_call("c1", "c2"))
            await chat.append(_result("c1"))
            await chat.append(_result("c2"))
        forked = await sessions.fork("trip", at=3, new_id="fork", on_open="interrupt")
        for _ in range(2):  # a retry ends nothing twice
            again = await sessions.fork("trip", at=3, new_id="fork", on_open="interrupt")
            assert (again.creation_id, again.last_seq) == (forked.creation_id, 4)
        with pytest.raises(SessionAlreadyExists):
            await sessions.fork("trip", at=1, new_id="fork")

        cold = await reopen()

        assert (forked.revision, forked.last_seq, len(forked.events)) == (1, 4, 1)
        events = await cold.events("fork")
        assert [event.seq for event in events] == [1, 2, 3, 4]
        assert events[-1].message["tool_call_id"] == "c2"
        assert INTERRUPTED in events[-1].message["content"]
        assert events[-1] == forked.events[0]
        async with SessionManager(cold).open("fork") as fork:
            assert await fork.open_calls() == []
            assert [each.code for each in await fork.check()] == []
        assert len(await cold.events("trip")) == 4

    async def test_what_was_said_and_retracted_after_the_point_is_nothing_to_the_fork(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        sessions = SessionManager(store)
        async with sessions.open("trip") as chat:
            await chat.user("Where is it sunny?")
            await chat.assistant("Let me see.")
            await chat.append(_call("c1"))
            [wrong] = await chat.append(_result("c1"))
            await chat.append(_result("c1"))
            await chat.append(_call("c1"))
            asked = await chat.user("Never mind.")
            await chat.retract(wrong.id, asked.id)
        await sessions.fork("trip", at=1, new_id="asked")
        await sessions.fork("trip", at=5, new_id="answered")
        await sessions.fork("trip", at=2, new_id="ended", on_open="interrupt")
        with pytest.raises(InvalidSessionOperation, match=r"weather \(event 3\)"):
            await sessions.fork("trip", at=3, new_id="inside")

        again = await reopen()

        assert [len(await again.events(each)) for each in ("asked", "answered", "ended")] == [1, 4, 2]
        assert await again.forks("trip") == ["asked", "answered", "ended"]

    async def test_a_compaction_up_to_the_point_counts_in_the_fork_whatever_becomes_of_it_in_the_source(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        sessions = SessionManager(store)
        async with sessions.open("trip") as chat:
            for number in range(3):
                await chat.user(f"question {number} " * 9)
                await chat.assistant(f"answer {number} " * 9)
            summary = await chat.compact(lambda _: "They spoke.", keep=0)
            await chat.user("More?")
            with_summary = list(await chat.messages())
            fork = await chat.fork(new_id="fork")
            early = await chat.fork(at=4, new_id="early")
            await store.retract(chat.session, summary.id)
            await fork.assistant("Yes.")

        again = await reopen()

        assert await _view(again, "fork") == [*with_summary, {"role": "assistant", "content": "Yes."}]
        assert len(await _view(again, "fork", compacted=False)) == 8
        assert len(await _view(again, "trip")) == 7
        assert len(await _view(again, "early")) == early.session.last_seq == 4
        # What is hidden in its range in the fork ends it there, and what the fork covers is covered there.
        await again.retract("fork", (await again.events("fork"))[0].id)
        assert len(await _view(await reopen(), "fork")) == 7
        async with SessionManager(again).open("early") as chat:
            await chat.compact(lambda _: "Two questions.", keep=0)
        cold = await reopen()
        assert await _view(cold, "early") == [{"role": "user", "content": "Two questions."}]
        assert len(await _view(cold, "trip")) == 7

    async def test_a_compaction_that_was_ended_before_the_fork_stays_ended(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        sessions = SessionManager(store)
        async with sessions.open("trip") as chat:
            for number in range(3):
                await chat.user(f"question {number} " * 9)
                await chat.assistant(f"answer {number} " * 9)
            await chat.compact(lambda _: "They spoke.", keep=0)
            await store.retract(chat.session, (await store.events("trip"))[0].id)
            await store.restore(chat.session, (await store.events("trip", include_retracted=True))[0].id)
            await chat.fork(new_id="fork")

        again = await reopen()

        assert await _view(again, "fork") == await _view(again, "trip")
        assert len(await _view(again, "fork")) == 6

    async def test_a_summary_in_the_place_of_what_was_hidden_stands_there_in_a_fork_where_that_is_shown_again(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        summary = said("in short", type=EventType.SUMMARY)
        await store.create("trip", change=SessionChange(events=several(4)))
        await store.commit("trip", SessionChange(events=[summary], retraction=Retraction(("e2",))))
        await store.fork("trip", new_id="hides")
        await store.restore("trip", "e2")
        await store.fork("trip", new_id="shows")

        again = await reopen()

        for _ in range(3):  # a store may read a fork in another way once it knows it
            for name, found in (("hides", "e1 in short e3 e4"), ("shows", "e1 in short e2 e3 e4")):
                for options in ({}, {"compacted": False}):
                    assert " ".join([each["content"] for each in await _view(again, name, **options)]) == found

    async def test_the_context_size_of_a_fork_is_that_of_the_newest_request_that_it_shows(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        usage = TokenUsage(prompt_tokens=100, completion_tokens=20, model="m")
        sessions = SessionManager(store)
        async with sessions.open("trip") as chat:
            await chat.user("Hello")
            await chat.assistant("Hi", usage=usage)
            for number in range(30):
                await chat.user(f"note {number}")
            await chat.fork(new_id="fork")
            await chat.assistant("Later", usage=TokenUsage(prompt_tokens=500, model="m"))

        again = await reopen()

        assert await SessionManager(again).context_size("fork") == 120
        await again.append("fork", spending(200))
        assert await SessionManager(await reopen()).context_size("fork") == 400

    async def test_events_that_a_fork_inherits_are_found_by_filters(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        events = [event.model_copy(update={"task_id": "run"}) for event in several(4)]
        await store.create("talk", change=SessionChange(events=events))
        await store.fork("talk", at=3, new_id="fork")
        await store.append("fork", spending(1, task_id="run", id="own"))

        again = await reopen()

        assert ids(await again.events("fork", run="run")) == ["e1", "e2", "e3", "own"]
        assert messages(await again.events("fork", source="user", limit=2)) == ["e1", "e2"]
