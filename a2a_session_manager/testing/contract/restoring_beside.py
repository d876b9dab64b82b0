"""Restoring beside handles, followers, guards, repeats and sums: each tells what the log shows."""

from __future__ import annotations

from a2a_session_manager.models.change import Restoration, Retraction, SessionChange
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import (
    Event,
    ids,
    listening,
    said,
    several,
    spending,
    whole,
)


def _told(events: list[Event]) -> list[tuple[str, str]]:
    """Return of each event of a stream its id, and what it tells of it."""
    return [(event.id, "retracted" if event.retracted else "restored" if event.restored else "") for event in events]


class RestoringBesideContract(ContractBase):
    async def test_a_repeat_answers_with_the_first_result_and_changes_nothing(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        handle = await store.create("talk", change=SessionChange(events=several(4)))
        await store.retract(handle, "e2", "e3", write_id="hid")
        restored = await store.restore(handle, write_id="hid", id="undo")
        await store.retract(handle, "e3")
        stale = await store.get("talk")
        later = await reopen()

        for asked, through in ((later, "talk"), (store, handle), (store, stale)):
            assert through is not None
            hidden = await asked.retract(through, "e2", "e3", write_id="hid")
            assert isinstance(through, str) or ids(through.events) == ["e1", "e2", "e4"]
            shown = await asked.restore(through, write_id="hid", id="undo")
            # The same events as at first, each marked as it is by now.
            assert ids(hidden) == ids(shown) == ids(restored) == ["e2", "e3"]
            assert [event.retracted for event in hidden] == [event.retracted for event in shown] == [False, True]
            assert [event.restored for event in shown] == [True, False]

        again = await whole(await reopen(), "talk")
        assert (ids(again.events), again.revision) == (["e1", "e2", "e4"], 4)
        assert handle.events == again.events
        assert stale is not None
        assert stale.events == again.events

    async def test_a_repeated_event_that_was_restored_is_not_retracted(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(3)))
        await store.retract("talk", "e1", "e2")
        change = SessionChange(events=[said("e1", id="e1"), said("e2", id="e2")], restoration=Restoration(["e2"]))
        result = await store.commit("talk", change, write_id="w")
        again = await (await reopen()).commit("talk", change, write_id="w")

        for told in (result, again):
            assert [(event.seq, event.retracted) for event in told.events] == [(1, True), (2, False)]
            assert ids(told.restored) == ["e2"]

    async def test_restoring_leaves_tokens_and_cost_counted_once(self, store: BaseSessionStore, reopen: Reopen) -> None:
        change = SessionChange(events=[spending(5, id="a"), spending(7, id="b")])
        handle = await store.create("talk", change=change)
        spent = await store.usage("talk")
        await store.retract(handle, after=0, write_id="w")
        await store.restore(handle, write_id="w")
        await store.append(handle, spending(1))

        again = await reopen()

        total = (await again.usage("talk")).total
        assert (total.requests, total.prompt_tokens) == (3, spent.total.prompt_tokens + 1)
        assert await again.usage("talk", tree=True) == await again.usage("talk")
        assert (await whole(again, "talk")).token_summary == handle.token_summary == await again.usage("talk")

    async def test_the_handle_that_restores_holds_the_events_again_and_can_be_saved(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        handle = await store.create("talk", change=SessionChange(events=several(5)))
        other = await whole(await reopen(), "talk")
        handle.add_event(said(id="unsaved"))
        await store.retract(handle, "e2", "e4", "e5")
        await store.restore(handle, "e2", "e5")
        assert ids(handle.events) == ["e1", "e2", "e3", "e5", "unsaved"]
        await store.retract(handle, "e2")
        await store.save(handle)
        other.state["k"] = 1
        await store.save(other)

        again = await whole(await reopen(), "talk")

        assert handle.events == again.events
        assert ids(again.events) == ["e1", "e3", "e5", "unsaved"]
        await store.save(handle)
        assert (await whole(await reopen(), "talk")).revision == again.revision

    async def test_a_handle_with_few_events_gets_what_was_restored_through_it(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=[spending(2, id=f"e{n}") for n in range(1, 6)]))
        await store.retract("talk", "e2", "e3", "e5")
        handle = await store.get("talk", last=1)
        assert handle is not None
        await store.restore(handle, "e3", "e5")
        await store.append(handle, spending(1, id="e6"))

        assert ids(handle.events) == ["e3", "e4", "e5", "e6"]
        assert handle.token_summary == await (await reopen()).usage("talk")

    async def test_a_follower_is_told_of_restorations_in_their_places_live_and_replayed(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(3)))
        async with listening(await reopen(), "talk") as take:
            live = await take(3)
            await store.retract("talk", "e1", "e3", write_id="w")
            live += await take(2)
            await store.restore("talk", write_id="w")
            await store.append("talk", said(id="e4"))
            live += await take(2)
            await store.commit("talk", SessionChange(retraction=Retraction(last=1)))
            swap = SessionChange(retraction=Retraction(["e2"]), restoration=Restoration(["e4"]), events=[said(id="e5")])
            await store.commit("talk", swap)
            await store.append("talk", *several(4, "later"))  # no listener waits for what it is never told
            live += await take(5)
        async with listening(await reopen(), "talk") as take:
            replayed = await take(len(live))
        async with listening(await reopen(), "talk", after=4) as take:
            resumed = await take(4)

        assert _told(live) == [
            ("e1", ""),
            ("e2", ""),
            ("e3", ""),
            ("e1", "retracted"),
            ("e3", "retracted"),
            ("e1", "restored"),
            ("e3", "restored"),
            ("e4", ""),
            ("e4", "retracted"),
            ("e2", "retracted"),
            ("e4", "restored"),
            ("e5", ""),
        ]
        assert _told(replayed) == _told(live)
        assert _told(resumed) == _told(live)[-4:]

    async def test_a_guard_sees_a_restoration(self, store: BaseSessionStore, reopen: Reopen) -> None:
        handle = await store.create("talk", change=SessionChange(events=several(2)))
        await store.retract(handle, last=1)
        await store.restore(handle, "e2")
        await store.append(handle, said(id="e3"), expected_revision=handle.revision)

        again = await whole(await reopen(), "talk")

        assert (handle.revision, again.revision) == (4, 4)
        assert ids(again.events) == ["e1", "e2", "e3"]
