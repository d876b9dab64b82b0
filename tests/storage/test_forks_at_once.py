"""A fork that a backend makes in one step is the one that it would be if the source was read first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager import EventSource, SessionEvent, SessionManager, SessionManagerError
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.url import store_from_url
from tests.stores import url_of

Prepare = Callable[[SessionManager], Awaitable[object]]


def _said(number: int) -> SessionEvent[Any]:
    role, source = ("user", EventSource.USER) if number % 2 else ("assistant", EventSource.LLM)
    return SessionEvent(id=f"event {number}", message={"role": role, "content": f"said {number} " * 40}, source=source)


async def _plain(sessions: SessionManager) -> None:
    await sessions.store.append("talk", *map(_said, range(1, 6)))


async def _with_values(sessions: SessionManager) -> None:
    await _plain(sessions)
    change = SessionChange(
        set_state={"plan": ["a", "ü"], "step": 3}, set_properties={"owner": "ann", "title": "x", "copied_from": "no"}
    )
    await sessions.store.commit("talk", change)


async def _retracted(sessions: SessionManager) -> None:
    await _plain(sessions)
    await sessions.store.commit("talk", SessionChange(retraction=Retraction(["event 2", "event 3"])))


async def _compacted(sessions: SessionManager) -> None:
    await _retracted(sessions)
    async with sessions.open("talk") as chat:
        await chat.compact(lambda messages: "in short", keep=1)
        await chat.user("and on")


async def _forked(sessions: SessionManager) -> None:
    await _compacted(sessions)
    await sessions.fork("talk", new_id="below")
    await sessions.store.append("below", _said(10), _said(11))


async def _child(sessions: SessionManager) -> None:
    await _plain(sessions)
    await sessions.create("below", parent_id="talk")
    await sessions.store.append("below", *map(_said, range(20, 24)))


async def _with_tool(sessions: SessionManager) -> None:
    await _plain(sessions)
    async with sessions.open("talk") as chat:
        await chat.tool("search", {"to": "OSL"}, result={"eur": 120})


CASES: dict[str, tuple[Prepare, list[tuple[str, int | str | None]]]] = {
    "plain": (_plain, [("talk", None), ("talk", 1), ("talk", 5), ("talk", "event 3"), ("talk", 6), ("gone", None)]),
    "values": (_with_values, [("talk", None)]),
    "retracted": (_retracted, [("talk", None), ("talk", 4), ("talk", 2), ("talk", 1)]),
    "compacted": (_compacted, [("talk", None), ("talk", 6), ("talk", 5)]),
    "forked": (_forked, [("below", None), ("below", 8), ("below", 5), ("talk", None)]),
    "child": (_child, [("below", None), ("below", 2)]),
    "tool": (_with_tool, [("talk", None), ("talk", 6), ("talk", 5)]),
    "empty": (lambda sessions: _nothing(), [("talk", None), ("talk", 1)]),
}


async def _nothing() -> None:
    return None


@pytest.fixture(params=["memory", "file", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_of(request.param, request, tmp_path)


@pytest.fixture
async def store(url: str) -> AsyncIterator[BaseSessionStore]:
    async with store_from_url(url) as store:
        yield store


@pytest.mark.parametrize("case", CASES)
async def test_one_step_makes_what_two_do(store: BaseSessionStore, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    sessions = SessionManager(store)
    prepare, points = CASES[case]
    await sessions.create("talk")
    await prepare(sessions)
    for number, (source, at) in enumerate(points):
        once = await _outcome(sessions, source, at, f"once {number}")
        with monkeypatch.context() as patch:
            patch.setattr(store._open_backend, "fork_at_once", lambda *args: None)
            twice = await _outcome(sessions, source, at, f"twice {number}")

        assert once == twice


async def _outcome(sessions: SessionManager, source: str, at: int | str | None, new_id: str) -> list[object]:
    try:
        made = await sessions.fork(source, at=at, new_id=new_id, properties={"branch": 1})
    except SessionManagerError as error:
        return [type(error), str(error)]
    told = (made.state, made.metadata.properties, made.last_seq, made.parent_id, made.forked_from)
    store = sessions.store
    assert isinstance(store, BaseSessionStore)
    await store.append(new_id, _said(99))
    again = await store.get(new_id)
    assert again is not None
    [loaded] = await store._open_backend.load([SessionKey((), new_id)], last=None, whole_head=True)
    assert loaded is not None
    head = loaded.head
    events = await store.events(new_id, include_retracted=True)
    return [
        *told,
        (again.state, again.metadata.properties, again.last_seq, again.revision),
        (head.depth, head.root_id, head.segments, head.compactions, head.placed, head.forked_from, head.totals),
        [(each.seq, each.id, each.message, each.retracted) for each in events],
        await _messages(sessions, new_id),
        [each.id for each in await store.restore(new_id, *[each.id for each in events if each.retracted][:1])]
        if any(each.retracted for each in events)
        else [],
        [session_id for session_id in await sessions.forks(head.parent_id or "") if session_id == new_id] != [],
    ]


async def _messages(sessions: SessionManager, session_id: str) -> list[Any]:
    async with sessions.open(session_id) as chat:
        return list(await chat.messages())
