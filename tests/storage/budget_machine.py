"""The rules of budgets for the model-based test: limits that come and go, holds, and who is refused by what."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from inspect import getmembers
from types import SimpleNamespace
from typing import Any, Final, TypeVar
from unittest.mock import patch

from fakeredis.commands_mixins import server_mixin
from hypothesis import strategies as st
from hypothesis.stateful import RULE_MARKER, RuleBasedStateMachine, invariant, precondition, rule

from a2a_session_manager import (
    BudgetExceeded,
    InvalidEvent,
    InvalidSessionOperation,
    SessionEvent,
)
from a2a_session_manager.budgets.amounts import Some
from a2a_session_manager.budgets.steps import PlaceHold
from a2a_session_manager.models import clock
from a2a_session_manager.models.budget import BudgetAmounts, BudgetStatus, BudgetWindow, PlacedHold
from a2a_session_manager.storage import leases
from a2a_session_manager.storage.store import BaseSessionStore
from tests.storage.model import PlainSession, PlainStore
from tests.storage.model_budgets import AXES, ZONES, PlainBudget, PlainHold, PlainWindow, Refusal

ResultT = TypeVar("ResultT")
MachineT = TypeVar("MachineT", bound="BudgetMachine")

# Few, and small: rows of verbs meet their limits.
budget_ids = st.sampled_from(["x", "x", "y"])
hold_ids = st.sampled_from(["h0", "h1", "h2", "e1", "e2"])
limits = st.fixed_dictionaries(
    {},
    optional={
        "usd": st.sampled_from([2, 6]),
        "tokens": st.sampled_from([9, 20, 40]),
        "requests": st.sampled_from([2, 5, 12]),
    },
).filter(bool)
# In seconds: some are longer than a hold or a window lasts. Back it goes within the windows that are.
ticks = st.sampled_from([1, 300, 700, 3_600, 7 * 3_600, 86_400, 3 * 86_400, 31 * 86_400, -200, -5_000])
EXPIRES: Final = 660_000
LENGTH: Final = 5 * 3_600_000
NOTICED = {"work_with_budgets", "append", "create", "fork", "delete", "retract_last", "reopen"}
HOLDING = ("move hold", "settle", "void")
STEPS = (
    "set budget",
    "set budget",
    "raise budget",
    "remove budget",
    "hold",
    "hold",
    "hold",
    "hold",
    *HOLDING,
    "settle",
    "note crossings",
    "let time pass",
    "let time pass",
)
asked_tokens = st.sampled_from([1, 2, 3, 5, 5, None])


def about_budgets(machine: type[MachineT]) -> type[MachineT]:
    """Return a machine without most of the rules that no budget takes notice of, so that many budgets are met."""
    names = {name for name, found in getmembers(machine) if hasattr(found, RULE_MARKER)} - NOTICED
    return type(f"{machine.__name__}OfBudgets", (machine,), dict.fromkeys(names))


class BudgetMachine(RuleBasedStateMachine):
    """What a machine knows of budgets; it has a store, and the plain model of what that must show."""

    keeps_budgets = True
    drives_clock = False  # whether the store's clock is the model's
    store: BaseSessionStore
    model: PlainStore

    def __init__(self) -> None:
        super().__init__()
        self.placed: dict[tuple[int, str], PlacedHold] = {}
        self.time = datetime(2026, 3, 27, 12, tzinfo=UTC) if self.drives_clock else datetime.now(UTC)
        self.patches: list[Any] = [
            patch.object(leases, "wall_clock", self.millis),
            patch.object(clock, "time_ns", lambda: self.millis() * 1_000_000),
            # Scripts ask the server.
            patch.object(server_mixin, "time", SimpleNamespace(time=lambda: self.millis() / 1000)),
        ]
        for each in self.patches if self.drives_clock else ():
            each.start()

    def teardown(self) -> None:
        for each in self.patches if self.drives_clock else ():
            each.stop()

    def millis(self) -> int:
        return round(self.time.timestamp() * 1000)

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        raise NotImplementedError

    def refused(self, error: type[Any] | tuple[type[Any], ...], work: Coroutine[Any, Any, Any]) -> Any:
        raise NotImplementedError

    def known_id(self, data: st.DataObject) -> str:
        raise NotImplementedError

    def fresh(self, name: str) -> str:
        raise NotImplementedError

    @precondition(lambda self: self.keeps_budgets and self.model.sessions)
    @rule(data=st.data(), steps=st.lists(st.sampled_from(STEPS), min_size=4, max_size=12))
    def work_with_budgets(self, data: st.DataObject, steps: list[str]) -> None:
        """Do several things in a row: Hypothesis leaves some rules out of each row, and these belong together."""
        for step in steps:
            budgets = self.model.budgets
            if not budgets.budgets:
                step = "set budget"
            elif step in HOLDING and not budgets.holds:
                step = "hold"
            getattr(self, "_" + step.replace(" ", "_"))(data)
            self.budgets_stand_as_the_model_says()

    def _set_budget(self, data: st.DataObject) -> None:
        budget_id, limited, is_hard = (
            data.draw(budget_ids),
            data.draw(limits),
            data.draw(st.sampled_from([True, True, False])),
        )
        unpriced = data.draw(st.sampled_from([1, 1, 0, None]))
        grant, replaces = data.draw(st.booleans()), data.draw(st.booleans())
        plain = self.model.sessions[self.known_id(data)]
        window = data.draw(st.sampled_from([None, None, "month", "day", "span"]))
        budgets, is_grant = self.model.budgets, grant and is_hard and window is None
        windows = self._window(window)
        usd, tokens, requests = (limited.get(axis) for axis in AXES)
        new = PlainBudget(
            plain.life,
            budget_id,
            (usd, tokens, requests),
            is_hard,
            unpriced,
            is_grant,
            setting=self.fresh("setting"),
            window=windows[2],
        )
        setting = self.store.set_budget(
            plain.id,
            budget_id,
            usd=usd,
            tokens=tokens,
            requests=requests,
            mode="hard" if is_hard else "warn",
            unpriced="refuse" if unpriced is None else Decimal(unpriced),
            window=windows[0],
            timezone=windows[1],
            grant=is_grant,
            replace=replaces,
            write_id=new.setting,
        )
        before = budgets.budgets.get(new.key)
        if before is not None and not replaces:
            if before.is_like(new):
                self.run(setting)
            else:
                self.refused(InvalidSessionOperation, setting)
            return
        if is_grant:
            others = [each for each in budgets.on(plain.life) if each.is_grant and each.life == plain.life]
            above = [each for each in budgets.on(plain.life) if each.life != plain.life]
            if any(each.id != budget_id for each in others) or not above:
                self.refused(InvalidSessionOperation, setting)
                return
            if (refusal := budgets.refusal_of_grant(new)) is not None:
                self._compare_refusal(refusal, self.refused(BudgetExceeded, setting))
                return
        self.run(setting)
        budgets.budgets[new.key] = new

    def _window(self, kind: str | None) -> tuple[BudgetWindow | None, str | None, PlainWindow | None]:
        """Return a window as users say it, and as the model does."""
        if kind is None:
            return None, None, None
        if not self.drives_clock:
            soon, plain = round((self.time + timedelta(hours=1)).timestamp() * 1000), PlainWindow(kind)
            # A hold may be of the millisecond in which a span begins, or of the one before.
            if kind == "span" or plain.begin_at(soon) != plain.begin_at(self.millis()):
                return None, None, None
        if kind == "span":
            return timedelta(milliseconds=LENGTH), None, PlainWindow("span", LENGTH, self.millis())
        return "day" if kind == "day" else "month", ZONES[kind], PlainWindow(kind)

    def _let_time_pass(self, data: st.DataObject) -> None:
        if not self.drives_clock:
            return
        then = self.time + timedelta(seconds=data.draw(ticks))
        windows = [each.window for each in self.model.budgets.budgets.values() if each.window is not None]
        now, moment = self.millis(), round(then.timestamp() * 1000)
        if moment < now and any(window.begin_at(moment) != window.begin_at(now) for window in windows):
            return  # a window that was seen is not left for an earlier one: that is another test's
        self.time = then
        self.model.budgets.set_time(moment)

    def _raise_budget(self, data: st.DataObject) -> None:
        limited, twice = data.draw(limits), data.draw(st.booleans())
        before = self.known_budget(data)
        budgets, more = self.model.budgets, [limited.get(axis) for axis in AXES]
        spent = budgets.spent(before)
        setting = self.fresh("raised")

        def raising() -> Coroutine[Any, Any, BudgetStatus]:
            usd, tokens, requests = more
            return self.store.raise_budget(
                self.id_of(before.life), before.id, usd=usd, tokens=tokens, requests=requests, write_id=setting
            )

        for axis, limit in enumerate(more):
            now = before.limits[axis]
            if limit is not None and (now is None or limit <= now or limit <= spent[axis]):
                self.refused(InvalidSessionOperation, raising())
                return
        usd, tokens, requests = (new or old for new, old in zip(more, before.limits, strict=True))
        raised = replace(before, limits=(usd, tokens, requests), setting=setting)
        if raised.is_grant and (refusal := budgets.refusal_of_grant(raised)) is not None:
            self._compare_refusal(refusal, self.refused(BudgetExceeded, raising()))
            return
        for _ in range(1 + twice):
            self.run(raising())
        budgets.budgets[raised.key] = raised

    def _remove_budget(self, data: st.DataObject) -> None:
        budget = self.known_budget(data)
        del self.model.budgets.budgets[budget.key]
        for _ in range(2):
            self.run(self.store.remove_budget(self.id_of(budget.life), budget.id, write_id=f"gone {budget.setting}"))
        self.refused(InvalidSessionOperation, self.store.budget(self.id_of(budget.life), budget.id))

    def _hold(self, data: st.DataObject) -> None:
        """A hold passes when the model has room for it in all budgets, else the one that the model names refuses."""
        hold_id, tokens, requests = data.draw(hold_ids), data.draw(asked_tokens), data.draw(st.sampled_from([1, 1, 2]))
        expires = data.draw(st.sampled_from([False, False, True]))
        plain, budgets = self.model.sessions[self.known_id(data)], self.model.budgets
        key = (plain.life, hold_id)
        # What a fork has inherited, it has not spent; but what it has itself keeps no room.
        is_stored = (plain.seq_of(hold_id) or 0) > plain.inherited
        placing = (
            self._expired(plain, hold_id, tokens, requests) if expires else self._held(plain, hold_id, tokens, requests)
        )
        expires_at = budgets.now + (-5_000 if expires else EXPIRES)
        hold = PlainHold(plain.life, hold_id, tokens, requests, budgets.now, expires_at, is_expired=expires)
        if key in budgets.holds:
            assert self.run(placing) == self.placed[key]
        elif not budgets.on(plain.life):
            assert self.run(placing) is None
        elif (refusal := budgets.refusal_of_hold(hold)) is not None:
            is_undecided = refusal.reason == "unknown"
            error = self.refused(InvalidSessionOperation if is_undecided else BudgetExceeded, placing)
            if not is_undecided:
                self._compare_refusal(refusal, error)
                if not expires:
                    self.tell_crossings(plain)
            return
        else:
            found = self.run(placing)
            assert found is not None
            budgets.place(hold)
            self.placed[key] = found
            if is_stored:
                budgets.settle(plain.life, [hold_id])
        if not expires:
            self.tell_crossings(plain)

    async def _held(self, plain: PlainSession, id: str, tokens: int | None, requests: int) -> PlacedHold | None:
        placed = await self.store.place_hold(plain.id, id=id, tokens=tokens, requests=requests)
        return placed._replace(expires_at=0, is_near_crossing=False) if placed.is_held else None

    async def _expired(self, plain: PlainSession, id: str, tokens: int | None, requests: int) -> PlacedHold | None:
        """SessionPath a hold whose time was over a while ago; there is no verb for that."""
        step = PlaceHold(id, Some(None, tokens, requests), -5_000)
        hold = (await self.store._done(self.store._target(plain.id), step)).hold
        if hold is None:
            return None
        return PlacedHold(id, True, hold.made_at, 0, None, hold.asked.tokens, False, plain.id, hold.creation_id)

    def _compare_refusal(self, refusal: Refusal, error: BudgetExceeded) -> None:
        budgets = self.model.budgets
        budget = budgets.budgets[refusal.budget]
        axis = AXES.index(refusal.axis)
        assert (error.budget_session_id, error.budget_id) == (self.id_of(budget.life), budget.id)
        assert (error.axis, error.reason, error.limit) == (refusal.axis, refusal.reason, budget.limits[axis])
        standing = (budgets.spent(budget)[axis], *budgets.standing(budget, axis))
        assert (error.spent, error.held, error.estimated) == standing
        assert {*error.holds} == {name for name, _, _ in budgets.holds_of(budget)}

    def _move_hold(self, data: st.DataObject) -> None:
        """Say that a request went out, let the time begin anew, or give the hold back; each may be said twice."""
        hold, how = self.living_hold(data), data.draw(st.sampled_from(["charge", "charge", "renew", "release"]))
        if hold is None:
            return
        session_id = self.id_of(hold.life)
        for _ in range(2):
            if how == "charge":
                self.run(self.store.charge_hold(session_id, hold.id))
                hold.is_charged = True
            elif how == "renew":
                self.run(self.store.renew_hold(session_id, hold.id))
                if not hold.is_charged:
                    hold.expires_at = max(hold.expires_at, self.model.budgets.now + EXPIRES)
                    hold.is_expired = False
            else:
                self.run(self.store.release_hold(session_id, hold.id))
                self.model.budgets.holds.pop(hold.key, None)

    def _settle(self, data: st.DataObject) -> None:
        """The commit of a usage ends its hold, whatever that was; one that is stored already changes nothing."""
        hold, spent = self.living_hold(data), data.draw(st.integers(0, 6))
        given = data.draw(st.none() | st.sampled_from(["e0", "e3", "e5", "e7"]))
        if hold is None:
            return
        plain = self.model.sessions[self.id_of(hold.life)]
        event_id = hold.id if given is None else given
        event = self.event_with(event_id, spent)
        is_new = plain.seq_of(event_id) is None
        settling = self._settled(plain, self.placed[hold.key], event)
        if plain.refuses_content([(event_id, "said", spent)]):
            self.refused(InvalidEvent, settling)
            return
        self.run(settling)
        self.model.append(plain.id, made_at=hold.made_at, events=[(event_id, "said", spent)])
        if is_new:
            self.model.budgets.settle(plain.life, [hold.id])

    def event_with(self, event_id: str, spent: int) -> SessionEvent[Any]:
        raise NotImplementedError

    async def _settled(self, plain: PlainSession, placed: PlacedHold, event: SessionEvent[Any]) -> None:
        handle = await self.store.get(plain.id, last=0)
        assert handle is not None
        await self.store.settling(placed).append(handle, event)

    def _void(self, data: st.DataObject) -> None:
        """What is estimated is voided by its session, or by one above it; what is open is not."""
        budgets = self.model.budgets
        plain = self.model.sessions[self.known_id(data)]
        hold_id = data.draw(st.sampled_from(sorted(key[1] for key in budgets.holds)))
        found = [
            hold for hold in budgets.holds.values() if hold.id == hold_id and plain.life in budgets.path(hold.life)
        ]
        own = [each for each in found if each.life == plain.life] or found
        voiding = self.store.void_hold(plain.id, hold_id, reason="the bill says so")
        if len(own) != 1 or not own[0].is_estimated:
            self.refused(InvalidSessionOperation, voiding)
            return
        self.run(voiding)
        del budgets.holds[own[0].key]
        told = self.run(self.store.events(plain.id, type="budget"))[-1]
        assert (told.message["voided"], told.message["reason"]) == (hold_id, "the bill says so")
        self.model.append(plain.id, events=[(told.id, told.message, 0)])
        if self.drives_clock:  # the next hold of this id is another one, made at another moment
            self.time += timedelta(milliseconds=1)
            self.model.budgets.set_time(self.millis())

    def _note_crossings(self, data: st.DataObject) -> None:
        plain = self.model.sessions[self.known_id(data)]
        self.run(self.store.note_crossings(plain.id))
        self.tell_crossings(plain)

    def tell_crossings(self, plain: PlainSession) -> None:
        """Each is told once for each setting, by the first verb that finds it."""
        for budget, percentage, axis in list(self.model.budgets.crossings(plain.life)):
            session = self.model.sessions[self.id_of(budget.life)]
            begin = "" if budget.window is None else f"{budget.window.begin_at(self.model.budgets.now)}:"
            event_id = f"budget:{budget.id}:{budget.setting}:{begin}{percentage}"
            limit, spent = budget.limits[axis], self.model.budgets.spent(budget)[axis]
            message = {
                "budget": budget.id,
                "crossed": percentage,
                "axis": AXES[axis],
                "limit": str(limit) if axis == 0 else limit,
                "spent": str(spent) if axis == 0 else spent,
            }
            if session.seq_of(event_id) is None:
                self.model.append(session.id, events=[(event_id, message, 0)])

    @invariant()
    def budgets_stand_as_the_model_says(self) -> None:
        limited = {self.model.budgets.path(key[0])[0] for key in self.model.budgets.budgets}
        for plain in self.model.sessions.values():
            if self.model.budgets.path(plain.life)[0] in limited:
                shown = self.run(self.store.budgets(plain.id))
                budgets = self.model.budgets.on(plain.life)
                assert [(each.session_id, each.id) for each in shown] == [
                    (self.id_of(each.life), each.id) for each in budgets
                ]
                for status, budget in zip(shown, budgets, strict=True):
                    self._compare_status(status, budget)

    def _compare_status(self, status: BudgetStatus, budget: PlainBudget) -> None:
        budgets = self.model.budgets
        spent = budgets.spent(budget)
        standing = [budgets.standing(budget, axis) for axis in range(3)]
        held, estimated = [each.held for each in standing], [each.estimated for each in standing]
        left = [
            None if limit is None else max(limit - used - sum(more), 0)
            for limit, used, more in zip(budget.limits, spent, standing, strict=True)
        ]
        assert (status.mode, status.is_grant) == ("hard" if budget.is_hard else "warn", budget.is_grant)
        assert status.limit == BudgetAmounts(*budget.limits)  # type: ignore[arg-type]  # whole dollars equal their Decimal
        assert [*status.spent] == [*spent]
        assert [[*status.held], [*status.estimated]] == [held, estimated]
        assert [*status.remaining] == left
        holds = {(each.id, each.session_id, each.is_estimated) for each in status.holds.values()}
        names = {life: self.model.budgets.names[life] for _, life, _ in budgets.holds_of(budget)}
        assert holds == {(name, names[life], is_over) for name, life, is_over in budgets.holds_of(budget)}

    def id_of(self, life: int) -> str:
        return self.model.budgets.names[life]

    def known_budget(self, data: st.DataObject) -> PlainBudget:
        found = self.model.budgets.budgets
        return found[data.draw(st.sampled_from(sorted(found)))]

    def living_hold(self, data: st.DataObject) -> PlainHold | None:
        """Draw a hold; of one whose session was deleted, nobody says anything."""
        lives = {plain.life for plain in self.model.sessions.values()}
        found = self.model.budgets.holds
        hold = found[data.draw(st.sampled_from(sorted(found)))]
        return hold if hold.life in lives else None
