"""What a delete, a crash or an expiry leaves behind goes by itself: keys, locators, lines of the index."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any
from uuid import uuid4

import pytest

from a2a_session_manager import InvalidSessionOperation
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage.base import BaseSessionStore
from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.script import Script, ScriptCall
from a2a_session_manager.storage.url import store_from_url
from a2a_session_manager.testing.contract.making import said, spending
from tests.redis_servers.server import RedisServer
from tests.storage.redis_looks import backend_of, connections_of, place_of

OpenStore = Callable[..., BaseSessionStore]


@pytest.fixture
def prefix() -> str:
    return f"{uuid4().hex[:12]}:"


@pytest.fixture
async def open_store(redis_server: RedisServer, prefix: str) -> AsyncIterator[OpenStore]:
    """Open stores over the same data, as so many processes would."""
    opened: list[BaseSessionStore] = []

    def open_one(**options: object) -> BaseSessionStore:
        given = "".join(f"&{name}={value}" for name, value in options.items())
        opened.append(store_from_url(f"{redis_server.url}?key_prefix={prefix}{given}"))
        return opened[-1]

    yield open_one
    for store in opened:
        await store.aclose()


async def left(store: BaseSessionStore, prefix: str) -> list[str]:
    """Return the keys that are there, but for those that only tell of what may not come back, and expire."""
    [names] = await connections_of(store).read_many([("KEYS", f"{prefix}*")])
    ends = await connections_of(store).read_many([("PTTL", name) for name in names])
    mortal = (b":refused", b":followers")
    return [name.decode() for name, end in zip(names, ends, strict=True) if end < 0 or not name.endswith(mortal)]


async def grown(store: BaseSessionStore, children: int = 5) -> Any:
    """Make a root with children, each of which has one below it."""
    change = SessionChange(events=[spending(1)], set_state={"k": 1})
    root = await store.create("talk", change=change)
    for number in range(children):
        await store.create(f"kid{number}", parent_id="talk", change=change)
        await store.create(f"below{number}", parent_id=f"kid{number}", change=change)
    return root


class Died(Exception):
    """Stands for the end of a process."""


class Breaking:
    """A store's scripts, of which the first of one kind is run and its answer lost; then it may all end."""

    def __init__(self, store: BaseSessionStore, script: Script, *, is_end: bool) -> None:
        connections: Any = connections_of(store)
        self._behind = connections.run_many
        self._script, self._is_end = script, is_end
        self.is_lost = False
        connections.run_many = self._run_many

    async def _run_many(self, calls: Sequence[ScriptCall], *sent: Any) -> list[Any]:
        if self.is_lost and self._is_end:
            raise Died
        answers: list[Any] = await self._behind(calls, *sent)
        if not self.is_lost and any(call.script is self._script for call in calls):
            self.is_lost = True
            if self._is_end:
                raise Died
            return await self._run_many(calls)  # as the asker does when a connection ends
        return answers


@pytest.mark.parametrize("victim", ["talk", "kid0"])
async def test_a_cascade_whose_answer_was_lost_leaves_nothing_behind(
    open_store: OpenStore, prefix: str, victim: str
) -> None:
    store = open_store()
    await grown(store)
    Breaking(store, scripts.DELETE, is_end=False)

    await store.delete(victim, children="cascade")

    remaining = await left(store, prefix)
    assert not [name for name in remaining if victim == "talk" or "kid0" in name or "below0" in name or "gone" in name]


@pytest.mark.parametrize("victim", ["talk", "kid0"])
async def test_a_listing_removes_what_a_process_that_died_in_a_cascade_has_left(
    open_store: OpenStore, prefix: str, victim: str
) -> None:
    await died_deleting(open_store(), victim)
    cold = open_store()

    listed = await cold.list_sessions()

    remaining = await left(cold, prefix)
    assert not [name for name in remaining if victim == "talk" or "kid0" in name or "below0" in name or "gone" in name]
    assert len(listed) == (0 if victim == "talk" else 9)


async def test_a_delete_sent_again_by_another_process_finishes_what_the_first_began(
    open_store: OpenStore, prefix: str
) -> None:
    root = await died_deleting(open_store(), "talk")
    cold = open_store()
    # Not told by a listing, and by none of the keys of the session.
    await cold.delete(root, children="cascade")

    assert await left(cold, prefix) == []


async def test_what_died_in_a_cascade_harms_no_later_session_of_the_same_ids(open_store: OpenStore) -> None:
    await died_deleting(open_store(), "talk")
    store = open_store()
    await store.create("kid0", change=SessionChange(events=[said("mine")]))
    await store.create("talk")
    await store.create("below0", parent_id="talk", change=SessionChange(events=[said("mine")]))

    assert sorted(await store.list_sessions()) == ["below0", "kid0", "talk"]
    for name in ("kid0", "below0"):
        assert [event.message for event in await open_store().events(name)] == ["mine"]
    assert await open_store().children("talk") == ["below0"]


@pytest.mark.parametrize("parts", [["children"], ["head"], ["head", "children"]])
async def test_a_session_that_lost_the_list_of_its_children_is_not_deleted_without_them(
    open_store: OpenStore, parts: list[str]
) -> None:
    store = open_store()
    root = await grown(store)
    place = await place_of(store, "talk")
    await connections_of(store).read_many([("UNLINK", getattr(place, part)) for part in parts])

    with pytest.raises(InvalidSessionOperation, match="delete them first"):
        await store.delete(root)
    await store.delete(root, children="cascade")

    assert await store.list_sessions() == []


async def died_deleting(store: BaseSessionStore, victim: str) -> Any:
    """Let a process die right after the step that ends the sessions; return the root's handle."""
    root = await grown(store)
    backend, key = backend_of(store), store._key(victim)
    [loaded] = await backend.load([key], last=0, whole_head=False)
    assert loaded is not None
    Breaking(store, scripts.DELETE, is_end=True)
    with pytest.raises(Died):
        await backend._deleter.delete(key, loaded.head.creation_id, cascade=True)
    return root
