"""Leases: a run has one owner at a time, whose writes alone land, and what was paid for is always recorded."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from a2a_session_manager.exceptions import InvalidSessionOperation, LeaseLost
from a2a_session_manager.identifiers import hidden_id
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.lease import LeaseClaim, LeaseStep
from a2a_session_manager.models.session_run import RunStatus, SessionRun
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.storage.commit_records import LeaseRenewal
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import AnySession, messages, said, spending, whole

LONG = 600_000  # milliseconds: no test takes so long


def _claim(step: LeaseStep = "acquire", *, token: str = "", milliseconds: int = LONG) -> LeaseClaim:
    # The same holder each time: what counts is the token.
    return LeaseClaim("r", token or hidden_id(), step, milliseconds, "worker 1")


async def _run_of(store: BaseSessionStore, session_id: str = "talk") -> AnySession:
    """Return a session with a run that nobody holds."""
    run = SessionRun(id="r")
    run.mark_running()
    return await store.create(session_id, change=SessionChange(runs=[run]))


class LeasesContract(ContractBase):
    async def test_a_token_is_that_of_one_acquisition_whoever_the_holder_is(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        session = await _run_of(store)
        first, second = _claim(), _claim("take_over")
        await store.claim(session, first)
        await store.claim(session, first)  # as after a lost answer
        await store.claim(session, second)

        with pytest.raises(LeaseLost):
            await store.claiming(first._replace(step="hold")).append(session, said("of the first"))
        await store.claiming(second._replace(step="hold")).append(session, said("of the second"))

        assert messages((await whole(await reopen(), "talk")).events) == ["of the second"]

    async def test_a_lease_that_has_expired_writes_nothing_and_holds_nobody_up(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        session = await _run_of(store)
        short = _claim(milliseconds=1)
        await store.claim(session, short)
        await asyncio.sleep(0.02)

        with pytest.raises(LeaseLost, match="ended before it was renewed") as lost:
            await store.claiming(short._replace(step="hold")).append(session, spending(4, id="late"))
        assert lost.value.holder is None
        assert await store._open_backend.held_leases([(SessionKey((), "talk"), "r")]) == [None]
        async with SessionManager(await reopen()).open("talk") as other, other.run(id="r") as run:
            await run.user("theirs")

        cold = await whole(await reopen(), "talk")
        assert messages(cold.events) == [None, "theirs"]
        assert cold.token_summary.total.prompt_tokens == 4

    async def test_a_heartbeat_renews_what_is_held_and_brings_no_lost_lease_back(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        session = await _run_of(store)
        backend, key = store._open_backend, SessionKey((), "talk")
        first, second = _claim(), _claim("take_over")

        def renewal(claim: LeaseClaim, run_id: str = "r") -> LeaseRenewal:
            return LeaseRenewal(key, session.creation_id or "", run_id, claim.token)

        await store.claim(session, first)
        before = await whole(store, "talk")
        assert await backend.renew_leases([renewal(first), renewal(second), renewal(first, "other")]) == [
            True,
            False,
            False,
        ]
        await store.claim(session, second)
        gone = LeaseRenewal(SessionKey((), "nowhere"), "none", "r", first.token)
        assert await backend.renew_leases([renewal(first), gone, renewal(second)]) == [False, False, True]
        with pytest.raises(LeaseLost):
            await store.claim(session, first._replace(step="hold"))
        await store.claim(session, second._replace(step="release"))
        assert await backend.renew_leases([renewal(second)]) == [False]

        after = await whole(await reopen(), "talk")
        assert (after.revision, after.last_update_time) == (before.revision, before.last_update_time)

    async def test_a_write_that_landed_is_no_late_one_when_it_is_sent_again(self, store: BaseSessionStore) -> None:
        session = await _run_of(store)
        claim = _claim()
        await store.claim(session, claim)
        holding = store.claiming(claim._replace(step="hold"))
        await holding.append(session, spending(1, id="e"))
        await store.claim(session, _claim("take_over"))

        [again] = await holding.append(session, spending(1, id="e"))
        assert (again.seq, again.is_repeat) == (1, True)
        with pytest.raises(LeaseLost):
            await holding.append(session, spending(1, id="e"), spending(2, id="f"))

        assert (await store.usage("talk")).total.prompt_tokens == 3

    async def test_of_a_refused_commit_nothing_lands_but_its_usage(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        session = await _run_of(store)
        ended = SessionRun(id="r")
        ended.mark_running()
        ended.mark_completed()
        change = SessionChange(
            events=[said("a"), spending(1), spending(2)], set_state={"k": 1}, set_properties={"p": 1}, runs=[ended]
        )

        for step in ("hold", "release"):
            with pytest.raises(LeaseLost):
                await store.claiming(_claim(step)).commit(session, change, write_id="w")

        cold = await whole(await reopen(), "talk")
        assert (messages(cold.events), cold.state, cold.metadata.properties) == ([None, None], {}, {})
        assert cold.runs[0].status is RunStatus.RUNNING
        assert (await (await reopen()).usage("talk")).total.prompt_tokens == 3

    async def test_runs_that_have_not_ended_are_found_with_who_holds_them(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        manager = SessionManager(store)
        async with manager.open("talk") as chat, manager.open("other") as other:
            async with chat.run(id="waits") as waits, chat.run(id="ends"):
                await waits.mark_waiting()
            await _run_of(store, "free")
            async with chat.run(id="mine"), other.run(id="r"):
                cold = await reopen()
                found = {(each.session_id, each.run.id): each for each in [one async for one in cold.unfinished_runs()]}
                none = [one async for one in cold.unfinished_runs(older_than=60)]
                elsewhere = [one async for one in cold.namespace("n").unfinished_runs()]

        assert found.keys() == {("talk", "waits"), ("talk", "mine"), ("other", "r"), ("free", "r")}
        held = {name for name, each in found.items() if each.holder is not None}
        assert held == {("talk", "mine"), ("other", "r")}
        assert all((0 < each.seconds_left <= 30) == (name in held) for name, each in found.items())
        assert found["talk", "waits"].run.status is RunStatus.WAITING
        assert none == elsewhere == []
        for age in (-1, math.nan, True, "1 day"):
            with pytest.raises(InvalidSessionOperation, match=f"older_than={age!r} is no age"):
                store.unfinished_runs(older_than=age)  # type: ignore[arg-type]  # what is refused

    async def test_leases_that_cannot_be_kept_are_refused(self, store: BaseSessionStore) -> None:
        async with SessionManager(store).open("talk") as chat:
            bad: list[Any] = [0, 0.99, -1, math.nan, math.inf, True, "30", 86_401]
            for lease in bad:
                with pytest.raises(InvalidSessionOperation, match="lease="):
                    chat.run(lease=lease)
            with pytest.raises(InvalidSessionOperation, match="busy='steal'"):
                chat.run(busy="steal")  # type: ignore[arg-type]  # what is refused
            async with chat.run(id="r"):
                pass
            before = await whole(store, "talk")
            for step in ("acquire", "take_over"):
                with pytest.raises(InvalidSessionOperation, match="'r' has ended as completed"):
                    await store.claim(chat.session, _claim(step))
            with pytest.raises(InvalidSessionOperation, match="'other'"):
                await store.claim(chat.session, _claim()._replace(run_id="other"))

            assert (await whole(store, "talk")).revision == before.revision
