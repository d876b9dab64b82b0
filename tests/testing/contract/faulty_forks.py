"""Stores over memory whose forks have one planted fault each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from a2a_session_manager.exceptions import SessionAlreadyExists
from a2a_session_manager.models.session import Session
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Guard, Receipt
from a2a_session_manager.storage.commit_rules import add_counters
from a2a_session_manager.storage.fork_rules import ForkDraft
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.memory.stored import StoredSession
from a2a_session_manager.storage.read_records import LoadedSession
from a2a_session_manager.storage.records import EncodedEvent, SessionKey

# Gets a fork that was just made, and the session that it hangs below.
Spoil = Callable[[StoredSession, StoredSession], None]


class _Spoils(MemoryBackend):
    """Memory that does something to each new fork."""

    def __init__(self, spoil: Spoil) -> None:
        super().__init__()
        self._spoil = spoil

    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Awaitable[Receipt]:
        is_new = key not in self._sessions
        receipt = super().create(key, creation, commit)
        if is_new and creation.fork is not None and creation.parent is not None:
            self._spoil(self._sessions[key], self._sessions[SessionKey(key.namespace, creation.parent.id)])
        return receipt


def _share_hidden(fork: StoredSession, source: StoredSession) -> None:
    fork.head.hidden = source.head.hidden


class ShowsLaterRetractions(BaseSessionStore):
    """What is retracted in the source after the fork was made is hidden in the fork, and the other way round."""

    def __init__(self) -> None:
        super().__init__(_Spoils(_share_hidden))


def _share_state(fork: StoredSession, source: StoredSession) -> None:
    fork.head.state = source.head.state


class SharesStateWithForks(BaseSessionStore):
    """A fork writes into the state of its source."""

    def __init__(self) -> None:
        super().__init__(_Spoils(_share_state))


def _take_totals(fork: StoredSession, source: StoredSession) -> None:
    for cell, counters in source.head.totals.items():
        fork.head.totals[cell] = dict(counters)
        add_counters(fork.tree.totals[cell], counters)


class SpendsInheritedUsageAgain(BaseSessionStore):
    """What the source has spent counts for the fork, and twice in the tree."""

    def __init__(self) -> None:
        super().__init__(_Spoils(_take_totals))


def _take_write_ids(fork: StoredSession, source: StoredSession) -> None:
    fork.first_results |= source.first_results


class KnowsTheSourcesWriteIds(BaseSessionStore):
    """A commit to a fork is lost when the source has made one of the same write id."""

    def __init__(self) -> None:
        super().__init__(_Spoils(_take_write_ids))


def _forget_retractions(fork: StoredSession, source: StoredSession) -> None:
    fork.retractions.clear()


class TellsNotWhatForksHide(BaseSessionStore):
    """A follower of a fork is not told what was hidden when it was made."""

    def __init__(self) -> None:
        super().__init__(_Spoils(_forget_retractions))


def _forget_compactions(fork: StoredSession, source: StoredSession) -> None:
    fork.head.compactions.clear()


class ForgetsCompactionsInForks(BaseSessionStore):
    """A fork shows all that a summary stands for."""

    def __init__(self) -> None:
        super().__init__(_Spoils(_forget_compactions))


def _forget_placed(fork: StoredSession, source: StoredSession) -> None:
    if not fork.head.hidden:
        fork.head.placed.clear()


class ForgetsThePlacesOfSummariesInForks(BaseSessionStore):
    """A fork that hides nothing shows each summary where it was appended."""

    def __init__(self) -> None:
        super().__init__(_Spoils(_forget_placed))


def _move_to_children(fork: StoredSession, source: StoredSession) -> None:
    source.children |= source.forks


class TakesForksForChildren(BaseSessionStore):
    """Forks are among the children."""

    def __init__(self) -> None:
        super().__init__(_Spoils(_move_to_children))


class _OwnIdsAlone(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        stored = self._sessions.get(key)
        if stored is None or not commit.events:
            return super().commit(key, commit)
        segments, stored.head.segments = stored.head.segments, ()
        try:
            return super().commit(key, commit)
        finally:
            stored.head.segments = segments


class DoublesInheritedIds(BaseSessionStore):
    """An event that a fork has inherited is stored once more when it is sent again."""

    def __init__(self) -> None:
        super().__init__(_OwnIdsAlone())


class _CountsAnew(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        stored = self._sessions.get(key)
        if stored is not None and stored.head.segments:
            commit = replace(commit, events=list(map(_without_response, commit.events)))
        return super().commit(key, commit)


def _without_response(event: EncodedEvent) -> EncodedEvent:
    return event._replace(usage=event.usage and event.usage._replace(response_id=None))


class CountsInheritedResponsesAnew(BaseSessionStore):
    """A response that was counted before a fork is paid for again in it."""

    def __init__(self) -> None:
        super().__init__(_CountsAnew())


class _CountsLater(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        stored = self._sessions.get(key)
        for source in () if stored is None else stored.sources.values():
            source.responses._seqs.clear()
        return super().commit(key, commit)


class CountsWhatTheSourceCountsLater(BaseSessionStore):
    """What a source has counted of a response after a fork counts in the fork, too."""

    def __init__(self) -> None:
        super().__init__(_CountsLater())


class _DeletesBelowForks(MemoryBackend):
    def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> Awaitable[None]:
        stored = self._sessions.get(key)
        if stored is not None and not stored.children and not cascade:
            stored.forks.clear()
        return super().delete(key, creation_id, cascade=cascade, guard=guard)


class DeletesSourcesOfForks(BaseSessionStore):
    """A source is deleted, and its forks stay without it."""

    def __init__(self) -> None:
        super().__init__(_DeletesBelowForks())


class TakesAnySessionForTheFork(BaseSessionStore):
    """Who forks under an id that is taken gets what is there."""

    def __init__(self) -> None:
        super().__init__(MemoryBackend())

    async def fork(self, session: Session[Any] | str, **options: Any) -> Session[Any]:
        try:
            return await super().fork(session, **options)
        except SessionAlreadyExists:
            found = await self.get(options["new_id"], last=0)
            assert found is not None
            return found


class ForksInsideExchanges(BaseSessionStore):
    """Asks nobody whether a fork may begin where it is to begin."""

    def __init__(self) -> None:
        super().__init__(MemoryBackend())

    async def fork(self, session: Session[Any] | str, **options: Any) -> Session[Any]:
        return await super().fork(session, **{**options, "ending": None})


class _ReadsOn(MemoryBackend):
    def fork_at_once(self, source: SessionKey, key: SessionKey, draft: ForkDraft) -> None:
        return None  # so that a fork is looked at as below

    async def load_until(self, key: SessionKey, *, seq: int | None, last: int) -> LoadedSession | None:
        stored = self._sessions.get(key)
        later = [] if stored is None else [first for first, _ in stored.head.hidden if seq is not None and first > seq]
        return await super().load_until(key, seq=later[0] - 1 if later else seq, last=last)


class ReadsOnToWhatIsHidden(BaseSessionStore):
    """A fork is asked about what comes after it, up to where something is hidden."""

    def __init__(self) -> None:
        super().__init__(_ReadsOn())


class _CountsCopies(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        return super().commit(key, replace(commit, events=list(map(_counted, commit.events))))


def _counted(event: EncodedEvent) -> EncodedEvent:
    return event._replace(usage=event.usage and event.usage._replace(is_counted=True))


class CountsCopiesAgain(BaseSessionStore):
    """What the events of a copy have used is spent once more."""

    def __init__(self) -> None:
        super().__init__(_CountsCopies())


class _IsWholeAtOnce(MemoryBackend):
    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Awaitable[Receipt]:
        mark = commit.properties.get("copied_from")
        if mark is not None:
            commit.properties = {**commit.properties, "copied_from": mark.replace(b'"whole":false', b'"whole":true')}
        return super().create(key, creation, commit)


class TakesHalfACopyForTheWhole(BaseSessionStore):
    """A copy says from its beginning that it is whole, and is never finished."""

    def __init__(self) -> None:
        super().__init__(_IsWholeAtOnce())


class CopiesUpToWhatIsNewestNow(BaseSessionStore):
    """A copy that was cut off is to end at another event the second time, and so is refused."""

    def __init__(self) -> None:
        super().__init__(MemoryBackend())

    async def fork(self, session: Session[Any] | str, **options: Any) -> Session[Any]:
        if options.get("detached") and options.get("at") is None:
            head = await self.get(session if isinstance(session, str) else session.id, last=0)
            options["at"] = None if head is None else head.last_seq
        return await super().fork(session, **options)
