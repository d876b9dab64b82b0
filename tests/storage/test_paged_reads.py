"""Every read that goes page by page, against plain lists: any mixture of visible and hidden, pages of any size."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from a2a_session_manager import CorruptSession, Retraction, SessionChange, SessionConflict, SessionEvent
from a2a_session_manager.identifiers import new_id
from a2a_session_manager.limits import DEFAULT_LIMITS
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.read_records import StoredEvent
from a2a_session_manager.storage.records import SessionKey
from tests.stores import OpenStore, open_store

__all__ = ["open_store"]

Shown = tuple[int | None, bool]
Plan = list[tuple[list[int], Retraction | None]]

retractions = st.one_of(
    st.integers(0, 4).map(lambda last: Retraction(last=last)),
    st.integers(0, 12).map(lambda after: Retraction(after=after)),
    # Ids by their place: those that are not there yet are left out.
    st.lists(st.integers(1, 12), min_size=1, max_size=5).map(lambda seqs: Retraction(tuple(map(str, seqs)))),
)
# How long each event's message is; what is retracted before them.
commits = st.tuples(st.lists(st.sampled_from([1, 10, 400]), max_size=4), st.none() | retractions)
afters = st.integers(0, 13)
sizes = st.sampled_from([0, 250, 400, 900, 10_000])
limits = st.none() | st.integers(0, 13)


@dataclass
class Log:
    """What was committed: for each commit, what it hid, after which seq, and how many events it brought."""

    size: int = 0
    hidden: set[int] = field(default_factory=set)
    runs: dict[int, str] = field(default_factory=dict)
    steps: list[tuple[int, list[int], list[int]]] = field(default_factory=list)

    def hide(self, retraction: Retraction | None) -> list[int]:
        visible = [seq for seq in range(1, self.size + 1) if seq not in self.hidden]
        if retraction is None:
            return []
        if retraction.last is not None:
            return visible[len(visible) - min(retraction.last, len(visible)) :]
        if retraction.after is not None:
            return [seq for seq in visible if seq > (retraction.after or 0)]
        return [seq for seq in visible if str(seq) in retraction.event_ids]

    def commit(self, count: int, newly: list[int]) -> None:
        before = self.size
        self.size += count
        self.hidden.update(newly)
        self.steps.append((before, newly, list(range(before + 1, self.size + 1))))

    def events(self, after: int, limit: int | None, *, include_retracted: bool, run: str | None = None) -> list[Shown]:
        rows: list[Shown] = [
            (seq, seq in self.hidden)
            for seq in range(after + 1, self.size + 1)
            if (include_retracted or seq not in self.hidden) and run in (None, self.runs[seq])
        ]
        return rows[:limit]

    def followed(self, after: int) -> list[Shown]:
        rows: list[Shown] = []
        for before, newly, events in self.steps:
            rows += [(seq, True) for seq in newly if before >= after]
            rows += [(seq, False) for seq in events if seq > after]
        return rows


async def written(store: BaseSessionStore, session_id: str, plan: Plan) -> Log:
    """Commit what `plan` says to a new session, and return the model of it."""
    log = Log()
    await store.create(session_id)
    for lengths, retraction in plan:
        if retraction is not None and retraction.event_ids:
            known = tuple(each for each in retraction.event_ids if int(each) <= log.size)
            retraction = Retraction(known) if known else None
        newly = log.hide(retraction)
        events = [
            SessionEvent(id=f"{log.size + number}", message="x" * length, task_id=f"run {length}")
            for number, length in enumerate(lengths, 1)
        ]
        log.runs |= {log.size + number: f"run {length}" for number, length in enumerate(lengths, 1)}
        result = await store.commit(session_id, SessionChange(events=events, retraction=retraction))
        assert shown(result.retracted) == [(seq, True) for seq in newly]
        if events or newly:  # what changes nothing is no step
            log.commit(len(events), newly)
    return log


def shown(events: Iterable[SessionEvent[Any]]) -> list[Shown]:
    return [(event.seq, event.retracted) for event in events]


async def followed(store: BaseSessionStore, session_id: str, after: int, count: int) -> list[Shown]:
    async with aclosing(store.follow(session_id, after=after)) as stream:
        return shown([await anext(stream) for _ in range(count)])


async def missed(store: BaseSessionStore, session_id: str, revision: int) -> SessionConflict:
    with pytest.raises(SessionConflict) as caught:
        await store.commit(session_id, SessionChange(set_state={"k": 1}), expected_revision=revision)
    return caught.value


async def compare(store: BaseSessionStore, session_id: str, log: Log, after: int, limit: int | None) -> None:
    for include, run in product((False, True), (None, "run 10")):
        found = await store.events(session_id, after=after, limit=limit, include_retracted=include, run=run)
        assert shown(found) == log.events(after, limit, include_retracted=include, run=run)
        paged: list[Shown] = []
        next_after: int | None = after
        while next_after is not None:
            page = await store.events_page(
                session_id, after=next_after, limit=limit or 1, include_retracted=include, run=run
            )
            assert page.events or page.next_after is None
            assert len(page.events) <= (limit or 1)
            paged += shown(page.events)
            next_after = page.next_after
        assert paged == log.events(after, None, include_retracted=include, run=run)
    replay = log.followed(after)
    assert await followed(store, session_id, after, len(replay)) == replay
    session = await store.get(session_id, last=limit)
    assert session is not None
    visible = log.events(0, None, include_retracted=False)
    assert shown(session.events) == (visible if limit is None else visible[len(visible) - min(limit, len(visible)) :])
    assert session.earlier_events == len(visible) - len(session.events)
    revision = 1 + len(log.steps)
    if after < revision:
        conflict = await missed(store, session_id, after)
        late = [seq for _, _, events in log.steps[max(after - 1, 0) :] for seq in events]
        given = len(conflict.missed_events)
        assert shown(conflict.missed_events) == [(seq, seq in log.hidden) for seq in late[:given]]
        assert given == len(late) or given > 0, "a page holds one event at least"
        assert (conflict.first_missed_seq, conflict.last_missed_seq) == ((late[0], late[-1]) if late else (None, None))
        assert conflict.revision == revision


def test_every_paged_read_brings_what_plain_lists_say(open_store: OpenStore) -> None:
    with asyncio.Runner() as runner:
        opened = open_store()
        store = runner.run(opened.__aenter__())

        @given(plan=st.lists(commits, max_size=6), page=st.integers(1, 4), page_bytes=sizes, after=afters, limit=limits)
        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        def try_one(plan: Plan, page: int, page_bytes: int, after: int, limit: int | None) -> None:
            async def one() -> None:
                session_id = new_id()
                store._limits = replace(DEFAULT_LIMITS, page_events=page, page_bytes=page_bytes)
                log = await written(store, session_id, plan)
                await compare(store, session_id, log, after, limit)

            runner.run(one())

        try_one()
        runner.run(opened.__aexit__(None, None, None))


def test_a_page_of_the_log_holds_as_many_events_as_fit_its_bytes_and_one_at_least(open_store: OpenStore) -> None:
    with asyncio.Runner() as runner:
        opened = open_store()
        store = runner.run(opened.__aenter__())

        @given(plan=st.lists(commits, max_size=6), after=afters, limit=st.integers(1, 13), max_bytes=sizes)
        @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
        def try_one(plan: Plan, after: int, limit: int, max_bytes: int) -> None:
            async def one() -> None:
                session_id = new_id()
                log = await written(store, session_id, plan)
                read = partial(store._open_backend.read_log, SessionKey((), session_id))
                whole = await read(after=0, limit=100, max_bytes=1_000_000)
                page = await read(after=after, limit=limit, max_bytes=max_bytes)
                assert whole is not None
                assert page is not None
                assert list(page.events) == fitting(whole.events[after : after + limit], max_bytes)
                assert page.is_last is (after + len(page.events) >= log.size)
                shown_here = [each for each in whole.retractions if each.after_seq >= after]
                if not page.is_last:
                    shown_here = [each for each in shown_here if each.after_seq < page.events[-1].seq]
                assert list(page.retractions) == shown_here

            runner.run(one())

        try_one()
        runner.run(opened.__aexit__(None, None, None))


def fitting(events: Sequence[StoredEvent], max_bytes: int) -> list[StoredEvent]:
    for count in range(len(events), 1, -1):
        if sum(len(event.data) for event in events[:count]) <= max_bytes:
            return list(events[:count])
    return list(events[:1])


async def test_a_follower_decodes_an_event_when_it_is_asked_for_and_not_a_page_ahead() -> None:
    backend = MemoryBackend()
    store = BaseSessionStore(backend)
    await store.create("talk", change=SessionChange(events=[SessionEvent(id=f"{n}", message="x") for n in (1, 2)]))
    backend._sessions[SessionKey((), "talk")].log[1] = b"damaged"

    async with aclosing(store.follow("talk")) as stream:
        assert (await anext(stream)).id == "1"
        with pytest.raises(CorruptSession):
            await anext(stream)
