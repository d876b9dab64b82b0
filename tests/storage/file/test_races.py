"""Two writes to one id, one of them stopped at each of its steps: what comes of it is what one of two orders gives."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage.file import FileSessionStore
from a2a_session_manager.testing.contract.making import said, spending
from a2a_session_manager.testing.contract.writes import seen
from tests.storage import interleaving
from tests.storage.file.processes.common import Picture, file_of
from tests.storage.interleaving import Outcome, Turns, Work, crossed, outcome_of

NAMES = ("r1", "r2", "c", "below")
Begin = Callable[[Path], None]
State = tuple[dict[str, Picture], list[str]]


def creating(parent_id: str | None) -> Work:
    async def create(store: FileSessionStore) -> None:
        await store.create("c", parent_id=parent_id, change=SessionChange(events=[spending(1, id=f"of {parent_id}")]))

    return create


async def pay(store: FileSessionStore) -> None:
    await store.append("c", spending(2, id="paid"))


async def append(store: FileSessionStore) -> None:
    await store.append("c", spending(4, id="appended"))


async def delete(store: FileSessionStore) -> None:
    await store.delete("c", children="cascade")


async def delete_root(store: FileSessionStore) -> None:
    await store.delete("r1", children="cascade")


async def create_below(store: FileSessionStore) -> None:
    await store.create("below", parent_id="c", change=SessionChange(events=[said(id="child")]))


# Single writes, which are stopped at each of their steps.
WRITES: dict[str, Work] = {
    "create in r2": creating("r2"),
    "create as root": creating(None),
    "append": append,
    "delete": delete,
    "delete root": delete_root,
    "create below": create_below,
}
# What others do meanwhile.
INTRUSIONS: dict[str, tuple[Work, ...]] = {
    **{name: (write,) for name, write in WRITES.items()},
    "create in r1, pay": (creating("r1"), pay),
    "create in r2, pay": (creating("r2"), pay),
    "delete, create in r2, pay": (delete, creating("r2"), pay),
}


async def roots(store: FileSessionStore) -> None:
    for root in ("r1", "r2"):
        await store.create(root)
        await store.append(root, spending(8))


def nothing(directory: Path) -> None:
    assert _made(directory, roots) == ("done",)


def in_r1(directory: Path) -> None:
    assert _made(directory, roots, creating("r1"), pay) == ("done",) * 3


def cut_off(directory: Path) -> None:
    """A creation in r1 died after its log was there and before its tree had its line."""
    nothing(directory)
    tree = file_of(directory, "r1", ".tree")
    lines = tree.read_bytes()
    assert _made(directory, creating("r1")) == ("done",)
    tree.write_bytes(lines)


def half_swept(directory: Path) -> None:
    """A deletion died after its tree had its line and before anything was swept."""
    in_r1(directory)
    tree, log = file_of(directory, "r1", ".tree"), file_of(directory, "c")
    kept = log.read_bytes()
    assert _made(directory, delete) == ("done",)
    tree.write_bytes(tree.read_bytes().rpartition(b"\n\n")[0] + b"\n")
    log.write_bytes(kept)


BEGINNINGS = (nothing, in_r1, cut_off, half_swept)


def _made(directory: Path, *works: Work) -> tuple[Outcome, ...]:
    async def make() -> tuple[Outcome, ...]:
        heard = []
        for work in works:
            async with FileSessionStore(directory) as store:
                heard.append(await outcome_of(store, work))
        return tuple(heard)

    return asyncio.run(make())


def _state(directory: Path) -> State:
    """What a cold store sees."""

    async def look() -> State:
        async with FileSessionStore(directory) as cold:
            found = {}
            for name in NAMES:
                found[name] = picture = await seen(cold, name)
                if picture is not None:
                    picture["tree"] = await cold.tree(name)
                    picture["tree spend"] = await cold.usage(name, tree=True)
            return found, sorted(await cold.list_sessions())

    return asyncio.run(look())


class Attack:
    """Lets two writers take turns: what they hear, and what is there then, is what some order of their works gives."""

    def __init__(self, tmp_path: Path, begin: Begin, first: Work, others: Sequence[Work]) -> None:
        self._directory = tmp_path / "crossed"
        self._template = tmp_path / "template"
        self._first, self._others = first, others
        begin(self._template)
        self._orders = []
        for place in range(len(others) + 1):
            directory = tmp_path / f"order-{place}"
            shutil.copytree(self._template, directory)
            answers = list(_made(directory, *others[:place], first, *others[place:]))
            self._orders.append((answers.pop(place), answers, _state(directory)))

    def cross(self, *runs: int) -> Turns:
        shutil.copytree(self._template, self._directory)
        ([answer], heard), turns = crossed(self._directory, [[self._first], self._others], runs)
        found = _state(self._directory)
        shutil.rmtree(self._directory)
        if "StoreUnavailable" not in (answer, *heard):
            assert (answer, heard, found) in self._orders, (runs, turns.seen)
        # A file that one of them wanted was held by the other: it may have done nothing, but no harm.
        elif answer == "StoreUnavailable":
            assert "done" in heard, (runs, turns.seen)
        else:
            assert answer in {"done", *(order[0] for order in self._orders)}, (runs, turns.seen)
        return turns


def _steps(turns: Turns, writer: int) -> list[str]:
    return [event for each, event in turns.seen if each == writer]


def test_a_creation_that_saw_half_of_another_one_looks_again_once_the_log_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one has looked whose the id was before the other placed its log, and at the log before a tree named it."""
    interleaving.listen(monkeypatch)
    attack = Attack(tmp_path, nothing, creating("r2"), (creating("r1"), pay))
    free = attack.cross()
    tree_held = _steps(free, 0).index("fcntl.flock") + 1
    log_placed = _steps(attack.cross(0), 1).index("os.link") + 1

    for more in range(8):
        attack.cross(tree_held, log_placed, more)


ALL = [
    pytest.param(begin, first, others, id=f"{begin.__name__}-{first}-{others}")
    for begin in BEGINNINGS
    for first in WRITES
    for others in INTRUSIONS
]


@pytest.mark.soak
@pytest.mark.parametrize(("begin", "first", "others"), ALL)
def test_two_writers_who_cross_anywhere_end_as_in_some_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begin: Begin, first: str, others: str
) -> None:
    interleaving.listen(monkeypatch)
    attack = Attack(tmp_path, begin, WRITES[first], INTRUSIONS[others])
    for step in range(len(_steps(attack.cross(), 0))):
        attack.cross(step)

    chance = random.Random(f"{begin.__name__} {first} {others}")
    for _ in range(60):
        attack.cross(*[chance.randint(1, 25) for _ in range(chance.randint(2, 8))])
