"""Looks at all sessions of a namespace, which those who follow it share: many of them cost little more than one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.records import SessionKey

_IDS_A_PAGE: Final = 1_000


class Look(NamedTuple):
    """What was seen of a namespace: the stamp of each session, by its id. It began `at` a time of `time.monotonic`."""

    stamps: Mapping[str, str]
    at: float
    seconds: float


def looks_of(backend: Backend, namespace: Namespace) -> Looks:
    """Return those of the running loop; they are there as long as somebody refers to them."""
    by_place = backend.looks
    if by_place is None:
        by_place = backend.looks = WeakValueDictionary()
    place = asyncio.get_running_loop(), namespace
    found = by_place.get(place)
    if found is None:
        found = by_place[place] = Looks(backend, namespace)
    assert isinstance(found, Looks), "they are put there here alone"
    return found


class Looks:
    """All looks of one loop at one namespace: one at a time, and none while the last one is new enough."""

    def __init__(self, backend: Backend, namespace: Namespace) -> None:
        self._backend = backend
        self._namespace = namespace
        self._lock = asyncio.Lock()
        self._last: Look | None = None

    async def take(self, not_before: float) -> Look:
        """Return a look that began at that time of `time.monotonic`, or later."""
        async with self._lock:
            if self._last is None or self._last.at < not_before:
                self._last = await self._look()
            return self._last

    async def _look(self) -> Look:
        at = time.monotonic()
        stamps: dict[str, str] = {}
        cursor: str | None = None
        while True:
            self._backend.check_open()
            page = await self._backend.list_page(
                self._namespace, prefix="", cursor=cursor, limit=_IDS_A_PAGE, roots_only=False
            )
            found = await self._backend.stamps([SessionKey(self._namespace, each) for each in page.session_ids])
            pairs = zip(page.session_ids, found, strict=True)
            stamps |= {session_id: stamp for session_id, stamp in pairs if stamp is not None}
            if (cursor := page.cursor) is None:
                return Look(stamps, at, time.monotonic() - at)
            await asyncio.sleep(0)
