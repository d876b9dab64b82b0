"""Histories of sessions that are drawn, so that two ways of reading them can be compared after every few steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import strategies as st

from a2a_session_manager import (
    EventSource,
    EventType,
    InvalidSessionOperation,
    SessionAlreadyExists,
    SessionConflict,
    SessionEvent,
    TokenUsage,
)
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.models.compaction import Compaction
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.storage import BaseSessionStore, compactions
from a2a_session_manager.storage.read_records import HeadRecord, LoadedSession, LogTail
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.redis import fast_compacted, fast_load

MOST_SESSIONS = 5
FEW = 6
LASTS = (None, 0, 1, 3, FEW, FEW + 1, 100)
ROOT = "talk"
# All else that a store raises is a fault.
REFUSALS = (InvalidSessionOperation, SessionAlreadyExists, SessionConflict)
CALL = {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f"}}]}

Step = tuple[Any, ...]
# How many events the root begins with, and what is done before each look at all sessions.
Drawn = tuple[int, list[list[Step]]]
# By its place among those that there are, whichever it is by then.
places = st.integers(0, 50)
names = st.sampled_from(["e", "d e", "ø", "100 ", "%d", "n:talk", "w:", "{x}", "a\x00b", "😀", "a;b,c-d"])
keys = names | st.just("copied_from")
payloads = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["", "%d %s", "a\tb\r\n", "\x00", "1 {}", "x" * 3000, CALL]),
    st.dictionaries(st.text(max_size=3), st.none() | st.integers() | st.lists(st.text(max_size=2)), max_size=2),
)
# None, or what the event has used, and the number of the response that says so: few, so that some come twice.
usages = st.none() | st.tuples(st.sampled_from([0, 1, 10**12]), st.none() | st.integers(1, 3))
events = st.lists(st.tuples(names, payloads, usages, st.none() | st.sampled_from(["r0", "r1"])), min_size=1, max_size=6)
chosen = st.lists(places, min_size=1, max_size=3)
# Ranges by their first event, how many follow it, and the places of pins in it.
covered = st.tuples(places, st.integers(0, 12), st.lists(st.integers(0, 12), max_size=3))
appends = st.tuples(st.just("append"), places, events)
steps: st.SearchStrategy[Step] = st.one_of(
    appends,
    appends,
    appends,
    appends,
    st.tuples(st.just("retract"), places, chosen),
    st.tuples(st.just("retract_last"), places, st.integers(1, 4)),
    st.tuples(st.just("retract_after"), places, places),
    st.tuples(st.just("restore"), places, chosen),
    st.tuples(st.just("restore_all"), places),
    st.tuples(st.just("set_values"), places, st.dictionaries(keys, payloads, max_size=2)),
    st.tuples(st.just("move_run"), places, st.sampled_from(["r0", "r1"])),
    st.tuples(st.just("compact"), places, covered),
    st.tuples(st.just("compact"), places, covered),
    st.tuples(st.just("replace"), places, chosen),
    st.tuples(st.just("fork"), places, st.none() | places),
    st.tuples(st.just("fork"), places, st.none() | places),
    st.tuples(st.just("child"), places),
    st.tuples(st.just("make_anew"), places, st.none() | places),
)
histories = st.tuples(
    st.sampled_from([0, 3, 9, 20]), st.lists(st.lists(steps, min_size=1, max_size=6), min_size=1, max_size=5)
)
# A fork that has hidden nothing, and yet a summary that stands elsewhere.
PLACED: Drawn = (3, [[("replace", 0, [0]), ("restore_all", 0), ("fork", 0, None)]])


@contextmanager
def small_pages() -> Iterator[None]:
    """Let few events be many for whatever reads without a script, so that short histories reach all its limits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast_load, "FEW", FEW)
        patch.setattr(fast_load, "_EVENTS_A_PAGE", 4)
        patch.setattr(fast_compacted, "_STEP", 3)
        patch.setattr(fast_compacted, "_MOST_EVENTS", 24)
        patch.setattr(fast_compacted, "_MOST_PINS", 3)
        yield


class History:
    """Sessions of one tree, the first of which is its root, and the verbs that the steps are made of.

    A step that the store refuses, such as the deletion of what has a fork, leaves everything as it was.
    """

    def __init__(self, store: BaseSessionStore) -> None:
        self.store = store
        self.names = [ROOT]
        self._count = 0
        self._runs: dict[tuple[str, str], SessionRun] = {}

    async def begin(self, length: int) -> None:
        """Make the root, with events that nothing was done to."""
        first = [self._event("e", "hello", None, None) for _ in range(length)]
        await self.store.create(ROOT, change=SessionChange(events=first))

    async def take(self, steps: Sequence[Step]) -> None:
        for verb, place, *arguments in steps:
            with suppress(*REFUSALS):
                await getattr(self, verb)(self.names[place % len(self.names)], *arguments)

    async def append(
        self, name: str, drawn: Sequence[tuple[str, Any, tuple[int, int | None] | None, str | None]]
    ) -> None:
        await self.store.append(name, *[self._event(*each) for each in drawn])

    async def retract(self, name: str, places: Sequence[int]) -> None:
        await self._commit(name, retraction=Retraction(await self._ids(name, places)))

    async def retract_last(self, name: str, count: int) -> None:
        await self._commit(name, retraction=Retraction(last=count))

    async def retract_after(self, name: str, place: int) -> None:
        head = await self._head(name)
        await self._commit(name, retraction=Retraction(after=place % (head.last_seq + 1)))

    async def restore(self, name: str, places: Sequence[int]) -> None:
        hidden = await self._hidden(name)
        await self.store.restore(name, *sorted({hidden[place % len(hidden)] for place in places if hidden}))

    async def restore_all(self, name: str) -> None:
        await self.store.restore(name, *await self._hidden(name))

    async def set_values(self, name: str, values: dict[str, Any]) -> None:
        await self._commit(name, set_state=values, set_properties=values)

    async def move_run(self, name: str, run_id: str) -> None:
        """Begin the run, or end it."""
        run = self._runs.get((name, run_id))
        if run is None:
            run = self._runs[name, run_id] = SessionRun(id=run_id)
            run.mark_running()
        else:
            run.mark_completed()
        await self._commit(name, runs=[run])

    async def compact(self, name: str, covered: tuple[int, int, Sequence[int]]) -> None:
        head = await self._head(name)
        place, size, pins = covered
        first = place % head.last_seq + 1 if head.last_seq else 1
        last = min(first + size, max(head.last_seq, 1))
        pinned = tuple((first + pin, first + pin) for pin in sorted({*pins}) if first + pin <= last)
        hidden = compactions.hidden_digest(head.hidden, first, last)
        told = Compaction(first, last, pinned, head.creation_id, hidden)
        session = await self.store.get(name, last=0)
        assert session is not None
        await self.store.append(session, self._summary(told.as_metadata()))

    async def replace(self, name: str, places: Sequence[int]) -> None:
        """Put a summary in the place of events that are retracted in the same commit."""
        retraction = Retraction(await self._ids(name, places))
        await self._commit(name, events=[self._summary({})], retraction=retraction)

    async def fork(self, name: str, place: int | None) -> None:
        if len(self.names) < MOST_SESSIONS:
            await self._make(f"fork {len(self.names)}", name, place)

    async def child(self, name: str) -> None:
        if len(self.names) < MOST_SESSIONS:
            child = f"child {len(self.names)}"
            await self.store.create(child, parent_id=name)
            self.names.append(child)

    async def make_anew(self, name: str, place: int | None) -> None:
        """Delete a session that has none below it, and make a fork of the root of the same id."""
        if name == ROOT:
            return
        await self.store.delete(name)
        self.names.remove(name)
        self._runs = {key: run for key, run in self._runs.items() if key[0] != name}
        await self._make(name, ROOT, place)

    async def _make(self, name: str, source: str, place: int | None) -> None:
        head = await self._head(source)
        at = None if place is None else place % (head.last_seq + 1)
        await self.store.fork(source, at=at or None, new_id=name)
        self.names.append(name)

    async def _commit(self, name: str, **change: Any) -> None:
        await self.store.commit(name, SessionChange(**change), write_id=self._fresh("w"))

    async def _head(self, name: str) -> HeadRecord:
        loaded = await self.store._open_backend.load_until(SessionKey((), name), seq=None, last=0)
        assert loaded is not None
        return loaded.head

    async def _ids(self, name: str, places: Sequence[int]) -> list[str]:
        logged = await self.store.events(name, include_retracted=True)
        return sorted({logged[place % len(logged)].id for place in places}) if logged else []

    async def _hidden(self, name: str) -> list[str]:
        return [each.id for each in await self.store.events(name, include_retracted=True) if each.retracted]

    def _event(
        self, name: str, payload: Any, used: tuple[int, int | None] | None, run_id: str | None
    ) -> SessionEvent[Any]:
        usage = None
        if used is not None:
            tokens, response = used
            response_id = None if response is None else f"msg {response}"
            usage = TokenUsage(prompt_tokens=tokens, model="m", cost_pico_usd=tokens, response_id=response_id)
        # Of no run but those that there are or may be: a store takes a usage of any.
        return SessionEvent(
            id=self._fresh(name),
            message=payload,
            source=EventSource.USER,
            token_usage=usage,
            task_id=run_id,
            timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        )

    def _summary(self, metadata: dict[str, Any]) -> SessionEvent[Any]:
        return SessionEvent(
            id=self._fresh("s"), message="short", type=EventType.SUMMARY, source=EventSource.LLM, metadata=metadata
        )

    def _fresh(self, name: str) -> str:
        self._count += 1
        return f"{name}{self._count}"


def told_of_session(loaded: LoadedSession | None) -> object:
    """Return all that was loaded, to the byte; only runs have an order, for a server has none of a hash's fields."""
    if loaded is None:
        return None
    head = loaded.head
    return head, list(head.runs), list(head.unfinished), list(loaded.events), list(loaded.child_ids)


def told_of_tail(tail: LogTail | None) -> object:
    if tail is None:
        return None
    return tail._replace(seqs=list(tail.seqs), records=list(tail.records), summaries=dict(tail.summaries))
