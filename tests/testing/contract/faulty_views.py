"""Stores over memory with one planted fault each, which a view or a repair shows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from a2a_session_manager.identifiers import new_id
from a2a_session_manager.models.event_message import MessageColumns, MessageTail
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.protocols import RepeatPolicy
from a2a_session_manager.storage import BaseSessionStore, InMemorySessionStore
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.read_records import LoadedSession
from a2a_session_manager.storage.records import SessionKey


class _ReadsMessages(InMemorySessionStore):
    """Memory whose messages come as `changed` makes them."""

    def changed(self, messages: MessageColumns) -> MessageColumns:
        raise NotImplementedError

    async def read_messages(
        self, session: Session[Any] | str, *, last: int | None = None, compacted: bool = False
    ) -> MessageTail:
        tail = await super().read_messages(session, last=last, compacted=compacted)
        return tail._replace(messages=self.changed(tail.messages))


class ReadsMessagesOutOfOrder(_ReadsMessages):
    """Messages come by the runs that they are of."""

    def changed(self, messages: MessageColumns) -> MessageColumns:
        return MessageColumns.of(sorted(messages, key=lambda each: each.task_id or ""))


class ForgetsWhoseMessagesTheyAre(_ReadsMessages):
    """Messages come without the ids of their runs."""

    def changed(self, messages: MessageColumns) -> MessageColumns:
        return replace(messages, task_ids=[None] * len(messages))


class ForgetsWhoseAFewMessagesAre(InMemorySessionStore):
    """The newest messages come without the ids of their runs, where not all are asked for."""

    async def read_messages(
        self, session: Session[Any] | str, *, last: int | None = None, compacted: bool = False
    ) -> MessageTail:
        tail = await super().read_messages(session, last=last, compacted=compacted)
        if not tail.earlier_events:
            return tail
        return tail._replace(messages=replace(tail.messages, task_ids=[None] * len(tail.messages)))


class TakesEveryEventForAMessage(_ReadsMessages):
    """Messages come without their types."""

    def changed(self, messages: MessageColumns) -> MessageColumns:
        return replace(messages, types=[EventType.MESSAGE] * len(messages))


class SortsKeysOfMessages(_ReadsMessages):
    """The keys of messages come in the order of the alphabet."""

    def changed(self, messages: MessageColumns) -> MessageColumns:
        return replace(messages, messages=[json.loads(json.dumps(each, sort_keys=True)) for each in messages.messages])


class ReadsNothingEarlier(InMemorySessionStore):
    """The newest messages come as if there were no others."""

    async def read_messages(
        self, session: Session[Any] | str, *, last: int | None = None, compacted: bool = False
    ) -> MessageTail:
        return (await super().read_messages(session, last=last, compacted=compacted))._replace(earlier_events=0)


class ReadsMessagesOfBefore(InMemorySessionStore):
    """Messages come as they were when they were last read."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[int | None, MessageTail] = {}

    async def read_messages(
        self, session: Session[Any] | str, *, last: int | None = None, compacted: bool = False
    ) -> MessageTail:
        tail = await super().read_messages(session, last=last, compacted=compacted)
        known = self._known.get(last)
        self._known[last] = tail
        return tail if known is None else known


class AppendsUnguarded(InMemorySessionStore):
    """Appends whatever revision was expected."""

    async def append(
        self,
        session: Session[Any] | str,
        *events: SessionEvent[Any],
        expected_revision: int | None = None,
        on_repeat: RepeatPolicy = "refuse",
    ) -> list[SessionEvent[Any]]:
        return await super().append(session, *events, on_repeat=on_repeat)


class KeepsEveryAppend(InMemorySessionStore):
    """Appends without a look at ids or revisions."""

    async def append(
        self,
        session: Session[Any] | str,
        *events: SessionEvent[Any],
        expected_revision: int | None = None,
        on_repeat: RepeatPolicy = "refuse",
    ) -> list[SessionEvent[Any]]:
        anew = [event.model_copy(update={"id": new_id()}) for event in events]
        await asyncio.sleep(0)
        return await super().append(session, *anew, on_repeat=on_repeat)


class LosesMetadata(InMemorySessionStore):
    """Stores events without their metadata."""

    async def append(
        self,
        session: Session[Any] | str,
        *events: SessionEvent[Any],
        expected_revision: int | None = None,
        on_repeat: RepeatPolicy = "refuse",
    ) -> list[SessionEvent[Any]]:
        bare = [event.model_copy(update={"metadata": {}}) for event in events]
        return await super().append(session, *bare, expected_revision=expected_revision, on_repeat=on_repeat)


class _SumsNoRuns(MemoryBackend):
    async def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> list[LoadedSession | None]:
        found = await super().load(keys, last=last, whole_head=whole_head)
        for loaded in found:
            if loaded is not None:
                loaded.head.run_totals.clear()
        return found


class SumsNoRuns(BaseSessionStore):
    """Reads totals without those of runs."""

    def __init__(self) -> None:
        super().__init__(_SumsNoRuns())


class TellsOfNoRuns(InMemorySessionStore):
    """Says that there were no runs."""

    async def runs(self, session_id: str) -> list[SessionRun]:
        return []
