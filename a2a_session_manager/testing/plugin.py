"""The pytest plugin: fixtures for code that keeps sessions, the same under pytest-asyncio and anyio.

Every fixture is made anew for each test and cleans up after it. Each is a plain function, and what it hands out is
bound to no event loop before it is awaited, so it works in strict and in auto mode.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from a2a_session_manager.exceptions import MissingDependency
from a2a_session_manager.provider import SessionStoreProvider

# Nothing more is imported at the top, since pytest loads this file in every project where the package is installed,
# even if no test uses it, and before coverage begins to measure. The fixtures import what they hand out.
if TYPE_CHECKING:
    from pathlib import Path

    from fakeredis import FakeAsyncRedis, FakeServer

    from a2a_session_manager.active import ActiveLog
    from a2a_session_manager.manager import SessionManager
    from a2a_session_manager.models.session import Session
    from a2a_session_manager.pricing.pricer import Pricer
    from a2a_session_manager.storage import BaseSessionStore
    from a2a_session_manager.testing import Said, SessionClock

_STORES = ("memory", "file", "redis")


class MakeSession(Protocol):
    """The type of the fixture `make_session`: `a2a_session_manager.testing.make_session` without its `store`."""

    async def __call__(
        self,
        *said: Said,
        id: str | None = None,
        parent_id: str | None = None,
        state: Mapping[str, Any] | None = None,
        properties: Mapping[str, Any] | None = None,
    ) -> Session[Any]: ...


class AssertTranscript(Protocol):
    """The type of the fixture `assert_transcript`, which is the function of that name without its `store`."""

    async def __call__(self, session: Session[Any] | ActiveLog | str, expected: Iterable[Said]) -> None: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option `--session-store`, and the ini option `session_store` as its default."""
    about = "the store of the fixtures session_store and session_manager: memory (default), file or redis (a fake)"
    group = parser.getgroup("a2a_session_manager")
    group.addoption("--session-store", choices=_STORES, default=None, help=about)
    parser.addini("session_store", about, default="memory")


@pytest.fixture
def session_pricer() -> Pricer:
    """What prices the usages in `session_store`: the list prices. A fixture of your own by this name replaces it."""
    from a2a_session_manager.pricing.pricer import DEFAULT_PRICER

    return DEFAULT_PRICER


@pytest.fixture
def session_store(request: pytest.FixtureRequest) -> Iterator[BaseSessionStore]:
    """An empty store, of the kind that `--session-store` or the ini option names; it is the current store, too."""
    store = _STORE_MAKERS[_wanted_store(request.config)](request)
    before = SessionStoreProvider._store
    SessionStoreProvider.set_store(store)
    yield store
    SessionStoreProvider.set_store(before)
    _finish(store.aclose())


@pytest.fixture
def session_manager(session_store: BaseSessionStore) -> SessionManager:
    """A SessionManager over `session_store`; it needs no `async with`."""
    from a2a_session_manager.manager import SessionManager

    return SessionManager(session_store)


@pytest.fixture
def make_session(session_store: BaseSessionStore) -> MakeSession:
    """`await make_session(("user", "Hello"), id="trip")` creates a session in `session_store` and returns it."""
    from a2a_session_manager.testing import make_session

    return partial(make_session, session_store)


@pytest.fixture
def assert_transcript(session_store: BaseSessionStore) -> AssertTranscript:
    """`await assert_transcript("trip", [("user", "Hello")])` fails unless that is what `session_store` holds."""
    from a2a_session_manager.testing import assert_transcript

    return partial(assert_transcript, session_store)


@pytest.fixture
def session_ids() -> Iterator[list[str]]:
    """New ids are `id-1`, `id-2` …; the list holds those made so far."""
    from a2a_session_manager.testing import ids_numbered

    with ids_numbered() as made:
        yield made


@pytest.fixture
def session_clock() -> Iterator[SessionClock]:
    """The clock of sessions, events and runs, at the start of 2026 in UTC; `session_clock.advance(minutes=5)`."""
    from a2a_session_manager.testing import SessionClock

    with SessionClock().in_use() as clock:
        yield clock


@pytest.fixture
def fake_redis_server() -> FakeServer:
    """The server of `fake_redis`: `.connected = False` makes it unreachable; another client of it shares the data."""
    if find_spec("fakeredis") is None or find_spec("lupa") is None:
        raise MissingDependency("fakeredis[lua]", "testing")
    from fakeredis import FakeServer

    return FakeServer()


@pytest.fixture
def fake_redis(fake_redis_server: FakeServer) -> Iterator[FakeAsyncRedis]:
    """An asyncio client of a simulated Redis, empty at first, which runs Lua scripts."""
    from fakeredis import FakeAsyncRedis

    client = FakeAsyncRedis(server=fake_redis_server)
    yield client
    _finish(client.aclose())


@pytest.fixture
def redis_session_store(fake_redis: FakeAsyncRedis, session_pricer: Pricer) -> Iterator[BaseSessionStore]:
    """A RedisSessionStore over `fake_redis`."""
    from a2a_session_manager.storage import RedisSessionStore

    store = RedisSessionStore(client=fake_redis, pricer=session_pricer)
    yield store
    _finish(store.aclose())


def _wanted_store(config: pytest.Config) -> str:
    wanted: str = config.getoption("--session-store") or config.getini("session_store")
    if wanted not in _STORES:
        raise pytest.UsageError(f"session_store = {wanted} in the ini file: take one of {', '.join(_STORES)}")
    return wanted


def _memory_store(request: pytest.FixtureRequest) -> BaseSessionStore:
    from a2a_session_manager.storage import InMemorySessionStore

    return InMemorySessionStore(pricer=request.getfixturevalue("session_pricer"))


def _file_store(request: pytest.FixtureRequest) -> BaseSessionStore:
    from a2a_session_manager.storage import FileSessionStore

    place: Path = request.getfixturevalue("tmp_path")
    return FileSessionStore(place / "sessions", pricer=request.getfixturevalue("session_pricer"))


def _redis_store(request: pytest.FixtureRequest) -> BaseSessionStore:
    store: BaseSessionStore = request.getfixturevalue("redis_session_store")
    return store


_STORE_MAKERS = {"memory": _memory_store, "file": _file_store, "redis": _redis_store}


def _finish(closing: Coroutine[Any, Any, None]) -> None:
    """Await `closing` on an event loop of its own: the test's has ended, or is not this fixture's to use."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, closing).result()
