"""The rules of views for the model-based test: summaries of any range, tools, repairs, and what a model is given."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    precondition,
    rule,
)

from a2a_session_manager import (
    InvalidSessionOperation,
    Retraction,
    SessionConflict,
    SessionEvent,
    SessionManager,
)
from a2a_session_manager.context.compacted import hidden_digest
from a2a_session_manager.models.compaction import Compaction, compaction_in
from a2a_session_manager.models.event_type import EventType
from tests.storage.machine_base import (
    MachineBase,
    exchanges,
)
from tests.storage.model import Covered, PlainSession
from tests.storage.model_views import (
    exchange_event,
    interruption,
    plain_findings,
    plain_open_calls,
    plain_prompt,
    plain_view,
)


class ViewRules(MachineBase):
    """Compacts, calls tools, repairs, and looks at views."""

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
