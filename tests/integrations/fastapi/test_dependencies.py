"""What a path operation is handed: the manager, its session, and a tenant's own ones."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from httpx2 import ASGITransport, AsyncClient

from a2a_session_manager import FileSessionStore, ListPricer, Prices, SessionManager, StoreUnavailable
from a2a_session_manager.integrations.fastapi import (
    Chat,
    IfMatch,
    Sessions,
    etag,
    install_problem_handlers,
    session_lifespan,
)
from tests.integrations.fastapi.app import app
from tests.integrations.fastapi.conftest import client_of


@asynccontextmanager
async def started(made: FastAPI) -> AsyncIterator[dict[str, Any]]:
    async with made.router.lifespan_context(made) as state:
        yield dict(state or {})


def small_app(**options: Any) -> FastAPI:
    made = FastAPI(**options)
    install_problem_handlers(made)

    @made.post("/chats/{session_id}/messages")
    async def say(chat: Chat, sessions: Sessions, if_match: IfMatch, text: str) -> dict[str, Any]:
        await chat.append({"role": "user", "content": text}, expected_revision=if_match.revision_of(chat))
        return {"etag": etag(chat.session), "seen": len(await sessions.store.events(chat.id))}

    return made


async def test_a_session_that_is_not_there_is_a_404(sessions: SessionManager) -> None:
    async with client_of(small_app(), sessions) as client:
        reply = await client.post("/chats/nobody/messages?text=Hi")

    assert (reply.status_code, reply.json()["session_id"]) == (404, "nobody")


async def test_what_a_verb_wrote_is_there_for_the_next_read_and_a_conflict_comes_before_the_answer(
    sessions: SessionManager,
) -> None:
    await sessions.create("talk")
    async with client_of(small_app(), sessions) as client:
        replies = [
            await client.post("/chats/talk/messages?text=Hi", headers={"If-Match": tag} if tag else {})
            for tag in ("*", None, etag(await sessions.get("talk")))
        ]

    assert [reply.status_code for reply in replies] == [200, 200, 409]
    assert [reply.json()["seen"] for reply in replies[:2]] == [1, 2]
    assert len(await sessions.store.events("talk")) == 2


async def test_the_tag_of_an_answer_guards_the_next_request(sessions: SessionManager) -> None:
    await sessions.create("talk")
    async with client_of(small_app(), sessions) as client:
        tag = "*"
        for expected in (1, 2, 3):
            reply = await client.post("/chats/talk/messages?text=Hi", headers={"If-Match": tag})
            tag = reply.json()["etag"]
            assert reply.json()["seen"] == expected


async def test_a_proxy_that_weakens_the_tag_does_not_break_the_guard(sessions: SessionManager) -> None:
    session = await sessions.create("talk")
    async with client_of(small_app(), sessions) as client:
        replies = [
            await client.post("/chats/talk/messages?text=Hi", headers={"If-Match": f"W/{etag(session)}"}) for _ in "ab"
        ]

    assert [reply.status_code for reply in replies] == [200, 409]


async def test_one_of_several_tags_is_enough(sessions: SessionManager) -> None:
    session = await sessions.create("talk")
    old = etag(session)
    async with sessions.open("talk") as chat:
        await chat.user("Hi")
        async with client_of(small_app(), sessions) as client:
            headers = [("If-Match", f'"{"0" * 32}.9", {old}'), ("If-Match", etag(chat.session))]
            reply = await client.post("/chats/talk/messages?text=Hi", headers=headers)

    assert reply.status_code == 200


async def test_the_tag_of_a_revision_that_was_lost_and_has_come_again_is_a_conflict(sessions: SessionManager) -> None:
    tag = etag(await sessions.create("talk"))
    lost = tag.rpartition(".")[0] + '.abcdef00"'
    by_number_alone = tag.rpartition(".")[0] + '"'
    async with client_of(small_app(), sessions) as client:
        replies = [
            await client.post("/chats/talk/messages?text=Hi", headers={"If-Match": sent})
            for sent in (lost, by_number_alone)
        ]

    assert [reply.status_code for reply in replies] == [409, 200]
    assert (await sessions.get("talk")).last_seq == 1


async def test_the_tag_of_an_earlier_session_of_the_same_id_is_a_conflict(sessions: SessionManager) -> None:
    tag = etag(await sessions.create("talk"))
    await sessions.delete("talk")
    await sessions.create("talk")
    async with client_of(small_app(), sessions) as client:
        reply = await client.post("/chats/talk/messages?text=Hi", headers={"If-Match": tag})

    assert reply.status_code == 409
    assert await sessions.store.events("talk") == []


async def test_tenants_do_not_see_each_other_nor_what_belongs_to_none(sessions: SessionManager) -> None:
    await sessions.create("of-none")
    async with client_of(app, sessions) as client:
        acme, other = {"X-Tenant": "acme"}, {"X-Tenant": "other"}
        await client.put("/mine/chats/talk", headers=acme)
        said = await client.post("/mine/messages/talk", json={"text": "Hi"}, headers=acme)
        foreign = [
            await client.post("/mine/messages/talk", json={"text": "Hi"}, headers=other),
            await client.get("/mine/sessions/talk", headers=other),
            await client.get("/mine/sessions/of-none", headers=acme),
            await client.get("/sessions/talk"),
        ]
        listed = [await client.get("/mine/sessions", headers=tenant) for tenant in (acme, other)]

    assert said.status_code == 200
    assert [reply.status_code for reply in foreign] == [404] * 4
    assert [reply.json()["session_ids"] for reply in listed] == [["talk"], []]


@pytest.mark.parametrize("tenant", ["", "x" * 513])
async def test_a_tenant_without_a_proper_name_gets_nothing(tenant: str, sessions: SessionManager) -> None:
    await sessions.create("talk")
    async with client_of(app, sessions) as client:
        replies = [
            await client.put("/mine/chats/mine", headers={"X-Tenant": tenant}),
            await client.get("/mine/sessions/talk", headers={"X-Tenant": tenant}),
        ]

    assert [reply.status_code for reply in replies] == [422, 422]
    assert await sessions.list_sessions() == ["talk"]


async def test_a_websocket_gets_the_manager_too(sessions: SessionManager) -> None:
    found: list[SessionManager] = []
    sockets = FastAPI()

    @sockets.websocket("/")
    async def talk(socket: WebSocket, sessions: Sessions) -> None:
        found.append(sessions)

    scope = {"type": "websocket", "path": "/", "headers": [], "query_string": b"", "state": {"sessions": sessions}}

    async def silent() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def ignored(message: Any) -> None:
        """Send nothing."""

    await sockets(scope, silent, ignored)

    assert found == [sessions]


async def test_without_a_lifespan_the_error_says_what_to_do() -> None:
    async with AsyncClient(transport=ASGITransport(small_app()), base_url="http://test") as client:
        with pytest.raises(RuntimeError, match="session_lifespan"):
            await client.post("/chats/talk/messages?text=Hi")


async def test_the_lifespan_opens_the_store_of_the_url_and_closes_it(tmp_path: Path) -> None:
    made = small_app(lifespan=session_lifespan(f"file:{tmp_path}"))
    async with started(made) as state:
        sessions = state["sessions"]
        await sessions.create("talk")

    with pytest.raises(StoreUnavailable):
        await sessions.get("talk")
    async with FileSessionStore(tmp_path) as cold:
        assert await cold.list_sessions() == ["talk"]


async def test_a_pricer_of_one_s_own_prices_what_the_app_stores() -> None:
    lifespan = session_lifespan("memory:", pricer=ListPricer({"ours": Prices(2, 8)}))

    async with lifespan(FastAPI()) as state, state["sessions"].open("trip") as chat:
        await chat.assistant("x", model="ours", usage={"prompt_tokens": 10, "completion_tokens": 1})
        assert (await chat.usage()).cost_pico_usd == 28_000_000


async def test_a_lifespan_of_ones_own_runs_inside_and_adds_to_the_state() -> None:
    @asynccontextmanager
    async def own(app: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        await app.state.sessions.create("made-at-start")
        yield {"database": "open"}
        assert await app.state.sessions.list_sessions() == ["made-at-start"]

    made = small_app(lifespan=session_lifespan("memory:", inner=own))
    async with started(made) as state:
        assert state["database"] == "open"
        assert await state["sessions"].list_sessions() == ["made-at-start"]


async def test_a_lifespan_of_ones_own_may_yield_nothing() -> None:
    @asynccontextmanager
    async def own(_: FastAPI) -> AsyncIterator[None]:
        yield

    made = small_app(lifespan=session_lifespan("memory:", inner=own))
    async with started(made) as state:
        assert isinstance(state["sessions"], SessionManager)


async def test_the_store_stays_open_for_a_request_that_is_under_way(tmp_path: Path) -> None:
    made = FastAPI(lifespan=session_lifespan(f"file:{tmp_path}"))
    under_way = asyncio.Event()

    @made.get("/")
    async def slow(sessions: Sessions) -> None:
        under_way.set()
        await asyncio.sleep(0.05)
        await sessions.create("late")

    async def silent() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def no_more(message: Any) -> None:
        """Send nothing."""

    async with started(made) as state:
        scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "headers": [],
            "query_string": b"",
            "state": state,
        }
        request = asyncio.create_task(made(scope, silent, no_more))
        await under_way.wait()
    await request

    async with FileSessionStore(tmp_path) as cold:
        assert await cold.list_sessions() == ["late"]


def test_without_fastapi_the_import_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['fastapi'] = None\n"
        "from a2a_session_manager import MissingDependency\n"
        "try:\n"
        "    import a2a_session_manager.integrations.fastapi\n"
        "except MissingDependency as error:\n"
        "    print(error)\n"
    )

    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "fastapi is not installed: pip install 'a2a_session_manager[fastapi]'\n"


def test_nothing_of_the_package_imports_fastapi_by_itself() -> None:
    code = "import sys, a2a_session_manager, a2a_session_manager.integrations; print('fastapi' in sys.modules)"

    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"
