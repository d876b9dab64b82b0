"""Copies: what was handed in or out shares nothing with what is stored."""

from __future__ import annotations

from typing import Any

from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_run import RunStatus, SessionRun
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import messages, said, whole


class CopiesContract(ContractBase):
    async def test_an_unsaved_change_does_not_reach_the_store(self, store: BaseSessionStore, reopen: Reopen) -> None:
        session = Session(id="talk", state={"plan": ["a"]}, runs=[SessionRun(id="r")])
        await store.save(session)
        session.state["plan"].append("b")
        session.metadata.set_property("k", 1)
        session.runs[0].mark_running()
        session.add_event(said())

        again = await whole(await reopen(), "talk")

        assert again.state == {"plan": ["a"]}
        assert (again.metadata.properties, again.events) == ({}, [])
        assert again.runs[0].status is RunStatus.PENDING

    async def test_a_change_to_what_was_read_does_not_reach_the_store(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(set_state={"plan": ["a"]}, events=[said({"k": ["v"]})]))
        read = await whole(store, "talk")
        read.state["plan"].append("b")
        messages(read.events)[0]["k"].append("w")
        read.events.clear()

        again = await whole(await reopen(), "talk")

        assert again.state == {"plan": ["a"]}
        assert messages(again.events) == [{"k": ["v"]}]

    async def test_a_payload_changed_after_it_was_appended_stays_as_it_was(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        message: dict[str, Any] = {"k": [1]}
        await store.create("talk")
        [placed] = await store.append("talk", said(message))
        message["k"].append(2)
        placed.metadata["new"] = True

        again = await whole(await reopen(), "talk")

        assert messages(again.events) == [{"k": [1]}]
        assert again.events[0].metadata == {}

    async def test_a_value_changed_after_it_was_committed_stays_as_it_was(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        plan = ["a"]
        handle = await store.create("talk")
        await store.commit(handle, SessionChange(set_state={"plan": plan}, set_properties={"plan": plan}))
        plan.append("b")

        again = await whole(await reopen(), "talk")

        assert again.state == again.metadata.properties == handle.state == {"plan": ["a"]}

    async def test_two_reads_share_nothing(self, store: BaseSessionStore) -> None:
        await store.create("talk", change=SessionChange(set_state={"plan": ["a"]}, events=[said({"k": ["v"]})]))
        first, second = await whole(store, "talk"), await whole(store, "talk")
        first.state["plan"].append("b")
        messages(first.events)[0]["k"].append("w")

        assert second.state == {"plan": ["a"]}
        assert second.events[0].message == {"k": ["v"]}

    async def test_a_listing_is_a_copy_that_the_caller_may_change(self, store: BaseSessionStore) -> None:
        await store.create("talk")
        await store.create("child", parent_id="talk")
        for owned in (await store.list_sessions(), await store.children("talk"), await store.tree("talk")):
            owned.clear()

        assert sorted(await store.list_sessions()) == ["child", "talk"]
        assert await store.children("talk") == ["child"]
        assert len(await store.tree("talk")) == 2
