"""Stores over memory with one planted fault each, in runs and in commits that are refused."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Parent, Receipt
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.records import SessionKey


class _ForgetsRuns(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        if (stored := self._sessions.get(key)) is not None:
            for run_id in commit.runs:
                stored.head.runs.pop(run_id, None)
        return super().commit(key, commit)


class RevivesEndedRuns(BaseSessionStore):
    """Takes any status for a run, whatever it had."""

    def __init__(self) -> None:
        super().__init__(_ForgetsRuns())


class SortsRunsByTheirLastMove(RevivesEndedRuns):
    """The same; it puts a run that moved behind the others, too."""


class _WritesTheRest(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        try:
            return super().commit(key, commit)
        except InvalidSessionOperation:
            super().commit(key, replace(commit, runs={}))
            raise


class WritesWhatItRefuses(BaseSessionStore):
    """Refuses a commit for a run's sake, and writes all else of it."""

    def __init__(self) -> None:
        super().__init__(_WritesTheRest())


class CountsWhatItRefuses(WritesWhatItRefuses):
    """The same; what the refused events have spent counts, too."""


class _TouchesParents(MemoryBackend):
    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Awaitable[Receipt]:
        done = super().create(key, creation, commit)
        if isinstance(creation.parent, Parent):
            self._sessions[SessionKey(key.namespace, creation.parent.id)].head.revision += 1
        return done


class CountsChildrenAsCommits(BaseSessionStore):
    """Lets a child that is made move the revision of its parent."""

    def __init__(self) -> None:
        super().__init__(_TouchesParents())


class _CountsNothings(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        before = None if (stored := self._sessions.get(key)) is None else stored.head.revision
        done = super().commit(key, commit)
        if stored is not None and stored.head.revision == before:
            stored.head.revision += 1
        return done


class CountsCommitsOfNothing(BaseSessionStore):
    """Moves the revision by a commit that changes nothing."""

    def __init__(self) -> None:
        super().__init__(_CountsNothings())


class _RemembersTheDeleted(MemoryBackend):
    def __init__(self) -> None:
        super().__init__()
        self._write_ids: set[tuple[SessionKey, str]] = set()

    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        write_id = commit.write_id
        if write_id is not None:
            if (key, write_id) in self._write_ids:
                commit = replace(commit, events=(), state={}, properties={}, runs={})
            self._write_ids.add((key, write_id))
        return super().commit(key, commit)


class KnowsWriteIdsOfTheDeleted(BaseSessionStore):
    """Takes a write id that a deleted session had for known in a later one of its id."""

    def __init__(self) -> None:
        super().__init__(_RemembersTheDeleted())
