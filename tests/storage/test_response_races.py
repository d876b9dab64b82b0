"""Processes that record the same responses at the same time: each counts once, as a cold store reads it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from a2a_session_manager.storage import store_from_url
from a2a_session_manager.testing.contract.counting_once import spent
from tests.stores import url_of

PROCESSES, TASKS, RESPONSES = 2, 4, 15
PROJECT = Path(__file__).parents[2]


@pytest.fixture(params=["file", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_of(request.param, request, tmp_path)


def test_each_response_counts_once_whoever_records_it(url: str) -> None:
    async def create() -> None:
        async with store_from_url(url) as store:
            await store.create("talk")

    async def check() -> None:
        async with store_from_url(url) as cold:
            total = await spent(cold, "talk")
            by_model = (await cold.usage("talk")).usage_by_model
        assert total.requests == RESPONSES
        assert total.prompt_tokens == sum(number + TASKS for number in range(RESPONSES))
        assert total.repeated_requests == (2 * PROCESSES * TASKS - 1) * RESPONSES
        # Two names for the model of each response: which came first is a race, and that it is doubtful is not.
        assert total.partially_priced_requests == RESPONSES
        assert set(by_model) == {f"p{number}" for number in range(PROCESSES)}

    asyncio.run(create())
    command = [sys.executable, "-m", "tests.storage.recorder", url, "talk", str(TASKS), str(RESPONSES)]
    processes = [subprocess.Popen([*command, f"p{number}"], cwd=PROJECT) for number in range(PROCESSES)]
    assert [process.wait(timeout=120) for process in processes] == [0] * PROCESSES
    asyncio.run(check())
