"""Random rows of verbs, compared after each with plain dictionaries. A store joins by a subclass at the end."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from fakeredis import FakeServer
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from a2a_session_manager import (
    InMemorySessionStore,
    InvalidEvent,
    InvalidSessionOperation,
    LeaseLost,
    RedisSessionStore,
    Retraction,
    RunBusy,
    RunStatus,
    Session,
    SessionAlreadyExists,
    SessionChange,
    SessionConflict,
    SessionEvent,
    SessionManager,
    SessionNotFound,
    SessionRun,
    TokenUsage,
)
from a2a_session_manager.context.compacted import hidden_digest
from a2a_session_manager.models.compaction import Compaction, compaction_in
from a2a_session_manager.models.event_message import message_of
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.lease import LeaseClaim, LeaseStep
from a2a_session_manager.models.usage_event import usage_event_id
from a2a_session_manager.protocols import RepeatPolicy
from a2a_session_manager.statistics import StoreStatistics
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Receipt
from a2a_session_manager.storage.file import FileSessionStore
from a2a_session_manager.storage.fork_rules import ForkDraft
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.read_records import LoadedSession
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.url import store_from_url
from tests.redis_servers.server import RedisServer
from tests.storage.budget_machine import BudgetMachine, about_budgets
from tests.storage.fork_machine import ForkMachine, about_forks
from tests.storage.model import STATUSES, Covered, PlainSession, PlainStore, response_of
from tests.storage.model_views import (
    exchange_event,
    interruption,
    plain_findings,
    plain_open_calls,
    plain_prompt,
    plain_view,
)
from tests.storage.redis.looks import connections_of, fake_client, keys_of

ResultT = TypeVar("ResultT")
Batch = list[tuple[str, str, int]]  # event id, message, tokens

# Few names, so that rows of verbs meet: same ids, known events, runs that have ended, deleted parents.
session_ids = st.sampled_from(["a", "b", "c", "d", "e"])
event_ids = st.sampled_from([f"e{n}" for n in range(8)])
run_ids = st.sampled_from(["r0", "r1"])
tokens = st.sampled_from(["t0", "t1"])
LONG_LEASE = 600_000  # milliseconds
REFUSALS: dict[str, type[Exception]] = {"lost": LeaseLost, "ended": InvalidSessionOperation, "busy": RunBusy}
keys = st.sampled_from(["k0", "k1", "k2"])
values = st.sampled_from([0, 1, {"deep": [1]}, None])
# Now and then other content under an id, which must be refused, or kept quietly.
contents = st.sampled_from(["said"] * 5 + ["said otherwise"])
batches = st.lists(st.tuples(event_ids, contents, st.integers(0, 3)), max_size=3)
policies: st.SearchStrategy[RepeatPolicy] = st.sampled_from(["refuse", "refuse", "keep"])
# Two runs whose models number their calls alike; now and then a call is said again, or a result has no call.
exchanges = st.lists(
    st.tuples(st.sampled_from(["c0", "c1"]), st.none() | run_ids, st.sampled_from([False, False, True])),
    min_size=1,
    max_size=4,
)
states = st.dictionaries(keys, values, max_size=2)

# To shrink a failure takes minutes: the soak does so. What is printed runs it again.
IN_SECONDS = settings(
    max_examples=30,
    stateful_step_count=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)


class StoreMachine(ForkMachine, BudgetMachine):
    """One store, one plain model, and handles that were read at some time and kept."""

    first: tuple[tuple[str, str | None], ...] = (("a", None), ("b", "a"))
    is_durable = False
    lets_expire = False  # whether the store has a time to live, which is longer than a test

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.store = self.run(self.open_store(self.place))
        self.told = StoreStatistics()
        self.model = PlainStore()
        self.model.budgets.set_time(self.millis())
        self.held: dict[str, tuple[int, Session[Any]]] = {}  # with the life of the session it was read from
        self.sent: list[tuple[str, int, SessionChange, str, int]] = []
        self.count = 0
        self.last_active: dict[int, tuple[int, datetime]] = {}  # by life: how often it was active, and when last

    async def open_store(self, place: Path) -> BaseSessionStore:
        """Open the store that is tested; a durable one finds what an earlier one left at `place`."""
        raise NotImplementedError

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        return self.runner.run(work)

    def teardown(self) -> None:
        super().teardown()
        self.run(self.store.aclose())
        self.runner.close()
        shutil.rmtree(self.place, ignore_errors=True)

    # Rules

    @initialize()
    def begin(self) -> None:
        """Create some sessions: Hypothesis leaves some rules out of each row, and most rows would meet none."""
        for session_id, parent_id in self.first:
            self.run(self.store.create(session_id, parent_id=parent_id))
            self.model.create(session_id, parent_id)
        begun = [(f"e{number}", "said", number) for number in range(self.first_events)]
        self.run(self.store.append(self.first[0][0], *(event_of(*row) for row in begun)))
        self.model.append(self.first[0][0], events=begun)

    @rule(id=session_ids, parent_id=st.none() | session_ids, is_repeated=st.booleans(), stays=st.booleans())
    def create(self, id: str, parent_id: str | None, is_repeated: bool, stays: bool) -> None:
        write_id = self.fresh("w")
        above = None if parent_id is None else self.model.sessions.get(parent_id)
        if parent_id is not None and parent_id not in self.model.sessions:
            with pytest.raises(SessionNotFound):
                self.run(self.store.create(id, parent_id=parent_id))
        elif id in self.model.sessions:
            with pytest.raises(SessionAlreadyExists):
                self.run(self.store.create(id, parent_id=parent_id, expires=not stays))
        elif self.lets_expire and stays and above is not None and not above.stays:
            with pytest.raises(InvalidSessionOperation, match="expires"):
                self.run(self.store.create(id, parent_id=parent_id, expires=False))
        else:
            for _ in range(1 + is_repeated):
                creating = self.store.create(id, parent_id=parent_id, write_id=write_id, expires=not stays)
                assert self.run(creating).revision == 1
            self.model.create(id, parent_id, stays=stays)

    @rule(id=session_ids, batch=batches, through_handle=st.booleans(), on_repeat=policies)
    def append(self, id: str, batch: Batch, through_handle: bool, on_repeat: RepeatPolicy) -> None:
        life, handle = self.held.get(id, (0, None))
        plain = self.model.sessions.get(id)
        meant = handle if through_handle and handle is not None else None
        appending = self.store.append(
            id if meant is None else meant, *(event_of(*row) for row in batch), on_repeat=on_repeat
        )
        if plain is None or (meant is not None and plain.life != life):
            # Two contents under one id are found before the session is looked for.
            self.refused((SessionNotFound, InvalidEvent), appending)
        elif on_repeat == "refuse" and plain.refuses_content(batch):
            self.refused(InvalidEvent, appending)
        else:
            repeats = plain.repeats(batch)
            placed = self.run(appending)
            assert [event.seq for event in placed] == self.model.append(id, events=batch)
            self._compare_answer(placed, plain, repeats)

    def _compare_answer(self, placed: list[SessionEvent[Any]], plain: PlainSession, repeats: list[bool]) -> None:
        """What is answered is what is stored."""
        rows = [plain.log[(event.seq or 0) - 1] for event in placed]
        assert [(event.id, event.message) for event in placed] == [(row.id, row.message) for row in rows]
        assert [event.token_usage.prompt_tokens if event.token_usage else 0 for event in placed] == [
            row.tokens for row in rows
        ]
        assert [event.retracted for event in placed] == [event.seq in plain.hidden for event in placed]
        assert [event.is_repeat for event in placed] == repeats

    @rule(id=session_ids, last=st.sampled_from([None, 0, 1, 3]))
    def read(self, id: str, last: int | None) -> None:
        session = self.run(self.store.get(id, last=last))
        assert (session is None) is (id not in self.model.sessions)
        if session is not None:
            self.held[id] = (self.model.sessions[id].life, session)

    @precondition(lambda self: self.held)
    @rule(
        data=st.data(),
        batch=batches,
        changed=states,
        dropped=st.lists(keys, max_size=1),
        status=st.sampled_from(STATUSES),
    )
    def save(
        self,
        data: st.DataObject,
        batch: Batch,
        changed: dict[str, Any],
        dropped: list[str],
        status: str,
    ) -> None:
        """Change what was read, however long ago, and save it: it merges with what others did since."""
        held_id = data.draw(st.sampled_from(sorted(self.held)))
        life, session = self.held[held_id]
        plain = self.model.sessions.get(held_id)
        known = {event.id for event in session.events}
        rows = [row for row in {row[0]: row for row in batch}.values() if row[0] not in known]
        seen = dict(session.state)
        session.events += [event_of(*row) for row in rows]
        session.state |= changed
        for key in dropped:
            session.state.pop(key, None)
        new_run = f"run of {self.fresh('save')}"
        session.runs.append(SessionRun(id=new_run, status=RunStatus(status)))
        if plain is None or plain.life != life:
            self.refused(SessionNotFound, self.store.save(session))
            del self.held[held_id]
            return
        if plain.refuses_content(rows):
            self.refused(InvalidEvent, self.store.save(session))
            del self.held[held_id]
            return
        self.run(self.store.save(session))
        self.model.append(
            held_id,
            events=rows,
            set_state={key: value for key, value in session.state.items() if key not in seen or seen[key] != value},
            unset_state=[key for key in seen if key not in session.state],
            runs={new_run: status},
        )

    @rule(id=session_ids, off=st.sampled_from([0, 0, -1, 1, -3]), batch=batches, changed=states)
    def guarded_commit(self, id: str, off: int, batch: Batch, changed: dict[str, Any]) -> None:
        plain = self.model.sessions.get(id)
        expected = max((plain.revision if plain else 1) + off, 0)
        change = SessionChange(events=[event_of(*row) for row in batch], set_state=changed)
        commit = self.store.commit(id, change, expected_revision=expected)
        if plain is None:
            self.refused((SessionNotFound, InvalidEvent), commit)
        elif plain.refuses_content(batch):
            self.refused((InvalidEvent, SessionConflict), commit)
        elif expected != plain.revision and not self._is_retry(plain, batch, changed):
            conflict = self.refused(SessionConflict, commit)
            missed = [seq for seq, row in enumerate(plain.log, 1) if row.revision > expected]
            assert conflict.revision == plain.revision
            assert [event.seq for event in conflict.missed_events] == missed
            assert conflict.first_missed_seq == (missed[0] if missed else None)
            assert conflict.last_missed_seq == (missed[-1] if missed else None)
        else:
            repeats = plain.repeats(batch)
            result = self.run(commit)
            assert [event.seq for event in result.events] == self.model.append(id, events=batch, set_state=changed)
            self._compare_answer(result.events, plain, repeats)
            assert result.revision == plain.revision

    @staticmethod
    def _is_retry(plain: PlainSession, batch: Batch, changed: dict[str, Any]) -> bool:
        """Nothing but events that are there already: no guard makes that stale."""
        known = {row.id for row in plain.log}
        return bool(batch) and not changed and all(event_id in known for event_id, _, _ in batch)

    @rule(id=session_ids, key=keys, value=values)
    def edit(self, id: str, key: str, value: Any) -> None:
        def change(session: Session[Any]) -> None:
            session.state[key] = value

        editing = SessionManager(self.store).edit(id, change)
        plain = self.model.sessions.get(id)
        if plain is None:
            self.refused(SessionNotFound, editing)
            return
        self.run(editing)
        if key not in plain.state or plain.state[key] != value:
            self.model.append(id, set_state={key: value})

    @rule(id=session_ids, changed=states, dropped=st.lists(keys, max_size=2))
    def write_state(self, id: str, changed: dict[str, Any], dropped: list[str]) -> None:
        dropped = [key for key in dropped if key not in changed]
        self.commit(id, SessionChange(set_state=changed, unset_state=dropped), set_state=changed, unset_state=dropped)

    @rule(id=session_ids, run_id=run_ids, status=st.sampled_from(STATUSES))
    def move_run(self, id: str, run_id: str, status: str) -> None:
        change = SessionChange(runs=[SessionRun(id=run_id, status=RunStatus(status))])
        plain = self.model.sessions.get(id)
        if plain is not None and plain.refuses_run(run_id, status):
            self.refused(InvalidSessionOperation, self.store.commit(id, change))
        else:
            self.commit(id, change, runs={run_id: status})

    @precondition(lambda self: self.model.sessions)
    @rule(data=st.data(), run_id=run_ids, token=tokens, step=st.sampled_from(["acquire", "take_over", "release"]))
    def claim(self, data: st.DataObject, run_id: str, token: str, step: LeaseStep) -> None:
        """Acquire the lease of a run, or give it up: no revision moves."""
        session_id = self.known_id(data)
        plain, session = self.model.sessions[session_id], self.fresh_read(session_id)
        claiming = self.store.claim(session, LeaseClaim(run_id, token, step, LONG_LEASE, "somebody"))
        reason = plain.refuses_claim(run_id, token, step)
        if reason is not None:
            self.refused(REFUSALS[reason], claiming)
            return
        self.run(claiming)
        if step == "release":
            del plain.leases[run_id]
        else:
            plain.leases[run_id] = token

    @precondition(lambda self: self.model.sessions)
    @rule(data=st.data(), run_id=run_ids, token=tokens, spent=st.integers(0, 3), twice=st.booleans())
    def append_for_a_run(self, data: st.DataObject, run_id: str, token: str, spent: int, twice: bool) -> None:
        """The holder's write lands; of anybody else's, what it spent does, once."""
        session_id = self.known_id(data)
        plain, event_id = self.model.sessions[session_id], self.fresh("of a run")
        store = self.store.claiming(LeaseClaim(run_id, token, "hold", LONG_LEASE, "somebody"))
        event = event_of(event_id, "said", spent).model_copy(update={"task_id": run_id})
        for number in range(1 + twice):
            appending = store.append(self.fresh_read(session_id), event)
            if plain.leases.get(run_id) == token:
                [placed] = self.run(appending)
                plain.run_ids[event_id] = run_id
                seqs = self.model.append(session_id, events=[(event_id, "said", spent)])
                assert ([placed.seq], placed.is_repeat) == (seqs, number == 1)
            else:
                self.refused(LeaseLost, appending)
                if spent:
                    plain.run_ids[usage_event_id(event_id)] = run_id
                    self.model.append(session_id, events=[(usage_event_id(event_id), None, spent)])

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def send_a_commit_again(self, data: st.DataObject) -> None:
        """However old it is: nothing changes, and the answer is the first one."""
        sent_to, life, change, write_id, revision = data.draw(st.sampled_from(self.sent))
        plain = self.model.sessions.get(sent_to)
        if plain is not None and plain.life == life:
            assert self.run(self.store.commit(sent_to, change, write_id=write_id)).revision == revision

    @rule(id=session_ids, some=st.lists(event_ids, min_size=1, max_size=2))
    def retract_by_id(self, id: str, some: list[str]) -> None:
        plain = self.model.sessions.get(id)
        seqs = [plain.seq_of(event_id) for event_id in some] if plain else []
        if None in seqs:
            self.refused(InvalidSessionOperation, self.store.retract(id, *some))
        else:
            self.retract(id, Retraction(some), lambda _: {seq for seq in seqs if seq is not None})

    @rule(id=session_ids, last=st.integers(0, 4))
    def retract_last(self, id: str, last: int) -> None:
        self.retract(id, Retraction(last=last), lambda plain: set(plain.visible[max(len(plain.visible) - last, 0) :]))

    @rule(id=session_ids, after=st.integers(0, 6))
    def retract_after(self, id: str, after: int) -> None:
        self.retract(id, Retraction(after=after), lambda plain: {seq for seq in plain.visible if seq > after})

    @precondition(lambda self: self.model.sessions)
    @rule(data=st.data())
    def restore_by_id(self, data: st.DataObject) -> None:
        session_id = self.known_id(data)
        plain = self.model.sessions[session_id]
        few = sorted(plain.hidden)[:4]
        known = [plain.log[seq - 1].id for seq in few]
        some = data.draw(st.lists(st.sampled_from(known) if known else event_ids, min_size=1, max_size=3))
        some += data.draw(st.lists(event_ids, max_size=1))
        seqs = [plain.seq_of(event_id) for event_id in some]
        if None in seqs or not all(plain.was_hidden(seq) for seq in seqs if seq):
            self.refused(InvalidSessionOperation, self.store.restore(session_id, *some))
        else:
            shown = {seq for seq in seqs if seq in plain.hidden}
            self.restore(session_id, plain, *some, write_id=None, shown={seq for seq in shown if seq})

    @precondition(lambda self: any(plain.hidings for plain in self.model.sessions.values()))
    @rule(data=st.data())
    def restore_by_write(self, data: st.DataObject) -> None:
        """What a retraction hid comes back, but for what another one has hidden since; never what a pop claimed."""
        having = sorted(plain.id for plain in self.model.sessions.values() if plain.hidings)
        session_id = data.draw(st.sampled_from(having))
        plain = self.model.sessions[session_id]
        write_id = data.draw(st.sampled_from(sorted(plain.hidings)))
        hiding = plain.hidings[write_id]
        if hiding.is_pop or not hiding.seqs:
            self.refused(InvalidSessionOperation, self.store.restore(session_id, write_id=write_id))
        else:
            shown = {seq for seq, write in plain.hider.items() if write == write_id}
            self.restore(session_id, plain, write_id=write_id, shown=shown)

    @precondition(lambda self: any(len(plain.log) > 1 for plain in self.model.sessions.values()))
    @rule(data=st.data(), is_outdated=st.sampled_from([False, False, False, True]))
    def cover(self, data: st.DataObject, is_outdated: bool) -> None:
        """A summary of any range, with any pins; refused when it was made of what was visible otherwise."""
        plain = self.model.sessions[
            data.draw(st.sampled_from(sorted(each.id for each in self.model.sessions.values() if len(each.log) > 1)))
        ]
        first, last = sorted(data.draw(st.tuples(*[st.integers(1, len(plain.log) + is_outdated)] * 2)))
        pins = data.draw(st.sets(st.integers(first, last), max_size=2))
        seen = {seq for seq in plain.visible if first <= seq <= last}
        if is_outdated:
            seen ^= {first}
        session = self.run(self.store.get(plain.id, last=0))
        assert session is not None
        told = Compaction(
            first,
            last,
            tuple((seq, seq) for seq in sorted(pins)),
            session.creation_id or "",
            hidden_digest(first, last, sorted(seen)),
        )
        event = SessionEvent(
            id=self.fresh("sum"), message="summed up", type=EventType.SUMMARY, metadata=told.as_metadata()
        )
        if is_outdated:
            self.refused((SessionConflict, InvalidSessionOperation), self.store.append(session, event))
            return
        self.run(self.store.append(session, event))
        self.model.append(plain.id, events=[(event.id, event.message, 0)])
        plain.compactions[len(plain.log)] = Covered(first, last, pins)

    @precondition(lambda self: self.model.sessions)
    @rule(data=st.data(), keep=st.sampled_from([0, 0, 10, 30]))
    def compact(self, data: st.DataObject, keep: int) -> None:
        """What is asked for by the verb covers no open call, and reaches further than what counts so far."""
        plain = self.model.sessions[self.known_id(data)]
        event = self.run(self._compacted(plain.id, keep))
        if event is None:
            return
        told = compaction_in(event.type, event.metadata)
        assert told is not None
        pins = {seq for one, other in told.pins for seq in range(one, other + 1)}
        waiting = {seq for _, seq, _ in plain_open_calls(plain)}
        assert waiting <= pins | {seq for seq in plain.visible if not told.first <= seq <= told.last}
        self.model.append(plain.id, events=[(event.id, event.message, 0)])
        plain.compactions[len(plain.log)] = Covered(told.first, told.last, pins)
        assert plain.in_force == event.seq == len(plain.log)

    async def _compacted(self, session_id: str, keep: int) -> SessionEvent[Any] | None:
        async with SessionManager(self.store).open(session_id) as chat:
            try:
                return await chat.compact(lambda view: "s", keep=keep)
            except InvalidSessionOperation:  # there is nothing to be gained
                return None

    @precondition(lambda self: any(plain.compactions for plain in self.model.sessions.values()))
    @rule(data=st.data())
    def undo_compaction(self, data: st.DataObject) -> None:
        having = sorted(plain.id for plain in self.model.sessions.values() if plain.compactions)
        plain = self.model.sessions[data.draw(st.sampled_from(having))]
        seq = data.draw(st.sampled_from(sorted(plain.compactions)))
        self.retract(plain.id, Retraction([plain.log[seq - 1].id]), lambda _: {seq})

    @precondition(lambda self: self.model.sessions)
    @rule(data=st.data(), exchange=exchanges)
    def use_tools(self, data: st.DataObject, exchange: list[tuple[str, str | None, bool]]) -> None:
        session_id = self.known_id(data)
        events = [
            exchange_event(self.fresh("t"), call_id, run_id, is_result=is_result)
            for call_id, run_id, is_result in exchange
        ]
        self.run(self.store.append(session_id, *events))
        self.say(session_id, events)

    @precondition(lambda self: self.model.sessions)
    @rule(data=st.data(), is_undone=st.booleans())
    def repair(self, data: st.DataObject, is_undone: bool) -> None:
        """Each open call gets one result, whether one repairs or two at once; also when that was retracted."""
        session_id = self.known_id(data)
        written = self._repair(session_id)
        if written and is_undone:
            self.retract(session_id, Retraction(last=len(written)), lambda plain: set(plain.visible[-len(written) :]))
            self._repair(session_id)

    def _repair(self, session_id: str) -> list[SessionEvent[Any]]:
        plain = self.model.sessions[session_id]
        waiting = plain_open_calls(plain)
        written = self.run(self._repaired_by_two(session_id))
        assert [(event.message, event.task_id, event.retracted) for event in written] == [
            (interruption(call_id), run_id, False) for call_id, _, run_id in waiting
        ]
        self.say(session_id, written)
        assert plain_open_calls(plain) == []
        return written

    async def _repaired_by_two(self, session_id: str) -> list[SessionEvent[Any]]:
        manager = SessionManager(self.store)
        async with manager.open(session_id) as chat, manager.open(session_id) as other:
            one, two = await asyncio.gather(chat.repair(), other.repair())
        assert not (one and two)
        return one or two

    @rule()
    def view(self) -> None:
        for plain in self.model.sessions.values():
            self.run(self._compare_views(plain))

    async def _compare_views(self, plain: PlainSession) -> None:
        async with SessionManager(self.store).open(plain.id) as chat:
            for view, expected in (
                (await chat.messages(), plain_prompt(plain)),
                (await chat.messages(compacted=False), plain_view(plain)),
            ):
                assert (list(view), view.seqs, view.report) == (list(expected), expected.seqs, expected.report)
                assert view.compaction == expected.compaction
            assert not (await chat.messages()).extends(await chat.messages()).change
            assert list(await chat.messages(repair=False)) == list(plain_view(plain, repair=False))
            for run_id in ("r0", "r1"):
                assert list(await chat.run(id=run_id).messages()) == list(plain_view(plain, run_id=run_id))
            calls = [(each.call_id, each.seq, each.run_id) for each in await chat.open_calls()]
            assert calls == plain_open_calls(plain)
            assert [(each.code, each.seqs) for each in await chat.check()] == plain_findings(plain)

    @rule(id=session_ids)
    def cut_damaged_tail(self, id: str) -> None:
        if id in self.model.sessions:
            assert self.run(self.store.cut_damaged_tail(id)) == 0
        else:
            self.refused(SessionNotFound, self.store.cut_damaged_tail(id))

    @rule(id=session_ids, cascade=st.booleans(), off=st.sampled_from([None, None, 0, -1, 1]))
    def delete(self, id: str, cascade: bool, off: int | None) -> None:
        plain = self.model.sessions.get(id)
        expected = None if off is None else (plain.revision if plain else 1) + off
        deleting = self.store.delete(id, children="cascade" if cascade else "refuse", expected_revision=expected)
        if plain is not None and expected not in (None, plain.revision):
            assert self.refused(SessionConflict, deleting).revision == plain.revision
            return
        if id in self.model.sessions and self.model.right_below(id) and not cascade:
            self.refused(InvalidSessionOperation, deleting)
            return
        self.run(deleting)
        if id in self.model.sessions:
            self.model.delete(id)

    @precondition(lambda self: self.is_durable)
    @rule()
    def reopen(self) -> None:
        self.run(self.store.aclose())
        told = self.store.statistics()
        assert (told.connections, told.open_files) == (0, 0)
        self.store, self.told = self.run(self.open_store(self.place)), StoreStatistics()
        self.held.clear()

    # What must hold after each step

    @invariant()
    def the_store_shows_what_the_model_holds(self) -> None:
        self.run(self._compare())

    @invariant()
    def the_store_tells_of_what_it_did_and_that_nothing_waits(self) -> None:
        before, self.told = self.told, self.store.statistics()
        assert (self.told.commits, self.told.batches) >= (before.commits, before.batches)
        assert (self.told.commits_waiting, self.told.commits_in_flight, self.told.followers) == (0, 0, 0)
        assert repr(self.store).startswith(f"<{type(self.store).__name__} ")

    async def _compare(self) -> None:
        model, store = self.model, self.store
        listed = await store.list_sessions()
        assert sorted(listed) == sorted(model.sessions)
        assert [each async for each in store.iter_sessions(page_size=2)] == listed
        roots = [each async for each in store.iter_sessions(roots_only=True, page_size=1)]
        assert sorted(roots) == sorted(model.spent)
        for plain in model.sessions.values():
            await self._compare_session(plain)
        for absent in set("abcdefgh") - model.sessions.keys():
            assert await store.get(absent) is None
        for held_id, (life, session) in self.held.items():
            current = model.sessions.get(held_id)
            if current is not None and current.life == life:
                self._compare_handle(session, current)

    async def _compare_session(self, plain: PlainSession) -> None:
        model, store = self.model, self.store
        session = await store.get(plain.id)
        assert session is not None
        assert (session.parent_id, session.root_id) == (plain.parent_id, model.root_of(plain.id))
        assert (session.revision, session.last_seq) == (plain.revision, len(plain.log))
        before = self.last_active.get(plain.life, (plain.active, session.metadata.updated_at))
        self.last_active[plain.life] = (plain.active, session.metadata.updated_at)
        assert (session.metadata.updated_at > before[1]) == (plain.active > before[0])
        assert shown(session) == [(seq, plain.log[seq - 1].id, plain.log[seq - 1].message) for seq in plain.visible]
        assert session.state == plain.state
        assert [(run.id, run.status.value) for run in session.runs] == list(plain.runs.items())
        assert session.child_ids == model.children(plain.id) == await store.children(plain.id)
        assert await store.forks(plain.id) == model.forks(plain.id)
        nodes = await store.tree(plain.id)
        assert nodes == model.tree(plain.id)
        points = [model.sessions[node.id].forked_from for node in nodes]
        assert [node.forked_from and node.forked_from[::2] for node in nodes] == [each and each[::2] for each in points]
        assert [each.id for each in await session.descendants()] == model.descendants(plain.id)
        everything = await store.events(plain.id, include_retracted=True)
        by_id = await store.events_by_id(plain.id, *[event.id for event in reversed(everything)], "never appended")
        assert by_id == [*reversed(everything), None]
        of_run = await store.events(plain.id, run="r0", limit=2)
        assert of_run == [event for event in everything if event.task_id == "r0" and not event.retracted][:2]
        assert [event.seq for event in everything] == list(range(1, len(plain.log) + 1))
        assert {event.seq for event in everything if event.retracted} == plain.hidden
        newest = await store.get(plain.id, last=2)
        assert newest is not None
        assert newest.events == session.events[-2:]
        for last, events in ((2, newest.events), (None, session.events)):
            tail = await store.read_messages(session, last=last)
            assert list(tail.messages) == [message_of(event) for event in events]
            assert tail.earlier_events == len(session.events) - len(events)
        await self._compare_compacted(session, plain)
        assert session.token_summary.total_tokens == plain.tokens
        own, tree = (await store.usage(plain.id)).total, (await store.usage(plain.id, tree=True)).total
        assert (own.total_tokens, own.web_searches) == (plain.tokens, plain.tokens)
        assert (tree.total_tokens, tree.web_searches) == (model.tree_tokens(plain.id), model.tree_tokens(plain.id))
        assert own.repeated_requests == plain.repeated_requests

    async def _compare_compacted(self, session: Session[Any], plain: PlainSession) -> None:
        at, shown = plain.in_force, plain.shown
        covered = 0 if at is None else plain.compactions[at].last
        for last in (None, 2):
            tail = await self.store.read_messages(session, last=last, compacted=True)
            newest = {seq for seq in shown[0 if last is None else -last :] if seq > covered}
            front = {seq for seq in shown if seq <= covered or seq == at}
            assert tail.messages.seqs == sorted(front | newest)
            assert tail.earlier_events == len(shown) - len(front | newest)
            assert (tail.compaction, tail.covered) == (at, covered)
            assert dict(tail.summaries) == ({} if at is None else {at: plain.compactions[at].first})

    def _compare_handle(self, session: Session[Any], plain: PlainSession) -> None:
        """A handle never shows what is not there, and one that is at the revision has missed nothing."""
        seqs = [event.seq or 0 for event in session.events]
        assert seqs == sorted(set(seqs))
        assert session.revision <= plain.revision
        if session.revision == plain.revision:
            # A bounded read may also show an older event that was written through it again.
            assert set(seqs) <= set(plain.visible)
            assert session.is_partial or seqs == plain.visible
            assert session.state == plain.state
            assert session.last_seq == len(plain.log)
            assert session.token_summary.total_tokens == plain.tokens
            assert all(plain.runs[run.id] == run.status.value for run in session.runs)

    # Helpers

    def fresh_read(self, session_id: str) -> Session[Any]:
        session = self.run(self.store.get(session_id, last=0))
        assert session is not None
        return session

    def commit(self, id: str, change: SessionChange, **expected: Any) -> None:
        write_id = self.fresh("w")
        plain = self.model.sessions.get(id)
        committing = self.store.commit(id, change, write_id=write_id)
        if plain is None:
            self.refused(SessionNotFound, committing)
            return
        result = self.run(committing)
        self.model.append(id, **expected)
        assert result.revision == plain.revision
        self.sent.append((id, plain.life, change, write_id, result.revision))

    def retract(self, id: str, retraction: Retraction, choose: Callable[[PlainSession], set[int]]) -> None:
        plain = self.model.sessions.get(id)
        change = SessionChange(retraction=retraction)
        if plain is None:
            self.refused(SessionNotFound, self.store.commit(id, change))
            return
        newly = choose(plain) - plain.hidden
        write_id = self.fresh("hid")
        result = self.run(self.store.commit(self.target(id, plain), change, write_id=write_id))
        assert [event.seq for event in result.retracted] == sorted(newly)
        assert all(event.retracted for event in result.retracted)
        self.model.append(id, hide=newly, write_id=write_id, is_pop=retraction.last is not None)
        assert result.revision == plain.revision

    def restore(self, id: str, plain: PlainSession, *event_ids: str, write_id: str | None, shown: set[int]) -> None:
        own = self.fresh("restored")
        for _ in range(2):  # the second is a repeat
            restored = self.run(self.store.restore(self.target(id, plain), *event_ids, write_id=write_id, id=own))
            assert [(event.seq, event.restored) for event in restored] == [(seq, True) for seq in sorted(shown)]
        self.model.append(id, show=shown)

    def target(self, id: str, plain: PlainSession) -> Session[Any] | str:
        """Return the handle that is held, if it is of the session that is there now."""
        life, handle = self.held.get(id, (0, None))
        return id if handle is None or life != plain.life else handle

    def known_id(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.model.sessions)))

    def say(self, id: str, events: list[SessionEvent[Any]]) -> None:
        """Append chat messages to the model."""
        if events:
            self.model.append(id, events=[(event.id, event.message, 0) for event in events])
        run_ids = {event.id: event.task_id for event in events if event.task_id is not None}
        self.model.sessions[id].run_ids |= run_ids

    def refused(self, error: type[Any] | tuple[type[Any], ...], work: Coroutine[Any, Any, Any]) -> Any:
        with pytest.raises(error) as caught:
            self.run(work)
        return caught.value

    def event_with(self, event_id: str, spent: int) -> SessionEvent[Any]:
        return event_of(event_id, "said", spent)

    def fresh(self, name: str) -> str:
        self.count += 1
        return f"{name} #{self.count}"


def event_of(event_id: str, message: str, tokens: int) -> SessionEvent[Any]:
    if not tokens:
        return SessionEvent(id=event_id, message=message)
    usage = TokenUsage(prompt_tokens=tokens, web_searches=tokens, model="m", response_id=response_of(event_id))
    return SessionEvent(id=event_id, message=message, token_usage=usage)


def shown(session: Session[Any]) -> list[tuple[int | None, str, Any]]:
    return [(event.seq, event.id, event.message) for event in session.events]


class YieldingBackend(MemoryBackend):
    """Memory whose every verb takes a few turns of the loop, as a store with I/O does."""

    async def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Receipt:
        await asyncio.sleep(0)
        receipt = await super().create(key, creation, commit)
        await asyncio.sleep(0)
        return receipt

    def fork_at_once(self, source: SessionKey, key: SessionKey, draft: ForkDraft) -> None:
        return None  # it reads, and others have a go, before it creates

    async def commit(self, key: SessionKey, commit: EncodedCommit) -> Receipt:
        await asyncio.sleep(0)
        receipt = await super().commit(key, commit)
        await asyncio.sleep(0)
        return receipt

    async def load(self, *args: Any, **kwargs: Any) -> list[LoadedSession | None]:
        await asyncio.sleep(0)
        return await super().load(*args, **kwargs)


class MemoryMachine(StoreMachine):
    async def open_store(self, place: Path) -> BaseSessionStore:
        return InMemorySessionStore()


class YieldingMachine(StoreMachine):
    async def open_store(self, place: Path) -> BaseSessionStore:
        return BaseSessionStore(YieldingBackend())


class FileMachine(StoreMachine):
    is_durable = True

    async def open_store(self, place: Path) -> BaseSessionStore:
        return FileSessionStore(place)


class FakeredisMachine(StoreMachine):
    is_durable = True

    def __init__(self) -> None:
        self.fake = FakeServer()
        super().__init__()

    async def open_store(self, place: Path) -> BaseSessionStore:
        return RedisSessionStore(fake_client(self.fake))


class RedisMachine(StoreMachine):
    """On the server that `test_redis` starts."""

    is_durable = True
    url: ClassVar[str]
    options = ""

    async def open_store(self, place: Path) -> BaseSessionStore:
        return store_from_url(f"{self.url}?key_prefix={place.name}:{self.options}")


class ExpiringMachine(RedisMachine):
    """There, with a time to live that no session reaches."""

    lets_expire = True
    options = "&expiration_seconds=3600"

    @invariant()
    def what_was_made_to_stay_has_no_time_to_live(self) -> None:
        self.run(self._compare_times_to_live())

    async def _compare_times_to_live(self) -> None:
        connections = connections_of(self.store)
        for plain in self.model.sessions.values():
            place = await keys_of(self.store, plain.id)
            answers = await connections.read_many([("PTTL", key) for key in (place.tree, *place.all_of_session)])
            of_tree, *own = (answer for answer in answers if answer != -2)
            assert {answer == -1 for answer in own} == {plain.stays}
            if place.is_root:
                assert (of_tree == -1) == plain.stays


TestMemory = MemoryMachine.TestCase
TestMemory.settings = IN_SECONDS
TestYielding = YieldingMachine.TestCase
TestYielding.settings = IN_SECONDS
TestFile = FileMachine.TestCase
TestFile.settings = settings(IN_SECONDS, max_examples=6)
TestFakeredis = FakeredisMachine.TestCase
TestFakeredis.settings = settings(IN_SECONDS, max_examples=1)


def budgets_of(machine: type[StoreMachine]) -> type[StoreMachine]:
    """Return a machine that has little to do but with budgets, in a tree of three levels."""
    found = about_budgets(machine)
    found.drives_clock = not issubclass(machine, RedisMachine)
    found.first = (*StoreMachine.first, ("c", "b"))
    return found


@pytest.mark.parametrize(
    ("machine", "examples"), [(MemoryMachine, 8), (YieldingMachine, 3), (FileMachine, 3), (FakeredisMachine, 1)]
)
def test_budgets(machine: type[StoreMachine], examples: int) -> None:
    run_state_machine_as_test(budgets_of(machine), settings=settings(IN_SECONDS, max_examples=examples))


@pytest.mark.parametrize(("machine", "examples"), [(RedisMachine, 5), (ExpiringMachine, 2)])
def test_redis(machine: type[RedisMachine], examples: int, redis_server: RedisServer) -> None:
    RedisMachine.url = redis_server.url

    run_state_machine_as_test(machine, settings=settings(IN_SECONDS, max_examples=examples))


def test_budgets_on_redis(redis_server: RedisServer) -> None:
    RedisMachine.url = redis_server.url

    run_state_machine_as_test(budgets_of(RedisMachine), settings=settings(IN_SECONDS, max_examples=2))


@pytest.mark.parametrize(("machine", "examples"), [(MemoryMachine, 2), (FileMachine, 1)])
def test_forks(machine: type[StoreMachine], examples: int) -> None:
    run_state_machine_as_test(about_forks(machine), settings=settings(IN_SECONDS, max_examples=examples))


@pytest.mark.soak
@pytest.mark.parametrize(
    "machine", [MemoryMachine, YieldingMachine, FileMachine, FakeredisMachine, RedisMachine, ExpiringMachine]
)
def test_forks_for_longer(machine: type[StoreMachine], redis_server: RedisServer) -> None:
    """With each store some hundreds of forks are made."""
    RedisMachine.url = redis_server.url

    run_state_machine_as_test(about_forks(machine), settings=settings(IN_SECONDS, max_examples=100, phases=list(Phase)))


@pytest.mark.soak
@pytest.mark.parametrize(
    "machine", [MemoryMachine, YieldingMachine, FileMachine, FakeredisMachine, RedisMachine, ExpiringMachine]
)
def test_budgets_for_longer(machine: type[StoreMachine], redis_server: RedisServer) -> None:
    RedisMachine.url = redis_server.url

    run_state_machine_as_test(budgets_of(machine), settings=settings(IN_SECONDS, max_examples=400, phases=list(Phase)))


@pytest.mark.soak
@pytest.mark.parametrize(
    "machine", [MemoryMachine, YieldingMachine, FileMachine, FakeredisMachine, RedisMachine, ExpiringMachine]
)
def test_for_longer(machine: type[StoreMachine], redis_server: RedisServer) -> None:
    RedisMachine.url = redis_server.url

    run_state_machine_as_test(machine, settings=settings(IN_SECONDS, max_examples=400, phases=list(Phase)))
