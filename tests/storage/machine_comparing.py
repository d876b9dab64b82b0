"""After each rule of the model-based test: everything that the store shows, compared with the plain model."""

from __future__ import annotations

from typing import Any

from hypothesis.stateful import (
    invariant,
)

from a2a_session_manager import (
    Session,
)
from a2a_session_manager.models.event_message import message_of
from tests.storage.machine_base import (
    MachineBase,
)
from tests.storage.model import PlainSession


def shown(session: Session[Any]) -> list[tuple[int | None, str, Any]]:
    return [(event.seq, event.id, event.message) for event in session.events]


class Comparing(MachineBase):
    """Compares the store with the model."""

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
