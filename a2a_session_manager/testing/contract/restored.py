"""RestoredBackend: a backend whose sessions can go back in time, as after a restore, and get other events since."""

from __future__ import annotations

import asyncio

from a2a_session_manager.storage.read_records import LogPage
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.testing.contract.lossy import LossyBackend


class RestoredBackend(LossyBackend):
    """Forwards everything; the log of a restored session is that of another one, under the same creation id."""

    _log_id: str | None = None

    def restore(self, log_id: str) -> None:
        """Read the log of the session `log_id` for every session, from now on."""
        self._log_id = log_id

    async def read_log(self, key: SessionKey, *, after: int, limit: int, max_bytes: int) -> LogPage | None:
        page = await super().read_log(key, after=after, limit=limit, max_bytes=max_bytes)
        if page is None or self._log_id is None:
            return page
        other = await super().read_log(key._replace(id=self._log_id), after=after, limit=limit, max_bytes=max_bytes)
        return other and other._replace(creation_id=page.creation_id)

    async def wait(self, key: SessionKey, creation_id: str, revision: int) -> None:
        await asyncio.sleep(0.01)  # a restore notifies no follower
