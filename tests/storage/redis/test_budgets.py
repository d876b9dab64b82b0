"""Budgets on Redis: what the scripts keep of them, in step with all that is spent, and what a step costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from hypothesis import example, given, settings
from hypothesis import strategies as st

from a2a_session_manager.budgets.amounts import Some
from a2a_session_manager.budgets.settling import Settlement
from a2a_session_manager.budgets.step_rules import (
    StepOutcome,
    decide,
)
from a2a_session_manager.budgets.steps import (
    BudgetStep,
    ChargeHold,
    PlaceHold,
    RaiseBudget,
    ReleaseHold,
    RenewHold,
    SetBudget,
    VoidHold,
)
from a2a_session_manager.budgets.windows import Window
from a2a_session_manager.exceptions import BudgetExceeded, CorruptSession, InvalidSessionOperation
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage import BaseSessionStore, store_from_url
from a2a_session_manager.storage.commit_records import EncodedCommit
from a2a_session_manager.storage.records import EncodedEvent, UsageDelta
from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.budget_calls import read_call, write_call
from a2a_session_manager.storage.redis.commit_calls import commit_call
from a2a_session_manager.storage.redis.replies import hash_of
from a2a_session_manager.storage.redis.tree_budgets import TreeBudgets, tree_budgets
from a2a_session_manager.testing.contract.budgets import settle, tokens
from a2a_session_manager.testing.contract.making import said, spending, whole
from tests.draws import few
from tests.redis_servers.proxy import FaultyProxy
from tests.redis_servers.server import RedisServer
from tests.storage.redis.looks import connections_of, keys_of
from tests.storage.redis.test_expiry import shorten
from tests.storage.redis.test_twin_scripts import (
    BEYOND_EXACT,
    CREATION,
    GENERAL,
    SHORT,
    Sessions,
    appends,
    leased,
    others,
)

TREE = ("top", "mid", "low")


@pytest.fixture
def url(redis_server: RedisServer) -> str:
    return f"{redis_server.url}?key_prefix=test-{uuid4().hex}:"


@pytest_asyncio.fixture
async def store(url: str) -> AsyncIterator[BaseSessionStore]:
    async with store_from_url(url) as store:
        await grow(store)
        yield store


async def grow(store: BaseSessionStore) -> None:
    """Make a tree of three levels."""
    above = None
    for name in TREE:
        await store.create(name, parent_id=above)
        above = name


async def counted(store: BaseSessionStore, session: str) -> int:
    """Return how many tokens the scope of a session's budget has spent."""
    spent = (await store.budget(session)).spent.tokens
    assert spent is not None
    return spent


async def forms(store: BaseSessionStore, *session_ids: str) -> set[bytes]:
    heads = [(await keys_of(store, each)).head for each in session_ids]
    return {*await connections_of(store).read_many([("HGET", head, "v") for head in heads])}


async def test_releases_that_know_of_no_budgets_refuse_every_session_of_the_tree(store: BaseSessionStore) -> None:
    await store.append("low", said(id="a"))
    await store.fork("low", at="a", new_id="before")
    assert await forms(store, *TREE) == {b"1"}

    await store.set_budget("mid", tokens=100)
    await store.create("after", parent_id="low")
    await store.fork("low", at="a", new_id="fork")

    assert await forms(store, *TREE, "before", "after", "fork") == {b"3"}
    await store.append("fork", said(id="b"), spending(3))
    for name, count in (("top", 0), ("low", 1), ("fork", 3)):
        assert len((await whole(store, name)).events) == count
        for last in (0, 1):
            assert await store.get(name, last=last) is not None
    await store.delete("fork")


async def test_what_was_spent_before_a_budget_counts_also_where_it_was_deleted(
    store: BaseSessionStore, url: str
) -> None:
    for number, name in enumerate(TREE):
        await store.append(name, spending(10**number))
    for name in ("lower", "lowest"):
        await store.create(name, parent_id="low")
        await store.append(name, spending(1000))
    await store.delete("lowest")
    await store.create("below lower", parent_id="lower")
    await store.append("below lower", spending(10_000))
    await store.delete("lower", children="cascade")
    async with store_from_url(url) as other:
        await other.set_budget("mid", tokens=10**9)
        await other.set_budget("top", tokens=10**9)
        await other.set_budget("low", tokens=10**9)

    assert [await counted(store, name) for name in TREE] == [24222, 24220, 24200]
    await store.delete("low")
    assert [await counted(store, name) for name in TREE[:2]] == [24222, 24220]
    await store.remove_budget("mid")
    await store.append("mid", spending(3))
    await store.set_budget("mid", tokens=10**9)
    assert [await counted(store, name) for name in TREE[:2]] == [24228, 24226]


async def test_a_tree_that_goes_leaves_nothing_of_its_budgets(store: BaseSessionStore, url: str) -> None:
    await store.set_budget("top", tokens=100)
    await store.set_budget("mid", tokens=50, grant=True)
    await store.place_hold("low", tokens=5)
    keys = await keys_of(store, "top")
    assert await connections_of(store).read_many([("EXISTS", keys.budgets)]) == [1]

    await store.delete("top", children="cascade")

    prefix = url.partition("key_prefix=")[2]
    left = await connections_of(store).read_many([("KEYS", f"{prefix}*")])
    assert keys.budgets not in left[0]
    await grow(store)
    assert await store.budgets("low") == []


async def test_budgets_live_as_long_as_their_tree(url: str) -> None:
    async with store_from_url(f"{url}&expiration_seconds=100") as store:
        await grow(store)
        await store.set_budget("top", tokens=100)
        keys = await keys_of(store, "top")

        async def are_in_step() -> bool:
            left: list[int] = await connections_of(store).read_many(
                [("PTTL", key) for key in (keys.tree, keys.head, keys.budgets)]
            )
            return 0 < max(left) < min(left) + 100

        assert await are_in_step()
        await shorten(store, "top", 50_000)
        await store.append("top", spending(1))
        assert await are_in_step()


async def test_what_an_expired_session_has_spent_stays_and_its_grant_is_free(url: str) -> None:
    async with store_from_url(f"{url}&expiration_seconds=1") as store:
        await store.create("top", expires=False)
        await store.create("mid", parent_id="top")
        await store.append("mid", spending(5))
        await store.set_budget("top", tokens=100)
        await store.set_budget("mid", tokens=80, grant=True)
        await store.append("mid", spending(5))
        assert await tokens(store, "top") == (20, 60, 0, 20)
        await asyncio.sleep(1.2)

        await store.place_hold("top", tokens=80)

        assert await tokens(store, "top") == (20, 80, 0, 0)


async def test_a_hold_in_a_quiet_tree_is_one_round_trip_and_so_is_its_settlement(redis_server: RedisServer) -> None:
    async with (
        FaultyProxy(redis_server.port) as proxy,
        store_from_url(f"{proxy.url}?key_prefix=test-{uuid4().hex}:") as store,
    ):
        await grow(store)
        for name in TREE:
            await store.set_budget(name, tokens=1000)
        before = proxy.round_trips
        first = await store.place_hold("low", tokens=5)
        assert proxy.round_trips - before <= 2
        await settle(store, "low", first, spending(1))

        before = proxy.round_trips
        await store.place_hold("low", id="second", tokens=5)
        await store.append("low", spending(2, id="second"))
        await store.place_hold("low", id="third", tokens=5)
        await store.release_hold("low", "third")
        assert proxy.round_trips - before == 4
        assert await tokens(store, "top") == (6, 0, 0, 994)


async def test_what_another_process_has_settled_is_not_held_again(store: BaseSessionStore, url: str) -> None:
    await store.set_budget("top", tokens=100)
    for name in ("renewed", "charged", "voided"):
        await store.place_hold("low", id=name, tokens=10)
    await store.charge_hold("low", "voided")
    async with store_from_url(url) as other:
        await other.append("low", *(spending(1, id=name) for name in ("renewed", "charged", "voided")))

    await store.renew_hold("low", "renewed")
    await store.charge_hold("low", "charged")
    assert await tokens(store, "top") == (6, 0, 0, 94)
    await store.place_hold("low", tokens=94)


async def test_what_was_freed_elsewhere_is_seen_before_anything_is_refused(store: BaseSessionStore, url: str) -> None:
    await store.set_budget("top", tokens=10)
    await store.place_hold("low", id="first", tokens=10)
    async with store_from_url(url) as other:
        await other.release_hold("low", "first")
        await store.place_hold("mid", id="second", tokens=10)
        with pytest.raises(BudgetExceeded):
            await other.place_hold("low", tokens=1)


async def test_budgets_that_the_server_lost_are_damage_and_no_absence(store: BaseSessionStore) -> None:
    await store.set_budget("top", tokens=100)
    keys = await keys_of(store, "top")
    await connections_of(store).read_many([("DEL", keys.budgets)])

    for write in (
        store.append("low", said()),
        store.append("top", spending(1)),
        store.create("new", parent_id="mid"),
        store.place_hold("low", tokens=1),
        store.budgets("top"),
    ):
        with pytest.raises(CorruptSession, match="lost its budgets"):
            await write
    await store.delete("top", children="cascade")


async def test_totals_that_cannot_be_read_are_no_reason_to_begin_at_nothing(store: BaseSessionStore) -> None:
    await store.append("low", spending(1))
    for name in ("totals", "head"):
        key = getattr(await keys_of(store, "low"), name)
        await connections_of(store).read_many([("HSET", key, 't:prompt_tokens:["m","llm"]', "many")])
        with pytest.raises(CorruptSession, match="totals"):
            await store.set_budget("low" if name == "head" else "top", tokens=100)


@pytest.mark.parametrize("field", ["b:x:y", "h:x:y", "s:x"])
async def test_what_cannot_be_read_is_told(store: BaseSessionStore, field: str) -> None:
    await store.set_budget("top", tokens=100)
    keys = await keys_of(store, "top")
    await connections_of(store).read_many([("HSET", keys.budgets, field, '[2,"newer"]')])

    with pytest.raises(CorruptSession, match="budgets"):
        await store.place_hold("low", tokens=1)


async def test_a_budget_that_is_refused_leaves_no_trace(store: BaseSessionStore) -> None:
    for refused in (store.set_budget("mid", tokens=5, grant=True), store.raise_budget("mid", tokens=5)):
        with pytest.raises(Exception, match="budget"):
            await refused

    assert await forms(store, *TREE) == {b"1"}
    keys = await keys_of(store, "top")
    assert await connections_of(store).read_many([("EXISTS", keys.budgets), ("HGET", keys.tree, "has_budgets")]) == [
        0,
        None,
    ]


async def test_ids_of_all_kinds_are_kept_apart(store: BaseSessionStore) -> None:
    for name in ("a:b", "ø {}", "x y\n"):
        await store.create(name, parent_id="top", change=SessionChange(events=[spending(1)]))
        for budget in ("a:b", "ø \n", "%d"):
            await store.set_budget(name, budget, tokens=50, window="day", timezone="Europe/Oslo")
        await store.set_budget(name, tokens=60)
        hold = await store.place_hold(name, id=f"of {name}", tokens=7)
        await settle(store, name, hold, spending(2))
        await store.place_hold(name, id=f"left of {name}", tokens=7)
        shown = {each.id: (each.spent.tokens, each.held.tokens) for each in await store.budgets(name)}
        assert shown == {"default": (6, 7), "a:b": (4, 7), "ø \n": (4, 7), "%d": (4, 7)}


usages = st.lists(
    st.builds(
        UsageDelta,
        st.just("m"),
        st.just("llm"),
        st.dictionaries(
            st.sampled_from(["cost_pico_usd", "prompt_tokens", "completion_tokens", "requests", "unpriced_requests"]),
            st.sampled_from([0, 1, 7, BEYOND_EXACT, 10**18, 10**30]),
            max_size=4,
        ),
        st.sampled_from([None, None, "r1", "r2"]),
        st.none(),
    ),
    min_size=1,
    max_size=4,
)
FIELDS = (("cost_pico_usd",), ("prompt_tokens", "completion_tokens"), ("requests",), ("unpriced_requests",))


@settings(max_examples=few(20, of=400), deadline=None)
@given(commits=st.lists(usages, min_size=1, max_size=5))
def test_a_scope_has_spent_what_its_totals_say(redis_server: RedisServer, commits: list[list[UsageDelta]]) -> None:
    with redis_server.admin() as client:
        session = Sessions(client)
        budgets = session.keys.budgets
        session.call("HSET", session.keys.tree, "has_budgets", 1)
        session.call("HSET", budgets, "v", 1, f"s:{CREATION}", "0 0 0 0", f"h:{CREATION}:e0.0", "[]")
        for number, spent in enumerate(commits):
            events = [EncodedEvent(f"e{number}.{at}", b"{}", None, usage) for at, usage in enumerate(spent)]
            commit = EncodedCommit(events=events, tag="0a")
            session.commit(SHORT.source, [commit, replace(commit, tag="0b")])

        totals = {name.decode(): int(value) for name, value in session.call("HGETALL", session.keys.totals).items()}
        expected = [sum(value for name, value in totals.items() if name.split(":")[1] in fields) for fields in FIELDS]
        assert session.call("HGET", budgets, f"s:{CREATION}") == " ".join(map(str, expected)).encode()
        assert not session.call("HEXISTS", budgets, f"h:{CREATION}:e0.0")


GENERAL_STEP = scripts._script(*scripts.STEP_RULES, "step_budget")
OPEN_WINDOW = f"\nw span,,9,0:x 0 {10**14} 0 900000 1 1 1 1"
settlements = st.none() | st.builds(Settlement, st.sampled_from(["a", "h 1", "c"]), st.just(5))
settling = st.builds(
    lambda commit, settles: replace(commit, settles=settles), st.one_of(appends, appends, leased, others), settlements
)


class LimitedSessions(Sessions):
    """The same in a tree with budgets."""

    def __init__(self, client: Any, *, more: str = "", spent: int = 0, is_limited: bool = True) -> None:
        super().__init__(client)
        if not is_limited:
            return
        self.call("HSET", self.keys.head, "v", 3)
        self.call("HSET", self.keys.tree, "has_budgets", 1)
        holds = [value for name in ("a", "b", "h 1") for value in (f"h:{CREATION}:{name}", "[]")]
        self.call("HSET", self.keys.budgets, "v", 1, f"s:{CREATION}", f"{spent} 0 0 0{more}", *holds)

    def step(self, source: str, told: TreeBudgets, outcome: StepOutcome, *, measures: bool) -> tuple[object, ...]:
        """Return what the script answers, but for its time."""
        call = write_call(self.keys, None, told, outcome, now=told.now, tolerance=10**7, measures=measures)
        status, _, *reply = self.call("EVAL", source, *call.by_source()[2:])
        return status, reply[0], hash_of(reply[1]), reply[2]

    def told(self) -> TreeBudgets:
        reply = self.call(*read_call(self.keys, None, measures=True).by_source())
        return tree_budgets(self.keys.key, reply[1:])


@settings(max_examples=few(25, of=600), deadline=None)
@given(
    batches=st.lists(st.lists(settling, min_size=1, max_size=3), max_size=5),
    more=st.sampled_from(["", "", OPEN_WINDOW]),
    spent=st.sampled_from([0, BEYOND_EXACT]),
)
def test_both_scripts_of_commits_leave_the_same_budgets(
    redis_server: RedisServer, batches: list[list[EncodedCommit]], more: str, spent: int
) -> None:
    with redis_server.admin() as client:
        by_short, by_general = (LimitedSessions(client, more=more, spent=spent) for _ in range(2))

        for batch in batches:
            assert by_short.commit(SHORT.source, batch) == by_general.commit(GENERAL.source, batch)

        assert by_short.dumped() == by_general.dumped()


def test_the_short_script_takes_what_settles_and_leaves_windows_to_the_general_one(redis_server: RedisServer) -> None:
    alone = SHORT.source.replace("if appended then return appended end", "do return appended end")
    usage = UsageDelta("m", "llm", {"requests": 1, "prompt_tokens": 7})
    batch = [
        EncodedCommit(events=[EncodedEvent("e", b"{}", None, usage)], tag="0a", settles=Settlement("a", 5)),
        EncodedCommit(events=[EncodedEvent("b", b"{}", None, None)], tag="0b"),
    ]
    with redis_server.admin() as client:
        session, windowed = LimitedSessions(client), LimitedSessions(client, more=OPEN_WINDOW)

        assert session.call("EVAL", alone, *_call_of(session, batch)) is not None
        left = hash_of(session.call("HGETALL", session.keys.budgets))
        assert left == {b"v": b"1", f"s:{CREATION}".encode(): b"0 7 1 0", f"h:{CREATION}:h 1".encode(): b"[]"}
        assert session.call("EVAL", alone, *_call_of(session, batch)) is None  # they are known
        assert windowed.call("EVAL", alone, *_call_of(windowed, batch)) is None


def _call_of(session: Sessions, batch: list[EncodedCommit]) -> tuple[object, ...]:
    _, _, *rest = commit_call(session.keys, batch, 0, lambda: None).by_source()
    return tuple(rest)


hold_names = st.sampled_from(["x", "y", "z z", "e0"])
steps = st.one_of(
    st.builds(PlaceHold, hold_names, st.builds(Some, st.none(), st.integers(1, 9), st.just(1)), st.just(10**6)),
    st.builds(PlaceHold, hold_names, st.just(Some(None, 2, 1)), st.just(-(10**6))),
    st.builds(RenewHold, hold_names, st.just(10**6)),
    st.builds(ChargeHold, hold_names),
    st.builds(ReleaseHold, hold_names),
    st.builds(VoidHold, hold_names),
    st.builds(RaiseBudget, st.just("first"), st.just(Some(None, 40, None)), st.just("raised")),
    st.builds(
        SetBudget,
        st.sampled_from(["first", "second"]),
        st.just(Some(None, 20, None)),
        st.booleans(),
        st.just(0),
        st.just(False),
        st.sampled_from([None, None, Window("span", length=10**9)]),
        st.sampled_from(["s1", "s2"]),
        st.just(True),
    ),
    st.integers(0, 2).map(lambda number: f"e{number}"),
)


FIRST_LIMIT = SetBudget("first", Some(None, 20, None), True, 0, False, None, "s1")


def _place(name: str) -> PlaceHold:
    return PlaceHold(name, Some(None, 9, 1), 10**6)


@settings(max_examples=few(25, of=600), deadline=None)
@given(made=st.lists(st.tuples(steps, st.sampled_from([False, False, True])), max_size=12))
@example(made=[(FIRST_LIMIT, False), (_place("x"), False), ("e0", False), (_place("y"), True)])
@example(made=[(FIRST_LIMIT, False), ("e0", False), (_place("e0"), True)])
def test_both_scripts_of_steps_leave_the_same_budgets(
    redis_server: RedisServer, made: list[tuple[BudgetStep | str, bool]]
) -> None:
    with redis_server.admin() as client:
        by_short, by_general = LimitedSessions(client, is_limited=False), LimitedSessions(client, is_limited=False)
        told = by_short.told()

        for step, is_late in made:
            told = told if is_late else by_short.told()
            if isinstance(step, str):
                spent = EncodedEvent(step, b"{}", None, UsageDelta("m", "llm", {"prompt_tokens": 9}))
                batch = [EncodedCommit(events=[spent], tag="0a")]
                assert by_short.commit(SHORT.source, batch) == by_general.commit(GENERAL.source, batch)
                continue
            try:
                outcome = decide(told.ledger, step, told.place, told.find_spent, told.now)
            except (BudgetExceeded, InvalidSessionOperation):
                continue
            measures = isinstance(step, SetBudget)
            answers = [
                each.step(script.source, told, outcome, measures=measures)
                for each, script in ((by_short, scripts.STEP_BUDGET), (by_general, GENERAL_STEP))
            ]
            assert answers[0] == answers[1]

        assert by_short.dumped() == by_general.dumped()


def test_the_short_script_takes_the_steps_of_each_request(redis_server: RedisServer) -> None:
    alone = scripts.STEP_BUDGET.source.replace(
        "if stepped then return stepped end", "do return stepped or {'', '', {}, {}, ''} end"
    )
    requests = (PlaceHold("x", Some(None, 5, 1), 10**6), RenewHold("x", 10**7), ChargeHold("x"), ReleaseHold("x"))
    with redis_server.admin() as client:
        session = LimitedSessions(client)
        session.call("HDEL", session.keys.budgets, *[f"h:{CREATION}:{name}" for name in ("a", "b", "h 1")])
        for step, source in ((FIRST_LIMIT, GENERAL_STEP.source), *[(each, alone) for each in requests]):
            told = session.told()
            outcome = decide(told.ledger, step, told.place, told.find_spent, told.now)
            status, *_ = session.step(source, told, outcome, measures=False)
            assert status == b"DONE"
            status, *_ = session.step(source, told, outcome, measures=False)
            assert (status == b"DONE") == isinstance(step, ReleaseHold)


def test_the_script_of_steps_is_among_those_whose_rights_are_tried() -> None:
    assert scripts.STEP_BUDGET in scripts.ALL
