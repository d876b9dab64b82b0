"""Stores over memory with one planted fault each: they write, or answer with, what has to be refused or kept apart."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from dataclasses import replace
from types import TracebackType
from typing import Any

from a2a_session_manager.exceptions import InvalidEvent, InvalidSessionOperation, SessionAlreadyExists
from a2a_session_manager.models.change import CommitResult, SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.protocols import RepeatPolicy, SessionPage
from a2a_session_manager.storage import BaseSessionStore, InMemorySessionStore
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Receipt
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.target import Target


class AppendsOneByOne(InMemorySessionStore):
    """Commits each event of an append on its own."""

    async def append(
        self,
        session: Session[Any] | str,
        *events: SessionEvent[Any],
        expected_revision: int | None = None,
        on_repeat: RepeatPolicy = "refuse",
    ) -> list[SessionEvent[Any]]:
        return [each for event in events for each in await super().append(session, event, on_repeat=on_repeat)]


class LeavesOutWhatIsNoJson(InMemorySessionStore):
    """Commits nothing of a change that cannot be stored, and says nothing."""

    async def commit(
        self,
        session: Session[Any] | str,
        change: SessionChange,
        *,
        expected_revision: int | None = None,
        write_id: str | None = None,
        on_repeat: RepeatPolicy = "refuse",
    ) -> CommitResult:
        try:
            return await super().commit(
                session, change, expected_revision=expected_revision, write_id=write_id, on_repeat=on_repeat
            )
        except InvalidEvent:
            return await super().commit(session, SessionChange())


class SavesOverWhatIsStored(InMemorySessionStore):
    """Puts a session made by hand in the place of the one that has its id."""

    async def save(self, session: Session[Any], *, expected_revision: int | None = None) -> None:
        try:
            await super().save(session, expected_revision=expected_revision)
        except SessionAlreadyExists:
            await self.delete(session.id)
            await super().save(session)


class SavesTheStateAlone(InMemorySessionStore):
    """Saves what it can of a session whose stored events were changed."""

    async def save(self, session: Session[Any], *, expected_revision: int | None = None) -> None:
        try:
            await super().save(session, expected_revision=expected_revision)
        except InvalidSessionOperation:
            await self.commit(session.id, SessionChange(set_state=session.state))


class ReadsALaterSession(InMemorySessionStore):
    """Takes a session that was read for whichever has its id by now."""

    def _target(self, session: Session[Any] | str) -> Target:
        return super()._target(session if isinstance(session, str) else session.id)


class _FoldsKeys(MemoryBackend):
    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Awaitable[Receipt]:
        folded = {name.casefold(): value for name, value in commit.state.items()}
        return super().create(key, creation, replace(commit, state=folded))


class FoldsKeysOfTheState(BaseSessionStore):
    """Takes two keys of the state for one where only their case differs."""

    def __init__(self) -> None:
        super().__init__(_FoldsKeys())


class _Rounds(MemoryBackend):
    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Awaitable[Receipt]:
        events = [
            each._replace(data=re.sub(rb"(\.\d{3})\d{3}([Z+-])", rb"\g<1>000\2", each.data)) for each in commit.events
        ]
        return super().create(key, creation, replace(commit, events=events))


class KeepsMilliseconds(BaseSessionStore):
    """Keeps the times of events to the millisecond."""

    def __init__(self) -> None:
        super().__init__(_Rounds())


class GivesAllTheSameId(InMemorySessionStore):
    """Has one id for all sessions that are created without one."""

    async def create(
        self,
        id: str | None = None,
        *,
        parent_id: Session[Any] | str | None = None,
        change: SessionChange | None = None,
        write_id: str | None = None,
        expires: bool = True,
    ) -> Session[Any]:
        given = "session" if id is None else id
        return await super().create(given, parent_id=parent_id, change=change, write_id=write_id, expires=expires)


class EndsAtAPageOfNothing(InMemorySessionStore):
    """Answers a page of no ids as if it were the last one."""

    async def list_page(
        self, prefix: str = "", *, cursor: str | None = None, limit: int = 100, roots_only: bool = False
    ) -> SessionPage:
        if limit == 0:
            return SessionPage([], None)
        return await super().list_page(prefix, cursor=cursor, limit=limit, roots_only=roots_only)


class StaysOpenAfterItsBlock(InMemorySessionStore):
    """Is closed by `aclose` alone."""

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        return None


class ReadsMessagesOfALaterSession(ReadsALaterSession):
    """The same; it shows in messages, too."""


class WritesToALaterSession(ReadsALaterSession):
    """The same; what is written through an old handle lands in the later session."""


class IgnoresNamespaces(InMemorySessionStore):
    """Has one namespace, whatever it is asked for."""

    def namespace(self, name: str) -> IgnoresNamespaces:
        return self


class _MendsTexts(MemoryBackend):
    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Awaitable[Receipt]:
        events = [each._replace(data=each.data.replace(b"\\ud83d", b"?")) for each in commit.events]
        return super().create(key, creation, replace(commit, events=events))


class MendsTornTexts(BaseSessionStore):
    """Puts a question mark in the place of half a character."""

    def __init__(self) -> None:
        super().__init__(_MendsTexts())


class IsClosedOnce(InMemorySessionStore):
    """Refuses to be closed again."""

    async def aclose(self) -> None:
        self._open_backend.check_open()
        await super().aclose()


class CreatesInTwoSteps(InMemorySessionStore):
    """Creates a session, and commits to it what it is to begin with."""

    async def create(
        self,
        id: str | None = None,
        *,
        parent_id: Session[Any] | str | None = None,
        change: SessionChange | None = None,
        write_id: str | None = None,
        expires: bool = True,
    ) -> Session[Any]:
        session = await super().create(id, parent_id=parent_id, write_id=write_id, expires=expires)
        if change is not None:
            await self.commit(session, change)
        return session


class SavesTheStateAgain(InMemorySessionStore):
    """Commits the state with every save, changed or not."""

    async def save(self, session: Session[Any], *, expected_revision: int | None = None) -> None:
        await super().save(session, expected_revision=expected_revision)
        await self.commit(session.id, SessionChange(set_state=session.state))


class _Backwards(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        return super().commit(key, replace(commit, events=[*reversed(commit.events)]))


class AppendsBackwards(BaseSessionStore):
    """Numbers the events of a commit from the last one on."""

    def __init__(self) -> None:
        super().__init__(_Backwards())


class _InParts(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        if commit.events and commit.state:
            super().commit(key, replace(commit, state={}, write_id=None, retraction=None))
        return super().commit(key, commit)


class CommitsInParts(BaseSessionStore):
    """Commits the events of a change before the rest of it."""

    def __init__(self) -> None:
        super().__init__(_InParts())
