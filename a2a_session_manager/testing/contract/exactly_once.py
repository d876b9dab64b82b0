"""Exactly once: a known event id or write id answers with its first result, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import ids, said, seqs, several, spending, whole
from a2a_session_manager.testing.contract.writes import seen

CHANGES: dict[str, Callable[[], SessionChange]] = {
    "events": lambda: SessionChange(events=[spending(5, id="n1"), said(id="n2")]),
    "state set": lambda: SessionChange(set_state={"plan": "mine"}),
    "state unset": lambda: SessionChange(unset_state=["plan"]),
    "properties": lambda: SessionChange(set_properties={"plan": "mine"}),
    "runs": lambda: SessionChange(runs=[SessionRun(id="r1", agent="mine")]),
    "retraction by id": lambda: SessionChange(retraction=Retraction(["e1"])),
    "retraction of the last": lambda: SessionChange(retraction=Retraction(last=1)),
    "retraction after": lambda: SessionChange(retraction=Retraction(after=1)),
    "everything": lambda: SessionChange(
        events=[spending(5, id="n1")],
        set_state={"plan": "mine"},
        set_properties={"plan": "mine"},
        runs=[SessionRun(id="r1", agent="mine")],
        retraction=Retraction(last=1),
    ),
}


class ExactlyOnceContract(ContractBase):
    @pytest.mark.parametrize("guarded", [False, True], ids=["plain", "guarded"])
    @pytest.mark.parametrize("kind", CHANGES)
    async def test_a_commit_repeated_by_its_write_id_after_another_writer_answers_its_first_result(
        self, store: BaseSessionStore, reopen: Reopen, kind: str, guarded: bool
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(3), set_state={"plan": "old"}))
        expected = 1 if guarded else None
        change = CHANGES[kind]()
        first = await store.commit("talk", change, expected_revision=expected, write_id="w")
        await store.commit(
            "talk",
            SessionChange(
                events=[spending(9, id="other")],
                set_state={"plan": "newer"},
                set_properties={"plan": "newer"},
                runs=[SessionRun(id="r1", agent="newer")],
            ),
        )
        before = await seen(await reopen(), "talk")

        repeated = await (await reopen()).commit("talk", change, expected_revision=expected, write_id="w")

        assert await seen(await reopen(), "talk") == before
        assert (repeated.revision, repeated.last_seq) == (first.revision, first.last_seq) == (2, first.last_seq)
        assert ids(repeated.retracted) == ids(first.retracted)
        assert seqs(repeated.events) == seqs(first.events)
        again = await whole(await reopen(), "talk")
        assert again.state["plan"] == again.metadata.properties["plan"] == again.runs[0].agent == "newer"

    async def test_a_write_id_is_remembered_after_many_later_ones(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk")
        for number in range(40):
            await store.commit("talk", SessionChange(set_state={"n": number}), write_id=f"w{number}")

        repeated = await (await reopen()).commit("talk", SessionChange(set_state={"n": 0}), write_id="w0")

        assert repeated.revision == 2
        again = await whole(await reopen(), "talk")
        assert (again.state, again.revision) == ({"n": 39}, 41)

    async def test_a_create_repeated_by_its_write_id_answers_and_changes_nothing(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        change = SessionChange(events=[spending(5, id="n1")], set_state={"plan": "mine"})
        await store.create("parent")
        await store.create("talk", parent_id="parent", change=change, write_id="w")
        await store.commit("talk", SessionChange(events=[said(id="other")], set_state={"plan": "newer"}))
        before = await seen(store, "talk")

        repeated = await (await reopen()).create("talk", parent_id="parent", change=change, write_id="w")

        again = await reopen()
        assert (repeated.id, repeated.revision) == ("talk", 1)
        assert await seen(again, "talk") == before
        assert await again.children("parent") == ["talk"]
        assert (await again.usage("parent", tree=True)).total.requests == 1

    async def test_a_repeated_delete_leaves_a_later_session_of_the_same_id_alone(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        handle = await store.create("talk")
        await store.delete(handle)
        await store.create("talk", change=SessionChange(events=[said(id="later")]))

        await store.delete(handle)

        assert ids((await whole(await reopen(), "talk")).events) == ["later"]

    async def test_a_repeated_append_after_another_writer_doubles_nothing(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk")
        events = [spending(5, id="n1"), said(id="n2")]
        first = await store.append("talk", *events)
        await store.append("talk", said(id="other"))
        before = await seen(await reopen(), "talk")

        repeated = await (await reopen()).append("talk", *events)

        assert seqs(repeated) == seqs(first) == [1, 2]
        assert await seen(await reopen(), "talk") == before

    async def test_an_event_id_is_known_however_old_the_event(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk")
        for batch in range(4):
            await store.append("talk", *several(300, f"b{batch}-"))

        again = await reopen()
        repeated = await again.append("talk", *(said(known, id=known) for known in ("b0-1", "b0-300", "b2-7")))

        assert seqs(repeated) == [1, 300, 607]
        assert (await whole(again, "talk")).last_seq == 1200

    async def test_old_and_new_events_in_one_batch_land_once_each(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(3)))

        mixed = await store.append("talk", said(id="n1"), said("e2", id="e2"), said(id="n2"), said("e1", id="e1"))

        assert seqs(mixed) == [4, 2, 5, 1]
        assert ids((await whole(await reopen(), "talk")).events) == ["e1", "e2", "e3", "n1", "n2"]

    async def test_one_event_twice_in_a_batch_lands_once(self, store: BaseSessionStore, reopen: Reopen) -> None:
        event = spending(5, id="n1")
        await store.create("talk")

        placed = await store.append("talk", event, said(id="n2"), event)

        again = await whole(await reopen(), "talk")
        assert seqs(placed) == [1, 2, 1]
        assert (ids(again.events), again.token_summary.total.requests) == (["n1", "n2"], 1)

    async def test_one_event_twice_in_a_batch_counts_once_in_the_handle(self, store: BaseSessionStore) -> None:
        event = spending(5, id="n1")
        handle = await store.create("talk")

        await store.append(handle, event, event)

        assert handle.token_summary == await store.usage("talk")
        assert handle == await whole(store, "talk")

    @pytest.mark.parametrize("last", [0, 1, None])
    async def test_an_event_repeated_through_any_handle_counts_once_in_it(
        self, store: BaseSessionStore, last: int | None
    ) -> None:
        old = spending(5, id="n1")
        await store.create("talk", change=SessionChange(events=[old, said(id="n2")]))
        view = await store.get("talk", last=last)
        assert view is not None

        await store.append(view, old)

        assert view.token_summary.by_model == (await store.usage("talk")).by_model

    async def test_a_hidden_event_repeated_through_the_handle_that_hid_it_counts_once(
        self, store: BaseSessionStore
    ) -> None:
        old = spending(5, id="n1")
        handle = await store.create("talk", change=SessionChange(events=[old]))
        await store.retract(handle, "n1")

        await store.append(handle, old)

        assert handle.token_summary == await store.usage("talk")

    async def test_an_event_id_and_a_write_id_may_be_the_same(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", write_id="same")
        await store.append("talk", said(id="same"))
        await store.commit("talk", SessionChange(set_state={"k": 1}), write_id="e1")
        await store.append("talk", said(id="e1"))

        again = await whole(await reopen(), "talk")

        assert (ids(again.events), again.state, again.revision) == (["same", "e1"], {"k": 1}, 4)

    async def test_the_same_event_id_in_two_sessions_is_two_events(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        for session_id in ("one", "two"):
            await store.create(session_id)
            await store.append(session_id, said(session_id, id="same"))
            await store.commit(session_id, SessionChange(set_state={"k": session_id}), write_id="same")

        again = await reopen()

        assert [(await whole(again, name)).events[0].message for name in ("one", "two")] == ["one", "two"]
        assert [(await whole(again, name)).state["k"] for name in ("one", "two")] == ["one", "two"]
