"""Whatever a verb accepts, every later verb reads: on every store, over HTTP and as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr

from a2a_session_manager import (
    CorruptSession,
    Retraction,
    Session,
    SessionChange,
    SessionEvent,
    SessionManager,
    SessionManagerError,
    SessionRun,
    StoreUnavailable,
    TokenUsage,
)
from a2a_session_manager.integrations.fastapi import event_frame
from a2a_session_manager.models.session_metadata import SessionMetadata
from a2a_session_manager.storage import BaseSessionStore
from tests.integrations.fastapi.app import app
from tests.integrations.fastapi.conftest import client_of
from tests.stores import OpenStore, open_store

__all__ = ["open_store"]


class Model(BaseModel):
    value: Any = None
    city: str = Field(default="Oslo", alias="City")
    note: str = Field(default="", exclude=True)
    token: SecretStr | None = None


texts = st.text(st.characters(exclude_categories=[]), max_size=8) | st.sampled_from(
    ["\ud83d", "\ud83d\ude00", "x" * 600]
)
numbers = st.sampled_from(
    [
        0,
        1,
        -1,
        True,
        1.0,
        1.5,
        2**53,
        2**63,
        10**12,
        10**12 + 1,
        10**400,
        10**4_100,
        float("nan"),
        float("inf"),
        "1",
        None,
    ]
)
times = st.sampled_from(
    [
        datetime(2023, 5, 1),
        datetime(2023, 5, 1, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=12))),
        datetime(1890, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=53, seconds=28))),
        0,
        None,
    ]
)
leaves = texts | numbers | times | st.sampled_from([b"\xff", Decimal("1e5000"), {1}, iter([1]), object()])
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(texts, inner, max_size=3)
        | st.builds(lambda value: Model.model_construct(value=value, city="Rome"), inner)
        | st.builds(lambda value: Model(value=value, City="Rome"), inner)
    ),
    max_leaves=6,
)
by_key = st.dictionaries(texts, values, max_size=2)


def _fields(**known: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return some of the fields, most of them often left out: one bad one is enough to be refused."""
    return st.fixed_dictionaries({}, optional=known)


usages = _fields(
    prompt_tokens=numbers, completion_tokens=numbers, requests=numbers, cost_pico_usd=numbers, model=texts,
    estimated_cost_usd=st.sampled_from(["0.1", "1e5000", "1e999999999", Decimal("NaN"), -1, 10**12]),
    details=by_key,
)  # fmt: skip
events = _fields(
    id=texts, message=values, source=st.sampled_from(["user", "llm", "nobody", 5]), type=texts, timestamp=times,
    task_id=texts, metadata=by_key, token_usage=usages,
)  # fmt: skip
runs = _fields(id=texts, agent=texts, error=texts, started_at=times, metadata=by_key)

Make = Callable[[], SessionChange]


def _made(kind: Callable[..., Any], fields: dict[str, Any], *, is_copied: bool) -> Any:
    """Make a model of fields, or change one past its checks."""
    return kind().model_copy(update=fields) if is_copied else kind(**fields)


def _event(fields: dict[str, Any], is_copied: bool) -> Any:
    if "token_usage" in fields:
        fields = {**fields, "token_usage": _made(TokenUsage, fields["token_usage"], is_copied=is_copied)}
    return _made(SessionEvent, fields, is_copied=is_copied)


changes: st.SearchStrategy[Make] = st.one_of(
    st.builds(lambda fields, copied: lambda: SessionChange(events=[_event(fields, copied)]), events, st.booleans()),
    st.builds(
        lambda fields, copied: lambda: SessionChange(runs=[_made(SessionRun, fields, is_copied=copied)]),
        runs,
        st.booleans(),
    ),
    st.builds(
        lambda kept, gone: lambda: SessionChange(set_state=kept, unset_state=gone), by_key, st.lists(texts, max_size=1)
    ),
    st.builds(lambda kept: lambda: SessionChange(set_properties=kept), by_key),
    st.builds(lambda last: lambda: SessionChange(retraction=Retraction(last=last)), numbers),
    st.builds(lambda after: lambda: SessionChange(retraction=Retraction(after=after)), numbers),
)


async def _accepted(work: Callable[[], Any]) -> bool:
    try:
        await work()
    except (CorruptSession, StoreUnavailable):
        raise
    except SessionManagerError:
        return False
    return True


async def _read_everything(store: BaseSessionStore, session_id: str) -> Session[Any]:
    session = await store.get(session_id)
    assert session is not None
    everything = await store.events(session_id, include_retracted=True)
    assert len(everything) == session.last_seq
    assert (await store.get(session_id, last=2) or session).events == session.events[-2:]
    assert await store.runs(session_id) == session.runs
    assert await store.usage(session_id) == session.token_summary
    await store.events(session_id, message_type=Model)
    stream = store.follow(session_id)
    for _ in everything:
        await event_frame(await anext(stream))
    await stream.aclose()
    sessions = SessionManager(store)
    async with sessions.open(session_id) as chat:
        await chat.messages()
    async with client_of(app, sessions) as client:
        for path in (f"/sessions/{session_id}", f"/events/{session_id}", f"/usage/{session_id}?tree=true"):
            reply = await client.get(path)
            assert reply.status_code == 200, reply.text
            reply.json()
    return session


@given(steps=st.lists(changes, min_size=1, max_size=4), made=st.tuples(times, times), guard=numbers)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_accepted_every_later_verb_reads(
    open_store: OpenStore, steps: list[Make], made: tuple[Any, Any], guard: Any
) -> None:
    async def work() -> None:
        session_id = uuid4().hex
        async with open_store() as store:
            handle = await store.create(session_id)
            for make in steps:

                async def commit(make: Make = make) -> None:
                    await store.commit(handle, make())

                await _accepted(commit)
            await _accepted(lambda: store.append(handle, SessionEvent(message=1), expected_revision=guard))

            async def imported() -> None:
                times = SessionMetadata(created_at=made[0], updated_at=made[1])
                await store.save(Session(id=f"{session_id}/imported", metadata=times))
                await store.append(f"{session_id}/imported", SessionEvent(message=1))

            is_imported = await _accepted(imported)
        async with open_store() as cold:
            again = await _read_everything(cold, session_id)
            assert again.metadata == handle.metadata
            assert [event.timestamp for event in again.events] == [event.timestamp for event in handle.events]
            assert (again.revision, again.state) == (handle.revision, handle.state)
            if is_imported:
                await _read_everything(cold, f"{session_id}/imported")
            again.state["later"] = 1
            await cold.save(again)
            await cold.retract(again, last=1)
            await cold.delete(again)

    asyncio.run(work())


@pytest.mark.parametrize("page", ["sessions", "events"])
async def test_a_lone_surrogate_as_a_key_is_shown_over_http(page: str) -> None:
    async with SessionManager.from_url("memory:") as sessions, sessions.open("talk") as chat:
        torn = {"role": "user", "content": "x", "\ud83d": {"\ude00": 1}}
        await chat.append(torn)
        await chat.set_state({"\ud83d": 1})
        async with client_of(app, sessions) as client:
            reply = await client.get(f"/{page}/talk")

        assert reply.status_code == 200
        assert reply.json()["events"][0]["message"] == torn
        assert b"\\ud83d" in await event_frame((await chat.events())[0])
