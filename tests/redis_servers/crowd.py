"""A crowd of clients of one store: each repeats a write until it is acknowledged, and notes what was acknowledged."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from a2a_session_manager.exceptions import StoreFull, StoreUnavailable
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.storage import BaseSessionStore

SHARED = "shared"
WRITERS = 6
# Longer than any fault here lasts, including the time that a verb tries again for.
GIVE_UP_SECONDS = 90.0


@dataclass
class Crowd:
    """Tasks that write to one session and its children, tasks that create and delete sessions, and a follower."""

    store: BaseSessionStore
    told: dict[str, list[list[str]]] = field(default_factory=dict)  # by session, the ids of each writer in their order
    states: dict[str, int] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    outages: Counter[str] = field(default_factory=Counter)
    _is_over: bool = False

    async def work(self, faults: Callable[[], Awaitable[object]]) -> None:
        """Work while `faults` runs, and until every write that was begun is acknowledged."""
        await self._until_acknowledged(lambda: self.store.create(SHARED, write_id="shared"))
        following = asyncio.create_task(self._follow())
        workers = [
            *(asyncio.create_task(self._append(SHARED, writer)) for writer in range(WRITERS)),
            *(asyncio.create_task(self._child(writer)) for writer in range(WRITERS)),
            *(asyncio.create_task(self._live(writer)) for writer in range(2)),
            asyncio.create_task(self._set_states()),
        ]
        try:
            await faults()
        finally:
            self._is_over = True
        await asyncio.gather(*workers)
        last = len(await self.store.events(SHARED))
        async with asyncio.timeout(GIVE_UP_SECONDS):
            while len(self.heard) < last:  # noqa: ASYNC110  what is heard is a list
                await asyncio.sleep(0.05)
        following.cancel()
        await asyncio.wait({following})

    async def _until_acknowledged(self, write: Callable[[], Awaitable[Any]]) -> None:
        """Repeat a write until it is acknowledged. Any error but an outage is a failure."""
        async with asyncio.timeout(GIVE_UP_SECONDS):
            while True:
                try:
                    await write()
                except (StoreUnavailable, StoreFull) as error:
                    self.outages[type(error).__name__] += 1
                    await asyncio.sleep(0.05)
                else:
                    return

    async def _append(self, session_id: str, writer: int) -> None:
        told: list[str] = []
        self.told.setdefault(session_id, []).append(told)
        while not self._is_over:
            usage = TokenUsage(prompt_tokens=1, model="m", cost_pico_usd=7)
            event = SessionEvent(id=f"{session_id} {writer} {len(told)}", message="x" * 200, token_usage=usage)
            await self._until_acknowledged(lambda event=event: self.store.append(session_id, event))  # type: ignore[misc]  # mypy cannot infer a lambda's default
            told.append(event.id)
            await asyncio.sleep(0.002)

    async def _child(self, writer: int) -> None:
        name = f"child {writer}"
        await self._until_acknowledged(lambda: self.store.create(name, parent_id=SHARED, write_id=name))
        await self._append(name, writer)

    async def _live(self, writer: int) -> None:
        while not self._is_over:
            name = f"life {writer} {len(self.deleted)}"
            parent = SHARED if len(self.deleted) % 2 else None
            await self._until_acknowledged(lambda: self.store.create(name, parent_id=parent, write_id=name))  # noqa: B023  awaited at once
            await self._until_acknowledged(lambda: self.store.append(name, SessionEvent(id=name, message="z")))  # noqa: B023  the same
            await self._until_acknowledged(lambda: self.store.delete(name))  # noqa: B023  the same
            self.deleted.append(name)
            await asyncio.sleep(0.02)

    async def _set_states(self) -> None:
        number = 0
        while not self._is_over:
            number += 1
            change = SessionChange(set_state={"number": number})
            await self._until_acknowledged(lambda: self.store.commit(SHARED, change, write_id=f"state {number}"))  # noqa: B023  the same
            self.states["number"] = number
            await asyncio.sleep(0.01)

    async def _follow(self) -> None:
        after = 0
        while True:
            try:
                async for event in self.store.follow(SHARED, after=after):
                    assert event.seq == after + 1, f"seq {event.seq} after {after}"
                    after = event.seq
                    self.heard.append(event.id)
            except StoreUnavailable:
                await asyncio.sleep(0.05)

    async def check(self, cold: BaseSessionStore) -> None:
        """Check through another store that what was acknowledged is there: once, in order, and nothing else."""
        for name, writers in self.told.items():
            log = await cold.events(name)
            seen = [event.id for event in log]
            assert [event.seq for event in log] == list(range(1, len(log) + 1))
            assert len(set(seen)) == len(seen)
            for told in writers:
                assert [one for one in seen if one in set(told)] == told
            assert sum(map(len, writers)) == len(seen)
            assert (await cold.usage(name)).total.prompt_tokens == len(seen)
            if name == SHARED:
                assert self.heard == seen
        shared = await cold.get(SHARED, last=0)
        assert shared is not None
        assert shared.state == self.states
        assert sorted(await cold.list_sessions()) == sorted(self.told)
        assert await cold.children(SHARED) == sorted(set(self.told) - {SHARED}, key=(await cold.children(SHARED)).index)
