"""What every machine of the model-based test has: a store, a plain model of it, and the writes that go into both."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st

from a2a_session_manager import (
    InvalidSessionOperation,
    LeaseLost,
    Retraction,
    RunBusy,
    Session,
    SessionChange,
    SessionEvent,
    SessionNotFound,
    TokenUsage,
)
from a2a_session_manager.protocols import RepeatPolicy
from a2a_session_manager.statistics import StoreStatistics
from a2a_session_manager.storage.store import BaseSessionStore
from tests.storage.budget_machine import BudgetMachine
from tests.storage.fork_machine import ForkMachine
from tests.storage.model import PlainSession, PlainStore, response_of

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


def event_of(event_id: str, message: str, tokens: int) -> SessionEvent[Any]:
    if not tokens:
        return SessionEvent(id=event_id, message=message)
    usage = TokenUsage(prompt_tokens=tokens, web_searches=tokens, model="m", response_id=response_of(event_id))
    return SessionEvent(id=event_id, message=message, token_usage=usage)


class MachineBase(ForkMachine, BudgetMachine):
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
