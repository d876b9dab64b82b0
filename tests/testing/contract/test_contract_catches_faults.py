"""The contract can fail: stores with one planted fault each, and the tests that must find it."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

import pytest

from a2a_session_manager.testing import StoreContract
from a2a_session_manager.testing.contract import making
from tests.testing.contract.planted import FAULTS
from tests.testing.contract.planted_promises import PROMISES

# Each fault, the part of the contract that it is run against, and the test that has to find it.
PLANTED = [
    *((fault, part, test) for fault, (part, test) in FAULTS.items()),
    *((fault, part, test) for part, tests in PROMISES.items() for test, fault in tests.items()),
]

# The contract cancels in every way there is; for a fault to show, the plain one is enough.
CANCELLING = {"cancelling", "budgets_cancelled", "budgets_disturbed"}
PLAINLY = "not (double or timeout or scope or TaskGroup)"

MODULE = """
import pytest
from a2a_session_manager.testing.contract.{part} import {mixin}
from a2a_session_manager.storage import InMemorySessionStore
from tests.testing.contract.faulty import *
from tests.testing.contract.faulty_arguments import *
from tests.testing.contract.faulty_budgets import *
from tests.testing.contract.faulty_compactions import *
from tests.testing.contract.faulty_counting import *
from tests.testing.contract.faulty_expiring import *
from tests.testing.contract.faulty_finding import *
from tests.testing.contract.faulty_following import *
from tests.testing.contract.faulty_forks import *
from tests.testing.contract.faulty_keeping import *
from tests.testing.contract.faulty_leases import *
from tests.testing.contract.faulty_moving import *
from tests.testing.contract.faulty_namespaces import *
from tests.testing.contract.faulty_pages import *
from tests.testing.contract.faulty_payloads import *
from tests.testing.contract.faulty_pruning import *
from tests.testing.contract.faulty_reading import *
from tests.testing.contract.faulty_refusals import *
from tests.testing.contract.faulty_restoring import *
from tests.testing.contract.faulty_runs import *
from tests.testing.contract.faulty_sums import *
from tests.testing.contract.faulty_trees import *
from tests.testing.contract.faulty_views import *
from tests.storage.yielding import YieldingStore, damage_first_event

@pytest.mark.asyncio
class TestIt({mixin}):
    is_durable = False

    async def open_store(self, place):
        return {store}()

    async def open_expiring_store(self, place, seconds):
        return {store}() if getattr({store}, "lets_expire", False) else None

    async def damage(self, store, session_id):
        damage_first_event(store, session_id)
"""

STRICT = """
[pytest]
asyncio_mode = strict
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""


@pytest.fixture(scope="module", autouse=True)
def loaded_prices() -> None:
    """Import what is imported at the first price: a module that comes in during an inner run is forgotten by half."""
    importlib.import_module("genai_prices.data_snapshot")


def outcomes_of(
    pytester: pytest.Pytester, store: str, part: str, tests: Iterable[str], *more: str
) -> tuple[set[str], set[str]]:
    """Run tests of one part of the contract, as a stranger would; return those that passed and those that failed."""
    mixin = next(each.__name__ for each in StoreContract.__mro__ if each.__module__.endswith(f".{part}"))
    pytester.makeini(STRICT)
    path = pytester.makepyfile(MODULE.format(part=part, mixin=mixin, store=store))
    # Hypothesis' plugin would import all of it anew in every run.
    options = ["-p", "no:cacheprovider", "-p", "no:hypothesispytest", "--tb=no", "-q", *more]
    if part in CANCELLING:
        options += ["-k", PLAINLY]
    run = pytester.inline_run(*options, *(f"{path}::TestIt::{test}" for test in tests))
    passed, skipped, failed = run.listoutcomes()
    assert not skipped
    return {_name(report.nodeid) for report in passed}, {_name(report.nodeid) for report in failed}


def _name(node_id: str) -> str:
    return node_id.rpartition("::")[2].partition("[")[0]


def _telling(part: str) -> set[str]:
    """Return the tests of a part of the contract that have a fault to find."""
    return {test for _, where, test in PLANTED if where == part}


@pytest.mark.parametrize(("fault", "part", "telling_test"), PLANTED)
def test_a_store_with_a_planted_fault_does_not_pass_the_contract(
    pytester: pytest.Pytester, fault: str, part: str, telling_test: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "PATIENCE_SECONDS", 1)  # what a fault keeps back never comes

    _, failed = outcomes_of(pytester, fault, part, [telling_test], "-x")  # of its parameters, one is enough

    assert failed == {telling_test}


@pytest.mark.parametrize("part", sorted({part for _, part, _ in PLANTED}))
@pytest.mark.parametrize("healthy", ["InMemorySessionStore", "YieldingStore"])
def test_a_healthy_store_passes_where_the_faulty_ones_fail(pytester: pytest.Pytester, healthy: str, part: str) -> None:
    telling = _telling(part)

    passed, failed = outcomes_of(pytester, healthy, part, telling)

    assert (passed, failed) == (telling, set())


def test_a_healthy_store_whose_sessions_expire_passes_where_faulty_ones_fail(pytester: pytest.Pytester) -> None:
    telling = _telling("expiring")

    assert outcomes_of(pytester, "MortalStore", "expiring", telling) == (telling, set())
