"""Runs: each is stored by itself, and its status only moves forward."""

from __future__ import annotations

import pytest

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session_run import RunStatus, SessionRun
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import ids, said, whole

ENDS = ["mark_completed", "mark_failed", "mark_cancelled"]


def _run(run_id: str, *moves: str, **fields: object) -> SessionRun:
    run = SessionRun(id=run_id, **fields)  # type: ignore[arg-type]  # as the tests give them
    for move in moves:
        getattr(run, move)()
    return run


class RunsContract(ContractBase):
    async def test_a_run_comes_back_as_it_was_stored(self, store: BaseSessionStore, reopen: Reopen) -> None:
        run = _run("r", "mark_running", agent="planner", metadata={"k": [1]})
        run.mark_failed("no seats", error_type="ValueError")
        await store.create("talk", change=SessionChange(runs=[run]))

        assert await (await reopen()).runs("talk") == [run]

    async def test_runs_keep_the_order_in_which_they_were_first_stored(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(runs=[_run("z"), _run("a")]))
        await store.commit("talk", SessionChange(runs=[_run("m"), _run("z", "mark_running")]))

        again = await reopen()

        assert [(run.id, run.status) for run in await again.runs("talk")] == [
            ("z", RunStatus.RUNNING),
            ("a", RunStatus.PENDING),
            ("m", RunStatus.PENDING),
        ]
        assert [run.id for run in (await whole(again, "talk")).runs] == ["z", "a", "m"]

    async def test_two_writers_of_different_runs_keep_each_others(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(runs=[_run("a"), _run("b")]))
        first, second = await whole(store, "talk"), await whole(store, "talk")
        first.runs[0].mark_running()
        second.runs[1].mark_cancelled()
        await store.save(first)
        await store.save(second)

        runs = await (await reopen()).runs("talk")

        assert [run.status for run in runs] == [RunStatus.RUNNING, RunStatus.CANCELLED]

    async def test_an_illegal_step_is_refused_by_the_run_itself(self) -> None:
        for moves, illegal in (
            ((), "mark_completed"),
            ((), "mark_waiting"),
            (("mark_running", "mark_waiting"), "mark_completed"),
            (("mark_running", "mark_completed"), "mark_running"),
            (("mark_cancelled",), "mark_failed"),
        ):
            run = _run("r", *moves)
            before = run.status
            with pytest.raises(InvalidSessionOperation, match="'r'"):
                getattr(run, illegal)()
            assert run.status is before

    @pytest.mark.parametrize("end", ENDS)
    async def test_a_run_that_has_ended_stays_ended(self, store: BaseSessionStore, reopen: Reopen, end: str) -> None:
        ended = _run("r", "mark_running", end)
        await store.create("talk", change=SessionChange(runs=[ended]))

        for moves in (["mark_running"], [], *(["mark_running", other] for other in ENDS if other != end)):
            with pytest.raises(InvalidSessionOperation, match="'r'"):
                await store.commit("talk", SessionChange(runs=[_run("r", *moves)], events=[said()]))

        again = await whole(await reopen(), "talk")
        assert (again.runs, again.events, again.revision) == ([ended], [], 1)

    async def test_a_started_run_does_not_go_back_to_pending(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=SessionChange(runs=[_run("r", "mark_running")]))

        with pytest.raises(InvalidSessionOperation, match="pending"):
            await store.commit("talk", SessionChange(runs=[_run("r")]))

        assert [run.status for run in await (await reopen()).runs("talk")] == [RunStatus.RUNNING]

    async def test_several_steps_may_be_stored_as_one(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=SessionChange(runs=[_run("r")]))
        await store.commit("talk", SessionChange(runs=[_run("r", "mark_running", "mark_waiting")]))
        await store.commit("talk", SessionChange(runs=[_run("r", "mark_running", "mark_completed")]))

        assert [run.status for run in await (await reopen()).runs("talk")] == [RunStatus.COMPLETED]

    async def test_a_stale_handle_cannot_end_a_run_a_second_time(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=SessionChange(runs=[_run("r", "mark_running")]))
        first, second = await whole(store, "talk"), await whole(store, "talk")
        first.runs[0].mark_completed()
        await store.save(first)
        second.runs[0].mark_failed("too late")
        second.add_event(said())

        with pytest.raises(InvalidSessionOperation):
            await store.save(second)

        again = await whole(await reopen(), "talk")
        assert ([run.status for run in again.runs], again.events) == ([RunStatus.COMPLETED], [])

    async def test_one_bad_move_keeps_the_whole_commit_out(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=SessionChange(runs=[_run("old", "mark_cancelled")]))

        with pytest.raises(InvalidSessionOperation):
            await store.commit(
                "talk",
                SessionChange(runs=[_run("new"), _run("old")], set_state={"k": 1}, events=[said()]),
            )

        again = await whole(await reopen(), "talk")
        assert ([run.id for run in again.runs], again.state, ids(again.events)) == (["old"], {}, [])
