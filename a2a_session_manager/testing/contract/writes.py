"""Every kind of write, as a table: how it is prepared, how it is sent, and what of it can be seen.

A test that cancels a write compares the outcome with two others: one that was only prepared, and one that was sent
without disturbance.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.making import AnySession, Event, said, several, spending

PARENT = "the parent"


@dataclass(frozen=True)
class Write:
    """`prepare` returns the session object that `send` works on; `send` may be repeated with the same one."""

    name: str
    prepare: Callable[[BaseSessionStore, str], Awaitable[AnySession]]
    send: Callable[[BaseSessionStore, AnySession], Awaitable[object]]
    takes_handle: bool = True

    def __str__(self) -> str:
        return self.name


async def seen(store: BaseSessionStore, session_id: str) -> dict[str, Any] | None:
    """Return all that can be seen of a session but its id and its times; None when it is absent."""
    session = await store.get(session_id)
    if session is None:
        return None
    log = await store.events(session_id, include_retracted=True)
    return {
        "revision": session.revision,
        "parent": session.parent_id,
        "log": [(event.id, event.seq, event.retracted) for event in log],
        "shown": [event.id for event in session.events],
        "state": session.state,
        "properties": session.metadata.properties,
        "runs": [(run.id, run.status) for run in session.runs],
        "spent": session.token_summary,
    }


async def _not_yet_stored(store: BaseSessionStore, session_id: str) -> AnySession:
    if await store.get(PARENT, last=0) is None:
        await store.create(PARENT)
    session: AnySession = Session(id=session_id, parent_id=PARENT, state={"plan": "mine"})
    session.add_event(spending(5, id="n1"))
    return session


async def _stored(store: BaseSessionStore, session_id: str) -> AnySession:
    change = SessionChange(events=several(3), set_state={"plan": "old"}, runs=[_run("r1")])
    return await store.create(session_id, change=change)


async def _with_hidden(store: BaseSessionStore, session_id: str) -> AnySession:
    session = await _stored(store, session_id)
    await store.retract(session, "e1", "e3", write_id="hid")
    return session


async def _changed(store: BaseSessionStore, session_id: str) -> AnySession:
    session = await _stored(store, session_id)
    session.events += _new_events()
    session.state["plan"] = "mine"
    session.runs[0].mark_running()
    return session


async def _create(store: BaseSessionStore, session: AnySession) -> object:
    change = SessionChange(events=session.events, set_state=session.state)
    return await store.create(session.id, parent_id=PARENT, change=change, write_id="w")


async def _append(store: BaseSessionStore, session: AnySession) -> object:
    return await store.append(session, *_new_events())


async def _append_by_id(store: BaseSessionStore, session: AnySession) -> object:
    return await store.append(session.id, *_new_events())


async def _save(store: BaseSessionStore, session: AnySession) -> object:
    await store.save(session)
    return None


async def _guarded_save(store: BaseSessionStore, session: AnySession) -> object:
    await store.save(session, expected_revision=session.revision)
    return None


def _committing(make: Callable[[], SessionChange], *, guarded: bool = False) -> Callable[..., Awaitable[object]]:
    async def commit(store: BaseSessionStore, session: AnySession) -> object:
        return await store.commit(session, make(), expected_revision=1 if guarded else None, write_id="w")

    return commit


async def _retract(store: BaseSessionStore, session: AnySession) -> object:
    return await store.retract(session, last=2, write_id="w")


async def _restore(store: BaseSessionStore, session: AnySession) -> object:
    return await store.restore(session, write_id="hid", id="w")


async def _delete(store: BaseSessionStore, session: AnySession) -> object:
    await store.delete(session)
    return None


def _new_events() -> list[Event]:
    return [spending(5, id="n1"), said(id="n2"), said(id="n3")]


def _run(run_id: str) -> SessionRun:
    return SessionRun(id=run_id)


def _started() -> SessionRun:
    run = _run("r1")
    run.mark_running()
    return run


DELETE = Write("delete", _stored, _delete)
WRITES = [
    Write("create", _not_yet_stored, _create, takes_handle=False),
    Write("save new", _not_yet_stored, _save),
    Write("append", _stored, _append),
    Write("append by id", _stored, _append_by_id, takes_handle=False),
    Write("save changed", _changed, _save),
    Write("save guarded", _changed, _guarded_save),
    Write("commit state", _stored, _committing(lambda: SessionChange(set_state={"plan": "mine"}))),
    Write("commit properties", _stored, _committing(lambda: SessionChange(set_properties={"plan": "mine"}))),
    Write("commit run", _stored, _committing(lambda: SessionChange(runs=[_started()]))),
    Write("commit all", _stored, _committing(lambda: SessionChange(set_state={"plan": "mine"}, events=_new_events()))),
    Write("commit guarded", _stored, _committing(lambda: SessionChange(events=_new_events()), guarded=True)),
    Write("retract", _stored, _retract),
    Write("restore", _with_hidden, _restore),
]
