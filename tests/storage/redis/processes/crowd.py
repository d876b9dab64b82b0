"""A crowd of clients of one store: each repeats a write until it is acknowledged, and notes what was acknowledged."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from a2a_session_manager.exceptions import SessionConflict, SessionNotFound, StoreFull, StoreUnavailable
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
    """Tasks that write to one session and its children, tasks that create and delete sessions, and a follower.

    `server_forgets`: a kill may lose the last of what the server has acknowledged; `take_back` finds out what.
    """

    store: BaseSessionStore
    server_forgets: bool = False
    told: dict[str, list[list[str]]] = field(default_factory=dict)  # by session, the ids of each writer in their order
    states: dict[str, int] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    told_at: dict[str, float] = field(default_factory=dict)  # of events and of deletions, by the loop's clock
    forgotten: int = 0
    heard: list[str] = field(default_factory=list)
    outages: Counter[str] = field(default_factory=Counter)
    _is_over: bool = False
    _goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    _under_way: int = 0

    async def work(self, faults: Callable[[], Awaitable[object]]) -> None:
        """Work while `faults` runs, and until every write that was begun is acknowledged."""
        self._goes_on.set()
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
            while len(self.heard) < last and not following.done():  # noqa: ASYNC110  what is heard is a list
                await asyncio.sleep(0.05)
        if not following.cancel():
            following.result()  # it never ends but by an error
        await asyncio.wait({following})

    async def _until_acknowledged(self, write: Callable[[], Awaitable[Any]]) -> None:
        """Repeat a write until it is acknowledged. Any error but an outage is a failure."""
        await self._goes_on.wait()
        self._under_way += 1
        try:
            async with asyncio.timeout(GIVE_UP_SECONDS):
                while True:
                    try:
                        await write()
                    except (StoreUnavailable, StoreFull) as error:
                        self.outages[type(error).__name__] += 1
                        await asyncio.sleep(0.05)
                    else:
                        return
        finally:
            self._under_way -= 1

    async def _append(self, session_id: str, writer: int) -> None:
        told: list[str] = []
        self.told.setdefault(session_id, []).append(told)
        for number in count():
            if self._is_over:
                return
            usage = TokenUsage(prompt_tokens=1, model="m", cost_pico_usd=7)
            event = SessionEvent(id=f"{session_id} {writer} {number}", message="x" * 200, token_usage=usage)
            await self._until_acknowledged(lambda event=event: self.store.append(session_id, event))  # type: ignore[misc]  # mypy cannot infer a lambda's default
            self._note(event.id)
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
            try:
                await self._until_acknowledged(lambda: self.store.append(name, SessionEvent(id=name, message="z")))  # noqa: B023  the same
                await self._until_acknowledged(lambda: self.store.delete(name))  # noqa: B023  the same
            except SessionNotFound:
                if not self.server_forgets:
                    raise
                continue  # its creation was forgotten
            self._note(name)
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
            except SessionConflict:
                if not self.server_forgets:
                    raise
                self.heard.clear()  # some of it was forgotten
                after = 0

    def _note(self, what: str) -> None:
        self.told_at[what] = asyncio.get_running_loop().time()

    async def take_back(self, restarted: BaseSessionStore, since: float) -> None:
        """Forget what a killed server has forgotten; fail if any of it was acknowledged before `since`.

        The tasks wait meanwhile: a write that began before the kill may be acknowledged after it.
        """
        self._goes_on.clear()
        async with asyncio.timeout(GIVE_UP_SECONDS):
            while self._under_way:  # noqa: ASYNC110  a count
                await asyncio.sleep(0.01)
        for name, writers in self.told.items():
            kept = {event.id for event in await restarted.events(name)}
            for told in writers:
                self._forget(set(told) - kept, since)
                told[:] = [event_id for event_id in told if event_id in kept]
        come_back = set(self.deleted) & set(await restarted.list_sessions())
        self._forget(come_back, since)
        for name in come_back:
            await restarted.delete(name)
        self._goes_on.set()

    def _forget(self, lost: set[str], since: float) -> None:
        too_old = {what: since - self.told_at[what] for what in lost if self.told_at[what] < since}
        assert not too_old, f"lost, though told so many seconds before what may be lost: {too_old}"
        self.forgotten += len(lost)

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
