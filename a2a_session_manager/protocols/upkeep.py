"""MaintainableStore: what a store promises to who runs it: room, health, and what is damaged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Protocol

from a2a_session_manager.diagnosis import StoreFinding
from a2a_session_manager.models.pruning import PruneResult
from a2a_session_manager.statistics import StoreStatistics


class MaintainableStore(Protocol):
    """Tells how it is, and is kept in order. SessionStore says what the parameters and errors of all verbs mean."""

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
        """Remove what has been idle, and return what was removed; a dry run only says what would be.

        Whole trees go, a root with all below it, as one is a unit of work: a tree is as idle as the session in it that
        was active last (`updated_at`: events, runs, state; not properties and titles). One that was active since it was
        judged stays, and so does one in which somebody holds a run: each session's deletion is guarded by the revision
        that was judged, the leaves first. Of a tree that comes alive in that very moment, idle leaves may be gone.

        Args:
            older_than: how long something must have been idle to go, in seconds or as a timedelta.
            keep_last: so many of the trees that were active last stay in any case. As the only limit, all others go.
            max_bytes: how much the trees may take where they are stored; more than that goes, which was idle longest
                first, also if it is not as idle as `older_than`. On Redis it is what the server estimates.
            properties: only trees are considered, and counted, whose roots have these; they need not be indexed.
            branches: in trees that stay, what is below the root goes as well where nothing was active, by `older_than`;
                what it spent stays in the totals of its tree.
            dry_run: True removes nothing.
            progress: is called with how many sessions were judged, and how many removed, so far.

        The heads of all sessions of the namespace are read, not those of namespaces inside it. What is damaged stays,
        with its tree, and is named. Raises InvalidSessionOperation for limits that are none, and for `max_bytes` over
        a store that cannot tell sizes, before anything goes.
        """

    async def ping(self) -> None:
        """Return when the store can be reached and written to; raise StoreUnavailable, with the remedy, otherwise.

        The file store writes a file to its directory and removes it; StoreFull says that there is no room. Redis is
        asked whether it takes the store's writes, and every primary of a cluster whether it is there.
        """

    async def diagnose(self) -> list[StoreFinding]:
        """Return what is wrong, or worth knowing, about where the store keeps its data, with the remedies.

        On Redis that is the version, the eviction policy, what is brought to disk, and missing rights; for files the
        file system, permissions, room, and what is left over. Sessions are not read.
        """

    def statistics(self) -> StoreStatistics:
        """Return what the store has done so far and holds open now.

        It may be called from any thread, and when the store is closed.
        """

    async def rebuild_index(self) -> int | None:
        """Make what `page`, `count` and `namespaces` find by anew, from the sessions, and return how many there are.

        It is done where something is known to be lost, without being asked for; this is for when it is not known. Only
        the index of this namespace is made, and others go on writing meanwhile. None stands for a store that keeps no
        index apart from its sessions.
        """

    async def cut_damaged_tail(self, session_id: str) -> int:
        """Give up the damaged end of a session, which a CorruptSession has named; look at the backups first.

        The file store moves everything from the first damaged byte on into `ID.cut` beside the log, removes nothing,
        and returns how many bytes it moved. The session then goes on after its last whole commit: what was cut no
        longer counts, and its ids are free again. Returns 0 when nothing is damaged, and always on the other stores,
        which have no such way out.

        Raises CorruptSession when the damage is not at the end, so that cutting would not help.
        """
