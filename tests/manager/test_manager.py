"""SessionManager over any store."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from a2a_session_manager import (
    InMemorySessionStore,
    InvalidSessionOperation,
    Session,
    SessionAlreadyExists,
    SessionConflict,
    SessionManager,
    SessionNotFound,
    StoreLimits,
    StoreUnavailable,
)
from a2a_session_manager.active import titles
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.store import BaseSessionStore
from tests.manager.managed import said, sessions, store, texts
from tests.storage.yielding import damage_first_event

__all__ = ["sessions", "store"]


# What it opens, it closes


async def test_a_manager_closes_the_store_it_opened() -> None:
    async with SessionManager.from_url("memory:") as sessions:
        await sessions.create("a")

    with pytest.raises(StoreUnavailable, match="the store is closed"):
        await sessions.get("a")


async def test_a_manager_leaves_the_store_it_was_given(store: InMemorySessionStore) -> None:
    async with SessionManager(store) as sessions:
        await sessions.create("a")

    assert await store.get("a") is not None


def test_a_url_in_place_of_a_store_is_refused_with_what_takes_it() -> None:
    with pytest.raises(InvalidSessionOperation, match=r"for a URL, SessionManager\.from_url"):
        SessionManager("memory:")  # type: ignore[arg-type]  # a usual mistake


async def test_a_managers_namespace_closes_nothing() -> None:
    async with SessionManager.from_url("memory:") as sessions:
        async with sessions.namespace("tenant") as tenant:
            await tenant.create("a")

        assert await tenant.list_sessions() == ["a"]


async def test_closing_twice_is_fine() -> None:
    sessions = SessionManager.from_url("memory:")

    await sessions.aclose()
    await sessions.aclose()


async def test_two_memory_urls_are_two_stores() -> None:
    async with SessionManager.from_url("memory:") as first, SessionManager.from_url("memory:") as second:
        await first.create("a")

        assert await second.list_sessions() == []


async def test_limits_reach_the_store_of_a_url() -> None:
    async with SessionManager.from_url("memory:", limits=StoreLimits(commit_events=1)) as sessions:
        await sessions.create("a")

        with pytest.raises(InvalidSessionOperation, match="append in batches"):
            await sessions.append("a", said("1"), said("2"))


# Opening, creating, getting


async def test_open_creates_a_session_with_its_properties(sessions: SessionManager) -> None:
    async with sessions.open("a", properties={"owner": "Ann"}) as chat:
        assert (chat.id, chat.session.revision) == ("a", 1)

    assert (await sessions.get("a")).metadata.properties == {"owner": "Ann"}


async def test_open_leaves_the_properties_of_a_session_that_exists(sessions: SessionManager) -> None:
    await sessions.create("a", properties={"owner": "Ann"})

    async with sessions.open("a", properties={"owner": "Bob"}) as chat:
        assert chat.session.metadata.properties == {"owner": "Ann"}

    assert (await sessions.get("a")).revision == 1


async def test_open_without_an_id_makes_a_random_one(sessions: SessionManager) -> None:
    async with sessions.open() as first, sessions.open() as second:
        assert first.id != second.id

    assert set(await sessions.list_sessions()) == {first.id, second.id}


@pytest.mark.parametrize(("last", "loaded"), [(0, []), (1, ["c"]), (3, ["a", "b", "c"]), (9, ["a", "b", "c"])])
async def test_open_reads_the_newest_events_that_are_asked_for(
    sessions: SessionManager, last: int, loaded: list[str]
) -> None:
    await sessions.create("s")
    await sessions.append("s", said("a"), said("b"), said("c"))

    async with sessions.open("s", last=last) as chat:
        assert [event.message for event in chat.session.events] == loaded
        assert chat.session.last_seq == 3


async def test_open_reads_no_events_unless_asked(sessions: SessionManager) -> None:
    await sessions.create("s")
    await sessions.append("s", said("a"))

    async with sessions.open("s") as chat:
        assert chat.session.events == []


async def test_open_refuses_a_negative_last_and_creates_nothing(sessions: SessionManager) -> None:
    with pytest.raises(InvalidSessionOperation, match="last=-1 cannot be negative"):
        async with sessions.open("s", last=-1):
            raise AssertionError("it was opened")

    assert await sessions.list_sessions() == []


async def test_open_refuses_another_parent_than_the_session_has(sessions: SessionManager) -> None:
    await sessions.create("top")
    await sessions.create("other")
    await sessions.create("below", parent_id="top")

    with pytest.raises(InvalidSessionOperation, match="exists below 'top', not below 'other': a parent never changes"):
        async with sessions.open("below", parent_id="other"):
            raise AssertionError("it was opened")
    async with sessions.open("below", parent_id="top") as same, sessions.open("below") as any_parent:
        assert same.session.parent_id == any_parent.session.parent_id == "top"


async def test_open_below_a_parent_that_is_missing_raises(sessions: SessionManager) -> None:
    with pytest.raises(SessionNotFound, match="'nobody'"):
        async with sessions.open("below", parent_id="nobody"):
            raise AssertionError("it was opened")

    assert await sessions.list_sessions() == []


async def test_an_error_in_the_block_goes_through_and_undoes_nothing(sessions: SessionManager) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012  # how the block ends is the test
        async with sessions.open("s") as chat:
            await chat.user("said")
            raise ZeroDivisionError

    assert await texts(sessions, "s") == ["said"]


async def test_create_takes_state_and_properties(sessions: SessionManager) -> None:
    session = await sessions.create("a", state={"k": [1]}, properties={"p": 2})

    assert await sessions.get("a") == session
    assert (session.state, session.metadata.properties) == ({"k": [1]}, {"p": 2})


async def test_create_refuses_an_id_that_is_taken(sessions: SessionManager) -> None:
    await sessions.create("a", state={"k": 1})

    with pytest.raises(SessionAlreadyExists):
        await sessions.create("a", state={"k": 2})

    assert (await sessions.get("a")).state == {"k": 1}


async def test_create_repeated_with_its_write_id_is_the_first_one(sessions: SessionManager) -> None:
    await sessions.create("a", state={"k": 1}, write_id="w")
    await sessions.append("a", said("x"))

    await sessions.create("a", state={"k": 1}, write_id="w")

    assert await texts(sessions, "a") == ["x"]
    assert (await sessions.get("a")).revision == 2


async def test_get_raises_when_there_is_no_such_session(sessions: SessionManager) -> None:
    with pytest.raises(SessionNotFound) as caught:
        await sessions.get("a")

    assert caught.value.session_id == "a"


async def test_get_or_create_returns_the_one_that_is_there(sessions: SessionManager) -> None:
    first = await sessions.get_or_create("a")
    await sessions.append("a", said("x"))

    second = await sessions.get_or_create("a")

    assert (first.events, [event.message for event in second.events]) == ([], ["x"])


async def test_get_or_create_by_many_at_once_creates_one() -> None:
    class Yielding(MemoryBackend):
        async def load(self, *args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(0)
            return await super().load(*args, **kwargs)

    sessions = SessionManager(BaseSessionStore(Yielding()))

    found = await asyncio.gather(*(sessions.get_or_create("a") for _ in range(8)))

    assert {session.revision for session in found} == {1}
    assert await sessions.list_sessions() == ["a"]


# The verbs that forward to the store


async def test_every_verb_reaches_the_store(sessions: SessionManager) -> None:
    await sessions.create("top")
    await sessions.create("below", parent_id="top")
    [first, second] = await sessions.append("top", said("a", 1), said("b", 2), expected_revision=1)
    await sessions.append("below", said("c", 4))
    hidden = await sessions.retract("top", second.id)
    session = await sessions.get("top", last=5)
    session.state["k"] = 1
    await sessions.save(session)

    assert first.seq == 1
    assert [event.message for event in hidden] == ["b"]
    assert (await sessions.get("top")).state == {"k": 1}
    assert await sessions.children("top") == ["below"]
    assert await sessions.list_sessions("be") == ["below"]
    assert [each async for each in sessions.iter_sessions(roots_only=True, page_size=1)] == ["top"]
    assert (await sessions.usage("top")).total_tokens == 3
    assert (await sessions.usage("top", tree=True)).total_tokens == 7
    assert await sessions.runs("top") == []
    assert (await anext(sessions.follow("top"))).message == "a"
    page = await sessions.page(order="created", newest_first=False, title="", limit=1, last=1)
    rest = await sessions.page(order="created", newest_first=False, roots_only=False, cursor=page.cursor)
    assert [head.id for head in (*page, *rest)] == ["top", "below"]
    assert ([event.message for event in page[0].events], rest[0].events) == (["a"], [])
    assert (await sessions.count(), await sessions.count(roots_only=True)) == (2, 1)
    changes = sessions.follow_namespace(since=[*page], last=1)
    await sessions.append("below", said("d", 1))
    assert (await anext(changes)).id == "below"
    await changes.aclose()


async def test_delete_refuses_a_session_with_children_unless_told_to_cascade(sessions: SessionManager) -> None:
    await sessions.create("top")
    await sessions.create("below", parent_id="top")

    with pytest.raises(InvalidSessionOperation, match="children"):
        await sessions.delete("top")
    assert await sessions.list_sessions() == ["below", "top"]

    await sessions.delete("top", children="cascade")
    assert await sessions.list_sessions() == []


async def test_namespaces_keep_the_same_id_apart(sessions: SessionManager) -> None:
    ann, bob = sessions.namespace("ann"), sessions.namespace("bob")
    await ann.create("a", state={"by": "ann"})
    await bob.create("a", state={"by": "bob"})

    assert (await ann.get("a")).state == {"by": "ann"}
    assert (await bob.get("a")).state == {"by": "bob"}
    assert await sessions.list_sessions() == []
    with pytest.raises(SessionNotFound):
        await sessions.create("below", parent_id="a")


def test_a_managers_namespace_is_a_manager_of_the_same_kind(store: InMemorySessionStore) -> None:
    class MyManager(SessionManager):
        pass

    assert type(MyManager(store).namespace("n")) is MyManager


# Titles, and the verbs of a store


async def test_a_title_that_others_are_always_faster_than_is_a_conflict(
    store: InMemorySessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Faster(SessionManager):
        reads = 0

    async def get(session_id: str, **options: Any) -> Session[Any] | None:
        found = await InMemorySessionStore.get(store, session_id, **options)
        await InMemorySessionStore.append(store, session_id, said("meanwhile"))
        Faster.reads += 1
        return found

    monkeypatch.setattr(titles, "_FIRST_PAUSE_SECONDS", 0)
    monkeypatch.setattr(store, "get", get)
    sessions = Faster(store)
    await sessions.create("a")

    with pytest.raises(SessionConflict):
        await sessions.set_title("a", "late", by="agent")
    assert await sessions.set_title("a", "mine")
    assert Faster.reads == 8


async def test_get_or_create_gives_a_new_session_its_properties_and_leaves_those_of_another(
    sessions: SessionManager,
) -> None:
    for owner in ("ann", "ben"):
        session = await sessions.get_or_create("a", properties={"owner": owner})

        assert session.metadata.properties == {"owner": "ann"}


async def test_a_manager_reads_and_commits_as_its_store_does(sessions: SessionManager) -> None:
    root = await sessions.create("a")
    await sessions.create("b", parent_id="a")
    change = SessionChange(events=[said("x"), said("y")], set_state={"step": 1})
    done = await sessions.commit(root, change, expected_revision=root.revision, write_id="w")
    repeated = await sessions.commit("a", change, write_id="w")
    await sessions.retract("a", last=1)

    assert (done.revision, repeated.revision, root.state) == (2, 2, {"step": 1})
    with pytest.raises(SessionConflict):
        await sessions.commit("a", change, expected_revision=1)
    assert [event.message for event in await sessions.events("a")] == ["x"]
    assert [event.message for event in await sessions.events("a", after=1, include_retracted=True)] == ["y"]
    page = await sessions.events_page("a", limit=1, include_retracted=True)
    assert ([event.message for event in page.events], page.next_after) == (["x"], 1)
    assert await sessions.tree("b") == [("a", None), ("b", "a")]
    assert await sessions.list_page(limit=1) == (["a"], "a")
    assert (await sessions.list_page(roots_only=True)).session_ids == ["a"]
    assert await sessions.children_page("a", limit=5) == (["b"], None)
    assert [found and found.id for found in await sessions.get_many(["b", "nobody", "a"])] == ["b", None, "a"]
    assert sessions.statistics().commits > 0


async def test_check_all_names_the_sessions_with_findings_and_those_that_are_damaged(
    store: InMemorySessionStore,
) -> None:
    sessions = SessionManager(store)
    for name in ("sound", "open", "damaged"):
        async with sessions.open(name) as chat:
            await chat.user("Two days in Oslo?")
    async with sessions.open("open") as chat:
        await chat.tool("search", {"q": "oslo"}, call_id="call-1")
    damage_first_event(store, "damaged")

    found = {session_id: [each.code for each in findings] async for session_id, findings in sessions.check_all()}

    assert found == {"open": ["closed_call"], "damaged": ["damaged"]}
