"""StrandsSessionRepository under an agent that is cancelled in the middle of a stream, and under two processes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from strands import Agent
from strands.models.model import Model
from strands.session.repository_session_manager import RepositorySessionManager
from strands.types.session import Session, SessionAgent, SessionMessage, SessionType

from a2a_session_manager import BaseSessionStore, InMemorySessionStore, SessionManager
from a2a_session_manager.integrations.strands import StrandsSessionRepository, StrandsStorage
from a2a_session_manager.testing.contract.lossy import LossyBackend
from tests.integrations.bridging import finished
from tests.integrations.strands.opening import Opened, opened
from tests.stores import shared_url

__all__ = ["opened", "shared_url"]


@pytest.fixture(autouse=True)
def no_blocking_calls() -> None:
    """Allow blocking calls on the loop: Strands calls session managers, which are plain code, from its own."""


class ScriptedModel(Model):
    """Answers with what it was asked; one that `stalls` is stopped in the middle of its answer."""

    def __init__(self, *, stalls: bool = False) -> None:
        self.begun = asyncio.Event()
        self._stalls = stalls

    def update_config(self, **model_config: Any) -> None: ...

    def get_config(self) -> dict[str, Any]:
        return {"model_id": "gpt-4o-mini"}

    def structured_output(self, *args: Any, **options: Any) -> AsyncGenerator[Any, None]:
        raise NotImplementedError

    async def stream(self, messages: Any, *args: Any, **options: Any) -> AsyncGenerator[Any, None]:
        yield {"messageStart": {"role": "assistant"}}
        yield {"contentBlockStart": {"start": {}}}
        yield {"contentBlockDelta": {"delta": {"text": "answer to "}}}
        if self._stalls:
            self.begun.set()
            await asyncio.Event().wait()
        yield {"contentBlockDelta": {"delta": {"text": messages[-1]["content"][0]["text"]}}}
        yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "end_turn"}}
        usage = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}
        yield {"metadata": {"usage": usage, "metrics": {"latencyMs": 1}}}


def agent_of(repository: StrandsSessionRepository, model: Model) -> Agent:
    manager = RepositorySessionManager("trip", repository)
    return Agent(model=model, agent_id="planner", session_manager=manager, callback_handler=None)


async def asked(agent: Agent, question: str) -> None:
    async for _ in agent.stream_async(question):
        pass


def texts(repository: StrandsSessionRepository) -> list[Any]:
    return [each.to_message()["content"][0]["text"] for each in repository.list_messages("trip", "planner")]


def test_a_stream_cancelled_in_the_middle_keeps_what_was_whole_and_its_turn_is_made_again(opened: Opened) -> None:
    async def cancelled(repository: StrandsSessionRepository) -> None:
        model = ScriptedModel(stalls=True)
        agent = await asyncio.to_thread(agent_of, repository, model)
        asking = asyncio.create_task(asked(agent, "two"))
        await model.begun.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert asking.cancelled()

    with opened(StrandsSessionRepository) as repository:
        asyncio.run(asked(agent_of(repository, ScriptedModel()), "one"))
        asyncio.run(cancelled(repository))

    with opened(StrandsSessionRepository) as repository:
        assert texts(repository) == ["one", "answer to one", "two"]
        asyncio.run(asked(agent_of(repository, ScriptedModel()), "again"))

    with opened(StrandsSessionRepository) as repository:
        said = texts(repository)
        usage = repository._loop.run(repository._sessions.usage("session/trip", tree=True))
    assert said == ["one", "answer to one", "two", "again", "answer to again"]
    assert usage.total.requests == 2


def test_an_append_that_is_interrupted_is_whole_or_absent_and_the_next_one_goes_on() -> None:
    backend = LossyBackend(InMemorySessionStore()._open_backend)
    with StrandsSessionRepository(SessionManager(BaseSessionStore(backend))) as repository:
        repository.create_session(Session(session_id="trip", session_type=SessionType.AGENT))
        repository.create_agent("trip", SessionAgent("planner", {}, {}))
        content: Any = {"role": "user", "content": [{"text": "one"}]}

        async def cut() -> None:
            backend.hold()
            append = repository._stored.create_message("trip", "planner", SessionMessage.from_message(content, 0))
            appending = asyncio.ensure_future(append)
            await backend.begun.wait()
            appending.cancel()
            await asyncio.sleep(0)
            backend.go.set()
            await asyncio.gather(appending, return_exceptions=True)
            assert appending.cancelled()

        repository._loop.run(cut())
        repository.create_message("trip", "planner", SessionMessage.from_message(content, 1))

        assert texts(repository) == ["one", "one"]


def test_a_cancelled_snapshot_is_whole_or_absent_and_the_next_one_counts() -> None:
    backend = LossyBackend(InMemorySessionStore()._open_backend)

    async def cut(storage: StrandsStorage) -> None:
        await storage.write("k", b"a long text")
        backend.hold()
        begun = threading.Event()

        async def tell() -> None:
            await backend.begun.wait()
            begun.set()

        telling = asyncio.create_task(storage._loop.wait(tell()))
        writing = asyncio.create_task(storage.write("k", b"a long text that grows"))
        await asyncio.to_thread(begun.wait)
        writing.cancel()
        await asyncio.sleep(0)
        storage._loop.run(let_go())
        await asyncio.gather(writing, telling, return_exceptions=True)
        assert writing.cancelled()

    async def let_go() -> None:
        backend.go.set()

    with StrandsStorage(SessionManager(BaseSessionStore(backend))) as storage:
        asyncio.run(cut(storage))
        assert asyncio.run(storage.read("k")) == b"a long text that grows"  # its commit had begun
        asyncio.run(storage.write("k", b"a long text that grows on"))

        assert asyncio.run(storage.read("k")) == b"a long text that grows on"


WRITER = """
import sys
from strands.types.session import Session, SessionAgent, SessionMessage, SessionType
from strands.types.exceptions import SessionException
from a2a_session_manager.integrations.strands import StrandsSessionRepository

url, name, turns = sys.argv[1], sys.argv[2], int(sys.argv[3])
with StrandsSessionRepository.from_url(url, model="gpt-4o-mini") as repository:
    try:
        repository.create_session(Session("trip", SessionType.AGENT))
    except SessionException:
        assert repository.read_session("trip") is not None
    repository.create_agent("trip", SessionAgent("planner", {}, {}))
    for turn in range(turns):
        usage = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}
        said = {"role": "assistant", "content": [{"text": f"{name} {turn}"}], "metadata": {"usage": usage}}
        repository.create_message("trip", "planner", SessionMessage.from_message(said, turn))
"""


async def test_two_processes_on_one_agent_keep_all_and_the_order_of_each(shared_url: str) -> None:
    await asyncio.gather(*(asyncio.to_thread(finished, WRITER, shared_url, name, "10") for name in ("a", "b")))

    async with SessionManager.from_url(shared_url) as sessions:
        usage = await sessions.usage("session/trip", tree=True)
        events = await sessions.events("session/trip/planner")
    said = [event.message["message"]["content"][0]["text"] for event in events]
    for name in ("a", "b"):
        assert [each for each in said if each.startswith(name)] == [f"{name} {turn}" for turn in range(10)]
    assert len(said) == usage.total.requests == 20


@pytest.mark.parametrize("replies", [1, 2])
def test_a_lost_reply_counts_the_usage_once(replies: int) -> None:
    backend = LossyBackend(InMemorySessionStore()._open_backend)
    sessions = SessionManager(BaseSessionStore(backend))
    with StrandsSessionRepository(sessions, model="gpt-4o-mini") as repository:
        repository.create_session(Session(session_id="trip", session_type=SessionType.AGENT))
        repository.create_agent("trip", SessionAgent("planner", {}, {}))
        usage: Any = {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}
        said: Any = {"role": "assistant", "content": [{"text": "hello"}], "metadata": {"usage": usage}}
        backend.replies_to_lose = replies - 1
        repository.create_message("trip", "planner", SessionMessage.from_message(said, 0))

        assert texts(repository) == ["hello"]
        assert repository._loop.run(sessions.usage("session/trip", tree=True)).total.requests == 1
