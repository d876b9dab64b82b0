"""Ids: any text is one, and no two are taken for each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import NASTY, ids, said, whole

REFUSED: dict[str, Any] = {
    "empty": "",
    "513 characters": "x" * 513,
    "600 characters": "x" * 600,
    "lone surrogate": "a\ud800",
    "bytes": b"talk",
    "int": 7,
    "None": None,
}

nasty = pytest.mark.parametrize("name", NASTY.values(), ids=NASTY)
refused = pytest.mark.parametrize("name", REFUSED.values(), ids=REFUSED)


class IdsContract(ContractBase):
    async def test_sessions_with_nasty_ids_stay_apart_and_come_back(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        for label, name in NASTY.items():
            await store.create(name, change=SessionChange(events=[said(label, id=name)]))
        again = await reopen()

        found = {label: await whole(again, name) for label, name in NASTY.items()}

        assert {label: (each.id, each.events[0].message) for label, each in found.items()} == {
            label: (name, label) for label, name in NASTY.items()
        }
        assert sorted(await again.list_sessions()) == sorted(NASTY.values())

    async def test_events_with_nasty_ids_stay_apart_and_are_known_again(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        events = [said(label, id=name) for label, name in NASTY.items()]
        await store.create("talk")
        await store.append("talk", *events)
        again = await reopen()
        await again.append("talk", *events)

        assert ids(await again.events("talk")) == list(NASTY.values())

    async def test_runs_with_nasty_ids_stay_apart(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk")
        for label, name in NASTY.items():
            await store.commit("talk", SessionChange(runs=[SessionRun(id=name, agent=label)]))

        found = await (await reopen()).runs("talk")

        assert [(run.id, run.agent) for run in found] == [(name, label) for label, name in NASTY.items()]

    async def test_state_keys_of_any_text_stay_apart(self, store: BaseSessionStore, reopen: Reopen) -> None:
        state = {name: label for label, name in NASTY.items()}
        await store.create("talk", change=SessionChange(set_state={**state, "": 1}, set_properties={**state, "": 2}))

        again = await whole(await reopen(), "talk")

        assert (again.state, again.metadata.properties) == ({**state, "": 1}, {**state, "": 2})

    @nasty
    async def test_a_nasty_id_works_with_every_verb(self, store: BaseSessionStore, reopen: Reopen, name: str) -> None:
        await store.create(name)
        await store.create("child", parent_id=name, write_id=name)
        await store.append(name, said(id="e1"), said(id="e2", task_id=name))
        await store.commit(name, SessionChange(set_state={"k": 1}), write_id=name)
        await store.retract(name, "e1")
        again = await reopen()

        session = await whole(again, name)

        assert (ids(session.events), session.state, session.child_ids) == (["e2"], {"k": 1}, ["child"])
        assert await again.tree("child") == [(name, None), ("child", name)]
        assert await again.list_sessions(name) == [name]
        await again.delete(name, children="cascade")
        assert await (await reopen()).list_sessions() == []

    @refused
    async def test_what_cannot_be_a_session_id_is_refused_by_every_verb(
        self, store: BaseSessionStore, reopen: Reopen, name: Any
    ) -> None:
        verbs = (store.events, store.runs, store.children, store.children_page, store.tree, store.usage)
        for verb in verbs:
            with pytest.raises(InvalidSessionOperation):
                await verb(name)
        with pytest.raises(InvalidSessionOperation):
            await store.get(name)
        with pytest.raises(InvalidSessionOperation):
            await store.get_many(["fine", name])
        with pytest.raises(InvalidSessionOperation):
            store.follow(name)
        if name is not None:
            with pytest.raises(InvalidSessionOperation):
                await store.create(name)

        assert await (await reopen()).list_sessions() == []

    @refused
    async def test_what_cannot_be_a_session_id_is_refused_by_every_write(
        self, store: BaseSessionStore, name: Any
    ) -> None:
        writes: list[Callable[[], Awaitable[object]]] = [
            lambda: store.append(name, said()),
            lambda: store.commit(name, SessionChange(set_state={"k": 1})),
            lambda: store.retract(name, last=1),
            lambda: store.restore(name, "e1"),
            lambda: store.delete(name),
        ]
        for write in writes:
            with pytest.raises(InvalidSessionOperation):
                await write()

    @pytest.mark.parametrize("name", ["", "x" * 513, "a\ud800", 7, None], ids=ascii)
    async def test_what_cannot_be_an_id_makes_no_session_event_or_run(
        self, store: BaseSessionStore, reopen: Reopen, name: Any
    ) -> None:
        for make in (Session, SessionEvent, SessionRun):
            with pytest.raises((InvalidSessionOperation, ValueError)):
                make(id=name)
        await store.create("talk")
        bad = {"id": name}  # pydantic takes anything in a copy
        for change in (
            SessionChange(events=[said().model_copy(update=bad)]),
            SessionChange(runs=[SessionRun().model_copy(update=bad)]),
        ):
            with pytest.raises(InvalidSessionOperation):
                await store.commit("talk", change)
        with pytest.raises(InvalidSessionOperation):
            await store.save(Session(id="new").model_copy(update=bad))

        cold = await reopen()
        assert await cold.list_sessions() == ["talk"]
        assert (await whole(cold, "talk")).revision == 1

    @pytest.mark.parametrize("name", ["", "x" * 513, "a\ud800"], ids=["empty", "long", "surrogate"])
    async def test_what_cannot_be_an_id_is_refused_as_a_parent(
        self, store: BaseSessionStore, reopen: Reopen, name: str
    ) -> None:
        with pytest.raises(InvalidSessionOperation):
            await store.create("child", parent_id=name)

        assert await (await reopen()).get("child") is None

    @pytest.mark.parametrize("name", ["", "x" * 513, "a\ud800"], ids=["empty", "long", "surrogate"])
    async def test_what_cannot_be_an_id_is_refused_as_a_write_id(
        self, store: BaseSessionStore, reopen: Reopen, name: str
    ) -> None:
        await store.create("talk")

        with pytest.raises(InvalidSessionOperation):
            await store.commit("talk", SessionChange(set_state={"k": 1}), write_id=name)
        with pytest.raises(InvalidSessionOperation):
            await store.create("other", write_id=name)

        again = await reopen()
        assert await again.list_sessions() == ["talk"]
        assert (await whole(again, "talk")).state == {}
