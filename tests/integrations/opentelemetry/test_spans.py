"""Calls and runs as spans, on every store: what they are called, whose children they are, and how they end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from a2a_session_manager import SessionManager
from a2a_session_manager.concurrency.cancellation import QueuedWrite
from a2a_session_manager.exceptions import InvalidSessionOperation, SessionConflict, SessionNotFound
from a2a_session_manager.integrations.opentelemetry import instrument
from a2a_session_manager.integrations.opentelemetry.observed_backend import ObservedBackend
from a2a_session_manager.storage import BaseSessionStore, InMemorySessionStore
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.commit_records import EncodedCommit, Receipt
from a2a_session_manager.storage.fork_rules import ForkDraft
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.testing.contract.making import said
from tests.integrations.opentelemetry.recorded import USAGE, Recorded, children, recorded
from tests.stores import OpenStore, open_store

__all__ = ["open_store", "recorded"]


async def test_a_call_has_the_attributes_of_a_database_call(open_store: OpenStore, recorded: Recorded) -> None:
    async with open_store() as store:
        system = type(store).__name__.removesuffix("SessionStore").removeprefix("In").lower()
        recorded.instrument(store)
        await store.create("talk")
        await store.append("talk", said(), said())
        await store.read_messages("talk")
        await store.get_many(["talk", "other"])
        await store.list_sessions()
        await store.delete("talk")

    names = [span.name for span in recorded.spans]
    assert names == [f"{each} sessions" for each in ("create", "commit", "read_tail", "load", "list_page")] + names[5:]
    assert names[-1] == "delete sessions"
    for span in recorded.spans:
        assert span.kind is (SpanKind.CLIENT if system == "redis" else SpanKind.INTERNAL)
        assert span.attributes["db.system.name"] == system
        assert span.attributes["db.collection.name"] == "sessions"
        assert span.name == f"{span.attributes['db.operation.name']} sessions"
    commit, read, many = recorded.spans[1:4]
    assert commit.attributes["a2a_session_manager.commit.events"] == 2
    assert commit.attributes["a2a_session_manager.commit.revision"] == 2
    assert commit.attributes["a2a_session_manager.commit.is_repeat"] is False
    assert commit.attributes["a2a_session_manager.commit.bytes"] > 100
    assert read.attributes["db.response.returned_rows"] == 2
    assert many.attributes["db.operation.batch.size"] == 2
    assert "gen_ai.conversation.id" not in many.attributes


async def test_a_call_that_fails_tells_the_type_of_its_error_and_not_its_text(
    open_store: OpenStore, recorded: Recorded
) -> None:
    async with open_store() as store:
        recorded.instrument(store)
        session = await store.create("talk")
        await store.append("talk", said())
        recorded.forget()
        with pytest.raises(SessionConflict):
            await store.append(session, said(), expected_revision=1)

    span = recorded.named("commit sessions")[0]
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description is None
    assert span.events == ()
    assert span.attributes["error.type"] == "SessionConflict"


async def test_a_known_event_is_no_error(open_store: OpenStore, recorded: Recorded) -> None:
    event = said()
    async with open_store() as store:
        recorded.instrument(store)
        await store.create("talk")
        await store.append("talk", event)
        recorded.forget()
        await store.append("talk", event)

    span = recorded.named("commit sessions")[0]
    assert span.status.status_code is StatusCode.UNSET
    assert span.attributes["a2a_session_manager.commit.is_repeat"] is True


async def test_nothing_that_was_said_becomes_telemetry(open_store: OpenStore, recorded: Recorded) -> None:
    async with open_store() as store:
        sessions = SessionManager(recorded.instrument(store))
        async with sessions.open("talk", properties={"owner": "secret-1"}) as chat:
            await chat.user("secret-2", metadata={"note": "secret-3"})
            await chat.set_state(topic="secret-4")
            with pytest.raises(ValueError, match="secret-5"):
                async with chat.run(metadata={"goal": "secret-6"}):
                    raise ValueError("secret-5")
            await chat.messages()

    told = "".join(span.to_json() for span in recorded.spans)
    assert len(recorded.spans) > 5
    assert "secret" not in told


async def test_without_ids_no_id_becomes_telemetry(open_store: OpenStore, recorded: Recorded) -> None:
    async with open_store() as store:
        tenant = SessionManager(recorded.instrument(store, ids=False)).namespace("id-tenant")
        async with tenant.open("id-talk") as chat:
            async with chat.run(agent="planner", id="id-run") as run:
                await run.user("Hello")
            await chat.messages()

    told = "".join(span.to_json() for span in recorded.spans)
    assert len(recorded.spans) > 3
    assert "id-" not in told
    assert "planner" in told


async def test_a_namespace_is_told_with_its_sessions(open_store: OpenStore, recorded: Recorded) -> None:
    async with open_store() as store:
        recorded.instrument(store)
        await store.namespace("acme").create("talk")

    assert recorded.spans[0].attributes["a2a_session_manager.namespace"] == "acme"


async def test_a_parent_of_the_callers_is_the_parent_of_calls(open_store: OpenStore, recorded: Recorded) -> None:
    async with open_store() as store:
        recorded.instrument(store)
        with recorded.tracer_provider.get_tracer("app").start_as_current_span("request"):
            await store.create("talk")

    [request] = recorded.named("request")
    assert [span.name for span in children(recorded.spans, request)] == ["create sessions"]


async def test_a_caller_that_is_cancelled_ends_its_span(open_store: OpenStore, recorded: Recorded) -> None:
    async with open_store() as store:
        recorded.instrument(store)
        await store.create("talk")
        tasks = [asyncio.create_task(store.append("talk", said())) for _ in range(3)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        spans = recorded.named("commit sessions")
        assert len(spans) == 3
        cancelled = sum(isinstance(each, asyncio.CancelledError) for each in ended)
        assert [span.attributes.get("error.type") for span in spans].count("CancelledError") == cancelled

    assert cancelled == (0 if isinstance(store, InMemorySessionStore) else 3)


async def test_what_a_backend_of_ones_own_traces_is_below_its_call(recorded: Recorded) -> None:
    tracer = recorded.tracer_provider.get_tracer("app")

    class DiskBackend(MemoryBackend):
        async def commit(self, key: SessionKey, commit: EncodedCommit) -> Receipt:
            with tracer.start_as_current_span("disk"):
                await asyncio.sleep(0)
                return await super().commit(key, commit)

    store = recorded.instrument(BaseSessionStore(DiskBackend()))
    await store.create("talk")
    await store.append("talk", said(token_usage=USAGE))
    with pytest.raises(SessionNotFound):
        await store.append("nobody", said())

    done, failed = recorded.named("commit sessions")
    assert done.attributes["db.system.name"] == "disk"
    assert [span.name for span in children(recorded.spans, done)] == ["disk"]
    assert failed.attributes["error.type"] == "SessionNotFound"
    assert recorded.tokens() == {"input": 90, "output": 12}


class _Late(MemoryBackend):
    """Answers a commit when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.queued: asyncio.Queue[QueuedWrite[Receipt]] = asyncio.Queue()

    def commit(self, key: SessionKey, commit: EncodedCommit) -> QueuedWrite[Receipt]:
        write: QueuedWrite[Receipt] = QueuedWrite(asyncio.get_running_loop())
        self.queued.put_nowait(write)
        return write


async def test_what_a_cancelled_caller_has_begun_is_counted_when_it_is_written(recorded: Recorded) -> None:
    backend = _Late()
    store = recorded.instrument(BaseSessionStore(backend))
    await store.create("talk")
    task = asyncio.create_task(store.append("talk", said(token_usage=USAGE)))
    write = await backend.queued.get()
    write.has_begun = True
    task.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    [span] = recorded.named("commit sessions")
    assert span.attributes["error.type"] == "CancelledError"
    assert recorded.tokens() == {}

    write.set_outcome(Receipt(2, 1, is_change=True, seqs=[1]))
    with pytest.raises(asyncio.CancelledError):
        await task

    assert recorded.tokens() == {"input": 90, "output": 12}


def test_every_primitive_of_a_backend_is_handed_on() -> None:
    """One that is forgotten would be answered by the base class, which knows nothing of what is below."""
    own = {"heartbeats", "looks", "run_observer"}  # they are put there, and call what is there
    primitives = {name for name in vars(Backend) if not name.startswith("_")} - own

    assert primitives - vars(ObservedBackend).keys() == set()


async def test_a_fork_is_one_call(open_store: OpenStore, recorded: Recorded) -> None:
    async with open_store() as store:
        await store.create("talk")
        await store.append("talk", said())
        recorded.instrument(store)
        recorded.forget()
        await store.fork("talk", new_id="other")

        [made] = recorded.spans
        with pytest.raises(InvalidSessionOperation):
            await store.fork("talk", at=7)
        assert await store.forks("talk") == ["other"]
    assert made.name == "fork_at_once sessions"
    assert made.attributes["gen_ai.conversation.id"] == "other"
    assert made.status.status_code is StatusCode.UNSET


async def test_a_backend_that_forks_in_two_calls_has_spans_of_these(recorded: Recorded) -> None:
    class InTwo(MemoryBackend):
        def fork_at_once(self, source: SessionKey, key: SessionKey, draft: ForkDraft) -> None:
            return None

    store = recorded.instrument(BaseSessionStore(InTwo()))
    await store.create("talk")
    await store.append("talk", said())
    recorded.forget()
    await store.fork("talk", new_id="other")

    assert [span.name for span in recorded.spans] == ["load_until sessions", "create sessions"]


async def test_what_cannot_be_instrumented_is_refused(recorded: Recorded) -> None:
    store = InMemorySessionStore()
    view = store.namespace("acme")
    given: Any = SessionManager(store)
    with pytest.raises(InvalidSessionOperation, match="pass a store"):
        instrument(given)
    with pytest.raises(InvalidSessionOperation, match="with its store"):
        instrument(view)
    recorded.instrument(store)
    with pytest.raises(InvalidSessionOperation, match="already"):
        recorded.instrument(store)

    await store.create("talk")
    assert len(recorded.spans) == 1


async def test_a_store_shows_itself_and_counts_as_before(open_store: OpenStore, recorded: Recorded) -> None:
    async with open_store() as store:
        shown, counted = repr(store), json.dumps(str(store.statistics()))
        recorded.instrument(store)

        assert (repr(store), json.dumps(str(store.statistics()))) == (shown, counted)
    assert "closed" in repr(store) or isinstance(store, InMemorySessionStore)
