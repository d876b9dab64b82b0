"""Fixtures for every test of the project: no blocking call on an event loop, and a current store of its own."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from inspect import isclass
from typing import Any

import pytest
from hypothesis import settings

from a2a_session_manager.provider import SessionStoreProvider
from a2a_session_manager.testing import blocking_calls_refused
from a2a_session_manager.testing.contract.budgets_cancelled import BUDGET_VERBS
from a2a_session_manager.testing.contract.cancelling import KINDS
from a2a_session_manager.testing.contract.writes import DELETE, WRITES
from tests import draws
from tests.redis_servers.server import find_binary, version_of

# The check that decides whether a change is accepted draws the same examples each time; other runs draw new ones.
# None has a deadline: a slow machine is no fault.
settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("ci")
# For properties that name no number. Those that do say both; see `draws.few`.
settings.register_profile("few", settings(), max_examples=25, deadline=None)
settings.register_profile("many", settings(), max_examples=500, deadline=None)

_CANCELLED: dict[str, tuple[str, Sequence[Any]]] = {
    "test_a_write_cancelled_anywhere_is_whole_or_absent_and_a_retry_completes_it_once": ("write", [*WRITES, DELETE]),
    "test_a_step_cancelled_anywhere_is_whole_or_absent_and_a_retry_completes_it_once": ("write", BUDGET_VERBS),
    "test_a_block_cancelled_anywhere_leaves_nothing_that_nobody_knows_of": ("is_sent", [False, True]),
}

pytest_plugins = ["pytester", "tests.redis_servers.fixtures"]


def pytest_configure(config: pytest.Config) -> None:
    """Say how many examples are drawn, before tests are imported: many where the long tests, or all, are asked for."""
    draws.is_long_run = config.option.markexpr in ("soak", "")
    settings.load_profile("many" if draws.is_long_run else "few")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count every property test among the long ones where it draws many examples, and most kinds of cancellation."""
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        is_drawn = draws.is_long_run and getattr(item.obj, "is_hypothesis_test", False)
        if is_drawn or (item.originalname in _CANCELLED and _is_left_to_soak(item)):
            item.add_marker(pytest.mark.soak)


def _is_left_to_soak(item: pytest.Function) -> bool:
    """Tell whether a write is cancelled in another way by default: plainly, and in one way that others share.

    Steps of budgets are cancelled in one of these ways.
    """
    name, writes = _CANCELLED[item.originalname]
    ways, place = list(KINDS), [*writes].index(item.callspec.params[name])
    at = ways.index(str(item.callspec.params["kind"]))
    return at != 1 + place % (len(ways) - 1) and (at != 0 or writes is BUDGET_VERBS)


def pytest_collection_finish() -> None:
    """Spare garbage collections the half a million objects of the collected tests: several tests collect in full."""
    gc.collect()
    gc.freeze()


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
    is_default = config.option.markexpr.startswith("not soak")
    is_left_out = is_default and not any(name in argument for argument in config.args)
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
