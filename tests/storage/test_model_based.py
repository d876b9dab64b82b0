"""Random rows of verbs, compared after each with plain dictionaries. A store joins by a subclass in `machines.py`."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    run_state_machine_as_test,
)

from tests.redis_servers.server import RedisServer
from tests.storage.budget_machine import about_budgets
from tests.storage.fork_machine import about_forks
from tests.storage.machines import (
    ExpiringMachine,
    FakeredisMachine,
    FileMachine,
    MemoryMachine,
    RedisMachine,
    SetClockMachine,
    YieldingMachine,
)
from tests.storage.store_machine import StoreMachine

# To shrink a failure takes minutes: the soak does so, and draws hundreds for each. What is printed runs it again.
IN_SECONDS = settings(
    max_examples=15,
    stateful_step_count=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)


TestMemory = MemoryMachine.TestCase
TestMemory.settings = IN_SECONDS
TestYielding = YieldingMachine.TestCase
TestYielding.settings = IN_SECONDS
TestFile = FileMachine.TestCase
TestFile.settings = settings(IN_SECONDS, max_examples=4)
TestFakeredis = FakeredisMachine.TestCase
TestFakeredis.settings = settings(IN_SECONDS, max_examples=1, stateful_step_count=20)


def budgets_of(machine: type[StoreMachine]) -> type[StoreMachine]:
    """Return a machine that has little to do but with budgets, in a tree of three levels."""
    found = about_budgets(machine)
    found.drives_clock = not issubclass(machine, RedisMachine) or issubclass(machine, SetClockMachine)
    found.first = (*StoreMachine.first, ("c", "b"))
    return found


@pytest.mark.parametrize(
    ("machine", "examples"), [(MemoryMachine, 5), (YieldingMachine, 3), (FileMachine, 2), (FakeredisMachine, 1)]
)
def test_budgets(machine: type[StoreMachine], examples: int) -> None:
    run_state_machine_as_test(budgets_of(machine), settings=settings(IN_SECONDS, max_examples=examples))


@pytest.mark.parametrize(("machine", "examples"), [(RedisMachine, 3), (ExpiringMachine, 2)])
def test_redis(machine: type[RedisMachine], examples: int, redis_server: RedisServer) -> None:
    RedisMachine.url = redis_server.url

    run_state_machine_as_test(machine, settings=settings(IN_SECONDS, max_examples=examples))


def test_budgets_on_redis(redis_server: RedisServer) -> None:
    RedisMachine.url = redis_server.url

    run_state_machine_as_test(budgets_of(RedisMachine), settings=settings(IN_SECONDS, max_examples=1))
    run_state_machine_as_test(budgets_of(SetClockMachine), settings=settings(IN_SECONDS, max_examples=1))


@pytest.mark.parametrize(("machine", "examples"), [(MemoryMachine, 2), (FileMachine, 1)])
def test_forks(machine: type[StoreMachine], examples: int) -> None:
    run_state_machine_as_test(about_forks(machine), settings=settings(IN_SECONDS, max_examples=examples))


@pytest.mark.soak
@pytest.mark.parametrize(
    "machine", [MemoryMachine, YieldingMachine, FileMachine, FakeredisMachine, RedisMachine, ExpiringMachine]
)
def test_forks_for_longer(machine: type[StoreMachine], redis_server: RedisServer) -> None:
    """With each store some hundreds of forks are made."""
    RedisMachine.url = redis_server.url

    run_state_machine_as_test(about_forks(machine), settings=settings(IN_SECONDS, max_examples=100, phases=list(Phase)))


@pytest.mark.soak
@pytest.mark.parametrize(
    "machine",
    [MemoryMachine, YieldingMachine, FileMachine, FakeredisMachine, RedisMachine, SetClockMachine, ExpiringMachine],
)
def test_budgets_for_longer(machine: type[StoreMachine], redis_server: RedisServer) -> None:
    RedisMachine.url = redis_server.url

    run_state_machine_as_test(budgets_of(machine), settings=settings(IN_SECONDS, max_examples=400, phases=list(Phase)))


@pytest.mark.soak
@pytest.mark.parametrize(
    "machine", [MemoryMachine, YieldingMachine, FileMachine, FakeredisMachine, RedisMachine, ExpiringMachine]
)
def test_for_longer(machine: type[StoreMachine], redis_server: RedisServer) -> None:
    RedisMachine.url = redis_server.url

    run_state_machine_as_test(machine, settings=settings(IN_SECONDS, max_examples=400, phases=list(Phase)))
