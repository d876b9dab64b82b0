"""Stores over memory with one planted fault each, in what they prune."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

from a2a_session_manager.models.pruning import PruneResult
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.storage import BaseSessionStore, InMemorySessionStore
from a2a_session_manager.storage.commit_records import Guard
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.records import HeldLease, SessionKey


class PrunesInADryRun(InMemorySessionStore):
    """Removes what it is asked to look for."""

    async def prune(self, **options: Any) -> PruneResult:
        return await super().prune(**{**options, "dry_run": False})


class KeepsFewerThanAsked(InMemorySessionStore):
    """Lets the age of a tree count for more than its place among the last ones."""

    async def prune(self, **options: Any) -> PruneResult:
        if options.get("older_than") is not None:
            options.pop("keep_last", None)
        return await super().prune(**options)


class PrunesEverybodys(InMemorySessionStore):
    """Looks at no properties."""

    async def prune(self, **options: Any) -> PruneResult:
        options.pop("properties", None)
        return await super().prune(**options)


class _Unguarded(MemoryBackend):
    def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> Awaitable[None]:
        return super().delete(key, creation_id, cascade=cascade, guard=None)


class PrunesWhatCameAlive(BaseSessionStore):
    """Deletes what was judged, whatever it is by then."""

    def __init__(self) -> None:
        super().__init__(_Unguarded())


class _Cascading(MemoryBackend):
    def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> Awaitable[None]:
        return super().delete(key, creation_id, cascade=True, guard=guard)


class PrunesNewChildren(BaseSessionStore):
    """Takes children along that nobody has judged."""

    def __init__(self) -> None:
        super().__init__(_Cascading())


class _ForgetsSpend(MemoryBackend):
    def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> Awaitable[None]:
        if (stored := self._sessions.get(key)) is not None:
            stored.tree.totals.clear()
        return super().delete(key, creation_id, cascade=cascade, guard=guard)


class ForgetsWhatIsPruned(BaseSessionStore):
    """Loses what a deleted session has spent."""

    def __init__(self) -> None:
        super().__init__(_ForgetsSpend())


class _HoldsNothing(MemoryBackend):
    async def held_leases(self, runs: Sequence[tuple[SessionKey, str]]) -> list[HeldLease | None]:
        return [None] * len(runs)


class PrunesHeldRuns(BaseSessionStore):
    """Sees no leases."""

    def __init__(self) -> None:
        super().__init__(_HoldsNothing())


class _RebuildsShort(MemoryBackend):
    async def rebuild_index(self, namespace: Namespace) -> int | None:
        for name in ("first", "second"):
            if name in self._ids.matching(namespace, name, None):
                self._ids.remove(SessionKey(namespace, name))
        return await super().rebuild_index(namespace)


class RebuildsShort(BaseSessionStore):
    """Makes an index anew that finds less than is there."""

    def __init__(self) -> None:
        super().__init__(_RebuildsShort())


class _Weightless(MemoryBackend):
    async def sizes(self, keys: Sequence[SessionKey]) -> list[int | None]:
        return [0] * len(keys)


class TakesNoRoom(BaseSessionStore):
    """Takes what it cannot weigh for nothing."""

    def __init__(self) -> None:
        super().__init__(_Weightless())
