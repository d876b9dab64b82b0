"""Titles and properties, through handles and the manager: the strongest title stays, and none counts as activity."""

from __future__ import annotations

import asyncio
from typing import Any, get_args

import pytest

from a2a_session_manager.active.titles import TitleBy
from a2a_session_manager.exceptions import InvalidSessionOperation, SessionNotFound
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import AnySession, said, whole


class TitlesContract(ContractBase):
    async def test_a_weaker_title_never_replaces_a_stronger_one(self, store: BaseSessionStore, reopen: Reopen) -> None:
        sessions = SessionManager(store)
        told, kept = {}, {}
        for first in get_args(TitleBy):
            for second in get_args(TitleBy):
                session_id = f"{first}, {second}"
                async with sessions.open(session_id) as chat:
                    assert await chat.set_title("first", by=first)
                    told[session_id] = await chat.set_title("second", by=second)
        again = await reopen()
        for session_id in told:
            properties = (await whole(again, session_id)).metadata.properties
            kept[session_id] = (properties["title"], properties["title_by"])

        assert [session_id for session_id, is_set in told.items() if not is_set] == [
            "agent, auto",
            "user, auto",
            "user, agent",
        ]
        for session_id, is_set in told.items():
            first, _, second = session_id.partition(", ")
            assert kept[session_id] == (("second", second) if is_set else ("first", first))

    async def test_a_title_that_a_user_gives_meanwhile_stays(
        self, store: BaseSessionStore, reopen: Reopen, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with SessionManager(store).open("talk") as chat:
            await chat.set_title("Made of the first words", by="auto")
        cold = SessionManager(await reopen())
        get = BaseSessionStore.get

        async def get_and_be_late(self: BaseSessionStore, session_id: str, **options: Any) -> AnySession | None:
            found: AnySession | None = await get(self, session_id, **options)
            await cold.set_title(session_id, "The user's")
            return found

        with monkeypatch.context() as patch:
            patch.setattr(BaseSessionStore, "get", get_and_be_late)
            is_set = await chat.set_title("The agent's", by="agent")

        assert not is_set
        properties = (await whole(await reopen(), "talk")).metadata.properties
        assert properties == {"title": "The user's", "title_by": "user"}

    async def test_of_writers_at_the_same_time_the_strongest_title_stays_and_other_writes_too(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        sessions = SessionManager(store)
        await sessions.create("talk")
        by: list[TitleBy] = ["auto", "agent", "auto", "agent", "user"]
        told = await asyncio.gather(
            *(sessions.set_title("talk", f"{each} {number}", by=each) for number, each in enumerate(by)),
            *(store.append("talk", said(id=f"e{number}")) for number in range(5)),
        )

        session = await whole(await reopen(), "talk")

        assert session.metadata.properties == {"title": "user 4", "title_by": "user"}
        assert len(session.events) == 5
        assert told[4] is True

    async def test_a_title_that_is_a_plain_property_is_the_users(self, store: BaseSessionStore) -> None:
        sessions = SessionManager(store)
        for by_whom in ({}, {"title_by": ["?"]}, {"title_by": "a later release's"}):
            talk = await sessions.create(properties={"title": "mine", **by_whom})
            assert not await sessions.set_title(talk.id, "not mine", by="agent")
        await sessions.create("untitled", properties={"title": None, "title_by": "user"})

        assert await sessions.set_title("untitled", "not mine", by="auto")

    async def test_a_title_of_a_session_that_was_deleted_is_given_to_no_later_one(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        async with SessionManager(store).open("talk") as chat:
            pass
        with pytest.raises(SessionNotFound):
            await SessionManager(store).set_title("nowhere", "x", by="auto")
        await store.delete("talk")
        await store.create("talk", change=SessionChange(set_properties={"title": "another", "title_by": "agent"}))

        for by in get_args(TitleBy):
            with pytest.raises(SessionNotFound):
                await chat.set_title("mine", by=by)

        assert (await whole(await reopen(), "talk")).metadata.properties["title"] == "another"

    @pytest.mark.parametrize("text", ["", " \n", None, 7])
    async def test_what_is_no_title_is_refused_and_so_is_who_nobody_knows(
        self, store: BaseSessionStore, text: str
    ) -> None:
        sessions = SessionManager(store)
        await sessions.create("talk", properties={"title": "good"})

        with pytest.raises(InvalidSessionOperation, match="is no title"):
            await sessions.set_title("talk", text)
        with pytest.raises(InvalidSessionOperation, match="'auto', 'agent' or 'user'"):
            await sessions.set_title("talk", "good", by="boss")  # type: ignore[arg-type]  # the caller's mistake

        assert (await whole(store, "talk")).metadata.properties == {"title": "good"}

    async def test_properties_are_set_and_removed_one_by_one_and_are_no_activity(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        sessions = SessionManager(store)
        async with sessions.open("talk", properties={"owner": "ann", "topic": "rain"}) as chat:
            await chat.user("hello")
            before = chat.session.metadata.updated_at
            await chat.set_properties({"write_id": 1}, owner={"name": "ben"})
            await chat.unset_properties("topic", "never there")
            async with chat.run() as run:
                started = chat.session.metadata.updated_at
                await run.set_properties(stars=5)
                await run.set_title("Rain", by="agent")
            ended = chat.session.metadata.updated_at
        await sessions.set_properties("talk", {"tags": ["a"]}, stars=6, write_id="stars")
        await sessions.set_properties("talk", stars=7)
        await sessions.set_properties("talk", {"tags": ["a"]}, stars=6, write_id="stars")
        await sessions.unset_properties("talk", "write_id")
        await sessions.set_title("talk", "Oslo")

        again = await whole(await reopen(), "talk")

        assert again.metadata.properties == {
            "owner": {"name": "ben"},
            "stars": 7,
            "tags": ["a"],
            "title": "Oslo",
            "title_by": "user",
        }
        assert before < started < ended == again.metadata.updated_at
