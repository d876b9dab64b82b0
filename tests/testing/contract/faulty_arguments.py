"""Stores over memory with one planted fault each: they make something of what nobody can mean, where it is refused."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from a2a_session_manager.exceptions import InvalidEvent, InvalidSessionOperation
from a2a_session_manager.identifiers import new_id
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.models.event_filter import EventFilters
from a2a_session_manager.models.event_message import MessageTail
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.protocols import RepeatPolicy
from a2a_session_manager.storage import BaseSessionStore, InMemorySessionStore
from a2a_session_manager.storage.commit_records import EncodedCommit, Receipt
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.target import Target
from tests.testing.contract.faulty import KnowsNoOtherStore


class AppendsWhatIsFine(InMemorySessionStore):
    """Leaves those events out of an append that cannot be stored."""

    async def append(
        self,
        session: Session[Any] | str,
        *events: SessionEvent[Any],
        expected_revision: int | None = None,
        on_repeat: RepeatPolicy = "refuse",
    ) -> list[SessionEvent[Any]]:
        appended = []
        for event in events:
            with suppress(InvalidEvent):
                appended += await super().append(session, event, on_repeat=on_repeat)
        return appended


class SplitsLargeCommits(InMemorySessionStore):
    """Commits the events of a change that is too large one by one, and then the rest of it."""

    async def commit(self, session: Session[Any] | str, change: SessionChange, **options: Any) -> Any:
        try:
            return await super().commit(session, change, **options)
        except InvalidSessionOperation:
            for event in change.events:
                await self.append(session, event)
            return await super().commit(session, SessionChange(set_state=change.set_state))


class TakesAnythingForAFlag(InMemorySessionStore):
    """Takes what is no flag as Python does in an `if`."""

    async def create(self, id: str | None = None, *, expires: Any = True, **options: Any) -> Session[Any]:
        return await super().create(id, expires=bool(expires), **options)


class TakesAnEmptyParentForNone(InMemorySessionStore):
    """Makes a root where the id of the parent is empty."""

    async def create(self, id: str | None = None, *, parent_id: Any = None, **options: Any) -> Session[Any]:
        return await super().create(id, parent_id=parent_id or None, **options)


class GivesIdsToWhatHasNone(InMemorySessionStore):
    """Saves a session whose id is empty under an id of the store's own."""

    async def save(self, session: Session[Any], *, expected_revision: int | None = None) -> None:
        session.id = session.id or new_id()
        await super().save(session, expected_revision=expected_revision)


class LooksForAnyId(InMemorySessionStore):
    """Looks for a session whatever its id is."""

    def _target(self, session: Session[Any] | str) -> Target:
        if isinstance(session, Session):
            return super()._target(session)
        return Target(self._backend, SessionKey(self._namespace, session), self._limits)


class LeavesOutUnknownFilters(InMemorySessionStore):
    """Reads events by those filters that it knows."""

    async def events(self, session: Any, **options: Any) -> list[SessionEvent[Any]]:
        known = {"after", "limit", "include_retracted", "message_type", *EventFilters.__annotations__}
        return await super().events(session, **{name: each for name, each in options.items() if name in known})


class FindsNothingByABadFilter(InMemorySessionStore):
    """Says that no event fits what no event can be."""

    async def events(self, session: Any, **options: Any) -> list[SessionEvent[Any]]:
        try:
            return await super().events(session, **options)
        except InvalidSessionOperation:
            return []


class TakesABadIdForAnAbsentOne(InMemorySessionStore):
    """Says that there is no event of an id that no event can have."""

    async def events_by_id(self, session: Any, *event_ids: str, **options: Any) -> list[SessionEvent[Any] | None]:
        try:
            return await super().events_by_id(session, *event_ids, **options)
        except InvalidSessionOperation:
            return [None for _ in event_ids]


class ReadsNoTypeAsPlainJson(InMemorySessionStore):
    """Reads payloads as they are where the type that is asked for is none."""

    async def get(self, session_id: str, *, last: int | None = None, message_type: Any = None) -> Any:
        wanted: Any = message_type if isinstance(message_type, type) else None
        return await super().get(session_id, last=last, message_type=wanted)


class ReadsNegativeNumbersAsNone(InMemorySessionStore):
    """Reads no messages where a negative number of them is asked for."""

    async def read_messages(
        self, session: Session[Any] | str, *, last: int | None = None, compacted: bool = False
    ) -> MessageTail:
        return await super().read_messages(session, last=last and max(last, 0), compacted=compacted)


class TakesTheFirstOfSeveralWays(InMemorySessionStore):
    """Retracts what the first argument says, and nothing where none does."""

    async def retract(
        self, session: Session[Any] | str, *event_ids: str, last: int | None = None, after: int | None = None, **_: Any
    ) -> list[SessionEvent[Any]]:
        if event_ids:
            way = Retraction(event_ids)
        elif last is not None:
            way = Retraction(last=last)
        elif after is not None:
            way = Retraction(after=after)
        else:
            return []
        return (await self.commit(session, SessionChange(retraction=way))).retracted


class TakesAnythingOfAnIdForTheStoredOne(InMemorySessionStore):
    """Appends through a session made by hand as if it had been read."""

    async def append(self, session: Session[Any] | str, *events: Any, **options: Any) -> list[SessionEvent[Any]]:
        meant = session.id if isinstance(session, Session) and session._sync is None else session
        return await super().append(meant, *events, **options)


class GuardsWhatIsThere(InMemorySessionStore):
    """Looks at the revision that is expected where there is a session to have one."""

    async def save(self, session: Session[Any], *, expected_revision: int | None = None) -> None:
        await super().save(session, expected_revision=None if session._sync is None else expected_revision)


class KeepsTheOldParent(InMemorySessionStore):
    """Saves all of a session but its new id and parent."""

    async def save(self, session: Session[Any], *, expected_revision: int | None = None) -> None:
        if session._sync is not None:
            session.id, session.parent_id = session._sync.session_id, session._sync.parent_id
        await super().save(session, expected_revision=expected_revision)


class SavesPartsElsewhere(KnowsNoOtherStore):
    """Makes a session of the events that were read, wherever it is saved."""

    def namespace(self, name: str) -> BaseSessionStore:
        view = SavesPartsElsewhere()
        view._open_backend, view._namespace = self._open_backend, (*self._namespace, name)
        return view


class DeletesWhatItFinds(InMemorySessionStore):
    """Asks what is below a session before it deletes that."""

    async def delete(self, session: Session[Any] | str, **options: Any) -> None:
        await self.children(session if isinstance(session, str) else session.id)
        await super().delete(session, **options)


class ReadsWhenClosed(BaseSessionStore):
    """Is not closed, since its data are there anyway."""

    def __init__(self) -> None:
        super().__init__(_NeverClosed())


class _NeverClosed(MemoryBackend):
    async def aclose(self) -> None:
        pass


class _PassesOverTheUnknown(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        if commit.retraction is not None:
            known = tuple(filter(self._sessions[key].seqs.get, commit.retraction.event_ids))
            commit = replace(commit, retraction=commit.retraction._replace(event_ids=known))
        return super().commit(key, commit)


class PassesOverUnknownEvents(BaseSessionStore):
    """Retracts those events that it finds."""

    def __init__(self) -> None:
        super().__init__(_PassesOverTheUnknown())
