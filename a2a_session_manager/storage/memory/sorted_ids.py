"""The ids of each namespace's sessions, in their order."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from itertools import islice

from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.storage.records import SessionKey


class SortedIds:
    """Sorted lists by namespace; one without any session is not there."""

    def __init__(self) -> None:
        self._ids: dict[Namespace, list[str]] = {}

    def add(self, key: SessionKey) -> None:
        """Take in the id of a new session."""
        insort(self._ids.setdefault(key.namespace, []), key.id)

    def remove(self, key: SessionKey) -> bool:
        """Remove an id, and tell whether the namespace has others."""
        ids = self._ids[key.namespace]
        del ids[bisect_left(ids, key.id)]
        if not ids:
            del self._ids[key.namespace]
        return bool(ids)

    def matching(self, namespace: Namespace, prefix: str, after: str | None) -> Iterator[str]:
        """Yield the ids that begin with `prefix`, those after `after`."""
        ids = self._ids.get(namespace, [])
        start = bisect_left(ids, prefix) if after is None else bisect_right(ids, after)
        for session_id in islice(ids, start, None):
            if not session_id.startswith(prefix):
                return
            yield session_id

    def names_below(self, namespace: Namespace) -> set[str]:
        """Return the names of the namespaces directly below one that hold a session, or have one below them that do."""
        depth = len(namespace)
        return {inner[depth] for inner in self._ids if len(inner) > depth and inner[:depth] == namespace}
