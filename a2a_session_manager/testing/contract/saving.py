"""`save`: it commits what changed since the session was read, and nothing else."""

from __future__ import annotations

import asyncio

from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_run import RunStatus, SessionRun
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import ids, messages, said, several, spending, whole


class SavingContract(ContractBase):
    async def test_a_session_made_by_hand_comes_back_as_it_was_saved(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        run = SessionRun(agent="planner", metadata={"try": 1})
        run.mark_running()
        session = Session(id="talk", state={"plan": ["a", None]}, runs=[run])
        session.metadata.set_property("owner", "ann")
        session.add_event(spending(5, task_id=run.id))
        session.events.append(said("directly"))
        await store.save(session)

        again = await whole(await reopen(), "talk")

        assert again == session
        assert again.token_summary == session.token_summary
        assert (session.revision, session.last_seq) == (again.revision, again.last_seq) == (1, 2)

    async def test_saving_a_session_commits_only_what_was_changed_in_it(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(set_state={"a": 1, "b": 1, "c": 1}, events=several(1)))
        mine = await whole(store, "talk")
        await store.commit(
            "talk", SessionChange(set_state={"a": 2}, set_properties={"by": "other"}, events=[said("x")])
        )
        mine.state["b"] = 3
        del mine.state["c"]
        mine.add_event(said("mine"))
        await store.save(mine)

        session = await whole(await reopen(), "talk")

        assert session.state == {"a": 2, "b": 3}
        assert session.metadata.properties == {"by": "other"}
        assert messages(session.events) == ["e1", "x", "mine"]

    async def test_a_stale_save_keeps_the_newer_value_of_a_key_it_did_not_touch_even_when_saved_twice(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        mine = await store.create("talk", change=SessionChange(set_state={"plan": "old"}))
        await store.commit("talk", SessionChange(set_state={"plan": "newer"}))
        for text in ("one", "two"):
            mine.add_event(said(text))
            await store.save(mine)

        assert (await whole(await reopen(), "talk")).state == {"plan": "newer"}

    async def test_properties_are_set_and_unset_one_by_one(self, store: BaseSessionStore, reopen: Reopen) -> None:
        session = await store.create("talk", change=SessionChange(set_properties={"a": 1, "b": 2}))
        del session.metadata.properties["a"]
        session.metadata.set_property("c", {"d": None})
        await store.save(session)

        assert (await whole(await reopen(), "talk")).metadata.properties == {"b": 2, "c": {"d": None}}

    async def test_saving_an_unchanged_session_writes_nothing(self, store: BaseSessionStore, reopen: Reopen) -> None:
        session = Session(id="talk", state={"k": {"b": 1, "a": 2}})
        session.add_event(said())
        await store.save(session)
        await store.save(session)
        await store.save(await whole(store, "talk"))

        assert (await whole(await reopen(), "talk")).revision == 1

    async def test_a_change_made_during_a_save_goes_with_the_next_one(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        session = Session(id="talk")
        session.add_event(said("before"))
        save = asyncio.create_task(store.save(session))
        await asyncio.sleep(0)
        session.add_event(said("during"))
        session.state["k"] = 1
        await save
        await store.save(session)

        again = await whole(await reopen(), "talk")

        assert messages(again.events) == ["before", "during"]
        assert again.state == {"k": 1}
        assert again == session

    async def test_a_partial_view_saves_its_changes_and_removes_nothing(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        done = SessionRun(id="done")
        done.mark_cancelled()
        await store.create("talk", change=SessionChange(events=several(5), runs=[done], set_state={"a": 1}))
        await store.create("child", parent_id="talk")
        view = await store.get("talk", last=2)
        assert view is not None
        view.add_event(said("new"))
        view.state["b"] = 2
        await store.save(view)

        again = await whole(await reopen(), "talk")

        assert messages(again.events) == ["e1", "e2", "e3", "e4", "e5", "new"]
        assert again.state == {"a": 1, "b": 2}
        assert (again.child_ids, [run.status for run in again.runs]) == (["child"], [RunStatus.CANCELLED])

    async def test_a_session_read_whole_can_be_saved_into_another_store(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(3), set_state={"k": 1}))
        copy = await whole(store, "talk")
        await store.namespace("elsewhere").save(copy)

        again = await reopen()
        assert (await whole(again.namespace("elsewhere"), "talk")).events == (await whole(again, "talk")).events

    async def test_a_hidden_event_that_is_saved_again_stays_hidden_and_leaves_the_session_in_step(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        session = await store.create("talk", change=SessionChange(events=several(2)))
        await store.retract(session, "e1")
        session.add_event(said("e1", id="e1"))
        session.add_event(said(id="e3"))
        await store.save(session)

        again = await whole(await reopen(), "talk")

        assert ids(again.events) == ["e2", "e3"]
        assert session.events == again.events

    async def test_an_event_that_is_twice_in_the_list_is_saved_once_and_leaves_the_session_in_step(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        event = spending(5)
        session = Session(id="talk", events=[event, event])
        await store.save(session)

        again = await whole(await reopen(), "talk")

        assert ids(again.events) == [event.id]
        assert session.events == again.events
        assert session.token_summary == again.token_summary
