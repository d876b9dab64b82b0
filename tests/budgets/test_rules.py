"""The rules of budgets against a model that does all sums anew, over random trees, limits, holds and clocks."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager import BudgetExceeded, InvalidSessionOperation
from a2a_session_manager.budgets.amounts import Amounts, Some, Spent
from a2a_session_manager.budgets.codec import decode_budget, decode_hold, encode_budget, encode_hold
from a2a_session_manager.budgets.figures import figures
from a2a_session_manager.budgets.records import BudgetRecord, HoldRecord, Key, Ledger, apply
from a2a_session_manager.budgets.settling import Settlement, counted_in, settled
from a2a_session_manager.budgets.step_rules import (
    decide,
    reply_of,
)
from a2a_session_manager.budgets.steps import (
    BudgetReply,
    BudgetStep,
    ChargeHold,
    PlaceHold,
    RaiseBudget,
    ReadBudgets,
    ReleaseHold,
    RemoveBudget,
    RenewHold,
    SessionPath,
    SetBudget,
    VoidHold,
)
from a2a_session_manager.budgets.windows import Stretch, Window
from tests.draws import few

PARENTS = {"root": None, "left": "root", "right": "root", "low": "left", "lowest": "low"}
TTL = 100


def path_to(session: str) -> tuple[str, ...]:
    above = PARENTS[session]
    return (session,) if above is None else (*path_to(above), session)


@dataclass
class Tree:
    """A ledger, with the spends that a store would have in its logs: of a session, in a window of that moment."""

    ledger: Ledger = field(default_factory=Ledger)
    spends: list[tuple[str, int, Settlement | None, dict[Key, Stretch | None], Amounts, bool]] = field(
        default_factory=list
    )
    now: int = 1_000

    def find_spent(self, budget: BudgetRecord, stretch: Stretch | None) -> Spent:
        total, unpriced = Amounts(), 0
        for session, moment, settlement, counted, amounts, is_priced in self.spends:
            begun = counted_in(budget._replace(window_begin=0), settlement, moment)
            is_in = stretch is None or counted.get(budget.key, begun) == stretch
            if budget.creation_id in path_to(session) and is_in:
                total, unpriced = total.plus(amounts), unpriced + (not is_priced)
        return Spent(total, unpriced)

    def take(self, session: str, step: BudgetStep) -> BudgetReply:
        place = SessionPath(session, path_to(session))
        outcome = decide(self.ledger, step, place, self.find_spent, self.now)
        for bound in outcome.bounds.values():  # an admission holds as long as no more was spent
            assert all(most is None or most >= 0 for most in bound.spent)
        apply(self.ledger, outcome.changes)
        return reply_of(self.ledger, outcome, place, self.find_spent, self.now)

    def limit(
        self,
        session: str,
        *,
        usd: int | None = None,
        tokens: int | None = None,
        requests: int | None = None,
        hard: bool = True,
        unpriced: int | None = None,
        grant: bool = False,
        window: Window | None = None,
        setting: str | None = None,
        replaces: bool = False,
        id: str = "b",
    ) -> BudgetReply:
        setting = f"setting {len(self.ledger.budgets)}" if setting is None else setting
        limits = Some(usd, tokens, requests)
        return self.take(session, SetBudget(id, limits, hard, unpriced, grant, window, setting, replaces))

    def hold(self, session: str, hold_id: str, usd: int | None = 0, tokens: int = 0, ttl: int = TTL) -> BudgetReply:
        return self.take(session, PlaceHold(hold_id, Some(usd, tokens, 1), ttl))

    def settle(self, session: str, hold_id: str | None, amounts: Amounts, *, is_priced: bool = True) -> None:
        hold = self.ledger.holds.get((session, hold_id or ""))
        settlement = None if hold is None else Settlement(hold.id, hold.made_at)
        for key in settled(session, ["event"], settlement):
            self.ledger.holds.pop(key, None)
        counted = {budget.key: counted_in(budget, settlement, self.now) for budget in self.ledger.live()}
        self.spends.append((session, self.now, settlement, counted, amounts, is_priced))

    def used(self, session: str, budget_id: str = "b") -> Amounts:
        budget = self.ledger.budgets[session, budget_id]
        return figures(self.ledger, budget, self.find_spent, self.now).used


sessions = st.sampled_from(sorted(PARENTS))
amounts = st.integers(1, 6)
actions = st.one_of(
    st.tuples(st.just("set"), sessions, amounts, st.booleans(), st.booleans()),
    st.tuples(st.just("hold"), sessions, amounts, st.sampled_from("abcd")),
    st.tuples(st.just("settle"), sessions, amounts, st.sampled_from("abcd")),
    st.tuples(st.just("release"), sessions, st.sampled_from("abcd")),
    st.tuples(st.just("charge"), sessions, st.sampled_from("abcd")),
    st.tuples(st.just("wait"), st.integers(-60, 120)),
)


@settings(max_examples=few(40, of=1500), deadline=None)
@given(st.lists(actions, max_size=40))
def test_a_hold_passes_exactly_when_every_hard_budget_above_has_room(actions: list[tuple[object, ...]]) -> None:
    tree = Tree()
    for action in actions:
        match action:
            case ("set", str(session), int(usd), bool(is_hard), bool(has_window)):
                window = Window("span", length=50, begin=7) if has_window else None
                tree.limit(session, usd=usd * 2, hard=is_hard, window=window, replaces=True, setting=str(id(action)))
            case ("hold", str(session), int(usd), str(name)):
                _hold(tree, session, usd, name)
            case ("settle", str(session), int(usd), str(name)):
                tree.settle(session, name, Amounts(usd, 0, 1))
            case ("release", str(session), str(name)):
                tree.take(session, ReleaseHold(name))
            case ("charge", str(session), str(name)):
                tree.take(session, ChargeHold(name))
            case ("wait", int(time)):
                tree.now = max(tree.now + time, 0)
        _check_records(tree.ledger)


def _hold(tree: Tree, session: str, usd: int, name: str) -> None:
    """Ask for a hold, and compare the answer with what the sums say, which are made one by one here."""
    known = tree.ledger.holds.get((session, name))
    path = path_to(session)
    above = [budget for budget in tree.ledger.live() if budget.creation_id in path]
    has_room = all(_used_by_hand(tree, budget) + usd <= (budget.limits[0] or 0) for budget in above if budget.is_hard)
    before = dict(tree.ledger.holds)
    if known is None and not has_room:
        with pytest.raises(BudgetExceeded) as refused:
            tree.hold(session, name, usd)
        assert tree.ledger.holds == before
        budget = tree.ledger.budgets[refused.value.budget_session_id, refused.value.budget_id]
        assert set(refused.value.holds) == {hold.id for hold in _counting_by_hand(tree, budget)}  # none is a phantom
        return
    reply = tree.hold(session, name, usd)
    if known is not None:
        assert reply.hold == known
    elif not above:
        assert reply.hold is None
    else:
        assert reply.hold is not None
        assert reply.hold == tree.ledger.holds[session, name]


def _used_by_hand(tree: Tree, budget: BudgetRecord) -> int:
    spent = tree.find_spent(budget, budget.stretch(tree.now)).amounts.pico_usd
    return spent + sum(hold.asked.pico_usd or 0 for hold in _counting_by_hand(tree, budget))


def _counting_by_hand(tree: Tree, budget: BudgetRecord) -> list[HoldRecord]:
    found = []
    for hold in tree.ledger.holds.values():
        is_below = budget.creation_id in hold.path
        is_over = hold.is_charged or hold.expires_at <= tree.now
        is_of_window = budget.window is None or (
            (hold.made_at - budget.window.begin) // 50
            == (max(tree.now, budget.window_begin) - budget.window.begin) // 50
        )
        if is_below and is_of_window and not (is_over and not budget.is_hard):
            found.append(hold)
    return found


def _check_records(ledger: Ledger) -> None:
    for budget in ledger.budgets.values():
        assert decode_budget(encode_budget(budget)) == budget
    for hold in ledger.holds.values():
        assert decode_hold(encode_hold(hold)) == hold


def test_all_levels_are_asked_and_none_holds_what_another_refuses() -> None:
    tree = Tree()
    tree.limit("root", usd=10)
    tree.limit("left", usd=4)
    tree.limit("lowest", requests=1)
    tree.hold("lowest", "one", 3)

    for session, usd, by in (("lowest", 1, "lowest"), ("low", 2, "left"), ("right", 8, "root")):
        with pytest.raises(BudgetExceeded) as refused:
            tree.hold(session, "two", usd)
        assert refused.value.budget_session_id == by
    assert tree.ledger.holds.keys() == {("lowest", "one")}


def test_what_expired_counts_under_a_limit_that_refuses_until_it_is_voided() -> None:
    tree = Tree()
    tree.limit("root", usd=10)
    tree.limit("left", usd=10, hard=False)
    tree.hold("left", "one", 8)
    tree.now += TTL

    with pytest.raises(BudgetExceeded) as refused:
        tree.hold("right", "two", 3)
    assert (refused.value.held, refused.value.holds) == (0, ["one"])
    assert tree.used("left") == Amounts()
    tree.take("root", VoidHold("one"))
    tree.hold("right", "two", 3)
    with pytest.raises(InvalidSessionOperation, match="is open"):
        tree.take("root", VoidHold("two"))
    with pytest.raises(InvalidSessionOperation, match="neither session"):
        tree.take("left", VoidHold("two"))


def test_a_late_usage_takes_the_place_of_an_estimate() -> None:
    tree = Tree()
    tree.limit("root", usd=10)
    tree.hold("low", "event", 8)
    tree.take("low", ChargeHold("event"))
    assert tree.used("root").pico_usd == 8

    tree.settle("low", None, Amounts(2, 5, 1))

    assert tree.used("root") == Amounts(2, 5, 1)


def test_without_a_limit_on_the_way_nothing_is_held() -> None:
    tree = Tree()
    tree.limit("right", usd=1)

    assert tree.hold("left", "one", 1000).hold is None
    assert not tree.ledger.holds


def test_a_grant_is_held_out_of_what_is_above_and_counts_once() -> None:
    tree = Tree()
    tree.limit("root", usd=10)
    tree.limit("left", usd=6, grant=True)
    assert tree.used("root").pico_usd == 6

    tree.hold("low", "one", 4)
    assert tree.used("root").pico_usd == 6  # it is inside
    tree.settle("low", "one", Amounts(5, 0, 1))
    assert tree.used("root").pico_usd == 6
    with pytest.raises(BudgetExceeded) as refused:
        tree.hold("right", "two", 5)
    assert (refused.value.held, refused.value.spent) == (Decimal("1e-12"), Decimal("5e-12"))
    tree.settle("low", None, Amounts(3, 0, 1))  # recorded, whatever the limit
    assert tree.used("root").pico_usd == 8
    tree.take("left", RemoveBudget("b", "gone"))
    tree.hold("right", "two", 2)


def test_a_grant_larger_than_the_rest_is_refused_and_so_is_a_second_one() -> None:
    tree = Tree()
    with pytest.raises(InvalidSessionOperation, match="no budget above"):
        tree.limit("left", usd=6, grant=True)
    tree.limit("root", usd=10, tokens=100)
    with pytest.raises(BudgetExceeded):
        tree.limit("left", usd=11, grant=True)
    tree.limit("left", usd=6, grant=True)
    tree.limit("low", usd=6, grant=True)  # out of the one above it
    with pytest.raises(BudgetExceeded):
        tree.limit("lowest", usd=7, grant=True)
    with pytest.raises(InvalidSessionOperation, match="a grant already"):
        tree.limit("left", usd=1, grant=True, id="other")
    with pytest.raises(BudgetExceeded):
        tree.take("left", RaiseBudget("b", Some(11, None, None), "more"))
    tree.take("left", RaiseBudget("b", Some(9, None, None), "more"))
    assert tree.used("root").pico_usd == 9


def test_a_price_that_nobody_knows_is_never_0() -> None:
    tree = Tree()
    tree.limit("root", usd=10)
    with pytest.raises(BudgetExceeded) as refused:
        tree.hold("left", "one", None)
    assert refused.value.reason == "unpriced"
    tree.settle("left", None, Amounts(0, 7, 1), is_priced=False)
    with pytest.raises(BudgetExceeded):
        tree.hold("left", "one", 1)

    tree.limit("root", usd=10, unpriced=4, replaces=True, setting="stated")
    assert tree.used("root").pico_usd == 4
    tree.hold("left", "one", None)
    assert tree.used("root").pico_usd == 8


def test_limits_of_tokens_want_to_know_how_many() -> None:
    tree = Tree()
    tree.limit("root", tokens=10)

    with pytest.raises(InvalidSessionOperation, match="limits tokens"):
        tree.take("left", PlaceHold("one", Some(1, None, 1), TTL))
    with pytest.raises(BudgetExceeded) as refused:
        tree.hold("left", "one", None, tokens=11)
    assert refused.value.axis == "tokens"


def test_a_setting_that_comes_again_changes_nothing() -> None:
    tree = Tree()
    tree.limit("root", usd=1, setting="first")
    tree.take("root", RaiseBudget("b", Some(5, None, None), "second"))
    tree.take("root", RaiseBudget("b", Some(5, None, None), "second"))
    tree.limit("root", usd=1, setting="first")
    assert tree.ledger.budgets["root", "b"].limits.pico_usd == 5

    tree.take("root", RemoveBudget("b", "third"))
    tree.limit("root", usd=1, setting="first")
    assert not tree.ledger.live()  # a late copy brings nothing back
    with pytest.raises(InvalidSessionOperation, match="no budget 'b'"):
        tree.take("root", RemoveBudget("b", "fifth"))


def test_a_limit_is_raised_above_what_it_is_and_what_is_spent() -> None:
    tree = Tree()
    tree.limit("root", usd=4)
    tree.settle("low", None, Amounts(6, 0, 1))

    for limits in (Some(4, None, None), Some(5, None, None), Some(6, None, None), Some(None, 3, None)):
        with pytest.raises(InvalidSessionOperation, match="cannot be raised"):
            tree.take("root", RaiseBudget("b", limits, "raised"))
    tree.take("root", RaiseBudget("b", Some(7, None, None), "raised"))
    tree.hold("left", "one", 1)
    with pytest.raises(InvalidSessionOperation, match="session 'root' that has one"):
        tree.take("low", RaiseBudget("b", Some(70, None, None), "from below"))
    with pytest.raises(InvalidSessionOperation, match="already"):
        tree.limit("root", usd=3, setting="lower")
    tree.limit("root", usd=3, setting="lower", replaces=True)
    with pytest.raises(BudgetExceeded):
        tree.hold("left", "two", 1)


def test_a_hold_counts_in_the_window_that_it_was_made_in() -> None:
    tree = Tree(now=90)
    tree.limit("root", usd=5, window=Window("span", length=100, begin=0))
    tree.hold("left", "over the edge", 4, ttl=1000)
    with pytest.raises(BudgetExceeded) as refused:
        tree.hold("left", "two", 2)
    assert refused.value.resets_at is not None
    tree.now = 110

    tree.hold("left", "two", 5)
    tree.settle("left", "over the edge", Amounts(4, 0, 1))
    assert tree.used("root").pico_usd == 5
    tree.now = 95  # a clock that goes back opens no window again
    with pytest.raises(BudgetExceeded):
        tree.hold("left", "three", 1)


def test_a_hold_is_renewed_unless_it_is_charged() -> None:
    tree = Tree()
    tree.limit("root", usd=5)
    tree.hold("left", "one", 4)
    tree.now += TTL - 1
    tree.take("left", RenewHold("one", TTL))
    tree.now += TTL - 1

    [shown] = tree.take("left", ReadBudgets()).figures
    assert (shown.held.pico_usd, shown.estimated.pico_usd) == (4, 0)
    tree.take("left", ChargeHold("one"))
    tree.take("left", RenewHold("one", TTL))
    [shown] = tree.take("left", ReadBudgets()).figures
    assert (shown.held.pico_usd, shown.estimated.pico_usd) == (0, 4)
