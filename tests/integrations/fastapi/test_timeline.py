"""The timeline over HTTP: off unless asked for, read-only, and its stream for a page that is live."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from a2a_session_manager import SessionManager
from a2a_session_manager.integrations.fastapi import install_problem_handlers, session_router
from tests.integrations.fastapi.app import tenant
from tests.integrations.fastapi.conftest import client_of
from tests.timeline.trees import data_of, marked_tree

app = FastAPI()
install_problem_handlers(app)
app.include_router(session_router(timeline=True))
app.include_router(session_router(tenant, timeline=True), prefix="/mine")


async def asked(sessions: SessionManager, path: str, **headers: str) -> Any:
    async with client_of(app, sessions) as client:
        return await client.get(path, headers=headers)


def test_it_is_off_unless_it_is_asked_for() -> None:
    off, on = session_router().routes, session_router(timeline=True).routes
    more = [route for route in on if isinstance(route, APIRoute)][len(off) :]

    assert [(route.path, route.methods) for route in more] == [("/timeline/{session_id:path}", {"GET"})]


async def test_it_shows_a_tree_under_a_policy_that_no_frame_gets_around(sessions: SessionManager) -> None:
    await marked_tree(sessions)

    reply = await asked(sessions, "/timeline/trip")

    assert [session["id"] for session in data_of(reply.text)["sessions"]] == ["trip", "flights", "by-train"]
    assert data_of(reply.text)["live"] is False
    policy = reply.headers["Content-Security-Policy"]
    assert policy.startswith(re.findall('Policy" content="(.*?)"', reply.text)[0])
    assert "frame-ancestors 'none'" in policy
    assert "connect-src" not in policy
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_live_page_may_ask_the_server_that_sent_it(sessions: SessionManager) -> None:
    await marked_tree(sessions)

    reply = await asked(sessions, "/timeline/trip?live=true")

    assert data_of(reply.text)["live"] is True
    assert "connect-src 'self'" in reply.headers["Content-Security-Policy"]


async def test_a_page_of_another_tree_is_told_to_load_again(sessions: SessionManager) -> None:
    await marked_tree(sessions)

    reply = await asked(sessions, "/timeline/trip?after=1.2&of=other")

    assert reply.headers["Content-Type"].startswith("text/event-stream")
    assert reply.text == "event: stale\ndata: null\n\n"


async def test_a_tenant_sees_its_own_sessions_alone(sessions: SessionManager) -> None:
    await sessions.create("theirs")
    await sessions.namespace("acme").create("ours")

    replies = [await asked(sessions, f"/mine/timeline/{each}", **{"X-Tenant": "acme"}) for each in ("ours", "theirs")]

    assert [reply.status_code for reply in replies] == [200, 404]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/timeline/nowhere", 404),
        ("/timeline/nowhere?after=&of=", 404),
        ("/timeline/trip?after=1.x", 422),
        ("/timeline/trip?after=1..2", 422),
        ("/timeline/trip?after=-1", 422),
        (f"/timeline/trip?after={'9' * 30}", 422),
        ("/timeline/trip?last=-1", 422),
        ("/timeline/trip?last=20001", 422),
    ],
)
async def test_what_cannot_be_meant_is_a_problem(path: str, status: int, sessions: SessionManager) -> None:
    await sessions.create("trip")

    reply = await asked(sessions, path)

    assert reply.status_code == status, reply.text
    assert json.loads(reply.text)
