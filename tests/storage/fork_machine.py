"""The rule of forks for the model-based test: several in a row, also where the reply of the first try is lost."""

from __future__ import annotations

from collections.abc import Coroutine
from inspect import getmembers
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RULE_MARKER, RuleBasedStateMachine, precondition, rule

from a2a_session_manager import (
    InvalidSessionOperation,
    Session,
    SessionAlreadyExists,
    SessionManager,
    StoreUnavailable,
)
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.testing.contract.lossy import LossyBackend
from tests.storage.model import PlainSession, PlainStore
from tests.storage.model_views import interruption, plain_open_calls_at

ResultT = TypeVar("ResultT")
MachineT = TypeVar("MachineT", bound="ForkMachine")

# More names than of other sessions: most are free.
fork_ids = st.sampled_from(["a", "b", "c", "d", "e", "f", "f", "g", "g", "h", "h"])
NOTICED = {
    "fork",
    "append",
    "create",
    "retract_by_id",
    "retract_last",
    "retract_after",
    "restore_by_id",
    "restore_by_write",
    "cover",
    "compact",
    "undo_compaction",
    "use_tools",
    "repair",
    "write_state",
    "view",
    "delete",
    "reopen",
}


def about_forks(machine: type[MachineT]) -> type[MachineT]:
    """Return a machine without most of the rules that no fork takes notice of, so that many forks are met."""
    names = {name for name, found in getmembers(machine) if hasattr(found, RULE_MARKER)} - NOTICED
    return type(f"{machine.__name__}OfForks", (machine,), {**dict.fromkeys(names), "first_events": 5})


class ForkMachine(RuleBasedStateMachine):
    """What a machine knows of forks; it has a store, and the plain model of what that must show."""

    store: BaseSessionStore
    model: PlainStore
    held: dict[str, tuple[int, Session[Any]]]
    first_events = 0  # how many the first session begins with

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        raise NotImplementedError

    def refused(self, error: type[Any] | tuple[type[Any], ...], work: Coroutine[Any, Any, Any]) -> Any:
        raise NotImplementedError

    @precondition(lambda self: any(plain.log for plain in self.model.sessions.values()))
    @rule(data=st.data(), new_ids=st.lists(fork_ids, min_size=1, max_size=4))
    def fork(self, data: st.DataObject, new_ids: list[str]) -> None:
        """Make several: Hypothesis leaves this rule out of most rows, and the next one is often of the one before."""
        for new_id in new_ids:
            self._fork(data, new_id)

    def _fork(self, data: st.DataObject, new_id: str) -> None:
        """A fork is all that its source shows up to an event, and begins with the end of what is open there."""
        having = sorted(each.id for each in self.model.sessions.values() if each.log)
        plain = self.model.sessions[data.draw(st.sampled_from(having))]
        anywhere = st.integers(1, len(plain.log) + 1)
        visible = st.sampled_from(plain.visible) if plain.visible else anywhere
        seq = data.draw(st.one_of(visible, visible, anywhere))
        is_there = seq <= len(plain.log) and seq not in plain.hidden
        at = plain.log[seq - 1].id if data.draw(st.booleans()) and seq <= len(plain.log) else seq
        on_open = data.draw(st.sampled_from(["refuse", "interrupt"]))
        options: dict[str, Any] = {"at": at, "new_id": new_id, "on_open": on_open}
        taken = self.model.sessions.get(new_id)
        if taken is not None and taken.forked_from == (plain.id, plain.life, seq):
            found = self.run(SessionManager(self.store).fork(plain.id, **options))
            assert (found.revision, found.last_seq) == (taken.revision, len(taken.log))
            return
        calls = plain_open_calls_at(plain, seq) if is_there else []
        forking = SessionManager(self.store).fork(plain.id, **options)
        if not is_there or (calls and on_open == "refuse"):
            self.refused(InvalidSessionOperation, forking)
        elif taken is not None:
            self.refused(SessionAlreadyExists, forking)
        else:
            if data.draw(st.sampled_from([False, False, True])):
                self._lose_reply(plain.id, options)
            forked = self.run(forking)
            self._compare_fork(plain, seq, forked, [interruption(call_id) for call_id, _, _ in calls])

    def _lose_reply(self, source_id: str, options: dict[str, Any]) -> None:
        lossy = LossyBackend(self.store._open_backend)
        lossy.replies_to_lose = 1
        with pytest.raises(StoreUnavailable, match="the reply was lost"):
            self.run(SessionManager(BaseSessionStore(lossy)).fork(source_id, **options))

    def _compare_fork(self, plain: PlainSession, seq: int, forked: Session[Any], begun: list[Any]) -> None:
        source = forked.forked_from
        assert source is not None
        assert (forked.revision, source.id, source.seq) == (1, plain.id, seq)
        whole = self.run(self.store.get(forked.id))
        assert whole is not None
        own = whole.events[len(whole.events) - len(begun) :]
        assert [each.message for each in own] == begun
        made = self.model.fork(plain.id, seq, forked.id, [(each.id, each.message) for each in own])
        made.run_ids |= {each.id: each.task_id for each in own if each.task_id is not None}
        self.held[forked.id] = (made.life, forked)
