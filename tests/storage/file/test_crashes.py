"""A process that dies at any step of a write leaves the state before or after it, and a retry completes it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from a2a_session_manager.exceptions import SessionNotFound
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage.file import FileSessionStore
from a2a_session_manager.testing.contract.making import said, spending
from tests.storage.file.processes import dying
from tests.storage.file.processes.common import (
    Picture,
    covered_bytes,
    looked,
    picture,
    pictures,
    write_checkpoints_every,
)

NAMES = ("root", "child", "leaf", "new", "other", "fork")
LONG = ("append_to_fork", "delete_source")


@pytest.fixture(autouse=True)
def small_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    write_checkpoints_every(monkeypatch, dying.CHECKPOINT_BYTES)


@pytest.fixture(scope="module")
def die_at_each_step() -> Iterator[Callable[[str, Path], list[Path]]]:
    """Let a scenario die in `deaths` beside its `template`; one process forks all that die, as a start takes long."""
    with subprocess.Popen(
        [sys.executable, dying.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as forks:
        assert forks.stdin is not None
        assert forks.stdout is not None
        written, said = forks.stdin, forks.stdout

        def die(scenario: str, place: Path) -> list[Path]:
            written.write(f"{scenario}\t{place / 'template'}\t{place / 'deaths'}\n")
            written.flush()
            assert said.readline() == "done\n"
            return _steps_in(place)

        yield die
        written.close()
    assert forks.returncode == 0


@pytest.fixture(scope="module")
def died(
    tmp_path_factory: pytest.TempPathFactory, die_at_each_step: Callable[[str, Path], list[Path]]
) -> Callable[[str], Path]:
    """Return where the deaths of a scenario left their directories; each scenario dies once for all tests."""

    @cache
    def die(scenario: str) -> Path:
        place = tmp_path_factory.mktemp(scenario)
        asyncio.run(dying.make_template(place / "template"))
        die_at_each_step(scenario, place)
        return place

    return die


@pytest.fixture
def deaths(died: Callable[[str], Path], tmp_path: Path) -> Callable[[str], list[Path]]:
    """Return copies of the directories that a scenario's deaths left, one a step; the last had none."""

    def copied(scenario: str) -> list[Path]:
        shutil.copytree(died(scenario), tmp_path, dirs_exist_ok=True)
        return _steps_in(tmp_path)

    return copied


def _steps_in(place: Path) -> list[Path]:
    return sorted((place / "deaths").iterdir(), key=lambda path: int(path.name))


async def _state(directory: Path) -> dict[str, Picture]:
    return await pictures(directory, NAMES)


async def _do(scenario: str, directory: Path) -> None:
    async with FileSessionStore(directory) as store:
        await dying.SCENARIOS[scenario](store)


@pytest.mark.parametrize(
    "scenario", [pytest.param(name, marks=[pytest.mark.soak] if name in LONG else []) for name in dying.SCENARIOS]
)
def test_a_death_at_any_step_leaves_before_or_after_and_a_retry_completes_it(
    scenario: str, deaths: Callable[[str], list[Path]], tmp_path: Path
) -> None:
    async def check(directories: list[Path]) -> None:
        before, after = await _state(tmp_path / "template"), await _state(directories[-1])
        assert before != after

        was_after = False
        for directory in directories:
            state = await _state(directory)
            assert state in (before, after), directory
            # Once a step has made it, no later one unmakes it.
            assert state == after or not was_after, directory
            was_after = state == after

            await _do(scenario, directory)
            await _do(scenario, directory)
            assert await _state(directory) == after, directory

    directories = deaths(scenario)
    assert len(directories) > 4
    asyncio.run(check(directories))


@pytest.mark.parametrize("parent_id", ["root", "other", None])
@pytest.mark.parametrize("scenario", ["create_root", "create_child"])
def test_an_id_whose_creation_died_is_free_for_another_one(
    scenario: str, parent_id: str | None, deaths: Callable[[str], list[Path]]
) -> None:
    async def create(directory: Path) -> None:
        async with FileSessionStore(directory) as store:
            if await store.get("new") is not None:
                return
            await store.create("new", parent_id=parent_id, change=SessionChange(events=[said(id="other")]))
            assert "new" in await store.list_sessions()
        found = await picture(directory, "new")
        assert found is not None
        assert found["shown"] == ["other"]
        assert found["parent"] == parent_id

    for directory in deaths(scenario):
        asyncio.run(create(directory))


@pytest.mark.parametrize("parent_id", ["root", "other"])
def test_the_spend_of_a_session_whose_deletion_died_stays_once_also_when_its_id_is_used_again(
    parent_id: str, deaths: Callable[[str], list[Path]]
) -> None:
    async def use_again(directory: Path) -> None:
        async with FileSessionStore(directory) as store:
            assert (await store.usage("root", tree=True)).total_tokens == 222
            if await store.get("leaf") is not None:
                return
            await store.create("leaf", parent_id=parent_id)
            await store.append("leaf", spending(1_000))
        async with FileSessionStore(directory) as cold:
            spent = {name: (await cold.usage(name, tree=True)).total_tokens for name in ("root", "other")}
            assert spent == ({"root": 2222, "other": 0} if parent_id == "root" else {"root": 222, "other": 2000})
            await cold.delete("leaf")
            assert (await cold.usage("root", tree=True)).total_tokens == spent["root"]

    for directory in deaths("delete_leaf"):
        asyncio.run(use_again(directory))


def test_a_root_made_again_after_its_deletion_died_begins_with_nothing(deaths: Callable[[str], list[Path]]) -> None:
    async def make_again(directory: Path) -> None:
        async with FileSessionStore(directory) as store:
            if await store.get("root") is not None:
                return
            for name in ("child", "leaf"):
                with pytest.raises(SessionNotFound):
                    await store.append(name, said("x"))
            await store.create("root")
            await store.create("leaf", parent_id="root")
        async with FileSessionStore(directory) as cold:
            assert (await cold.usage("root", tree=True)).total_tokens == 0
            assert await cold.tree("root") == [("root", None), ("leaf", "root")]
            assert await cold.get("child") is None
            assert sorted(await cold.list_sessions()) == ["fork", "leaf", "other", "root"]

    for directory in deaths("delete_root"):
        asyncio.run(make_again(directory))


def test_a_death_around_a_checkpoint_costs_no_later_one(deaths: Callable[[str], list[Path]]) -> None:
    async def append(directory: Path) -> None:
        async with FileSessionStore(directory) as store:
            for number in range(4):
                await store.append("root", said("y" * 2 * dying.CHECKPOINT_BYTES, id=f"more-{number}"))

    for directory in deaths("append"):
        asyncio.run(append(directory))
        assert covered_bytes(directory, "root") > 4 * dying.CHECKPOINT_BYTES
        assert (looked(directory, "root") or {})["shown"][-4:] == [f"more-{number}" for number in range(4)]


def test_the_first_use_of_a_directory_may_die_anywhere(
    tmp_path: Path, die_at_each_step: Callable[[str, Path], list[Path]]
) -> None:
    directories = die_at_each_step("create_root", tmp_path)
    assert len(directories) > 4

    for directory in directories:

        async def create(directory: Path = directory) -> None:
            async with FileSessionStore(directory) as store:
                if await store.get("new") is None:
                    await store.create("new")

        asyncio.run(create())
        assert looked(directory, "new") is not None
