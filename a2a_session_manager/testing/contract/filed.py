"""FiledContract: a store that finds sessions by properties, a clock set by hand, and readers of whole pagings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from a2a_session_manager.models import clock
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session_head import SessionHead
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen

INDEXED: Final = ("owner", "n", "done")
MOST_PAGES: Final = 40
# More than an index is behind by.
_STEP_SECONDS: Final = 11.0


class Clock:
    """The writers' clock, which stands still; `tick` lets time pass."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def tick(self, seconds: float = _STEP_SECONDS) -> None:
        self.seconds += seconds

    def time_ns(self) -> int:
        return round(self.seconds * 1_000_000) * 1_000


async def paged(store: BaseSessionStore, limit: int = 3, **query: Any) -> list[list[SessionHead]]:
    pages: list[list[SessionHead]] = []
    cursor = None
    while True:
        assert len(pages) < MOST_PAGES, "a paging does not end"
        page = await store.page(limit=limit, cursor=cursor, **query)
        assert len(page) <= limit
        # A store that cannot tell whether there are more may return an empty page at the end.
        assert len(page) == limit or page.cursor is None
        pages.append(list(page))
        if (cursor := page.cursor) is None:
            return pages


async def listed(store: BaseSessionStore, limit: int = 3, **query: Any) -> list[str]:
    return [head.id for page in await paged(store, limit, **query) for head in page]


async def made(store: BaseSessionStore, session_id: str, parent_id: str | None = None, **properties: Any) -> None:
    await store.create(session_id, parent_id=parent_id, change=SessionChange(set_properties=properties))


class FiledContract(ContractBase):
    @pytest.fixture
    def ticking(self, monkeypatch: pytest.MonkeyPatch) -> Clock:
        """A clock in the place of that of the writers."""
        ours = Clock()
        monkeypatch.setattr(clock, "time_ns", ours.time_ns)
        return ours

    @pytest_asyncio.fixture
    async def filed(self, place: Path) -> AsyncIterator[BaseSessionStore]:
        """A store that finds sessions by some of their properties."""
        store = await self.open_indexed_store(place, INDEXED)
        yield store
        await store.aclose()

    @pytest_asyncio.fixture
    async def refile(self, filed: BaseSessionStore, place: Path) -> AsyncIterator[Reopen]:
        """`await refile()` opens a cold store over the same data, which finds by the same properties."""
        opened: list[BaseSessionStore] = []

        async def reopened() -> BaseSessionStore:
            if not self.is_durable:
                return filed
            opened.append(await self.open_indexed_store(place, INDEXED))
            return opened[-1]

        yield reopened
        for cold in opened:
            await cold.aclose()
