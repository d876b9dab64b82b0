"""What the tests of the file store and their processes share: sessions to look at, and cold looks at them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.storage.file import FileSessionStore, index
from a2a_session_manager.storage.file.names import file_name, shard_of
from a2a_session_manager.storage.file.sidecars import Sidecars
from a2a_session_manager.testing.contract.making import said, spending
from a2a_session_manager.testing.contract.writes import seen

ResultT = TypeVar("ResultT")
Picture = dict[str, Any] | None


def file_of(directory: Path, session_id: str, suffix: str = ".log", namespace: str = "default") -> Path:
    """Return where a file of a session lies."""
    name = file_name(session_id)
    kind = "trees" if suffix == ".tree" else "logs"
    return directory / namespace / kind / shard_of(name) / f"{name}{suffix}"


def sidecars_of(directory: Path, session_id: str) -> list[Path]:
    """Return the sidecars of a session, in the order of their names."""
    log = file_of(directory, session_id)
    return sorted(path for path in log.parent.iterdir() if path.stem.split(".")[0] == log.stem and path != log)


def write_checkpoints_every(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Have a checkpoint written as soon as a log has grown by `size` bytes, of however few records."""
    monkeypatch.setattr(index, "CHECKPOINT_BYTES", size)
    monkeypatch.setattr(index, "CHECKPOINT_RECORDS", 1)


def covered_bytes(directory: Path, session_id: str) -> int:
    """Return how much of a log its sidecars cover; 0 when they cannot be proved whole."""
    log = file_of(directory, session_id)
    checkpoint = Sidecars(log).load(log.read_bytes()[:10])
    return 0 if checkpoint is None else checkpoint.covers


async def picture(directory: Path, session_id: str) -> Picture:
    """Return all that a cold store sees of a session, its children and its tree's spend included."""
    return (await pictures(directory, [session_id]))[session_id]


async def pictures(directory: Path, session_ids: Iterable[str]) -> dict[str, Picture]:
    """Return `picture` of several sessions, which one cold store sees, each for the first time."""
    async with FileSessionStore(directory) as cold:
        return {session_id: await _picture(cold, session_id) for session_id in session_ids}


async def _picture(cold: BaseSessionStore, session_id: str) -> Picture:
    found = await seen(cold, session_id)
    if found is not None:
        found["children"] = await cold.children(session_id)
        found["tree"] = await cold.tree(session_id)
        found["tree spend"] = await cold.usage(session_id, tree=True)
    return found


def looked(directory: Path, session_id: str) -> Picture:
    """Return `picture`, from code that is not async."""
    return asyncio.run(picture(directory, session_id))


def run(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    return asyncio.run(work)


async def commit_step(store: BaseSessionStore, session_id: str, step: int) -> None:
    """Make the next of seven commits, of as many kinds. Each may be sent again."""
    if step == 0:
        await store.create(session_id, change=SessionChange(events=[said("born", id="e0")]), write_id="w0")
    elif step == 1:
        await store.append(session_id, said("one\ttab\nline", id="e1"), spending(7, id="e2", task_id="run"))
    elif step == 2:
        await store.commit(session_id, SessionChange(set_state={"plan": [1, "ø"]}), write_id="w2")
    elif step == 3:
        run = SessionRun(id="run", agent="planner")
        run.mark_running()
        await store.commit(session_id, SessionChange(runs=[run]), write_id="w3")
    elif step == 4:
        await store.retract(session_id, "e1", write_id="w4")
    elif step == 5:
        change = SessionChange(events=[said("guarded", id="e5")], set_properties={"k": 1})
        await store.commit(session_id, change, expected_revision=5, write_id="w5")
    else:
        await store.append(session_id, said("last", id="e6"))


STEPS = 7


async def commit_steps(directory: Path, session_id: str, steps: int = STEPS) -> None:
    async with FileSessionStore(directory) as store:
        for step in range(steps):
            await commit_step(store, session_id, step)
