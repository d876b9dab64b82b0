"""Errors as problem details: the right status, what the client needs, and nothing about the server."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException

from a2a_session_manager import (
    BaseSessionStore,
    BudgetExceeded,
    CorruptSession,
    InMemorySessionStore,
    InvalidEvent,
    InvalidSessionOperation,
    LeaseLost,
    RunBusy,
    SessionAlreadyExists,
    SessionConflict,
    SessionEvent,
    SessionManager,
    SessionManagerError,
    SessionNotFound,
    StoreFull,
    StoreLimits,
    StoreUnavailable,
)
from a2a_session_manager.integrations.fastapi import install_problem_handlers
from tests.integrations.fastapi.app import app
from tests.integrations.fastapi.conftest import client_of


def raising(error: Exception) -> FastAPI:
    raises = FastAPI()
    install_problem_handlers(raises)

    @raises.get("/")
    async def fail() -> None:
        raise error

    return raises


STATUSES = [
    (SessionNotFound("talk"), 404, "session-not-found", "Session not found"),
    (SessionAlreadyExists("talk"), 409, "session-already-exists", "Session already exists"),
    (SessionConflict("talk", expected_revision=2, revision=5), 409, "session-conflict", "Session conflict"),
    (RunBusy("talk", "r", holder="host:1", seconds_left=9.5), 409, "run-busy", "Run busy"),
    (LeaseLost("talk", "r", "was taken over by host:1", holder="host:1"), 409, "lease-lost", "Lease lost"),
    (
        BudgetExceeded(
            "talk",
            budget_id="b",
            budget_session_id="top",
            axis="usd",
            limit=Decimal(1),
            spent=Decimal("0.9"),
            held=Decimal(0),
            estimated=Decimal(0),
            asked=Decimal("0.2"),
        ),
        402,
        "budget-exceeded",
        "Budget exceeded",
    ),
    (InvalidSessionOperation("no"), 422, "invalid-session-operation", "Invalid session operation"),
    (InvalidEvent("no"), 422, "invalid-event", "Invalid event"),
    (InvalidEvent("big", is_too_large=True), 413, "invalid-event", "Invalid event"),
    (InvalidSessionOperation("many", is_too_large=True), 413, "invalid-session-operation", "Invalid session operation"),
    (StoreUnavailable("redis at 10.0.0.7"), 503, "store-unavailable", "Store unavailable"),
    (StoreFull("/var/lib is full"), 507, "store-full", "Store full"),
]


@pytest.mark.parametrize(("error", "status", "kind", "title"), STATUSES)
async def test_an_error_is_a_problem_with_its_status(
    error: SessionManagerError, status: int, kind: str, title: str, sessions: SessionManager
) -> None:
    async with client_of(raising(error), sessions) as client:
        reply = await client.get("/")

    assert (reply.status_code, reply.json()["status"]) == (status, status)
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert (reply.json()["type"], reply.json()["title"]) == (f"urn:a2a-session-manager:{kind}", title)


async def test_a_run_that_is_held_is_a_conflict_that_names_no_host(sessions: SessionManager) -> None:
    async with sessions.open("talk") as chat, chat.run(id="r"):
        with pytest.raises(RunBusy) as caught:
            await chat.run(id="r").__aenter__()
    async with client_of(raising(caught.value), sessions) as client:
        reply = await client.get("/")

    problem = reply.json()
    assert (problem["session_id"], problem["run_id"]) == ("talk", "r")
    assert problem["expires_at"] == caught.value.expires_at.isoformat(timespec="seconds")
    assert 1 <= int(reply.headers["Retry-After"]) <= 30
    assert caught.value.holder
    assert caught.value.holder not in reply.text


async def test_a_budget_without_room_says_how_things_stand(sessions: SessionManager) -> None:
    await sessions.create("talk")
    await sessions.set_budget("talk", usd="0.5", window=timedelta(hours=1))
    async with sessions.open("talk") as chat:
        with pytest.raises(BudgetExceeded) as caught:
            await chat.spend("0.75", id="h").__aenter__()
    async with client_of(raising(caught.value), sessions) as client:
        reply = await client.get("/")

    problem = reply.json()
    assert (problem["session_id"], problem["budget_session_id"], problem["budget_id"]) == ("talk", "talk", "default")
    assert (problem["axis"], problem["limit"], problem["spent"], problem["asked"]) == ("usd", "0.5", "0", "0.75")
    assert 3_500 < int(reply.headers["Retry-After"]) <= 3_600


async def test_a_conflict_names_the_first_hundred_events_that_were_missed(sessions: SessionManager) -> None:
    session = await sessions.create("talk")
    for _ in range(2):
        await sessions.append("talk", *(SessionEvent(message=number) for number in range(75)))
    with pytest.raises(SessionConflict) as caught:
        await sessions.append("talk", SessionEvent(message="late"), expected_revision=session.revision)
    async with client_of(raising(caught.value), sessions) as client:
        problem = (await client.get("/")).json()

    assert problem["session_id"] == "talk"
    assert (problem["expected_revision"], problem["revision"]) == (1, 3)
    assert (problem["first_missed_seq"], problem["last_missed_seq"]) == (1, 150)
    assert problem["missed_seqs"] == list(range(1, 101))


async def test_an_outage_says_when_to_come_again_and_is_told_to_the_log_alone(
    sessions: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    async with client_of(raising(StoreUnavailable("redis at 10.0.0.7 hangs")), sessions) as client:
        reply = await client.get("/")

    assert reply.headers["Retry-After"] == "5"
    assert "10.0.0.7" not in reply.text
    assert "redis at 10.0.0.7 hangs" in caplog.text


async def test_a_full_store_names_no_time(sessions: SessionManager, caplog: pytest.LogCaptureFixture) -> None:
    async with client_of(raising(StoreFull("/var/lib is full")), sessions) as client:
        reply = await client.get("/")

    assert "Retry-After" not in reply.headers
    assert "/var/lib" not in reply.text
    assert "/var/lib is full" in caplog.text


async def test_a_damaged_session_is_left_to_be_a_500(sessions: SessionManager) -> None:
    error = CorruptSession("talk", "damaged")
    async with client_of(raising(error), sessions) as client:
        with pytest.raises(CorruptSession):
            await client.get("/")


async def test_other_errors_are_left_alone(sessions: SessionManager) -> None:
    async with client_of(raising(HTTPException(418, "teapot")), sessions) as client:
        reply = await client.get("/")

    assert (reply.status_code, reply.json()) == (418, {"detail": "teapot"})


BODIES = [b"{", b"[]", b'{"text": NaN}', b'{"text": 1e999}', b'{"text": {"\\ud800": "\\ud800"}}']


@pytest.mark.parametrize("body", BODIES)
async def test_an_invalid_request_is_a_problem_that_does_not_repeat_the_input(
    body: bytes, sessions: SessionManager
) -> None:
    await sessions.namespace("acme").create("talk")
    headers = {"X-Tenant": "acme", "Content-Type": "application/json"}
    async with client_of(app, sessions) as client:
        reply = await client.post("/mine/messages/talk", content=body, headers=headers)

    assert (reply.status_code, reply.json()["title"]) == (422, "Invalid request")
    assert all(set(error) == {"loc", "msg", "type"} for error in reply.json()["errors"])
    assert await sessions.namespace("acme").store.events("talk") == []


@pytest.mark.parametrize(
    ("limits", "events"),
    [
        (StoreLimits(event_bytes=1_000), ["x" * 1_000]),
        (StoreLimits(commit_events=2), ["x"] * 3),
        (StoreLimits(commit_bytes=2_000), ["x" * 800] * 3),
    ],
    ids=["event", "events", "commit"],
)
@pytest.mark.parametrize("is_guarded", [True, False])
async def test_what_is_over_a_limit_of_the_store_says_that_it_is_too_large(
    limits: StoreLimits, events: list[Any], is_guarded: bool
) -> None:
    store: BaseSessionStore = InMemorySessionStore(limits=limits)
    await store.create("talk")
    guard = 1 if is_guarded else None

    with pytest.raises(SessionManagerError) as caught:
        await store.append("talk", *(SessionEvent(message=text) for text in events), expected_revision=guard)

    assert caught.value.is_too_large
    assert await store.events("talk") == []


async def test_a_lone_surrogate_is_kept_and_shown(sessions: SessionManager) -> None:
    await sessions.namespace("acme").create("talk")
    headers = {"X-Tenant": "acme", "Content-Type": "application/json"}
    async with client_of(app, sessions) as client:
        said = await client.post("/mine/messages/talk", content=b'{"text": "half: \\ud83d"}', headers=headers)
        shown = await client.get("/mine/events/talk", headers=headers)

    assert said.status_code == 200
    assert json.loads(shown.text)["events"][0]["message"]["content"] == "half: \ud83d"
