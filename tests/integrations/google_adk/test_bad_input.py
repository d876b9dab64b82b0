"""What cannot be stored or read through the ADK bridge: the ADK's errors, ours inside, and nothing half-written."""

from __future__ import annotations

from typing import Any

import pytest
from google.adk.errors.input_validation_error import InputValidationError
from google.adk.events.event import Event
from google.adk.events.event_actions import EventActions
from google.adk.sessions.base_session_service import GetSessionConfig
from google.adk.sessions.session import Session
from google.genai import types

from a2a_session_manager import (
    CorruptSession,
    InMemorySessionStore,
    InvalidSessionOperation,
    SessionEvent,
    SessionManager,
)
from a2a_session_manager.integrations.google_adk import ADKSessionService
from tests.integrations.bridging import BAD_IDS, ODD_IDS

ANN: dict[str, Any] = {"app_name": "app", "user_id": "ann"}


def in_memory() -> SessionManager:
    return SessionManager(InMemorySessionStore())


def said(text: str, **delta: Any) -> Event:
    content = types.Content(role="user", parts=[types.Part(text=text)])
    return Event(author="user", content=content, actions=EventActions(state_delta=delta))


@pytest.mark.parametrize("odd", ODD_IDS)
async def test_odd_ids_stay_apart_and_come_back(odd: str) -> None:
    sessions = in_memory()
    service = ADKSessionService(sessions)
    places = [(odd, odd, "s"), (odd, f"{odd}/{odd}", "s"), (f"{odd}/{odd}", odd, "s"), (odd, odd, f"x{odd}/s")]
    for app_name, user_id, session_id in places:
        names = {"app_name": app_name, "user_id": user_id, "session_id": session_id}
        session = await service.create_session(**names, state={"user:at": [user_id]})
        await service.append_event(session, said(f"{app_name} {user_id} {session_id}", **{"app:at": app_name}))

    for app_name, user_id, session_id in places:
        found = await service.get_session(app_name=app_name, user_id=user_id, session_id=session_id)
        assert found is not None
        assert found.events[0].content == said(f"{app_name} {user_id} {session_id}").content
        assert found.state == {"app:at": app_name, "user:at": [user_id]}
    listed = await service.list_sessions(app_name=odd, user_id=odd)
    assert {each.id for each in listed.sessions} == {"s", f"x{odd}/s"}


@pytest.mark.parametrize("bad", [*BAD_IDS, None])
async def test_names_that_cannot_be_stored_are_refused_wherever_they_are_given(bad: Any) -> None:
    sessions = in_memory()
    service = ADKSessionService(sessions)
    for place in ("app_name", "user_id", "session_id"):
        if bad == "" or (bad is None and place == "session_id"):
            continue  # an empty app or user is one, and without an id one is made up
        names = {**ANN, "session_id": "s", place: bad}
        callings: list[Any] = [service.create_session(**names), service.get_session(**names)]
        callings.append(service.delete_session(**names))
        if bad is not None:  # a Session of the ADK has texts alone
            session = Session(id=names["session_id"], app_name=names["app_name"], user_id=names["user_id"])
            callings.append(service.append_event(session, said("x", **{"app:a": 1})))
        for calling in callings:
            with pytest.raises(InputValidationError) as refused:
                await calling
            assert isinstance(refused.value.__cause__, InvalidSessionOperation)

    assert await sessions.list_sessions() == []


async def test_empty_names_are_names_and_an_empty_id_is_made_up() -> None:
    service = ADKSessionService(in_memory())
    made = await service.create_session(app_name="", user_id="", session_id="", state={"user:a": 1})
    other = await service.create_session(app_name="", user_id="u", session_id="s")

    assert made.id
    assert await service.get_session(app_name="", user_id="", session_id=made.id) == made
    assert other.state == {}
    assert await service.get_session(app_name="", user_id="", session_id="") is None


@pytest.mark.parametrize(
    "bad",
    [
        {"author": 5},
        {"author": "user", "content": {"parts": [{"hologram": {}}]}},
        {"author": "user", "actions": {"state_delta": "all"}},
        "no object",
    ],
)
async def test_an_event_that_the_adk_cannot_read_any_more_is_named_and_all_else_stays_readable(bad: Any) -> None:
    sessions = in_memory()
    service = ADKSessionService(sessions)
    for session_id in ("s", "t"):
        session = await service.create_session(**ANN, session_id=session_id)
        await service.append_event(session, said("hello", **{"app:n": session_id}))
    await sessions.append("session/app/ann/s", SessionEvent(message=bad, type="google_adk_event"))
    before = await sessions.events("session/app/ann/s")

    with pytest.raises(ValueError, match="event 2 is none that the installed google-adk reads") as unread:
        await service.get_session(**ANN, session_id="s")
    assert isinstance(unread.value.__cause__, CorruptSession)
    assert await sessions.events("session/app/ann/s") == before
    other = await service.get_session(**ANN, session_id="t")
    assert other is not None
    assert (len(other.events), other.state) == (1, {"app:n": "t"})
    assert len((await service.list_sessions(**ANN)).sessions) == 2  # which reads no events


async def test_a_record_of_a_newer_format_is_refused_by_each_verb_that_reads_it() -> None:
    sessions = in_memory()
    service = ADKSessionService(sessions)
    await service.create_session(**ANN, session_id="s", state={"user:a": 1})
    await sessions.set_properties("session/app/ann/s", adk_format=2)
    await sessions.unset_properties("session/app/ann/s", "adk_user_id")  # it may be under another name
    before = await sessions.get("session/app/ann/s")

    for calling in (
        service.get_session(**ANN, session_id="s"),
        service.list_sessions(app_name="app"),
        service.list_sessions(**ANN),
        service.delete_session(**ANN, session_id="s"),
    ):
        with pytest.raises(ValueError, match="format 2") as refused:
            await calling
        assert isinstance(refused.value.__cause__, CorruptSession)
    assert await sessions.get("session/app/ann/s") == before


async def test_events_of_others_in_a_session_are_none_of_the_adks() -> None:
    sessions = in_memory()
    service = ADKSessionService(sessions)
    session = await service.create_session(**ANN, session_id="s")
    for number in range(6):
        event = said(str(number))
        event.timestamp = float(number)
        await service.append_event(session, event)
        if number % 2:
            note = SessionEvent(message="a note of an operator", type="note")
            await sessions.append("session/app/ann/s", note, SessionEvent(message={"timestamp": 0}, type="note"))
    await sessions.create("session/app/ann/s/more")

    async def read(**config: Any) -> list[Any]:
        found = await service.get_session(**ANN, session_id="s", config=GetSessionConfig(**config) if config else None)
        assert found is not None
        return [event.timestamp for event in found.events]

    assert await read() == [0, 1, 2, 3, 4, 5]
    assert await read(num_recent_events=3) == [3, 4, 5]
    assert await read(num_recent_events=9) == [0, 1, 2, 3, 4, 5]
    assert await read(after_timestamp=2.0) == [2, 3, 4, 5]
    assert await read(after_timestamp=2.0, num_recent_events=2) == [4, 5]
    assert len((await service.list_sessions(**ANN)).sessions) == 1


async def test_a_fork_is_a_session_of_its_own_name() -> None:
    sessions = in_memory()
    service = ADKSessionService(sessions)
    session = await service.create_session(**ANN, session_id="s")
    await service.append_event(session, said("one"))
    await sessions.fork("session/app/ann/s", new_id="session/app/bob/f")

    fork = await service.get_session(app_name="app", user_id="bob", session_id="f")
    assert fork is not None
    assert (fork.user_id, fork.id, len(fork.events)) == ("bob", "f", 1)
    await service.append_event(fork, said("two", **{"user:a": 1}))
    found = await service.get_session(**ANN, session_id="s")
    assert found is not None
    assert (len(found.events), found.state) == (1, {})
    assert await service.get_user_state(app_name="app", user_id="bob") == {"a": 1}
