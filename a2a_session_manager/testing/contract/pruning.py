"""Pruning: what has been idle goes as a whole, what is in use stays, and a dry run tells both beforehand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.models import clock
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.lease import acquisition
from a2a_session_manager.models.pruning import PruneResult, SparedBranch
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.storage.commit_records import EncodedCommit
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import said, spending

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 30, tzinfo=UTC)
At = Callable[[int], None]

NO_LIMITS: list[dict[str, Any]] = [
    {},
    {"properties": {"owner": "ann"}},
    {"older_than": -1},
    {"older_than": "90 days"},
    {"keep_last": -1},
    {"keep_last": True},
    {"max_bytes": 1.5},
    {"keep_last": 0, "branches": True},
    {"keep_last": 0, "properties": ["owner"]},
    {"keep_last": 0, "properties": {"owner": 1.5}},
    {"keep_last": 0, "properties": {7: "ann"}},
]


def removed(result: PruneResult) -> dict[str, str]:
    """Return what was removed, by the topmost session, with the reason."""
    return {branch.id: branch.reason for branch in result.removed}


class PruningContract(ContractBase):
    @pytest.fixture
    def days_ago(self, monkeypatch: pytest.MonkeyPatch) -> At:
        """A function that sets the writers' clock to so many days before NOW."""

        def set_clock(days: int) -> None:
            at = int((NOW - days * DAY).timestamp()) * 10**9
            monkeypatch.setattr(clock, "time_ns", lambda: at)

        set_clock(0)
        return set_clock

    async def test_trees_idle_for_long_go_and_a_dry_run_tells_which(
        self, store: BaseSessionStore, reopen: Reopen, days_ago: At
    ) -> None:
        await _chats(store, days_ago, {"old": 91, "older": 400, "new": 1})
        planned = await store.prune(older_than=90 * DAY)
        assert sorted(await (await reopen()).list_sessions()) == ["new", "old", "older"]

        done = await store.prune(older_than=90 * DAY, dry_run=False)

        assert [branch.id for branch in done.removed] == ["older", "old"]  # what was idle longest first
        assert removed(done) == {"older": "older_than", "old": "older_than"}
        assert done.removed[1].updated_at == NOW - 91 * DAY
        assert (done.sessions, done.kept, done.spared, done.dry_run) == (2, 1, [], False)
        assert planned.dry_run
        assert planned.removed == done.removed
        assert await (await reopen()).list_sessions() == ["new"]
        assert (await store.prune(older_than=90 * DAY, dry_run=False)).removed == []

    async def test_a_tree_is_as_idle_as_its_most_active_session(
        self, store: BaseSessionStore, reopen: Reopen, days_ago: At
    ) -> None:
        days_ago(100)
        for root in ("idle", "busy"):
            await store.create(root)
            await store.create(f"{root}/child", parent_id=root)
            await store.create(f"{root}/leaf", parent_id=f"{root}/child")
        days_ago(50)
        await store.append("busy/leaf", said("still here"))
        days_ago(0)
        result = await store.prune(older_than=90 * DAY, dry_run=False)

        assert [branch.session_ids for branch in result.removed] == [("idle", "idle/child", "idle/leaf")]
        assert sorted(await (await reopen()).list_sessions()) == ["busy", "busy/child", "busy/leaf"]

    async def test_idle_branches_go_when_asked_for_and_their_spend_stays(
        self, store: BaseSessionStore, reopen: Reopen, days_ago: At
    ) -> None:
        days_ago(100)
        await store.create("root", change=SessionChange(events=[spending(1)]))
        for name, parent in (("done", "root"), ("done/leaf", "done"), ("used", "root"), ("used/leaf", "used")):
            await store.create(name, parent_id=parent, change=SessionChange(events=[spending(10)]))
        days_ago(0)
        await store.append("used", spending(1000))
        before = (await store.usage("root", tree=True)).total.total_tokens
        result = await store.prune(older_than=90 * DAY, branches=True, dry_run=False)
        again = await reopen()

        assert [branch.session_ids for branch in result.removed] == [("done", "done/leaf"), ("used/leaf",)]
        assert sorted(await again.list_sessions()) == ["root", "used"]
        assert (await again.usage("root", tree=True)).total.total_tokens == before
        assert (result.kept, (await again.prune(older_than=90 * DAY, branches=True)).removed) == (1, [])

    async def test_the_trees_that_were_active_last_stay_whatever_else_is_asked(
        self, store: BaseSessionStore, days_ago: At
    ) -> None:
        await _chats(store, days_ago, {f"day {days}": days for days in (1, 2, 3, 4)})

        assert removed(await store.prune(keep_last=3)) == {"day 4": "keep_last"}
        assert removed(await store.prune(keep_last=1, older_than=2 * DAY)) == dict.fromkeys(
            ["day 4", "day 3", "day 2"], "older_than"
        )
        assert removed(await store.prune(keep_last=3, older_than=2 * DAY)) == {"day 4": "older_than"}
        assert removed(await store.prune(keep_last=9)) == {}
        assert len((await store.prune(keep_last=0)).removed) == 4

    async def test_what_is_above_a_size_goes_that_was_idle_longest_first(
        self, store: BaseSessionStore, reopen: Reopen, days_ago: At
    ) -> None:
        for days in (9, 5, 1):
            days_ago(days)
            await store.create(f"day {days}", change=SessionChange(events=[said("x" * 10_000)]))
            await store.create(
                f"child {days}", parent_id=f"day {days}", change=SessionChange(events=[said("x" * 5_000)])
            )
        days_ago(0)
        sizes = [branch.bytes for branch in (await store.prune(keep_last=0)).removed]
        if None in sizes:
            with pytest.raises(InvalidSessionOperation, match=f"{type(store._open_backend).__name__} cannot tell"):
                await store.prune(max_bytes=1, dry_run=False)
            assert len(await (await reopen()).list_sessions()) == 6
            return
        known = [size for size in sizes if size is not None]
        assert all(15_000 < size < 100_000 for size in known)

        nothing = await store.prune(max_bytes=sum(known))
        assert (nothing.removed, nothing.kept_bytes, nothing.bytes) == ([], sum(known), 0)
        result = await store.prune(max_bytes=sum(known) - 1, dry_run=False)
        assert removed(result) == {"day 9": "max_bytes"}
        assert (result.bytes, result.kept_bytes) == (known[0], sum(known[1:]))
        both = await store.prune(max_bytes=known[2], older_than=5 * DAY, keep_last=1, dry_run=False)
        assert removed(both) == {"day 5": "older_than"}
        assert sorted(await (await reopen()).list_sessions()) == ["child 1", "day 1"]

    async def test_only_trees_whose_roots_have_the_properties_are_considered(
        self, store: BaseSessionStore, days_ago: At
    ) -> None:
        days_ago(100)
        for name, properties in (("a", {"owner": "ann", "n": 1}), ("b", {"owner": "bob"}), ("c", {"owner": "ann"})):
            await store.create(name, change=SessionChange(set_properties=properties))
        await store.create("kid", parent_id="b", change=SessionChange(set_properties={"owner": "ann"}))
        days_ago(0)

        assert removed(await store.prune(keep_last=0, properties={"owner": "ann"})).keys() == {"a", "c"}
        assert removed(await store.prune(keep_last=1, properties={"owner": "bob"})) == {}
        assert removed(await store.prune(older_than=DAY, properties={"owner": "ann", "n": 1})).keys() == {"a"}
        assert removed(await store.prune(older_than=DAY, properties={"n": "1"})) == {}

    async def test_what_came_alive_since_it_was_judged_stays(
        self, store: BaseSessionStore, reopen: Reopen, days_ago: At, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = await reopen()
        await _chats(store, days_ago, {"idle": 100, "alive": 100, "titled": 100})
        for name in ("tree", "growing"):
            days_ago(100)
            await store.create(name)
            await store.create(f"{name}/child", parent_id=name)
        days_ago(0)
        backend = store._open_backend
        load = backend.load

        async def wakes_others() -> None:
            monkeypatch.setattr(backend, "load", load)
            await other.append("alive", said("I am back"))
            await other.commit("titled", SessionChange(set_properties={"title": "mine"}))
            await other.append("tree/child", said("I am back"))
            await other.create("growing/new", parent_id="growing/child")

        async def load_and_wake(*arguments: Any, **options: Any) -> Any:
            answer = await load(*arguments, **options)
            await wakes_others()
            return answer

        monkeypatch.setattr(backend, "load", load_and_wake)
        result = await store.prune(older_than=90 * DAY, dry_run=False)
        again = await reopen()

        assert removed(result).keys() == {"idle"}
        assert set(result.spared) == {SparedBranch(name, "active") for name in ("alive", "titled", "tree", "growing")}
        assert result.kept == 4
        assert sorted(await again.list_sessions()) == sorted(
            ["alive", "titled", "tree", "tree/child", "growing", "growing/child", "growing/new"]
        )
        assert [event.message for event in await again.events("alive")] == ["hello", "I am back"]

    async def test_a_tree_in_which_somebody_holds_a_run_stays(
        self, store: BaseSessionStore, reopen: Reopen, days_ago: At
    ) -> None:
        days_ago(100)
        for name in ("held", "left"):
            await store.create(name)
            run = SessionRun(id="r")
            run.mark_running()
            await store.commit(name, SessionChange(runs=[run]))
        days_ago(0)
        loaded = (await store._open_backend.load([SessionKey((), "held")], last=0, whole_head=False))[0]
        assert loaded is not None
        commit = EncodedCommit(lease=acquisition("r", 600, take_over=False), creation_id=loaded.head.creation_id)
        await store._open_backend.commit(SessionKey((), "held"), commit)
        result = await store.prune(older_than=90 * DAY, dry_run=False)

        assert (removed(result), result.spared) == ({"left": "older_than"}, [SparedBranch("held", "held")])
        assert await (await reopen()).list_sessions() == ["held"]

    async def test_a_damaged_session_and_its_tree_stay_and_are_named(
        self, store: BaseSessionStore, reopen: Reopen, days_ago: At
    ) -> None:
        await _chats(store, days_ago, {"sound": 100, "damaged": 100})
        days_ago(0)
        await self.damage(store, "damaged")
        result = await (await reopen()).prune(older_than=90 * DAY, dry_run=False)

        # A store may find no damage in a head, and then it is idle like others; what it finds, it keeps.
        assert "sound" in removed(result)
        kept = set(await (await reopen()).list_sessions())
        assert kept == {"damaged"} - removed(result).keys()
        assert [branch.id for branch in result.spared] == sorted(kept)

    async def test_a_namespace_is_pruned_alone(self, store: BaseSessionStore, reopen: Reopen, days_ago: At) -> None:
        mine = store.namespace("mine")
        for view in (store, mine, mine.namespace("inner"), store.namespace("theirs")):
            await _chats(view, days_ago, {"talk": 100})
        days_ago(0)
        assert removed(await mine.prune(older_than=DAY, dry_run=False)).keys() == {"talk"}
        again = await reopen()

        assert await again.namespace("mine").list_sessions() == []
        assert await again.namespace("mine").namespace("inner").list_sessions() == ["talk"]
        assert await again.namespace("theirs").list_sessions() == await again.list_sessions() == ["talk"]

    async def test_what_is_no_limit_is_refused_and_nothing_goes(self, store: BaseSessionStore) -> None:
        await store.create("talk")

        for wrong in NO_LIMITS:
            with pytest.raises(InvalidSessionOperation):
                await store.prune(**{"dry_run": False, **wrong})
        assert await store.list_sessions() == ["talk"]


async def _chats(store: BaseSessionStore, days_ago: At, days: dict[str, int]) -> None:
    for name, age in days.items():
        days_ago(age)
        await store.create(name, change=SessionChange(events=[said("hello")]))
    days_ago(0)
