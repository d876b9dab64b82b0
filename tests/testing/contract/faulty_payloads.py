"""Stores over memory with one planted fault each, in how payloads are kept, and in who waits for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from a2a_session_manager.limits import StoreLimits
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.storage import BaseSessionStore, InMemorySessionStore
from a2a_session_manager.storage.codec import decode_event
from a2a_session_manager.storage.commit_records import EncodedCommit, Receipt
from a2a_session_manager.storage.loading import load_session
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.records import SessionKey


class _AsFloats(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        state = {name: value and _as_floats(value) for name, value in commit.state.items()}
        return super().commit(key, replace(commit, state=state))


def _as_floats(data: bytes) -> bytes:
    return json.dumps(json.loads(data, parse_int=float)).encode()


class KeepsNumbersAsFloats(BaseSessionStore):
    """Knows one kind of number, as JavaScript does."""

    def __init__(self) -> None:
        super().__init__(_AsFloats())


class ShortensLongTexts(InMemorySessionStore):
    """Has a column of a million characters for texts, and cuts off what does not fit."""

    async def create(self, id: str | None = None, *, change: SessionChange | None = None, **options: Any) -> Any:
        if change is not None:
            change = replace(change, events=[_shortened(event) for event in change.events])
        return await super().create(id, change=change, **options)


def _shortened(event: SessionEvent[Any]) -> SessionEvent[Any]:
    return event.model_copy(update={"message": event.message[:1_000_000]})


class TakesMoreByDefault(InMemorySessionStore):
    """Has other limits than are promised."""

    def __init__(self) -> None:
        super().__init__(limits=StoreLimits(event_bytes=64_000_000))


class DumpsModelsByTheirNames(InMemorySessionStore):
    """Stores a model under the names of its fields, not under those that its JSON has."""

    async def create(self, id: str | None = None, *, change: SessionChange | None = None, **options: Any) -> Any:
        if change is not None:
            change = replace(change, events=[_dumped(event) for event in change.events])
        return await super().create(id, change=change, **options)


def _dumped(event: SessionEvent[Any]) -> SessionEvent[Any]:
    message = event.message
    dumped = message.model_dump(mode="json", warnings=False) if isinstance(message, BaseModel) else message
    return event.model_copy(update={"message": dumped})


class DumpsBeforeItChecks(InMemorySessionStore):
    """Measures a model by dumping it, before anything else is done."""

    async def append(self, session: Session[Any] | str, *events: Any, **options: Any) -> list[SessionEvent[Any]]:
        self.bytes_asked = sum(len(each.message.model_dump_json()) for each in events)
        return await super().append(session, *events, **options)


class EncodesOnTheLoop(InMemorySessionStore):
    """Encodes and decodes on the event loop whatever size it is."""

    def __init__(self) -> None:
        super().__init__(limits=StoreLimits(inline_bytes=1_000_000_000))


class DecodesInOneGo(InMemorySessionStore):
    """Decodes all events of a session before the event loop goes on."""

    async def get(self, session_id: str, *, last: int | None = None, message_type: Any = None) -> Any:
        [loaded] = await self._backend.load([self._key(session_id)], last=last, whole_head=last is None)
        if loaded is None:
            return None
        events = [decode_event(each.data, session_id, each.seq, retracted=False) for each in loaded.events]
        session = await load_session(replace(loaded, events=()), self, self._limits, is_partial=last is not None)
        session.events = events
        return session


class _CutsOff(MemoryBackend):
    def __init__(self) -> None:
        super().__init__()
        self._under_way: set[asyncio.Task[Receipt]] = set()

    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        write = asyncio.ensure_future(self._written(key, commit))
        self._under_way.add(write)
        return write

    async def _written(self, key: SessionKey, commit: EncodedCommit) -> Receipt:
        await asyncio.sleep(0)
        return await super().commit(key, commit)

    async def aclose(self) -> None:
        for write in self._under_way:
            write.cancel()
        await super().aclose()


class CutsOffWritesWhenClosed(BaseSessionStore):
    """Cancels the writes that are under way when it is closed."""

    def __init__(self) -> None:
        super().__init__(_CutsOff())
