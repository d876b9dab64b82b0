"""The model-based test: rows of verbs, each made on a store and on a plain model of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
)

from a2a_session_manager import (
    InvalidEvent,
    InvalidSessionOperation,
    LeaseLost,
    Retraction,
    RunStatus,
    Session,
    SessionAlreadyExists,
    SessionChange,
    SessionConflict,
    SessionEvent,
    SessionManager,
    SessionNotFound,
    SessionRun,
)
from a2a_session_manager.models.lease import LeaseClaim, LeaseStep
from a2a_session_manager.models.usage_event import usage_event_id
from a2a_session_manager.protocols import RepeatPolicy
from a2a_session_manager.statistics import StoreStatistics
from tests.storage.machine_base import (
    LONG_LEASE,
    REFUSALS,
    Batch,
    batches,
    event_ids,
    event_of,
    keys,
    policies,
    run_ids,
    session_ids,
    states,
    tokens,
    values,
)
from tests.storage.machine_comparing import Comparing
from tests.storage.machine_views import ViewRules
from tests.storage.model import STATUSES, PlainSession


class StoreMachine(ViewRules, Comparing):
    """The verbs that write, read and reopen; a store joins by a subclass in `machines.py`."""

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
