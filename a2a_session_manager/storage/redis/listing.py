"""Pages of session ids, from the index and a look at each session that it lists."""

from __future__ import annotations

from contextlib import suppress

from a2a_session_manager.exceptions import StoreFull
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.protocols import SessionPage
from a2a_session_manager.storage.redis.index_lines import IndexLines, Line
from a2a_session_manager.storage.redis.reaper import Reaper


class Listing:
    """Lists the sessions that are there, and removes what is left of others."""

    def __init__(self, lines: IndexLines, reaper: Reaper) -> None:
        self._lines = lines
        self._reaper = reaper

    async def page(
        self, namespace: Namespace, *, prefix: str, cursor: str | None, limit: int, roots_only: bool
    ) -> SessionPage:
        """Return up to `limit` ids in the order of the index; see `Backend.list_page`."""
        found: list[Line] = []
        is_all = False
        while not is_all and len(found) <= limit:
            wanted = limit + 1 - len(found)
            lines, is_all = await self._lines.lines(
                namespace, prefix=prefix, cursor=cursor, limit=wanted, roots_only=roots_only
            )
            cursor = lines[-1].cursor if lines else cursor
            found += await self._living(lines)
        page = found[:limit]
        return SessionPage([line.keys.key.id for line in page], page[-1].cursor if len(found) > limit else None)

    async def _living(self, lines: list[Line]) -> list[Line]:
        alive = await self._reaper.are_alive([line.keys for line in lines])
        gone = [line.keys for line, is_alive in zip(lines, alive, strict=True) if not is_alive]
        if gone:
            with suppress(StoreFull):  # listing is reading; the next one removes them
                await self._reaper.clear(gone)
        return [line for line, is_alive in zip(lines, alive, strict=True) if is_alive]
