"""StrandsSessionRepository: the rules of Strands' repositories, on every store, and what theirs do not do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from strands.session.repository_session_manager import RepositorySessionManager
from strands.types.exceptions import SessionException
from strands.types.session import Session, SessionAgent, SessionMessage, SessionType

from a2a_session_manager import (
    CorruptSession,
    InMemorySessionStore,
    InvalidEvent,
    InvalidSessionOperation,
    SessionEvent,
    SessionManager,
    SessionNotFound,
)
from a2a_session_manager.integrations.strands import StrandsSessionRepository
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.sync import LoopThread
from a2a_session_manager.testing.contract.lossy import LossyBackend
from tests.integrations.strands.opening import Opened, opened

__all__ = ["opened"]  # a fixture

ROOT = Path(__file__).parents[3]
NASTY = ["a/b", "a:b", "a%2Fb", "..", "Kelvin \u212a", "x" * 200]


def agent(id: str = "planner", **state: Any) -> SessionAgent:
    return SessionAgent(agent_id=id, state=state, conversation_manager_state={"removed_message_count": 0})


def message(number: int, text: str = "", role: str = "user", **more: Any) -> SessionMessage:
    content: Any = {"role": role, "content": [{"text": text or str(number)}], **more}
    return SessionMessage.from_message(content, number)


def with_agent(repository: StrandsSessionRepository, session_id: str = "trip") -> StrandsSessionRepository:
    repository.create_session(Session(session_id=session_id, session_type=SessionType.AGENT))
    repository.create_agent(session_id, agent())
    return repository


def texts(messages: list[SessionMessage]) -> list[Any]:
    return [each.to_message()["content"][0]["text"] for each in messages]


class TestSessionsAndAgents:
    def test_they_come_back_equal_through_a_cold_store(self, opened: Opened) -> None:
        session, planner = Session(session_id="trip", session_type=SessionType.AGENT), agent(key=[1, None], raw=b"\xff")
        with opened(StrandsSessionRepository) as repository:
            assert repository.read_session("trip") is None
            assert repository.create_session(session) is session
            assert repository.read_agent("trip", "planner") is None
            repository.create_agent("trip", planner)

        with opened(StrandsSessionRepository) as repository:
            assert repository.read_session("trip") == session
            assert repository.read_agent("trip", "planner") == planner

    def test_a_session_that_is_there_is_refused(self, opened: Opened) -> None:
        with opened(StrandsSessionRepository) as repository:
            with_agent(repository)
            with pytest.raises(SessionException, match="Session trip already exists"):
                repository.create_session(Session(session_id="trip", session_type=SessionType.AGENT))

            assert repository.read_agent("trip", "planner") is not None

    def test_an_update_keeps_the_time_of_creation(self, opened: Opened) -> None:
        with opened(StrandsSessionRepository) as repository:
            with_agent(repository)
            created = repository.read_agent("trip", "planner")
            repository.update_agent("trip", agent(seen=True))
            updated = repository.read_agent("trip", "planner")

        assert created is not None
        assert updated is not None
        assert updated.created_at == created.created_at
        assert updated.state == {"seen": True}

    def test_what_is_not_there_is_an_error_before_its_payload_is_looked_at(self, opened: Opened) -> None:
        unfit: Any = object()
        with opened(StrandsSessionRepository) as repository:
            repository.create_session(Session(session_id="trip", session_type=SessionType.AGENT))
            for call in (
                lambda: repository.update_agent("trip", agent("nobody", bad=unfit)),
                lambda: repository.create_agent("nope", agent(bad=unfit)),
                lambda: repository.update_message("trip", "nobody", message(0, bad=unfit)),
                lambda: repository.list_messages("trip", "nobody"),
                lambda: repository.create_message("trip", "nobody", message(0)),
                lambda: repository.delete_session("nope"),
            ):
                with pytest.raises(SessionException) as missing:
                    call()
                assert isinstance(missing.value.__cause__, SessionNotFound)

    def test_a_deleted_session_takes_its_agents_along(self, opened: Opened) -> None:
        with opened(StrandsSessionRepository) as repository:
            with_agent(repository)
            repository.delete_session("trip")

            assert repository.read_session("trip") is None
            assert repository.read_agent("trip", "planner") is None

    @pytest.mark.parametrize("name", NASTY)
    def test_ids_of_any_kind_stay_apart(self, name: str, opened: Opened) -> None:
        with opened(StrandsSessionRepository) as repository:
            with_agent(repository, name)
            repository.create_agent(name, agent(name))
            repository.create_message(name, name, message(0, "of it"))

            assert texts(repository.list_messages(name, name)) == ["of it"]
            assert repository.list_messages(name, "planner") == []

    @pytest.mark.parametrize("name", ["", "x" * 600])
    def test_an_id_that_cannot_be_stored_is_refused_with_the_cause(self, name: str) -> None:
        with StrandsSessionRepository.from_url("memory:") as repository, pytest.raises(SessionException) as refused:
            repository.create_session(Session(session_id=name, session_type=SessionType.AGENT))

        assert isinstance(refused.value.__cause__, InvalidSessionOperation)

    def test_the_state_of_a_graph_comes_back(self, opened: Opened) -> None:
        class Graph:
            id = "graph/1"
            done = 0

            def serialize_state(self) -> dict[str, Any]:
                return {"done": self.done}

        graph: Any = Graph()
        with opened(StrandsSessionRepository) as repository:
            with_agent(repository)
            with pytest.raises(SessionException, match="does not exist"):
                repository.update_multi_agent("trip", graph)
            repository.create_multi_agent("trip", graph)
            graph.done = 1
            repository.update_multi_agent("trip", graph)

            assert repository.read_multi_agent("trip", "graph/1") == {"done": 1}
            assert repository.read_multi_agent("trip", "other") is None
            assert repository.read_multi_agent("nope", "graph/1") is None


class TestMessages:
    def test_they_come_back_in_order_and_by_number_with_bytes(self, opened: Opened) -> None:
        with opened(StrandsSessionRepository) as repository:
            with_agent(repository)
            for number in range(4):
                repository.create_message("trip", "planner", message(number, extra={"raw": b"\x00\xff"}))

        with opened(StrandsSessionRepository) as repository:
            assert texts(repository.list_messages("trip", "planner")) == ["0", "1", "2", "3"]
            assert texts(repository.list_messages("trip", "planner", limit=2, offset=1)) == ["1", "2"]
            assert repository.list_messages("trip", "planner", limit=0) == []
            assert repository.list_messages("trip", "planner", offset=9) == []
            third: Any = repository.read_message("trip", "planner", 2)
            assert third.message["extra"] == {"raw": b"\x00\xff"}
            assert repository.read_message("trip", "planner", 7) is None
            assert repository.read_message("trip", "nobody", 0) is None

    def test_a_redaction_takes_the_place_of_what_was_said(self, opened: Opened) -> None:
        with opened(StrandsSessionRepository) as repository:
            with_agent(repository)
            for number in range(3):
                repository.create_message("trip", "planner", message(number))
            created: Any = repository.read_message("trip", "planner", 1)
            redacted = message(1)
            redacted.redact_message = {"role": "user", "content": [{"text": "[redacted]"}]}
            repository.update_message("trip", "planner", redacted)

            assert texts(repository.list_messages("trip", "planner")) == ["0", "[redacted]", "2"]
            read: Any = repository.read_message("trip", "planner", 1)
            assert read.created_at == created.created_at
            with pytest.raises(SessionException, match="Message 9 does not exist"):
                repository.update_message("trip", "planner", message(9))

    def test_two_workers_that_number_alike_lose_no_message_and_each_redacts_its_own(self, opened: Opened) -> None:
        with opened(StrandsSessionRepository) as one, opened(StrandsSessionRepository) as two:
            with_agent(one)
            for number in range(5):
                one.create_message("trip", "planner", message(number, f"one {number}"))
                two.create_message("trip", "planner", message(number, f"two {number}"))
            redacted = message(3, "one 3")
            redacted.redact_message = {"role": "user", "content": [{"text": "gone"}]}
            one.update_message("trip", "planner", redacted)
            said = texts(two.list_messages("trip", "planner"))

        assert len(said) == 10
        assert said[6:8] == ["gone", "two 3"]

    def test_the_usage_of_answers_is_in_our_totals_once(self, opened: Opened) -> None:
        usage = {"inputTokens": 90, "outputTokens": 12, "totalTokens": 102}
        with opened(StrandsSessionRepository, model="gpt-4o-mini") as repository:
            with_agent(repository)
            repository.create_message("trip", "planner", message(0))
            answer = message(1, "Hi", "assistant", metadata={"usage": usage})
            repository.create_message("trip", "planner", answer)
            repository.update_message("trip", "planner", answer)
            totals = repository._loop.run(repository._sessions.usage("session/trip", tree=True))

        assert totals.total_tokens == 102
        assert totals.total_estimated_cost_usd > 0

    def test_a_message_that_is_no_json_is_refused_and_none_is_stored(self) -> None:
        with StrandsSessionRepository.from_url("memory:") as repository:
            with_agent(repository)
            for bad in (object(), float("nan")):
                with pytest.raises(SessionException) as refused:
                    repository.create_message("trip", "planner", message(0, bad=bad))
                assert isinstance(refused.value.__cause__, InvalidEvent)

            assert repository.list_messages("trip", "planner") == []

    def test_a_record_of_another_release_is_an_error_and_no_absence(self) -> None:
        sessions = SessionManager(InMemorySessionStore())
        with StrandsSessionRepository(sessions) as repository:
            with_agent(repository)
            bad = SessionEvent(message={"message_id": 0}, type="strands_message")
            repository._loop.run(sessions.append("session/trip/planner", bad))
            with pytest.raises(SessionException) as unread:
                repository.list_messages("trip", "planner")
            assert isinstance(unread.value.__cause__, CorruptSession)
            repository._loop.run(sessions.set_properties("session/trip", strands_format=2))
            with pytest.raises(SessionException, match="format 2"):
                repository.read_session("trip")

    def test_a_lost_reply_doubles_nothing(self) -> None:
        backend = LossyBackend(InMemorySessionStore()._open_backend)
        with StrandsSessionRepository(SessionManager(BaseSessionStore(backend))) as repository:
            backend.replies_to_lose = 1
            repository.create_session(Session(session_id="trip", session_type=SessionType.AGENT))
            backend.replies_to_lose = 1
            repository.create_agent("trip", agent())
            for number in range(3):
                backend.replies_to_lose = 1
                repository.create_message("trip", "planner", message(number))

            assert texts(repository.list_messages("trip", "planner")) == ["0", "1", "2"]


def test_repositories_over_one_store_in_memory_share_a_loop() -> None:
    sessions = SessionManager(InMemorySessionStore())
    with LoopThread() as loop:
        one, two = (StrandsSessionRepository(sessions, loop=loop) for _ in range(2))
        with_agent(one)
        one.close()

        assert two.read_session("trip") is not None


TURNS = """
import os, signal, sys
from strands.types.session import Session, SessionAgent, SessionMessage, SessionType
from strands.session.repository_session_manager import RepositorySessionManager
from a2a_session_manager.integrations.strands import StrandsSessionRepository

repository = StrandsSessionRepository.from_url(sys.argv[1])
manager = RepositorySessionManager("trip", repository)
if repository.read_agent("trip", "planner") is None:
    repository.create_agent("trip", SessionAgent("planner", {}, {}))
start = len(repository.list_messages("trip", "planner"))
for number in range(start, start + 5):
    content = {"role": "user", "content": [{"text": str(number)}]}
    repository.create_message("trip", "planner", SessionMessage.from_message(content, number))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_conversation_goes_on_in_a_second_process_after_the_first_was_killed(tmp_path: Path) -> None:
    url = f"file:{tmp_path / 's'}"
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", TURNS, url], cwd=ROOT, check=False).returncode == -9

    with StrandsSessionRepository.from_url(url) as repository:
        assert RepositorySessionManager("trip", repository).session_id == "trip"
        assert texts(repository.list_messages("trip", "planner")) == [str(number) for number in range(10)]
