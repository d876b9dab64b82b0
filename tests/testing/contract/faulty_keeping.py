"""Stores over memory with one planted fault each, in what they keep, number, count and bring back."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Iterable
from typing import Any

from a2a_session_manager.budgets.steps import BudgetReply, BudgetStep, SetBudget
from a2a_session_manager.identifiers import new_id
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent, spent_by, with_seq
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.protocols import HeadsPage, SessionPage
from a2a_session_manager.storage import BaseSessionStore, InMemorySessionStore
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.read_records import StoredEvent
from a2a_session_manager.storage.records import SessionKey
from tests.testing.contract.faulty_reading import Shows


def _by_one_counter(events: Iterable[StoredEvent]) -> list[StoredEvent]:
    return [event._replace(seq=event.seq + event.revision - 1) for event in events]


class NumbersCommitsAndEventsAlike(BaseSessionStore):
    """Takes the numbers of commits and of events from one counter."""

    def __init__(self) -> None:
        super().__init__(Shows(_by_one_counter))


class _KeepsEventsById(Shows):
    def __init__(self) -> None:
        super().__init__(self._first_of_each_id)
        self._first: dict[str, bytes] = {}

    def _first_of_each_id(self, events: Iterable[StoredEvent]) -> list[StoredEvent]:
        return [
            event._replace(data=self._first.setdefault(json.loads(event.data)["id"], event.data)) for event in events
        ]


class KeepsEventsByTheirIds(BaseSessionStore):
    """Has one table of events for all sessions, by their ids alone."""

    def __init__(self) -> None:
        super().__init__(_KeepsEventsById())


class AppendsWhereTheHandleEnds(InMemorySessionStore):
    """Puts what it appends behind the last event that the handle knows of."""

    async def append(self, session: Session[Any] | str, *events: Any, **options: Any) -> list[SessionEvent[Any]]:
        if isinstance(session, Session):
            backend = self._open_backend
            assert isinstance(backend, MemoryBackend)
            stored, last_seq = backend._sessions[self._key(session.id)], session.last_seq
            del stored.log[last_seq:], stored.revisions[last_seq:]
            stored.head.last_seq = last_seq
        return await super().append(session, *events, **options)


class HandsOutLiveEvents(InMemorySessionStore):
    """Hands the events out again that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self._live: dict[str, SessionEvent[Any]] = {}

    async def append(self, session: Session[Any] | str, *events: Any, **options: Any) -> list[SessionEvent[Any]]:
        new = await super().append(session, *events, **options)
        self._live.update({event.id: event for event in new})
        return new

    async def get(self, session_id: str, **options: Any) -> Any:
        session = await super().get(session_id, **options)
        if session is not None:
            session.events = [self._live.get(event.id, event) for event in session.events]
        return session


class PutsTheCallersValuesIntoHandles(InMemorySessionStore):
    """Brings a handle in step with the very objects that were committed."""

    async def commit(self, session: Session[Any] | str, change: SessionChange, **options: Any) -> Any:
        result = await super().commit(session, change, **options)
        if isinstance(session, Session):
            session.state.update(change.set_state)
        return result


class EchoesARepeatedCreation(InMemorySessionStore):
    """Answers a creation that comes again with the events that it was given."""

    async def create(self, id: str | None = None, *, change: SessionChange | None = None, **options: Any) -> Any:
        session = await super().create(id, change=change, **options)
        if change is not None:
            session.events = [*map(with_seq, change.events, range(1, len(change.events) + 1))]
        return session


class MakesTwinsDifferent(InMemorySessionStore):
    """Gives an event that is twice in a list another id the second time."""

    async def save(self, session: Session[Any], *, expected_revision: int | None = None) -> None:
        for number, event in enumerate(session.events):
            if event in session.events[:number]:
                session.events[number] = event.model_copy(update={"id": new_id()})
        await super().save(session, expected_revision=expected_revision)


class CountsRepeatsInHandles(InMemorySessionStore):
    """Adds what every event says to what a handle has spent, be it a repeat or not."""

    async def append(self, session: Session[Any] | str, *events: Any, **options: Any) -> list[SessionEvent[Any]]:
        new = await super().append(session, *events, **options)
        if isinstance(session, Session) and session._sync is not None:
            repeats = spent_by(event for event in new if event.is_repeat)
            session._sync.totals = session._sync.totals.plus_all(repeats)
        return new


class _InThousands(MemoryBackend):
    def step_budget(self, key: SessionKey, creation_id: str | None, step: BudgetStep) -> Awaitable[BudgetReply]:
        if isinstance(step, SetBudget) and step.limits.tokens is not None:
            step = step._replace(limits=step.limits._replace(tokens=step.limits.tokens // 1000 * 1000))
        return super().step_budget(key, creation_id, step)


class KeepsLimitsInThousands(BaseSessionStore):
    """Keeps limits of tokens in thousands."""

    def __init__(self) -> None:
        super().__init__(_InThousands())


class _HoldsByIdAlone(MemoryBackend):
    def step_budget(self, key: SessionKey, creation_id: str | None, step: BudgetStep) -> Awaitable[BudgetReply]:
        return super().step_budget(key, None, step)


class HoldsInALaterSession(BaseSessionStore):
    """Holds in whichever session has the id by now."""

    def __init__(self) -> None:
        super().__init__(_HoldsByIdAlone())


class _AlwaysMore(MemoryBackend):
    async def list_page(self, namespace: Namespace, *, cursor: str | None, **options: Any) -> SessionPage:
        page = await super().list_page(namespace, cursor=cursor, **options)
        return page if page.session_ids or cursor is not None else SessionPage([], "")


class SaysThatMoreIsToCome(BaseSessionStore):
    """Ends a listing with the page after the last one, of an empty store, too."""

    def __init__(self) -> None:
        super().__init__(_AlwaysMore())


class EndsAtAPageOfNoHeads(InMemorySessionStore):
    """Answers a page of no heads as if it were the last one."""

    async def page(self, *, limit: int = 50, **options: Any) -> HeadsPage:
        return await super().page(limit=limit, **options) if limit else HeadsPage([], None)
