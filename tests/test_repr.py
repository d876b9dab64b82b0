"""What stores, managers, sessions and runs show of themselves: where and which they are, never what they hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from a2a_session_manager import InMemorySessionStore, SessionManager, StoreLimits, store_from_url
from a2a_session_manager.storage.redis import RedisSessionStore, create_redis_session_store

SECRET = "s3cret"
# URL with logins → what is shown of it.
URLS = {
    "redis://ines:s3cret@db:6380/2": "redis://db:6380/2",
    "redis://db?password=s3cret&username=s3cret&client_name=s3cret": "redis://db:6379/0",
    "rediss://:s3cret@db/1?ssl_ca_certs=/s3cret": "rediss://db:6379/1",
    "redis://:s3cret@[::1]:7000": "redis://[::1]:7000/0",
    "redis+cluster://ines:s3cret@one:7000,two": "redis+cluster://one:7000,two:6379",
    "redis+sentinel://:s3cret@one,two:26380/main/3?sentinel_password=s3cret": (
        "redis+sentinel://one:26379,two:26380/main/3"
    ),
}


@pytest.mark.parametrize("url", URLS)
def test_a_store_on_redis_shows_its_place_without_the_login(url: str) -> None:
    shown = repr(store_from_url(url))

    assert shown == f"<RedisSessionStore {URLS[url]} key_prefix='session:'>"
    assert SECRET not in shown


def test_a_store_with_a_users_client_shows_its_address_without_the_login() -> None:
    shown = repr(RedisSessionStore(Redis(host="db", port=6380, db=2, username="ines", password=SECRET)))

    assert shown == "<RedisSessionStore redis://db:6380/2 key_prefix='session:'>"


def test_a_client_without_a_known_address_is_shown_without_one() -> None:
    shown = repr(RedisSessionStore(Redis.from_url(f"unix:///run/redis.sock?password={SECRET}")))

    assert shown == "<RedisSessionStore redis://… key_prefix='session:'>"


def test_a_store_made_from_keywords_shows_no_password() -> None:
    shown = repr(create_redis_session_store("db", password=SECRET, key_prefix="app:"))

    assert shown == "<RedisSessionStore redis://db:6379/0 key_prefix='app:'>"


def test_a_store_of_files_shows_a_url_that_opens_the_same_directory(tmp_path: Path) -> None:
    store = store_from_url(f"file:{tmp_path}/a%20b%23c?durability=disk")

    shown = repr(store)

    assert shown == f"<FileSessionStore file:{tmp_path}/a%20b%23c?durability=disk>"
    assert repr(store_from_url(shown.removeprefix("<FileSessionStore ").removesuffix(">"))) == shown


@pytest.mark.parametrize("make", [InMemorySessionStore, lambda: store_from_url("memory:")])
async def test_a_closed_store_and_its_views_are_shown_as_closed(make: Callable[[], InMemorySessionStore]) -> None:
    store = make()
    view = store.namespace("acme\n")
    before = repr(store), repr(view)
    await store.aclose()

    assert before == ("<InMemorySessionStore memory:>", "<NamespaceView memory: namespace='acme\\n'>")
    assert repr(store) == "<InMemorySessionStore memory: closed>"
    assert repr(view) == "<NamespaceView memory: namespace='acme\\n' closed>"


def test_a_manager_shows_its_store() -> None:
    sessions = SessionManager.from_url("redis://ines:s3cret@db")

    assert repr(sessions) == "<SessionManager over <RedisSessionStore redis://db:6379/0 key_prefix='session:'>>"
    assert SECRET not in repr(sessions.namespace("acme"))


def test_an_object_whose_init_has_failed_has_a_repr() -> None:
    assert repr(InMemorySessionStore.__new__(InMemorySessionStore)) == "<InMemorySessionStore>"
    assert repr(SessionManager.__new__(SessionManager)) == "<SessionManager over None>"


async def test_a_session_and_a_run_show_their_ids_and_the_runs_status_and_no_message() -> None:
    sessions = SessionManager(InMemorySessionStore(limits=StoreLimits()))
    shown: list[str] = []
    async with sessions.open("oslo\ttrip", properties={"k": SECRET}) as chat:
        run = chat.run("planner", id="r1", metadata={"k": SECRET})
        shown.append(repr(run))
        async with run:
            await run.user(SECRET)
            await run.set_state(plan=SECRET)
            shown += [repr(run), repr(chat)]
        shown.append(repr(run))

    in_session = "agent='planner' session='oslo\\ttrip'"
    assert shown == [
        f"<ActiveRun 'r1' pending {in_session}>",
        f"<ActiveRun 'r1' running {in_session}>",
        "<ActiveSession 'oslo\\ttrip'>",
        f"<ActiveRun 'r1' completed {in_session}>",
    ]


async def test_a_run_without_an_agent_shows_none() -> None:
    sessions = SessionManager(InMemorySessionStore())
    async with sessions.open("talk") as chat:
        assert repr(chat.run(id="r1")) == "<ActiveRun 'r1' pending session='talk'>"
