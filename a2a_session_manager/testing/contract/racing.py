"""Races: many writers at once, and none of them loses anything.

These tests prove nothing on a store that never yields inside a write, such as the memory store; this project runs them
on a variant that yields at every step as well.
"""

from __future__ import annotations

import asyncio

import pytest

from a2a_session_manager.exceptions import SessionAlreadyExists, SessionConflict
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_run import RunStatus, SessionRun
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import ids, messages, said, several, spending, whole

TASKS = 64


class RacingContract(ContractBase):
    async def test_64_tasks_lose_no_concurrent_write_and_keep_each_tasks_order(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        other = await reopen()
        await store.create("talk")

        async def write(task: int) -> list[int | None]:
            through = store if task % 2 else other
            return [(await through.append("talk", said([task, step])))[0].seq for step in range(3)]

        answered = await asyncio.gather(*(write(task) for task in range(TASKS)))

        log = (await whole(await reopen(), "talk")).events
        assert [event.seq for event in log] == list(range(1, TASKS * 3 + 1))
        assert len({event.id for event in log}) == TASKS * 3
        for task, given in enumerate(answered):
            mine = [
                (event.seq, message[1]) for event, message in zip(log, messages(log), strict=True) if message[0] == task
            ]
            assert mine == list(zip(given, [0, 1, 2], strict=True))

    async def test_concurrent_writes_of_different_kinds_all_land(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk")

        async def write(task: int) -> None:
            change = SessionChange(
                set_state={f"s{task}": task},
                set_properties={f"p{task}": task},
                runs=[SessionRun(id=f"r{task}")],
                events=[spending(task + 1, task_id=f"r{task}")],
            )
            await store.commit("talk", change)

        await asyncio.gather(*(write(task) for task in range(TASKS)))

        again = await whole(await reopen(), "talk")
        assert again.state == {f"s{task}": task for task in range(TASKS)}
        assert again.metadata.properties == {f"p{task}": task for task in range(TASKS)}
        assert {run.id for run in again.runs} == {f"r{task}" for task in range(TASKS)}
        assert (again.revision, again.last_seq) == (TASKS + 1, TASKS)
        assert again.token_summary.total_prompt_tokens == TASKS * (TASKS + 1) // 2

    async def test_concurrent_appends_and_retractions_commute(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=SessionChange(events=several(TASKS)))

        await asyncio.gather(
            *(store.retract("talk", f"e{number}") for number in range(1, TASKS + 1, 2)),
            *(store.append("talk", said(id=f"n{number}")) for number in range(TASKS)),
        )

        again = await whole(await reopen(), "talk")
        kept = [f"e{number}" for number in range(2, TASKS + 1, 2)]
        assert ids(again.events)[: len(kept)] == kept
        assert sorted(ids(again.events)[len(kept) :]) == sorted(f"n{number}" for number in range(TASKS))
        assert (again.revision, again.last_seq) == (1 + TASKS // 2 + TASKS, 2 * TASKS)

    async def test_of_many_who_undo_one_retraction_each_event_is_restored_by_one(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        handle = await store.create("talk", change=SessionChange(events=several(12)))
        await store.retract(handle, after=3, write_id="clear")

        restored = await asyncio.gather(
            *(store.restore(handle, write_id="clear") for _ in range(4)),
            *(store.restore("talk", f"e{number}", f"e{number + 1}") for number in range(4, 12)),
            *(store.append(handle, said(id=f"n{number}")) for number in range(4)),
        )

        shown = [event.id for each in restored for event in each if event.restored]
        assert sorted(shown) == sorted(f"e{number}" for number in range(4, 13))
        again = await whole(await reopen(), "talk")
        assert ids(again.events)[:12] == ids(several(12))
        assert set(ids(handle.events)) - set(shown) == set(ids(again.events)) - set(shown)

    async def test_children_created_at_once_are_all_linked(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("root")

        await asyncio.gather(
            *(store.create(f"c{number}", parent_id="root") for number in range(TASKS)),
            *(store.save(Session(id=f"s{number}", parent_id="root")) for number in range(4)),
        )

        again = await reopen()
        children = await again.children("root")
        assert sorted(children) == sorted([f"c{n}" for n in range(TASKS)] + [f"s{n}" for n in range(4)])
        assert [node for node, _ in await again.tree("root")] == ["root", *children]
        assert (await whole(again, "root")).revision == 1

    async def test_one_of_many_creators_of_an_id_wins(self, store: BaseSessionStore, reopen: Reopen) -> None:
        outcomes = await asyncio.gather(
            *(store.create("talk", change=SessionChange(events=[said(task)])) for task in range(16)),
            return_exceptions=True,
        )

        winners = [each for each in outcomes if isinstance(each, Session)]
        assert len(winners) == 1
        assert sum(isinstance(each, SessionAlreadyExists) for each in outcomes) == 15
        assert messages((await whole(await reopen(), "talk")).events) == messages(winners[0].events)

    async def test_concurrent_pops_claim_each_event_once(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=SessionChange(events=several(12)))

        popped = await asyncio.gather(*(store.retract("talk", last=1) for _ in range(16)))

        claimed = [event.id for each in popped for event in each]
        assert sorted(claimed) == sorted(f"e{number}" for number in range(1, 13))
        assert sorted(len(each) for each in popped) == [0] * 4 + [1] * 12
        assert (await whole(await reopen(), "talk")).events == []

    async def test_one_of_many_guarded_commits_at_a_revision_wins(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk")

        outcomes = await asyncio.gather(
            *(store.append("talk", said(task), expected_revision=1) for task in range(16)), return_exceptions=True
        )

        won = [each for each in outcomes if isinstance(each, list)]
        assert len(won) == 1
        assert sum(isinstance(each, SessionConflict) for each in outcomes) == 15
        assert (await whole(await reopen(), "talk")).events == won[0]

    async def test_one_event_sent_by_many_at_once_lands_once(self, store: BaseSessionStore, reopen: Reopen) -> None:
        event = spending(5)
        await store.create("talk")

        answers = await asyncio.gather(*(store.append("talk", event, said(task)) for task in range(16)))

        again = await whole(await reopen(), "talk")
        assert ids(again.events).count(event.id) == 1
        assert len(again.events) == 17
        assert len({answer[0].seq for answer in answers}) == 1
        assert again.token_summary.total.requests == 1

    @pytest.mark.parametrize("guarded", [False, True], ids=["plain", "guarded"])
    async def test_one_write_id_sent_by_many_at_once_is_one_commit(
        self, store: BaseSessionStore, reopen: Reopen, guarded: bool
    ) -> None:
        change = SessionChange(set_state={"k": 1}, events=[said(id="n1")])
        await store.create("talk")

        answers = await asyncio.gather(
            *(store.commit("talk", change, write_id="w", expected_revision=1 if guarded else None) for _ in range(16))
        )

        assert {(answer.revision, answer.last_seq) for answer in answers} == {(2, 1)}
        assert (await whole(await reopen(), "talk")).revision == 2

    async def test_many_tasks_writing_through_one_handle_leave_it_in_step(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        handle = await store.create("talk")

        await asyncio.gather(*(store.append(handle, spending(1)) for _ in range(TASKS)))
        handle.add_event(said("at the end"))
        await store.save(handle)

        again = await whole(await reopen(), "talk")
        assert handle.events == again.events
        assert handle.token_summary == again.token_summary

    async def test_two_tasks_saving_one_new_child_make_it_once(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("root")
        child = Session(id="child", parent_id="root", events=[spending(5, id="e1")])

        await asyncio.gather(store.save(child), store.save(child))
        child.add_event(said(id="e2"))
        await asyncio.gather(store.save(child), store.save(child))

        again = await reopen()
        assert ids((await whole(again, "child")).events) == ids(child.events) == ["e1", "e2"]
        assert await again.children("root") == ["child"]
        assert (await again.usage("root", tree=True)).total.requests == 1

    async def test_a_run_ended_by_two_tasks_ends_once(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=SessionChange(runs=[SessionRun(id="r")]))

        async def end(how: str) -> RunStatus:
            run = (await store.runs("talk"))[0]
            run.mark_running()
            getattr(run, how)()
            await store.commit("talk", SessionChange(runs=[run]))
            return run.status

        outcomes = await asyncio.gather(end("mark_completed"), end("mark_failed"), return_exceptions=True)

        [status] = [each for each in outcomes if isinstance(each, RunStatus)]
        assert [run.status for run in await (await reopen()).runs("talk")] == [status]
