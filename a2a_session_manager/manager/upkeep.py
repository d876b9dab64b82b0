"""UpkeepVerbs: what is wrong, with a conversation or with the store, and what sets it right."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import timedelta
from typing import Any

from a2a_session_manager.context.findings import Finding
from a2a_session_manager.context.repair import all_findings_of, findings_of, repaired
from a2a_session_manager.context.tail import newest
from a2a_session_manager.diagnosis import StoreFinding
from a2a_session_manager.manager.base import ManagerBase
from a2a_session_manager.models.pruning import PruneResult
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.statistics import StoreStatistics


class UpkeepVerbs(ManagerBase):
    """Checks and repairs, room, and the health of the store."""

    async def check(self, id: str) -> list[Finding]:
        """Return what a model would not be given as it is stored, and more that is not as it looks.

        That is what `ActiveSession.check` returns, and nothing is written.
        An empty list says that the conversation is sound. Raises SessionNotFound.
        """
        return await findings_of(self._store, id)

    def check_all(self) -> AsyncGenerator[tuple[str, list[Finding]], None]:
        """Yield each session of the namespace of which `check` has findings, as its id and these.

        They come in the order of ids. A damaged session is yielded with a finding `damaged`. Every session is read as a
        whole, one at a time.
        """
        return all_findings_of(self._store)

    async def repair(self, id: str) -> list[SessionEvent[Any]]:
        """Append a result that says "interrupted" to each open call, as views show it, and return these events.

        Doing it twice changes nothing. Raises SessionNotFound.
        """
        return await repaired(self._store, await newest(self._store, id, last=0))

    async def cut_damaged_tail(self, id: str) -> int:
        """Give up the damaged end of a session, and return its length in bytes; see SessionStore.cut_damaged_tail."""
        return await self._store.cut_damaged_tail(id)

    async def prune(
        self,
        *,
        older_than: float | timedelta | None = None,
        keep_last: int | None = None,
        max_bytes: int | None = None,
        properties: Mapping[str, Any] | None = None,
        branches: bool = False,
        dry_run: bool = True,
        progress: Callable[[int, int], object] | None = None,
    ) -> PruneResult:
        """Remove what has been idle, and return what was removed; a dry run, the default, only says what would be.

        Whole trees go, a root with all below it. `older_than` is how long one must have been idle, in seconds or as a
        timedelta; so many as `keep_last` of those that were active last stay in any case; what is above `max_bytes` in
        sum goes, the idle ones first. `properties` are those of the roots that are considered. With `branches`, idle
        branches of trees that stay go as well. `dry_run=False` removes them; what came alive meanwhile stays.
        `progress` is called with how many sessions were judged, and how many removed, so far. See SessionStore.prune.
        """
        return await self._store.prune(
            older_than=older_than,
            keep_last=keep_last,
            max_bytes=max_bytes,
            properties=properties,
            branches=branches,
            dry_run=dry_run,
            progress=progress,
        )

    async def rebuild_index(self) -> int | None:
        """Make what `page`, `count` and `namespaces` find by anew; return how many sessions are in it now.

        See SessionStore.rebuild_index.
        """
        return await self._store.rebuild_index()

    async def ping(self) -> None:
        """Return when the store can be reached and written to; raise StoreUnavailable, with the remedy, otherwise."""
        await self._store.ping()

    async def diagnose(self) -> list[StoreFinding]:
        """Return what is wrong, or worth knowing, about where the store keeps its data; see SessionStore.diagnose."""
        return await self._store.diagnose()

    def statistics(self) -> StoreStatistics:
        """Return what the store has done so far and holds open now."""
        return self._store.statistics()
