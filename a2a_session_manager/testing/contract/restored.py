"""RestoredBackend: a backend whose sessions can go back in time, as after a restore, and have gone on since."""

from __future__ import annotations

import asyncio

from a2a_session_manager.storage.records import LogPage, SessionKey
from a2a_session_manager.testing.contract.lossy import LossyBackend


class RestoredBackend(LossyBackend):
    """Hands everything on; the log of a session that was restored is that of another one, in the same life."""

    _course: str | None = None

    def restore(self, course: str) -> None:
        """Let every session have the log of session `course` from now on."""
        self._course = course

    async def read_log(self, key: SessionKey, *, after: int, limit: int, max_bytes: int) -> LogPage | None:
        page = await super().read_log(key, after=after, limit=limit, max_bytes=max_bytes)
        if page is None or self._course is None:
            return page
        course = await super().read_log(key._replace(id=self._course), after=after, limit=limit, max_bytes=max_bytes)
        return course and course._replace(creation_id=page.creation_id)

    async def wait(self, key: SessionKey, creation_id: str, revision: int) -> None:
        await asyncio.sleep(0.01)  # a restore wakes nobody
