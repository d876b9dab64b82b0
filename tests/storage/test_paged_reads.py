"""Every read that goes page by page, against plain lists: any mixture of visible and hidden, pages of any size."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from a2a_session_manager import Retraction, SessionChange, SessionConflict, SessionEvent
from a2a_session_manager.models.identifier import new_id
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.storage.limits import DEFAULT_LIMITS
from tests.stores import OpenStore, open_store

__all__ = ["open_store"]

Shown = tuple[int | None, bool]

retractions = st.one_of(
    st.integers(0, 4).map(lambda last: Retraction(last=last)),
    st.integers(0, 12).map(lambda after: Retraction(after=after)),
    # Ids by their place: those that are not there yet are left out.
    st.lists(st.integers(1, 12), min_size=1, max_size=5).map(lambda seqs: Retraction(tuple(map(str, seqs)))),
)
commits = st.tuples(st.integers(0, 4), st.none() | retractions)
afters = st.integers(0, 13)
limits = st.none() | st.integers(0, 13)


@dataclass
class Log:
    """What was committed: for each commit, what it hid, behind which seq, and how many events it brought."""

    size: int = 0
    hidden: set[int] = field(default_factory=set)
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

    def events(self, after: int, limit: int | None, *, include_retracted: bool) -> list[Shown]:
        rows: list[Shown] = [
            (seq, seq in self.hidden)
            for seq in range(after + 1, self.size + 1)
            if include_retracted or seq not in self.hidden
        ]
        return rows[:limit]

    def followed(self, after: int) -> list[Shown]:
        rows: list[Shown] = []
        for before, newly, events in self.steps:
            rows += [(seq, True) for seq in newly if before >= after]
            rows += [(seq, False) for seq in events if seq > after]
        return rows


async def written(store: BaseSessionStore, session_id: str, plan: list[tuple[int, Retraction | None]]) -> Log:
    """Commit what `plan` says to a new session, and return the model of it."""
    log = Log()
    await store.create(session_id)
    for count, retraction in plan:
        if retraction is not None and retraction.event_ids:
            known = tuple(each for each in retraction.event_ids if int(each) <= log.size)
            retraction = Retraction(known) if known else None
        newly = log.hide(retraction)
        events = [SessionEvent(id=f"{log.size + number}", message="x") for number in range(1, count + 1)]
        result = await store.commit(session_id, SessionChange(events=events, retraction=retraction))
        assert shown(result.retracted) == [(seq, True) for seq in newly]
        if events or newly:  # what changes nothing is no step
            log.commit(count, newly)
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
    for include in (False, True):
        found = await store.events(session_id, after=after, limit=limit, include_retracted=include)
        assert shown(found) == log.events(after, limit, include_retracted=include)
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
        assert shown(conflict.missed_events) == [(seq, seq in log.hidden) for seq in late]
        assert (conflict.first_missed_seq, conflict.last_missed_seq) == ((late[0], late[-1]) if late else (None, None))
        assert conflict.revision == revision


def test_every_paged_read_brings_what_plain_lists_say(open_store: OpenStore) -> None:
    with asyncio.Runner() as runner:
        opened = open_store()
        store = runner.run(opened.__aenter__())

        @given(plan=st.lists(commits, max_size=6), page=st.integers(1, 4), after=afters, limit=limits)
        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        def try_one(plan: list[tuple[int, Retraction | None]], page: int, after: int, limit: int | None) -> None:
            async def one() -> None:
                session_id = new_id()
                store._limits = replace(DEFAULT_LIMITS, page_events=page)
                log = await written(store, session_id, plan)
                await compare(store, session_id, log, after, limit)

            runner.run(one())

        try_one()
        runner.run(opened.__aexit__(None, None, None))
