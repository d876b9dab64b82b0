"""Fixtures for every test of the project: no blocking call on an event loop, and a current store of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import version
from inspect import isclass

import pytest
from hypothesis import settings

from a2a_session_manager.provider import SessionStoreProvider
from a2a_session_manager.testing import blocking_calls_refused
from tests.redis_servers.server import find_binary, version_of

# The check that decides whether a change is accepted draws the same examples each time; other runs draw new ones.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

pytest_plugins = ["pytester", "tests.redis_servers.fixtures"]


def pytest_report_header() -> str:
    """Report which server and client the tests of the Redis store run with."""
    binary = find_binary()
    server = "no server" if binary is None else version_of(binary)
    return f"redis: {server}, redis-py {version('redis')}, fakeredis {version('fakeredis')}"


def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> list[pytest.Item] | None:
    """Collect no class of long tests where those are left out: the contract fifteen times takes seconds to collect.

    One that is asked for by its name is collected, so that pytest says that it was deselected.
    """
    marks = vars(obj).get("pytestmark", []) if isclass(obj) else []
    config = collector.config
    is_left_out = config.option.markexpr == "not soak" and not any(name in argument for argument in config.args)
    return [] if is_left_out and any(mark.name == "soak" for mark in marks) else None


@pytest.fixture(autouse=True)
def no_blocking_calls() -> Iterator[None]:
    """Fail a test on any blocking call on its event loop; StoreContract overrides it with its own."""
    with blocking_calls_refused():
        yield


@pytest.fixture(autouse=True)
def no_store_left_over() -> Iterator[None]:
    """Forget the process-wide store after each test."""
    yield
    SessionStoreProvider.set_store(None)
