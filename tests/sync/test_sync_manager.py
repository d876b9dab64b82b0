"""SyncSessionManager: the verbs of a SessionManager, for code without an event loop."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from a2a_session_manager import (
    ActiveRun,
    ActiveSession,
    BudgetExceeded,
    RunStatus,
    SessionEvent,
    SessionManager,
    SessionNotFound,
)
from a2a_session_manager.sync import SyncRun, SyncSession, SyncSessionManager
from tests.stores import url

__all__ = ["url"]


@pytest.fixture
def sessions(url: str) -> Iterator[SyncSessionManager]:
    with SyncSessionManager.from_url(url) as sessions:
        yield sessions


def test_a_conversation_with_a_run_and_a_child(sessions: SyncSessionManager) -> None:
    with sessions.open("trip") as chat:
        chat.user("Two days in Oslo?", id="u1")
        with chat.run(agent="planner") as run:
            with run.child(agent="flights") as flights:
                flights.tool("search", {"to": "OSL"}, result={"eur": 120})
            run.assistant("Day 1: …", model="gpt-4o", usage={"prompt_tokens": 12, "completion_tokens": 5})
            assert run.status is RunStatus.RUNNING
        chat.set_state(days=2)
        assert [message["role"] for message in chat.messages()] == ["user", "assistant"]
        assert chat.usage(tree=True).total_tokens == 17
        branch = chat.fork(at="u1", new_id="branch")
        assert [event.message for event in branch.events()] == [event.message for event in chat.events()][:1]

    assert sessions.get("trip").state == {"days": 2}
    assert [run.status for run in sessions.runs("trip")] == [RunStatus.COMPLETED]
    assert len(sessions.children("trip")) == 1
    assert sorted(sessions.iter_sessions(roots_only=True)) == ["trip"]


def test_a_run_whose_block_fails_has_failed(sessions: SyncSessionManager) -> None:
    with sessions.open("trip") as chat:
        with pytest.raises(ValueError, match="no"), chat.run(id="r") as run:
            raise ValueError("no")
        assert run.record.status is RunStatus.FAILED

    assert sessions.runs("trip")[0].status is RunStatus.FAILED


def test_threads_share_one_and_lose_nothing(sessions: SyncSessionManager) -> None:
    sessions.create("trip")

    def write(number: int) -> None:
        sessions.append("trip", SessionEvent(id=f"e{number}", message=number))

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(write, range(100)))

    assert sorted(event.message for event in sessions.events("trip")) == list(range(100))


def test_follow_yields_what_is_there_and_what_comes(sessions: SyncSessionManager) -> None:
    sessions.create("trip")
    sessions.append("trip", SessionEvent(message="first"))
    following = sessions.follow("trip")

    assert next(following).message == "first"
    with ThreadPoolExecutor(1) as threads:
        second = threads.submit(next, following)
        sessions.append("trip", SessionEvent(message="second"))
        assert second.result(20).message == "second"
    following.close()


def test_namespaces_share_the_loop_and_errors_are_the_managers(sessions: SyncSessionManager) -> None:
    with sessions.namespace("acme") as acme:
        acme.create("trip")
        with pytest.raises(SessionNotFound):
            sessions.get("trip")

    assert sessions.namespaces() == ["acme"]  # closing that of a namespace has closed nothing


async def test_another_loop_takes_part_through_wait(sessions: SyncSessionManager) -> None:
    manager = sessions.sessions

    await sessions.wait(manager.create("trip"))
    await sessions.wait(manager.append("trip", SessionEvent(message="hello")))

    assert [event.message for event in await sessions.wait(manager.events("trip"))] == ["hello"]


@pytest.mark.parametrize(
    ("facade", "wrapped", "left_out"),
    [
        # What repairs a damaged file, or makes an index anew, is for the command line; `store` blocks nothing.
        (SyncSessionManager, SessionManager, {"aclose", "cut_damaged_tail", "rebuild_index", "statistics", "store"}),
        (SyncSession, ActiveSession, {"check_open"}),
        (SyncRun, ActiveRun, {"check_open"}),
    ],
)
def test_no_verb_is_missing(facade: type[Any], wrapped: type[Any], left_out: set[str]) -> None:
    verbs = {name for name, _ in inspect.getmembers_static(wrapped) if not name.startswith("_")}

    assert verbs - set(dir(facade)) == left_out


def test_a_hold_is_settled_by_the_append_in_its_block() -> None:
    usage = {"prompt_tokens": 6, "completion_tokens": 4}
    with SyncSessionManager.from_url("memory:") as sessions, sessions.open("talk") as chat:
        sessions.set_budget("talk", tokens=100)
        estimate = chat.estimate(model="gpt-4o", max_output_tokens=50, messages="Hello")
        with chat.run(id="run") as run, run.spend(estimate=estimate, id="request") as hold:
            hold.sent()
            hold.renew()
            assert hold.is_held
            run.assistant("Hello", model="gpt-4o", usage=usage)
            settled = hold.is_settled
        with pytest.raises(BudgetExceeded), chat.spend(tokens=91):
            pass

        budget = sessions.budget("talk")
    assert settled
    assert (budget.spent.tokens, budget.held.tokens, hold.id) == (10, 0, "request")
