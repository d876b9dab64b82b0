"""ContractBase: the fixtures of every part of the contract: a store for each test, and a second, cold one to read."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pytest
import pytest_asyncio
from blockbuster import BlockBuster

from a2a_session_manager.storage import Backend, BaseSessionStore
from a2a_session_manager.testing.blocking import blocking_calls_refused

Reopen = Callable[[], Awaitable[BaseSessionStore]]


class ContractBase(ABC):
    """Opens and closes stores; the parts of the contract are mixed in beside it.

    Attributes:
        is_durable: whether a store that is opened again sees what the first one wrote. When it does not (memory), the
            tests read through the first one itself.
        keeps_budgets: whether the store keeps budgets. When it does not, it has to say so.
    """

    is_durable: ClassVar[bool] = True
    keeps_budgets: ClassVar[bool] = True

    @abstractmethod
    async def open_store(self, place: Path) -> BaseSessionStore:
        """Return a new store over the data at `place`, a path that does not exist at first and is each test's own.

        Called again with the same `place`, it returns another store over the same data.
        """

    async def open_indexed_store(self, place: Path, indexed: Sequence[str]) -> BaseSessionStore:
        """Return a store as `open_store` does, which finds sessions by these properties.

        A backend that keeps no index needs nothing but their names; for others, this is to be overridden.
        """
        store = await self.open_store(place)
        store.wrap_backend(lambda backend: _told(backend, indexed))
        return store

    async def open_expiring_store(self, place: Path, seconds: float) -> BaseSessionStore | None:
        """Return a store as `open_store` does, whose sessions expire `seconds` after the last write to them.

        None, the default, says that no session of such a store ever expires.
        """
        return None

    @abstractmethod
    async def damage(self, store: BaseSessionStore, session_id: str) -> None:
        """Damage the first stored event of the session in the data of `store`, so that it cannot be read any more."""

    def allow_blocking(self, guard: BlockBuster) -> None:  # noqa: B027  a hook, empty by default
        """Allow blocking calls that the store needs, with `guard.functions[…].can_block_in(…)`. None by default."""

    @pytest.fixture(autouse=True)
    def no_blocking_calls(self) -> Iterator[None]:
        """Fail a test on any blocking call on its event loop."""
        with blocking_calls_refused() as guard:
            self.allow_blocking(guard)
            yield

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        """Where the test's store keeps its data."""
        return tmp_path / "store"

    @pytest_asyncio.fixture
    async def store(self, place: Path) -> AsyncIterator[BaseSessionStore]:
        """The store under test. It is closed afterwards, and no task may be left then."""
        store = await self.open_store(place)
        yield store
        await store.aclose()
        assert await _tasks_left() == []

    @pytest_asyncio.fixture
    async def reopen(self, store: BaseSessionStore, place: Path) -> AsyncIterator[Reopen]:
        """`await reopen()` opens a cold store over the same data, which knows nothing of what the first one did."""
        opened: list[BaseSessionStore] = []

        async def reopened() -> BaseSessionStore:
            if not self.is_durable:
                return store
            opened.append(await self.open_store(place))
            return opened[-1]

        yield reopened
        for cold in opened:
            await cold.aclose()


def _told(backend: Backend, indexed: Sequence[str]) -> Backend:
    backend.indexed = indexed
    return backend


async def _tasks_left() -> list[str]:
    for _ in range(100):
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if not others:
            return []
        await asyncio.sleep(0.01)
    return [repr(task) for task in others]
