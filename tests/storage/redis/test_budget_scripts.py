"""The scripts of budgets: the short ones leave the same keys behind as the general ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from a2a_session_manager.budgets.amounts import Some
from a2a_session_manager.budgets.settling import Settlement
from a2a_session_manager.budgets.step_rules import StepOutcome, decide
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
from a2a_session_manager.exceptions import BudgetExceeded, InvalidSessionOperation
from a2a_session_manager.storage.commit_records import EncodedCommit
from a2a_session_manager.storage.records import EncodedEvent, UsageDelta
from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.budget_calls import read_call, write_call
from a2a_session_manager.storage.redis.commit_calls import commit_call
from a2a_session_manager.storage.redis.replies import hash_of
from a2a_session_manager.storage.redis.tree_budgets import TreeBudgets, tree_budgets
from tests.draws import few
from tests.redis_servers.server import RedisServer
from tests.storage.redis.twin_scripts import BEYOND_EXACT, CREATION, GENERAL, SHORT, Sessions, appends, leased, others

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
