"""Following: replay, then live events, without gap or repetition, retractions in their places, to the session's end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from a2a_session_manager.exceptions import SessionConflict, SessionNotFound, StoreUnavailable
from a2a_session_manager.models.change import Restoration, Retraction, SessionChange
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import PATIENCE_SECONDS, ids, listening, said, several, whole
from a2a_session_manager.testing.contract.restored import RestoredBackend


class FollowingContract(ContractBase):
    async def test_following_replays_what_is_there_and_then_brings_what_comes(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(2)))
        async with listening(await reopen(), "talk") as take:
            replayed = await take(2)
            await store.append("talk", said(id="live1"))
            live = await take(1)
            await store.append("talk", said(id="live2"), said(id="live3"))
            live += await take(2)

        assert (ids(replayed), ids(live)) == (["e1", "e2"], ["live1", "live2", "live3"])
        assert [event.seq for event in [*replayed, *live]] == [1, 2, 3, 4, 5]

    async def test_a_waiting_follower_gets_one_event_and_then_a_commit_of_several(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(1)))
        async with listening(await reopen(), "talk") as take:
            await take(1)
            for new in (["one"], ["two", "three"]):
                waiting = asyncio.create_task(take(len(new)))
                await asyncio.sleep(0.01)
                await store.append("talk", *(said(id=event_id) for event_id in new))

                assert ids(await waiting) == new

    @pytest.mark.parametrize(("after", "expected"), [(0, ["e1", "e2", "new"]), (1, ["e2", "new"]), (2, ["new"])])
    async def test_following_starts_after_the_given_seq(
        self, store: BaseSessionStore, after: int, expected: list[str]
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(2)))
        await store.append("talk", said(id="new"))

        async with listening(store, "talk", after=after) as take:
            heard = await take(len(expected))

        assert ids(heard) == expected

    async def test_a_follower_of_many_writers_gets_everything_once_and_in_order(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(5)))
        follower = await reopen()

        async def write(number: int) -> None:
            for step in range(8):
                await store.append("talk", said(f"{number}.{step}"))
                await asyncio.sleep(0)

        async with listening(follower, "talk") as take:
            writers = asyncio.gather(*(write(number) for number in range(8)))
            heard = await take(5 + 64)
            await writers

        assert [event.seq for event in heard] == list(range(1, 70))
        assert [event.id for event in heard] == ids(await follower.events("talk"))

    async def test_a_long_log_is_replayed_whole(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=SessionChange(events=several(1_203)))
        await store.retract("talk", "e600")

        async with listening(await reopen(), "talk") as take:
            heard = await take(1_204)

        assert [event.seq for event in heard] == [*range(1, 1_204), 600]
        assert heard[-1].retracted

    async def test_a_retraction_appears_in_its_place(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=SessionChange(events=several(2)))
        await store.retract("talk", "e1")
        await store.append("talk", said(id="e3"))

        async with listening(await reopen(), "talk") as take:
            heard = await take(4)
            await store.retract("talk", "e2", "e3")
            heard += await take(2)
            await store.append("talk", said(id="e4"))
            heard += await take(1)

        assert [(event.id, event.retracted) for event in heard] == [
            ("e1", False),
            ("e2", False),
            ("e1", True),
            ("e3", False),
            ("e2", True),
            ("e3", True),
            ("e4", False),
        ]

    async def test_changes_to_the_head_alone_yield_nothing_to_a_follower(self, store: BaseSessionStore) -> None:
        await store.create("talk")
        async with listening(store, "talk") as take:
            waiting = asyncio.create_task(take(1))
            await asyncio.sleep(0.01)
            await store.commit("talk", SessionChange(set_state={"k": 1}))
            await store.append("talk", said(id="e1"))
            heard = await waiting

        assert ids(heard) == ["e1"]

    async def test_following_ends_when_the_session_is_deleted(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=SessionChange(events=several(1)))
        async with listening(await reopen(), "talk") as take:
            await take(1)
            waiting = asyncio.create_task(take(1))
            await asyncio.sleep(0.01)
            await store.delete("talk")

            with pytest.raises(SessionNotFound):
                await waiting

    async def test_following_does_not_continue_with_a_later_session_of_the_same_id(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(1)))
        async with listening(await reopen(), "talk") as take:
            await take(1)
            await store.delete("talk")
            await store.create("talk", change=SessionChange(events=several(3, "later")))

            with pytest.raises(SessionNotFound):
                await take(1)

    async def test_following_a_session_that_is_not_there_raises_not_found(self, store: BaseSessionStore) -> None:
        async with listening(store, "nowhere") as take:
            with pytest.raises(SessionNotFound):
                await take(1)

    async def test_following_from_an_event_that_is_not_there_is_refused(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(2)))

        # A follower that has seen an event which the store does not have has read another store, or a later state.
        async with listening(await reopen(), "talk", after=3) as take:
            with pytest.raises(SessionConflict) as caught:
                await take(1)

        assert (caught.value.session_id, caught.value.revision) == ("talk", 1)

    @pytest.mark.parametrize(
        ("lost", "since"),
        [
            pytest.param("event", ["event"], id="as many events"),
            pytest.param("event", ["event"] * 3, id="more events"),
            pytest.param("event", ["state", "event", "event"], id="an event in the place of the last one"),
            pytest.param("large event", ["event"] * 3, id="after a large event"),
            pytest.param("state", ["state"], id="as many changes of the head"),
            pytest.param("retraction", ["retraction", "event"], id="another retraction"),
            pytest.param("retraction", ["retraction", "restoration"], id="a restoration since"),
        ],
    )
    async def test_following_ends_when_the_session_was_restored_and_got_other_events_since(
        self, store: BaseSessionStore, lost: str, since: list[str]
    ) -> None:
        first = several(2)
        await store.create("talk", change=SessionChange(events=first))
        await store.commit("talk", _change(lost, "e1"))
        await store.create("restored", change=SessionChange(events=first))
        for kind in since:
            await store.commit("restored", _change(kind, "e2"))
        backend = RestoredBackend(store._open_backend)

        async with listening(BaseSessionStore(backend), "talk") as take:
            await take(2 if lost == "state" else 3)
            backend.restore("restored")
            with pytest.raises(SessionConflict, match="another course") as caught:
                await take(1)

        assert caught.value.revision == 1 + len(since)

    async def test_following_goes_on_when_the_session_was_restored_and_got_the_same_events_since(
        self, store: BaseSessionStore
    ) -> None:
        first = several(2)
        for session_id in ("talk", "restored"):
            await store.create(session_id, change=SessionChange(events=first))
        await store.append("restored", said(id="new"))
        backend = RestoredBackend(store._open_backend)

        async with listening(BaseSessionStore(backend), "talk") as take:
            await take(2)
            backend.restore("restored")

            assert ids(await take(1)) == ["new"]

    async def test_following_ends_when_the_store_is_closed(self, store: BaseSessionStore) -> None:
        await store.create("talk", change=SessionChange(events=several(1)))
        async with listening(store, "talk") as take:
            await take(1)
            waiting = asyncio.create_task(take(1))
            await asyncio.sleep(0.01)
            await store.aclose()

            done, _ = await asyncio.wait({waiting}, timeout=PATIENCE_SECONDS / 4)
            waiting.cancel()
            assert done, "the listener waits for ever"
            assert isinstance(waiting.exception(), StoreUnavailable)

    async def test_a_cancelled_follower_harms_no_other(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk")
        async with listening(store, "talk") as gone, listening(store, "talk") as stays:
            leaving, staying = asyncio.create_task(gone(1)), asyncio.create_task(stays(1))
            await asyncio.sleep(0.01)
            await _leave(leaving)
            await store.append("talk", said(id="e1"))
            heard = await staying

        assert leaving.cancelled()
        assert ids(heard) == ids((await whole(await reopen(), "talk")).events) == ["e1"]


def _change(kind: str, retracted: str) -> SessionChange:
    changes = {
        "event": SessionChange(events=[said()]),
        "large event": SessionChange(events=[said("much " * 10_000)]),
        "state": SessionChange(set_state={"k": 1}),
        "retraction": SessionChange(retraction=Retraction([retracted])),
        "restoration": SessionChange(restoration=Restoration([retracted])),
    }
    return changes[kind]


async def _leave(task: asyncio.Task[Any]) -> None:
    for _ in range(3):
        task.cancel()
        # Before Python 3.12, `asyncio.wait_for` may swallow a cancellation, and clients of some stores use it.
        await asyncio.wait({task}, timeout=1)
        if task.done():
            return
