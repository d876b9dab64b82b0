"""What cannot be stored or read through the Strands bridge: Strands' exceptions, ours inside, nothing half-written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from strands.types.exceptions import SessionException, StorageError
from strands.types.session import Session, SessionAgent, SessionMessage, SessionType

from a2a_session_manager import (
    CorruptSession,
    InMemorySessionStore,
    InvalidSessionOperation,
    SessionChange,
    SessionEvent,
    SessionManager,
)
from a2a_session_manager.integrations.strands import StrandsSessionRepository, StrandsStorage
from tests.integrations.bridging import BAD_IDS, ODD_IDS

Verb = Callable[[], Coroutine[Any, Any, Any]]


def message(number: int, text: str) -> SessionMessage:
    content: Any = {"role": "user", "content": [{"text": text}]}
    return SessionMessage.from_message(content, number)


def opened() -> StrandsSessionRepository:
    """A repository with a session, an agent and a message."""
    repository = StrandsSessionRepository(SessionManager(InMemorySessionStore()))
    repository.create_session(Session(session_id="trip", session_type=SessionType.AGENT))
    repository.create_agent("trip", SessionAgent("planner", {}, {}))
    repository.create_message("trip", "planner", message(0, "zero"))
    return repository


def stored(repository: StrandsSessionRepository) -> list[str]:
    return repository._loop.run(repository._sessions.list_sessions())


@pytest.mark.parametrize("bad", [*BAD_IDS, None])
def test_an_id_that_cannot_be_stored_is_refused_wherever_it_is_given(bad: Any) -> None:
    with opened() as repository:
        for call in (
            lambda: repository.create_session(Session(session_id=bad, session_type=SessionType.AGENT)),
            lambda: repository.read_session(bad),
            lambda: repository.delete_session(bad),
            lambda: repository.create_agent("trip", SessionAgent(bad, {}, {})),
            lambda: repository.read_agent(bad, "planner"),
            lambda: repository.create_message("trip", bad, message(1, "one")),
            lambda: repository.list_messages("trip", bad),
        ):
            with pytest.raises(SessionException) as refused:
                call()
            assert isinstance(refused.value.__cause__, InvalidSessionOperation)

        assert stored(repository) == ["session/trip", "session/trip/planner"]


@pytest.mark.parametrize("odd", ODD_IDS)
def test_odd_ids_stay_apart_and_come_back(odd: str) -> None:
    with opened() as repository:
        for session_id, agent_id in ((odd, "planner"), (odd, odd), (f"{odd}/planner", "x")):
            if repository.read_session(session_id) is None:
                repository.create_session(Session(session_id=session_id, session_type=SessionType.AGENT))
            repository.create_agent(session_id, SessionAgent(agent_id, {}, {}))
            repository.create_message(session_id, agent_id, message(0, f"{session_id} {agent_id}"))

        for session_id, agent_id in ((odd, "planner"), (odd, odd), (f"{odd}/planner", "x")):
            [said] = repository.list_messages(session_id, agent_id)
            assert said.to_message()["content"][0].get("text") == f"{session_id} {agent_id}"


@pytest.mark.parametrize("odd", ["a:b", "a%2Fb", "a/b", "../..", " "])
def test_odd_keys_of_a_storage_stay_apart_and_come_back(odd: str) -> None:
    async def turn(storage: StrandsStorage) -> None:
        await storage.write(odd, b"odd")
        await storage.write(f"{odd}/", b"other")
        assert (await storage.read(odd), await storage.read(f"{odd}/")) == (b"odd", b"other")
        assert await storage.list("") == [odd, f"{odd}/"]

    with StrandsStorage(SessionManager(InMemorySessionStore())) as storage:
        asyncio.run(turn(storage))


@pytest.mark.parametrize("bad", [*BAD_IDS, None])
def test_a_storage_refuses_a_key_that_cannot_be_stored_in_each_verb(bad: Any) -> None:
    with StrandsStorage(SessionManager(InMemorySessionStore())) as storage:
        verbs: list[Verb] = [lambda: storage.write(bad, b"x"), lambda: storage.read(bad), lambda: storage.delete(bad)]
        for verb in verbs:
            with pytest.raises(StorageError) as refused:
                asyncio.run(verb())
            assert isinstance(refused.value.__cause__, InvalidSessionOperation)

        assert asyncio.run(storage.list("")) == []


def test_a_message_that_strands_cannot_read_any_more_is_named_and_all_else_stays_readable() -> None:
    with opened() as repository:
        repository.create_agent("trip", SessionAgent("other", {}, {}))
        repository.create_message("trip", "other", message(0, "other"))
        for bad in ({"message": {"role": "user"}, "created_at": "then"}, "no object", {"message_id": 3}):
            event = SessionEvent(message=bad, type="strands_message")
            repository._loop.run(repository._sessions.append("session/trip/planner", event))
            before = repository._loop.run(repository._sessions.events("session/trip/planner"))
            for offset in (0, 1):
                with pytest.raises(SessionException, match="strands-agents does not read") as unread:
                    repository.list_messages("trip", "planner", offset=offset)
                assert isinstance(unread.value.__cause__, CorruptSession)
            assert repository._loop.run(repository._sessions.events("session/trip/planner")) == before

        assert len(repository.list_messages("trip", "planner", limit=1)) == 1
        assert len(repository.list_messages("trip", "other")) == 1


def test_an_agent_that_strands_cannot_read_any_more_is_named() -> None:
    change = SessionChange(unset_state=["agent:agent_id"])
    with opened() as repository:
        repository._loop.run(repository._sessions.commit("session/trip/planner", change))
        with pytest.raises(SessionException, match="strands-agents does not read") as unread:
            repository.read_agent("trip", "planner")

        assert isinstance(unread.value.__cause__, CorruptSession)


def test_a_record_of_a_newer_format_is_refused_by_each_verb_that_reads_it() -> None:
    with opened() as repository:
        repository._loop.run(repository._sessions.set_properties("session/trip/planner", strands_format=2))
        repository._loop.run(repository._sessions.set_properties("session/trip", strands_format=2))
        for call in (
            lambda: repository.read_session("trip"),
            lambda: repository.delete_session("trip"),
            lambda: repository.create_agent("trip", SessionAgent("new", {}, {})),
            lambda: repository.read_agent("trip", "planner"),
            lambda: repository.update_agent("trip", SessionAgent("planner", {"x": 1}, {})),
            lambda: repository.list_messages("trip", "planner"),
            lambda: repository.read_message("trip", "planner", 0),
            lambda: repository.update_message("trip", "planner", message(0, "gone")),
            lambda: repository.read_multi_agent("trip", "graph"),
        ):
            with pytest.raises(SessionException, match="format 2") as refused:
                call()
            assert isinstance(refused.value.__cause__, CorruptSession)

        assert stored(repository) == ["session/trip", "session/trip/planner"]


def test_a_snapshot_of_a_newer_format_is_refused_and_not_written_over() -> None:
    sessions = SessionManager(InMemorySessionStore())
    with StrandsStorage(sessions) as storage:
        asyncio.run(storage.write("k", b"x"))
        storage._loop.run(sessions.set_properties("storage/k", strands_format=2))
        cold = StrandsStorage(sessions, loop=storage._loop)
        verbs: list[Verb] = [lambda: cold.read("k"), lambda: cold.write("k", b"y")]
        for verb in verbs:
            with pytest.raises(StorageError, match="format 2") as refused:
                asyncio.run(verb())
            assert isinstance(refused.value.__cause__, CorruptSession)

        assert len(storage._loop.run(sessions.events("storage/k"))) == 1


def test_events_of_others_in_a_session_are_no_messages() -> None:
    with opened() as repository:
        notes = [SessionEvent(message=said, type="note") for said in ("a note of an operator", {"message_id": 1})]
        for number in range(1, 6):
            for note in notes:
                repository._loop.run(repository._sessions.append("session/trip/planner", note.model_copy()))
            repository.create_message("trip", "planner", message(number, str(number)))

        def read(**which: Any) -> list[int]:
            return [each.message_id for each in repository.list_messages("trip", "planner", **which)]

        assert read() == [0, 1, 2, 3, 4, 5]
        assert read(offset=2) == [2, 3, 4, 5]
        assert read(limit=2) == [0, 1]
        assert read(offset=3, limit=2) == [3, 4]
        assert read(offset=9) == []
        repository.update_message("trip", "planner", message(4, "redacted"))
        found = repository.read_message("trip", "planner", 4)
        assert found is not None
        assert found.to_message()["content"][0].get("text") == "redacted"


def test_a_fork_of_an_agent_is_an_agent_of_its_own_name() -> None:
    with opened() as repository:
        repository._loop.run(repository._sessions.fork("session/trip/planner", new_id="session/trip/other"))

        found = repository.read_agent("trip", "other")
        assert found is not None
        assert found.agent_id == "other"
        repository.create_message("trip", "other", message(1, "one"))
        assert len(repository.list_messages("trip", "other")) == 2
        assert len(repository.list_messages("trip", "planner")) == 1
