"""A session that is written through stays in step with its store, however much and however many tasks write."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import fields
from datetime import UTC, datetime
from functools import partial
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager import (
    InMemorySessionStore,
    Restoration,
    Retraction,
    Session,
    SessionChange,
    SessionEvent,
    SessionManagerError,
    SessionRun,
    TokenSummary,
    TokenUsage,
)
from a2a_session_manager.models import sync_state
from a2a_session_manager.storage.commit_records import EncodedCommit, Receipt
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.testing.contract.making import whole
from tests.draws import few
from tests.storage.yielding import YieldingBackend


def spending(event_id: str, model: str = "m") -> SessionEvent[Any]:
    usage = TokenUsage(prompt_tokens=1, model=model, cost_pico_usd=2)
    return SessionEvent(id=event_id, message="x", token_usage=usage, task_id=f"run {event_id}")


async def test_large_batches_through_one_session_do_not_meet_halfway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_state, "EVENTS_AT_ONCE", 4)
    store = BaseSessionStore(YieldingBackend())
    session = await store.create("talk")
    counts = [30, 3, 17, 1, 22]

    await asyncio.gather(
        *(
            store.append(session, *[spending(f"{writer}.{number}", f"m{number}") for number in range(count)])
            for writer, count in enumerate(counts)
        )
    )

    fresh = await whole(store, "talk")
    assert session.events == fresh.events
    assert session.token_summary == fresh.token_summary
    assert session.token_summary.total.requests == sum(counts)


async def test_saves_and_appends_of_one_session_by_several_tasks_settle_each_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sync_state, "EVENTS_AT_ONCE", 4)
    store = BaseSessionStore(YieldingBackend())
    session: Session[Any] = Session(id="talk", events=[spending(f"first {n}") for n in range(100)])
    await asyncio.gather(*(store.save(session) for _ in range(4)))
    assert len(session.events) == 100
    session.events += [spending(f"saved {n}", f"m{n}") for n in range(100)]

    async def append_one_by_one() -> None:
        for number in range(20):
            change = SessionChange(events=[spending(f"appended {number}")], set_state={f"k{number}": number})
            await store.commit(session, change)

    await asyncio.gather(store.save(session), append_one_by_one())

    fresh = await whole(store, "talk")
    assert session.events == fresh.events
    assert session.token_summary == fresh.token_summary
    assert session.token_summary.total.requests == 220

    # What was set through the session is no change of its own: saving takes back nothing that others have set since.
    await store.commit("talk", SessionChange(set_state={f"k{number}": "later" for number in range(20)}))
    await store.save(session)
    assert (await whole(store, "talk")).state == {f"k{number}": "later" for number in range(20)}


hides = st.one_of(
    st.integers(0, 5).map(lambda last: {"last": last}),
    st.integers(0, 14).map(lambda after: {"after": after}),
    st.lists(st.integers(1, 14), min_size=1).map(lambda seqs: {"ids": seqs}),
)


@given(st.lists(hides, max_size=5), st.integers(0, 14), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_what_is_hidden_through_a_session_leaves_it_and_its_unsaved_events_stay(
    plan: list[dict[str, Any]], last: int, unsaved: int
) -> None:
    async def one() -> None:
        store = InMemorySessionStore()
        await store.create("talk", change=SessionChange(events=[spending(f"{n}") for n in range(1, 15)]))
        session = await store.get("talk", last=last)
        assert session is not None
        loaded = [event.id for event in session.events]
        session.events += [spending(f"new {n}") for n in range(unsaved)]
        hidden: set[str] = set()
        for hide in plan:
            hidden |= {event.id for event in await store.retract(session, *map(str, hide.pop("ids", ())), **hide)}
        kept = [event_id for event_id in loaded if event_id not in hidden]
        assert [event.id for event in session.events] == [*kept, *(f"new {n}" for n in range(unsaved))]
        await store.save(session)
        assert session.token_summary.total.requests == 14 + unsaved
        fresh = await store.get("talk", last=len(kept) + unsaved)
        assert fresh is not None
        assert fresh.events == session.events

    asyncio.run(one())


class AnswersAppendsLate(MemoryBackend):
    """Writes at once, and answers a commit of events only when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.has_written, self.may_answer = asyncio.Event(), asyncio.Event()

    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        receipt = super().commit(key, commit)
        if not commit.events:
            return receipt
        self.has_written.set()
        return asyncio.ensure_future(self._answered_late(receipt))

    async def _answered_late(self, receipt: Awaitable[Receipt]) -> Receipt:
        await self.may_answer.wait()
        return await receipt


@pytest.mark.parametrize("count", [1, 3])
async def test_an_event_that_was_hidden_before_its_append_was_answered_does_not_come_back(count: int) -> None:
    backend = AnswersAppendsLate()
    store = BaseSessionStore(backend)
    session = await store.create("talk", change=SessionChange(events=[FIRST]))
    appending = asyncio.create_task(store.append(session, *[spending(f"{n}") for n in range(count)]))
    await backend.has_written.wait()

    await store.retract(session, last=1)
    backend.may_answer.set()
    await appending

    fresh = await whole(store, "talk")
    assert session.events == fresh.events
    assert len(fresh.events) == count
    assert session.token_summary == fresh.token_summary

    # Nor does it count twice when it is sent again, and what follows goes in.
    await store.append(session, spending(f"{count - 1}"))
    await store.append(session, spending("next"))
    await store.save(session)
    fresh = await whole(store, "talk")
    assert session.events == fresh.events
    assert session.token_summary == fresh.token_summary


class AnswersLate(MemoryBackend):
    """Writes at once; the answer to a retraction or a restoration comes when `may_answer` has its write id."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer: dict[str, asyncio.Event] = {}

    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        receipt = super().commit(key, commit)
        if commit.write_id not in self.may_answer:
            return receipt
        return asyncio.ensure_future(self._answered_late(receipt, self.may_answer[commit.write_id]))

    async def _answered_late(self, receipt: Awaitable[Receipt], may_answer: asyncio.Event) -> Receipt:
        await may_answer.wait()
        return await receipt


@pytest.mark.parametrize("is_hidden_last", [False, True], ids=["restored last", "hidden last"])
@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_what_is_hidden_and_restored_through_one_session_is_as_stored_in_whatever_order_answers_come(
    order: tuple[int, ...], is_hidden_last: bool
) -> None:
    backend = AnswersLate()
    store = BaseSessionStore(backend)
    session = await store.create("talk", change=SessionChange(events=[spending(f"{n}") for n in range(4)]))
    changes = [
        SessionChange(retraction=Retraction(["1", "2"])),
        SessionChange(restoration=Restoration(["1"])),
        SessionChange(retraction=Retraction(["1"])),
    ]
    if is_hidden_last:
        changes = [changes[0], changes[1], changes[2]]
    else:
        await store.retract(session, "1")
        changes = [changes[1], changes[0], SessionChange(restoration=Restoration(["1", "2"]))]
    backend.may_answer = {f"w{number}": asyncio.Event() for number in range(3)}
    sending = []
    for number, change in enumerate(changes):
        sending.append(asyncio.create_task(store.commit(session, change, write_id=f"w{number}")))
        await asyncio.sleep(0)
    for number in order:
        backend.may_answer[f"w{number}"].set()
        await sending[number]

    fresh = await whole(store, "talk")
    assert session.events == fresh.events
    await store.append(session, spending("next"))
    await store.save(session)
    fresh = await whole(store, "talk")
    assert session.events == fresh.events
    assert session.token_summary == fresh.token_summary


async def test_the_usage_of_an_unseen_event_that_is_restored_through_a_session_counts_once() -> None:
    store = InMemorySessionStore()
    session = await store.create("talk")
    await store.append("talk", spending("unseen"), spending("hidden"))
    await store.retract("talk", "hidden")

    for _ in range(2):
        await store.restore(session, "hidden")
        await store.retract(session, "hidden")
    await store.restore(session, "hidden")

    assert [event.id for event in session.events] == ["hidden"]
    assert session.token_summary.total.requests == 1


async def test_the_usage_of_a_hidden_event_that_is_sent_again_and_again_counts_once() -> None:
    store = InMemorySessionStore()
    session = await store.create("talk")
    await store.append("talk", spending("unseen"), spending("hidden"))
    await store.retract("talk", "hidden")

    for _ in range(3):
        [event] = await store.append(session, spending("hidden"))
        assert (event.is_repeat, event.retracted) == (True, True)

    assert session.token_summary.total.requests == 1


@pytest.mark.parametrize("count", [1, 40])
async def test_what_is_committed_to_a_place_that_the_session_leaves_is_taken_in_before_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(sync_state, "EVENTS_AT_ONCE", 4)
    for turns in range(1, 40):
        store, other = BaseSessionStore(YieldingBackend()), InMemorySessionStore()
        session = await store.create("talk", change=SessionChange(events=[FIRST]))
        appending = asyncio.create_task(store.append(session, *[spending(f"{n}") for n in range(count)]))
        for _ in range(turns):
            await asyncio.sleep(0)

        await other.save(session)
        await appending

        there = await whole(other, "talk")
        assert (session.creation_id, session.revision, session.last_seq) == (there.creation_id, 1, there.last_seq)
        assert session.events == there.events
        assert session.token_summary == there.token_summary


async def test_an_event_that_was_moved_in_the_list_leaves_it_too_when_it_is_hidden() -> None:
    store = InMemorySessionStore()
    session = await store.create("talk", change=SessionChange(events=[spending(f"{n}") for n in range(1, 5)]))
    session.events.reverse()

    await store.retract(session, "2", "4")

    assert [event.id for event in session.events] == ["3", "1"]


async def test_runs_of_one_commit_come_into_the_session_each_once() -> None:
    store = InMemorySessionStore()
    session = await store.create("talk", change=SessionChange(runs=[SessionRun(id=f"r{n}") for n in range(3)]))
    moved = [SessionRun(id=f"r{n}") for n in (1, 3, 4)]
    moved[0].mark_running()

    await store.commit(session, SessionChange(runs=moved))

    fresh = await whole(store, "talk")
    assert session.runs == fresh.runs


def test_usages_folded_in_at_once_are_those_folded_in_one_by_one() -> None:
    spent = [(TokenUsage(prompt_tokens=n, model=f"m{n % 3}"), ("llm", "user")[n % 2], f"r{n % 4}") for n in range(20)]
    one_by_one = TokenSummary()
    for usage, source, run_id in spent:
        one_by_one = one_by_one.plus(usage, source=source, run_id=run_id)

    assert TokenSummary().plus_all(spent) == one_by_one
    assert one_by_one.usage_by_source["llm"].requests == 10
    assert one_by_one.total.prompt_tokens == sum(range(20))


usages = st.none() | st.builds(
    TokenUsage,
    prompt_tokens=st.integers(0, 3),
    model=st.sampled_from(["", "m", "n"]),
    cost_pico_usd=st.none() | st.integers(0, 2),
    response_id=st.none() | st.sampled_from(["r1", "r2"]),
)
appends = st.lists(
    st.builds(
        partial(SessionEvent[Any], message="x", timestamp=datetime(2026, 1, 1, tzinfo=UTC)),
        id=st.sampled_from("abcdefgh"),
        token_usage=usages,
        task_id=st.sampled_from([None, "run"]),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda event: event.id,
)
works: st.SearchStrategy[list[tuple[str, list[SessionEvent[Any]]]]] = st.lists(
    st.tuples(st.just("append"), appends)
    | st.tuples(st.just("by another"), appends)
    | st.tuples(st.sampled_from(["retract", "restore", "state by another"]), st.just([]))
    | st.tuples(st.just("state"), appends),
    max_size=8,
)


@settings(max_examples=few(60, of=1_000), deadline=None)
@given(works=works, last=st.sampled_from([None, 0, 1]))
def test_an_append_that_is_taken_in_at_once_leaves_the_session_that_any_other_commit_would(
    works: list[tuple[str, list[SessionEvent[Any]]]], last: int | None
) -> None:
    at_once = asyncio.run(_left_by(works, last))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "_take_next", lambda *_, **__: False)
        step_by_step = asyncio.run(_left_by(works, last))

    assert at_once == step_by_step


FIRST = spending("first")
_RANDOM = {"store", "tag", "creation_id", "created_at", "updated_at"}


async def _left_by(works: list[tuple[str, list[SessionEvent[Any]]]], last: int | None) -> object:
    """Return all that a session tells after each piece of work, but for times, random texts and the store."""
    left: list[object] = []
    async with InMemorySessionStore() as store:
        await store.create("talk", change=SessionChange(events=[FIRST]))
        session = await store.get("talk", last=last)
        assert session is not None
        for number, (kind, events) in enumerate(works):
            with suppress(SessionManagerError):  # such as another event of an id that is stored
                await _do(store, session, kind, events, f"write {number}")
            sync = session._sync
            assert sync is not None
            stored = (await whole(store, "talk"))._sync
            assert stored is not None
            left.append((session.model_dump(exclude={"metadata"}), session.token_summary, session.revision))
            left.append({each.name: getattr(sync, each.name) for each in fields(sync) if each.name not in _RANDOM})
            left.append((sync.tag == stored.tag, sync.updated_at == stored.updated_at))
    return left


async def _do(
    store: InMemorySessionStore, session: Session[Any], kind: str, events: list[SessionEvent[Any]], write_id: str
) -> None:
    if kind == "append":
        await store.append(session, *events)
    elif kind == "by another":
        await store.append("talk", *events)
    elif kind == "state":
        await store.commit(session, SessionChange(events=events, set_state={"of": write_id}), write_id=write_id)
    elif kind == "state by another":
        await store.commit("talk", SessionChange(set_state={"of": write_id}))
    elif kind == "retract":
        await store.retract(session, last=1)
    else:
        await store.restore(session, "first")
