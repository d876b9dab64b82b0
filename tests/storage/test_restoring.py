"""Any row of appends, retractions and restorations shows what a plain model says, also to a cold store."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from a2a_session_manager import InMemorySessionStore, InvalidSessionOperation, StoreLimits
from a2a_session_manager.models.session import Session
from a2a_session_manager.storage.file import FileSessionStore
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.url import store_from_url
from a2a_session_manager.testing.contract.making import ids, listening, spending, whole
from tests.redis_servers.server import RedisServer
from tests.storage.file.processes.common import write_checkpoints_every

OpenCold = Callable[[], BaseSessionStore]
# Pages of few events, so that hidden ranges and retractions reach over their ends.
LIMITS = StoreLimits(page_events=3)


class Step(NamedTuple):
    """A verb with numbers: which events, how many, or which of the writes before; `through` the handle or by id."""

    verb: str
    numbers: list[int]
    through_handle: bool


verbs = st.sampled_from(["append", "retract", "retract", "pop", "clear", "restore", "restore", "undo", "undo", "again"])
rows = st.lists(
    st.builds(Step, verbs, st.lists(st.integers(0, 7), min_size=1, max_size=4), st.booleans()), min_size=4, max_size=16
)


def _steps(*steps: tuple[str, list[int]]) -> list[Step]:
    return [Step(verb, numbers, index % 2 == 0) for index, (verb, numbers) in enumerate(steps)]


# Whatever is drawn, what was restored is restored once more, hidden by another, and popped before the first is undone.
TWICE = _steps(("retract", [0, 1, 2, 4]), ("restore", [1]), ("restore", [1, 2]), ("undo", [0]), ("restore", [0, 1, 4]))
BY_ANOTHER = _steps(
    ("retract", [0, 1, 3, 5]), ("restore", [0, 5]), ("pop", [1]), ("retract", [0]), ("undo", [0]), ("undo", [1])
)


@dataclass
class Model:
    """The session as a set of visible numbers, with the write that hides each of the others."""

    count: int = 0
    hider: dict[int, str] = field(default_factory=dict)
    hid: dict[str, set[int]] = field(default_factory=dict)  # by write id
    pops: set[str] = field(default_factory=set)
    told: list[tuple[int, str]] = field(default_factory=list)  # what a follower hears
    restored: dict[str, tuple[dict[str, Any], set[int]]] = field(default_factory=dict)

    @property
    def visible(self) -> list[int]:
        return [number for number in range(1, self.count + 1) if number not in self.hider]

    def hide(self, write_id: str, wanted: set[int], *, is_pop: bool = False) -> set[int]:
        newly = wanted - self.hider.keys()
        self.hider |= dict.fromkeys(newly, write_id)
        self.hid[write_id] = newly
        self.told += [(number, "retracted") for number in sorted(newly)]
        if is_pop:
            self.pops.add(write_id)
        return newly

    def show(self, wanted: set[int]) -> set[int]:
        shown = wanted & self.hider.keys()
        for number in shown:
            del self.hider[number]
        self.told += [(number, "restored") for number in sorted(shown)]
        return shown

    def was_hidden(self, number: int) -> bool:
        return any(number in hid for hid in self.hid.values())


class Row:
    """One session, its model, and a handle that was read before the row began."""

    def __init__(self, store: BaseSessionStore, handle: Session[Any]) -> None:
        self.store = store
        self.handle = handle
        self.model = Model()

    async def take(self, index: int, step: Step) -> None:
        target: Session[Any] | str = self.handle if step.through_handle else "talk"
        await getattr(self, step.verb)(target, f"w{index}", step.numbers)

    async def append(self, target: Session[Any] | str, write_id: str, numbers: list[int]) -> None:
        model = self.model
        new = range(model.count + 1, model.count + len(numbers) + 1)
        await self.store.append(target, *(spending(1, id=_name(number)) for number in new))
        model.count += len(numbers)
        model.told += [(number, "") for number in new]

    async def retract(self, target: Session[Any] | str, write_id: str, numbers: list[int]) -> None:
        wanted = self._named(numbers)
        if wanted:
            hidden = await self.store.retract(target, *map(_name, wanted), write_id=write_id)
            assert ids(hidden) == _names(self.model.hide(write_id, set(wanted)))

    async def pop(self, target: Session[Any] | str, write_id: str, numbers: list[int]) -> None:
        count = numbers[0] % 4
        wanted = set(self.model.visible[-count:]) if count else set()
        hidden = await self.store.retract(target, last=count, write_id=write_id)
        assert ids(hidden) == _names(self.model.hide(write_id, wanted, is_pop=True))

    async def clear(self, target: Session[Any] | str, write_id: str, numbers: list[int]) -> None:
        wanted = {number for number in self.model.visible if number > numbers[0]}
        hidden = await self.store.retract(target, after=numbers[0], write_id=write_id)
        assert ids(hidden) == _names(self.model.hide(write_id, wanted))

    async def restore(self, target: Session[Any] | str, write_id: str, numbers: list[int]) -> None:
        wanted = self._named(numbers)
        if not wanted:
            return
        if not all(map(self.model.was_hidden, wanted)):
            with pytest.raises(InvalidSessionOperation, match="never retracted"):
                await self.store.restore(target, *map(_name, wanted))
            return
        shown = self.model.show(set(wanted))
        assert ids(await self.store.restore(target, *map(_name, wanted), id=write_id)) == _names(shown)

    async def undo(self, target: Session[Any] | str, write_id: str, numbers: list[int]) -> None:
        model = self.model
        if not model.hid:
            return
        undone = list(model.hid)[numbers[0] % len(model.hid)]
        if undone in model.pops or not model.hid[undone]:
            with pytest.raises(InvalidSessionOperation, match=f"'{undone}'"):
                await self.store.restore(target, write_id=undone)
            return
        shown = model.show({number for number, hider in model.hider.items() if hider == undone})
        assert ids(await self.store.restore(target, write_id=undone, id=write_id)) == _names(shown)
        model.restored[write_id] = ({"write_id": undone}, shown)

    async def again(self, target: Session[Any] | str, write_id: str, numbers: list[int]) -> None:
        """An old restoration is sent again: the first result comes back, and nothing changes."""
        model = self.model
        if not model.restored:
            return
        own = list(model.restored)[numbers[0] % len(model.restored)]
        arguments, shown = model.restored[own]
        told = await self.store.restore(target, **arguments, id=own)
        assert ids(told) == _names(shown)
        assert [event.restored for event in told] == [number not in model.hider for number in sorted(shown)]

    async def compare(self, cold: BaseSessionStore) -> None:
        model, visible = self.model, _names(set(self.model.visible))
        again = await whole(cold, "talk")
        assert ids(again.events) == ids(await cold.events("talk")) == visible
        assert again.last_seq == model.count
        assert (await cold.usage("talk")).total.requests == model.count
        assert again.token_summary.total.requests == model.count
        everything = await cold.events("talk", include_retracted=True)
        assert [event.retracted for event in everything] == [n in model.hider for n in range(1, model.count + 1)]
        for last in (1, 3):
            newest = await cold.get("talk", last=last)
            assert newest is not None
            assert (ids(newest.events), newest.earlier_events) == (visible[-last:], max(len(visible) - last, 0))
            tail = await cold.read_messages("talk", last=last)
            assert ([each.id for each in tail.messages], tail.earlier_events) == (
                visible[-last:],
                max(len(visible) - last, 0),
            )
        assert {event.id for event in self.handle.events} <= set(visible) | {
            event.id for event in self.handle.events if self.handle.revision < again.revision
        }
        async with listening(cold, "talk") as take:
            heard = await take(len(model.told))
        assert [(event.id, _told(event)) for event in heard] == [(_name(number), what) for number, what in model.told]

    def _named(self, numbers: list[int]) -> list[int]:
        return sorted({number + 1 for number in numbers if number < self.model.count})


def _name(number: int) -> str:
    return f"e{number:03}"


def _names(numbers: set[int]) -> list[str]:
    return [_name(number) for number in sorted(numbers)]


def _told(event: Any) -> str:
    return "retracted" if event.retracted else "restored" if event.restored else ""


async def _play(store: BaseSessionStore, open_cold: OpenCold, steps: list[Step]) -> None:
    async with store:
        row = Row(store, await store.create("talk"))
        await row.append("talk", "", [0] * 6)
        for index, step in enumerate(steps):
            await row.take(index, step)
            if index % 5 == 4:
                await row.compare(store)
        for _ in range(2):  # the second reads what the first may have written beside the log
            cold = open_cold()
            await row.compare(cold)
            if cold is not store:
                await cold.aclose()
        fresh = await whole(store, "talk")
        popped = await store.retract(fresh, last=1)
        if hidden := [*ids(popped), *_names(set(row.model.hider))]:
            await store.restore(fresh, *hidden)
        assert fresh.events == (await whole(store, "talk")).events


@settings(max_examples=40, deadline=None)
@given(rows)
@example(TWICE)
@example(BY_ANOTHER)
def test_in_memory_what_is_visible_is_what_the_model_says(steps: list[Step]) -> None:
    store = InMemorySessionStore(limits=LIMITS)

    asyncio.run(_play(store, lambda: store, steps))


@settings(max_examples=12, deadline=None)
@given(rows)
@example(TWICE)
@example(BY_ANOTHER)
def test_in_files_what_is_visible_is_what_the_model_says(steps: list[Step]) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as place:
        write_checkpoints_every(patch, 600)

        def open_store() -> FileSessionStore:
            return FileSessionStore(Path(place), limits=LIMITS)

        asyncio.run(_play(open_store(), open_store, steps))


@settings(max_examples=12, deadline=None)
@given(rows)
@example(TWICE)
@example(BY_ANOTHER)
def test_in_redis_what_is_visible_is_what_the_model_says(redis_server: RedisServer, steps: list[Step]) -> None:
    url = f"{redis_server.url}?key_prefix=row-{uuid4().hex}:"

    def open_store() -> BaseSessionStore:
        return store_from_url(url, limits=LIMITS)

    asyncio.run(_play(open_store(), open_store, steps))
