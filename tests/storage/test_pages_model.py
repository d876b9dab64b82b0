"""Pages against plain lists: sessions come, go, move and change owner between the pages, and clocks jump."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from fakeredis import FakeServer
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from a2a_session_manager import (
    InMemorySessionStore,
    RedisSessionStore,
    SessionChange,
    SessionEvent,
    SessionHead,
    SessionManager,
)
from a2a_session_manager.models import clock
from a2a_session_manager.storage.file import FileSessionStore
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.url import store_from_url
from tests.draws import few
from tests.redis_servers.server import RedisServer
from tests.storage.redis.looks import fake_client

ResultT = TypeVar("ResultT")

INDEXED = ("owner", "done")
# Between pages, an order by activity is exact to this.
GRAIN_SECONDS = 10
session_ids = st.sampled_from(["a", "b", "c", "d", "e", "f", "g", "h"])
owners = st.sampled_from(["ann", "bob", None])
filters = st.sampled_from([{}, {}, {"owner": "ann"}, {"owner": "bob"}, {"owner": "ann", "done": True}, {"done": False}])
titles = st.sampled_from([None, None, "OSLO", "rome"])
PAGES = settings(stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass
class PlainHead:
    """What a page shows of a session, and which of all that were ever created it is."""

    id: str
    life: int
    parent_id: str | None
    created: float
    updated: float
    properties: dict[str, Any] = field(default_factory=dict)


@dataclass
class Query:
    order: str
    newest_first: bool
    properties: dict[str, Any]
    title: str | None
    roots_only: bool

    @property
    def options(self) -> dict[str, Any]:
        return vars(self)

    def takes(self, head: PlainHead) -> bool:
        if self.roots_only and head.parent_id is not None:
            return False
        if self.title and self.title.lower() not in str(head.properties.get("title", "")).lower():
            return False
        return all(head.properties.get(key) == value for key, value in self.properties.items())

    def time_of(self, head: PlainHead) -> float:
        return {"updated": head.updated, "created": head.created, "id": 0.0}[self.order]


queries = st.builds(
    Query,
    order=st.sampled_from(["updated", "updated", "created", "id"]),
    newest_first=st.sampled_from([True, True, False]),
    properties=filters,
    title=titles,
    roots_only=st.booleans(),
)


@dataclass
class Paging:
    """A paging that is under way, and the sessions whose place has stayed since it began."""

    query: Query
    limit: int
    stay: dict[str, tuple[int, float]]
    cursor: str | None = None
    seen: list[str] = field(default_factory=list)


class PagesMachine(RuleBasedStateMachine):
    """One store, its model, a clock that is set by hand, and a paging that is now and then gone on with."""

    is_durable = True

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.seconds = 1_800_000_000.0
        self.real_clock, clock.time_ns = clock.time_ns, lambda: round(self.seconds * 1e6) * 1_000
        self.store = self.run(self.open_store(self.place))
        self.model: dict[str, PlainHead] = {}
        self.lives = 0
        self.paging: Paging | None = None

    async def open_store(self, place: Path) -> BaseSessionStore:
        raise NotImplementedError

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        return self.runner.run(work)

    def teardown(self) -> None:
        self.run(self.store.aclose())
        self.runner.close()
        clock.time_ns = self.real_clock
        shutil.rmtree(self.place, ignore_errors=True)

    # Rules

    @rule(seconds=st.sampled_from([0.001, 1, 6, 11, 11, 60, -3, -100]))
    def let_time_pass(self, seconds: float) -> None:
        self.seconds += seconds

    @rule(id=session_ids, parent_id=st.none() | session_ids, owner=owners, done=st.booleans())
    def create(self, id: str, parent_id: str | None, owner: str | None, done: bool) -> None:
        if id in self.model or (parent_id is not None and parent_id not in self.model):
            return
        properties: dict[str, Any] = {"done": done, **({"owner": owner} if owner else {})}
        change = SessionChange(set_properties=properties)
        session = self.run(self.store.create(id, parent_id=parent_id, change=change))
        self.lives += 1
        created, updated = (each.timestamp() for each in (session.metadata.created_at, session.metadata.updated_at))
        self.model[id] = PlainHead(id, self.lives, parent_id, created, updated, properties)

    @rule(id=session_ids, is_state=st.booleans())
    def be_active(self, id: str, is_state: bool) -> None:
        if id not in self.model:
            return
        if is_state:
            change = SessionChange(set_state={"at": self.seconds})
            self.run(self.store.commit(id, change))
        else:
            self.run(self.store.append(id, SessionEvent(message="x")))
        session = self.run(self.store.get(id, last=0))
        assert session is not None
        assert session.metadata.updated_at.timestamp() > self.model[id].updated
        self.model[id].updated = session.metadata.updated_at.timestamp()

    @rule(id=session_ids, owner=owners)
    def change_owner(self, id: str, owner: str | None) -> None:
        if id not in self.model:
            return
        properties = self.model[id].properties
        if owner is None:
            self.run(self.store.commit(id, SessionChange(unset_properties=["owner"])))
            properties.pop("owner", None)
        else:
            self.run(self.store.commit(id, SessionChange(set_properties={"owner": owner})))
            properties["owner"] = owner

    @rule(id=session_ids, title=st.sampled_from(["To Oslo", "Rome", "oslo and ROME"]))
    def change_title(self, id: str, title: str) -> None:
        if id in self.model:
            assert self.run(SessionManager(self.store).set_title(id, title))
            self.model[id].properties |= {"title": title, "title_by": "user"}

    @rule(id=session_ids)
    def delete(self, id: str) -> None:
        self.run(self.store.delete(id, children="cascade"))
        gone = {id}
        while more := {each.id for each in self.model.values() if each.parent_id in gone} - gone:
            gone |= more
        self.model = {name: head for name, head in self.model.items() if name not in gone}

    @precondition(lambda self: self.is_durable)
    @rule()
    def open_again(self) -> None:
        self.run(self.store.aclose())
        self.store = self.run(self.open_store(self.place))

    @rule(query=queries)
    def look_at_one_page(self, query: Query) -> None:
        page = self.run(self.store.page(limit=50, **query.options))
        while page.cursor is not None:  # nothing more may follow
            page = self.run(self.store.page(limit=50, cursor=page.cursor, **query.options))
            assert not page
        self._compare(query, self.run(self._all(query, 50)))

    @rule(query=queries, limit=st.sampled_from([1, 2, 3]))
    def look_at_all_pages(self, query: Query, limit: int) -> None:
        heads = self.run(self._all(query, limit))
        assert sorted(head.id for head in heads) == sorted(self._expected(query))
        if query.order == "updated":
            times = [head.updated_at.timestamp() * (-1 if query.newest_first else 1) for head in heads]
            assert all(later >= before - GRAIN_SECONDS for before, later in pairwise(times))
        else:
            self._compare(query, heads)

    @rule(query=queries)
    def count(self, query: Query) -> None:
        query.title = None
        counted = self.run(self.store.count(properties=query.properties, roots_only=query.roots_only))
        assert counted == len(self._expected(query))

    @rule(query=queries, limit=st.sampled_from([1, 2, 3]))
    def begin_paging(self, query: Query, limit: int) -> None:
        self.paging = Paging(query, limit, self._places(query))
        self.turn_the_page()

    @precondition(lambda self: self.paging is not None)
    @rule()
    def turn_the_page(self) -> None:
        paging = self.paging
        assert paging is not None
        page = self.run(self.store.page(limit=paging.limit, cursor=paging.cursor, **paging.query.options))
        assert len(page) == paging.limit or page.cursor is None
        paging.seen += [f"{head.id} {self.model[head.id].life}" for head in page]
        paging.cursor = page.cursor
        for head in page:
            self._compare_head(head)
            assert paging.query.takes(self.model[head.id])
        if page.cursor is None:
            assert len(paging.seen) == len(set(paging.seen))
            assert {f"{name} {life}" for name, (life, _) in paging.stay.items()} <= set(paging.seen)
            self.paging = None

    @invariant()
    def whose_place_has_stayed(self) -> None:
        if self.paging is not None:
            now = self._places(self.paging.query)
            self.paging.stay = {name: at for name, at in self.paging.stay.items() if now.get(name) == at}

    # What is expected

    async def _all(self, query: Query, limit: int) -> list[SessionHead]:
        heads: list[SessionHead] = []
        cursor = None
        while True:
            page = await self.store.page(limit=limit, cursor=cursor, **query.options)
            heads += page
            if (cursor := page.cursor) is None:
                return heads

    def _compare(self, query: Query, heads: list[SessionHead]) -> None:
        found = [head.id for head in heads]
        if query.order == "id":
            listed = self.run(self.store.list_sessions())
            assert found == [name for name in listed if name in self._expected(query)]
        else:
            assert found == self._expected(query)
        for head in heads:
            self._compare_head(head)

    def _compare_head(self, head: SessionHead) -> None:
        plain = self.model[head.id]
        assert (head.parent_id, head.properties) == (plain.parent_id, plain.properties)
        assert (head.created_at.timestamp(), head.updated_at.timestamp()) == (plain.created, plain.updated)

    def _expected(self, query: Query) -> list[str]:
        found = [head for head in self.model.values() if query.takes(head)]
        found.sort(key=lambda head: (query.time_of(head), head.id), reverse=query.newest_first)
        return [head.id for head in found]

    def _places(self, query: Query) -> dict[str, tuple[int, float]]:
        found = {name: self.model[name] for name in self._expected(query)}
        return {name: (head.life, query.time_of(head)) for name, head in found.items()}


class MemoryMachine(PagesMachine):
    is_durable = False

    async def open_store(self, place: Path) -> BaseSessionStore:
        return InMemorySessionStore(indexed=INDEXED)


class FileMachine(PagesMachine):
    async def open_store(self, place: Path) -> BaseSessionStore:
        return FileSessionStore(place, indexed=INDEXED)


class FakeredisMachine(PagesMachine):
    def __init__(self) -> None:
        self.fake = FakeServer()
        super().__init__()

    async def open_store(self, place: Path) -> BaseSessionStore:
        return RedisSessionStore(fake_client(self.fake), indexed=INDEXED)


class RedisMachine(PagesMachine):
    """On the server that `test_redis` starts."""

    url: ClassVar[str]

    async def open_store(self, place: Path) -> BaseSessionStore:
        return store_from_url(f"{self.url}?key_prefix={place.name}:", indexed=INDEXED)


TestMemory = MemoryMachine.TestCase
TestMemory.settings = settings(PAGES, max_examples=few(12, of=400))
TestFile = FileMachine.TestCase
TestFile.settings = settings(PAGES, max_examples=few(3, of=200))


def test_redis(redis_server: RedisServer) -> None:
    RedisMachine.url = redis_server.url

    run_state_machine_as_test(RedisMachine, settings=settings(PAGES, max_examples=few(3, of=200)))


@pytest.mark.soak
def test_fakeredis() -> None:
    run_state_machine_as_test(FakeredisMachine, settings=settings(PAGES, max_examples=50))
