"""The sessions in a bundle, as what is to be moved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from a2a_session_manager.bundles.bundle_check import SessionLines
from a2a_session_manager.bundles.bundle_reader import BundleReader
from a2a_session_manager.bundles.carried_events import CarriedEvent
from a2a_session_manager.bundles.records import SessionRecord
from a2a_session_manager.bundles.report import Loss
from a2a_session_manager.bundles.sources import SessionSource, SourceSession
from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.limits import StoreLimits


class BundleSource(SessionSource):
    """What a bundle holds; made by `opened_bundle`, which has verified all of it."""

    is_fixed = True

    def __init__(self, reader: BundleReader) -> None:
        self.ids = list(reader.entries)
        self.events = reader.events
        self._reader = reader
        self._parents = {entry.parent_id for entry in reader.entries.values()}

    async def open(self, session_id: str) -> BundledSession:
        entry = self._reader.entries[session_id]
        return BundledSession(self._reader, entry, await in_thread(self._reader.session_at, entry))

    def begins_tree(self, session_id: str) -> bool:
        return self._reader.entries[session_id].parent_id is None

    def has_below(self, session_id: str) -> bool:
        return session_id in self._parents

    async def losses(self) -> list[Loss]:
        return self._reader.losses


class BundledSession(SourceSession):
    """A session in a bundle."""

    def __init__(self, reader: BundleReader, entry: SessionLines, record: SessionRecord) -> None:
        self.record = record
        self._reader = reader
        self._entry = entry

    async def events(self) -> AsyncIterator[list[CarriedEvent]]:
        pages = self._reader.events_at(self._entry)
        while (page := await in_thread(next, pages, None)) is not None:
            yield page


@asynccontextmanager
async def opened_bundle(path: Path, limits: StoreLimits) -> AsyncIterator[BundleSource]:
    """Open a bundle and go through all of it. Raises InvalidSessionOperation for what is none, or is damaged."""
    reader = BundleReader(path, limits)
    try:
        await in_thread(reader.open)
        steps = reader.verify()
        while await in_thread(next, steps, None) is not None:
            pass
        yield BundleSource(reader)
    finally:
        await in_thread(reader.close)
