"""Forks and what they come from go their own ways: nothing that one of them does later shows in the other."""

from __future__ import annotations

import pytest

from a2a_session_manager.exceptions import InvalidEvent, InvalidSessionOperation, SessionConflict
from a2a_session_manager.models.change import Restoration, Retraction, SessionChange
from a2a_session_manager.models.session_run import RunStatus, SessionRun
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.forking import changed, shown
from a2a_session_manager.testing.contract.making import ids, listening, messages, said, seqs, several, whole


class ForksApartContract(ContractBase):
    async def test_nothing_that_either_does_later_shows_in_the_other(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=changed(set_state={"plan": "a"}, set_properties={"title": "t"}))
        await store.retract("talk", "e2", write_id="hid")
        await store.fork("talk", at=4, new_id="fork")
        await store.commit(
            "talk",
            SessionChange(
                events=[said(id="later")],
                set_state={"plan": "b", "new": 1},
                set_properties={"title": "u"},
                retraction=Retraction(["e1"]),
                restoration=Restoration(["e2"]),
            ),
        )
        await store.commit(
            "fork",
            SessionChange(events=[said(id="own")], unset_state=["plan"], retraction=Retraction(["e3"])),
        )

        again = await reopen()

        assert await shown(again, "fork") == ["e1", "e4", "own"]
        assert await shown(again, "talk") == ["e2", "e3", "e4", "e5", "e6", "later"]
        fork, talk = await whole(again, "fork"), await whole(again, "talk")
        assert (fork.state, fork.metadata.properties) == ({}, {"title": "t"})
        assert (talk.state, talk.metadata.properties) == ({"plan": "b", "new": 1}, {"title": "u"})
        assert (fork.revision, fork.last_seq, talk.last_seq) == (2, 5, 7)

    async def test_inherited_events_are_hidden_and_restored_in_the_fork_alone(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=changed())
        await store.retract("talk", "e1")
        await store.restore("talk", "e1")
        await store.retract("talk", "e2", write_id="hid")
        handle = await store.fork("talk", at=4, new_id="fork")
        [placed] = await store.append(handle, said(id="own"))
        assert ids(await store.retract(handle, last=3, write_id="pop")) == ["e3", "e4", placed.id]
        assert ids(await store.restore(handle, "e3", "e2")) == ["e2", "e3"]
        assert ids(handle.events) == ["e2", "e3"]
        later = await reopen()

        for event_ids, write_id, named in (
            (["e1"], None, "event 'e1' of session 'fork' was never retracted there, and is shown: leave it out"),
            ([], "hid", "'fork' knows no write 'hid' .*: pass the write_id that .*, or the ids of the events"),
            ([], "pop", "'pop' of session 'fork' .*: restore them by their ids"),
            (["e5"], None, "'fork' holds no event 'e5' .*: check the id"),
        ):
            with pytest.raises(InvalidSessionOperation, match=named):
                await later.restore("fork", *event_ids, write_id=write_id)
        assert ids(await later.retract("fork", after=0, write_id="all")) == ["e1", "e2", "e3"]
        assert ids(await later.restore("fork", write_id="all")) == ["e1", "e2", "e3"]

        again = await reopen()
        assert await shown(again, "fork") == ["e1", "e2", "e3"]
        assert await shown(again, "talk") == ["e1", "e3", "e4", "e5", "e6"]
        log = await again.events("fork", include_retracted=True)
        assert [event.seq for event in log if event.retracted] == [4, 5]

    async def test_an_inherited_event_is_known_and_comes_back_with_its_old_seq(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=changed())
        await store.retract("talk", "e2")
        await store.fork("talk", at=4, new_id="fork")
        cold = await reopen()
        sent = [said("e4", id="e4"), said("new", id="new"), said("e2", id="e2"), said("e5", id="e5")]
        placed = await cold.append("fork", *sent)

        assert seqs(placed) == [4, 5, 2, 6]
        assert [event.is_repeat for event in placed] == [True, False, True, False]
        assert [event.retracted for event in placed] == [False, False, True, False]
        with pytest.raises(InvalidEvent, match="'e1'"):
            await cold.append("fork", said("other", id="e1"))
        [kept] = await cold.append("fork", said("other", id="e1"), on_repeat="keep")
        assert (kept.seq, kept.message) == (1, "e1")
        # Behind the point, an id is that of one event here, and of another one there.
        [other] = await cold.append("talk", said("there", id="new"))
        assert (other.seq, other.is_repeat) == (7, False)

        again = await reopen()
        assert await shown(again, "fork") == ["e1", "e3", "e4", "new", "e5"]
        assert messages(await again.events("talk"))[-1] == "there"

    async def test_write_ids_and_runs_stay_with_the_source(self, store: BaseSessionStore, reopen: Reopen) -> None:
        run = SessionRun(id="run", status=RunStatus.RUNNING)
        await store.create("talk", change=changed())
        await store.commit("talk", SessionChange(set_state={"k": 1}, runs=[run]), write_id="w")
        await store.fork("talk", at=4, new_id="fork")
        assert await store.runs("fork") == []
        done = SessionRun(id="run", status=RunStatus.COMPLETED)
        result = await store.commit("fork", SessionChange(set_state={"k": 2}, runs=[done]), write_id="w")

        again = await reopen()

        assert result.revision == 2
        assert ((await whole(again, "fork")).state, (await whole(again, "talk")).state) == ({"k": 2}, {"k": 1})
        assert [each.status for each in await again.runs("fork")] == [RunStatus.COMPLETED]
        assert [each.status for each in await again.runs("talk")] == [RunStatus.RUNNING]

    async def test_a_guard_counts_the_commits_of_the_fork_alone(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=changed())
        handle = await store.fork("talk", at=4, new_id="fork")
        await store.append("talk", said(id="later"))
        await store.append(handle, said(id="own"), expected_revision=handle.revision)
        cold = await reopen()

        with pytest.raises(SessionConflict) as caught:
            await cold.append("fork", said(), expected_revision=1)

        conflict = caught.value
        assert (conflict.revision, conflict.first_missed_seq, conflict.last_missed_seq) == (2, 5, 5)
        assert ids(conflict.missed_events) == ["own"]

    async def test_a_follower_of_a_fork_crosses_the_border_and_hears_nothing_of_the_source(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=changed())
        await store.retract("talk", "e2", "e6")
        await store.fork("talk", at=4, new_id="fork")
        async with listening(await reopen(), "fork") as take:
            found = await take(5)
            await store.append("talk", said(id="later"))
            await store.retract("talk", "e1")
            await store.append("fork", said(id="own"))
            await store.retract("fork", "e3")
            await store.restore("fork", "e2")
            found += await take(3)
        async with listening(await reopen(), "fork") as take:
            replayed = await take(len(found))
        async with listening(await reopen(), "fork", after=5) as take:
            resumed = await take(2)

        told = [(event.id, event.seq, event.retracted, event.restored) for event in found]
        assert told[:4] == [(f"e{seq}", seq, False, False) for seq in range(1, 5)]
        assert told[4:] == [
            ("e2", 2, True, False),
            ("own", 5, False, False),
            ("e3", 3, True, False),
            ("e2", 2, False, True),
        ]
        assert replayed == found
        assert resumed == found[-2:]

    async def test_forks_of_forks_go_their_own_ways_as_well(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=changed())
        await store.fork("talk", at=4, new_id="one")
        await store.append("one", *several(2, "one"))
        await store.retract("one", "e1")
        await store.fork("one", at=5, new_id="two")
        await store.append("one", said(id="one3"))
        await store.append("two", *several(2, "two"))
        await store.retract("two", "one1", "e3")
        await store.fork("two", at=2, new_id="three")
        await store.append("three", said("e3", id="e3"), said("one1", id="one1"))

        again = await reopen()

        assert await shown(again, "talk") == ["e1", "e2", "e3", "e4", "e5", "e6"]
        assert await shown(again, "one") == ["e2", "e3", "e4", "one1", "one2", "one3"]
        assert await shown(again, "two") == ["e2", "e4", "two1", "two2"]
        assert await shown(again, "three") == ["e2", "e3", "one1"]
        assert (await whole(again, "three")).parent_id == "talk"
