"""Which part of a conversation a summary is to stand for: whole exchanges, but none that is not over."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from a2a_session_manager.context.arranging import arranged
from a2a_session_manager.context.compacted import hidden_digest
from a2a_session_manager.context.fitting import Unit, begins_turn
from a2a_session_manager.context.known_calls import has_calls
from a2a_session_manager.context.matching import Matching
from a2a_session_manager.context.prompt import said_in
from a2a_session_manager.models.event_message import MessageColumns
from a2a_session_manager.shapes.normal_form import Result
from a2a_session_manager.shapes.recognition import read_message, role_of
from a2a_session_manager.storage.ranges import merged
from a2a_session_manager.tokens.chat import PromptCounter, count_message


class Before(NamedTuple):
    """The compaction that counts so far: its range and pins, its messages, and how often it was made of another one."""

    first: int = 0
    last: int = 0
    pins: Sequence[tuple[int, int]] = ()
    messages: MessageColumns = MessageColumns()
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is asked of a compaction.

    Args:
        keep: the tokens of the newest turns that stay.
        budget: the tokens that may be summarised at a time; None for any.
        open_runs: the ids of the runs that have not ended: the newest exchange of each stays.
    """

    keep: int = 0
    budget: int | None = None
    open_runs: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Covering:
    """What a summary is to stand for.

    Args:
        first, last: the seqs that it goes from and to.
        pins: those of the visible events between them that stay, as ranges.
        hidden: the digest of what is hidden between them.
        events: how many messages it stands for.
        source: what is to be summarised.
        tokens: what these messages take in the view that they are replaced in.
        generation: 1 where the source is what was said, more where it is an earlier summary and what came since.
    """

    first: int
    last: int
    pins: tuple[tuple[int, int], ...]
    hidden: str
    events: int
    source: MessageColumns
    tokens: int
    generation: int


def covering(
    events: MessageColumns, visible: Sequence[int], before: Before, wishes: Wishes, counter: PromptCounter
) -> Covering | str:
    """Return what of a conversation a summary is to stand for, or why there is nothing to be gained.

    `events` are all that are visible, none of them covered, in the order of a view, `visible` their seqs, ascending.
    """
    return _Covering(events, visible, before, wishes, counter).done()


class _Covering:
    def __init__(
        self,
        events: MessageColumns,
        visible: Sequence[int],
        before: Before,
        wishes: Wishes,
        counter: PromptCounter,
    ) -> None:
        self._events = events
        self._visible = visible
        self._before = before
        self._wishes = wishes
        self._counter = counter
        self._said = said_in(events)
        self._found = arranged(self._said)
        self._units = [unit for unit in self._found.units() if role_of(self._found.messages[unit[0]]) != "system"]
        self._costs: dict[Unit, int] = {}
        self._shown = self._seqs_of(self._found.units())
        self._known = {seq for seq in self._shown if before.first <= seq <= before.last}
        self._known -= {seq for first, last in before.pins for seq in range(first, last + 1)}

    def done(self) -> Covering | str:
        kept = self._first_kept()
        end, is_further = kept, False
        if not self._fits(self._original(kept)):
            is_further = self._before.generation > 0
            end = self._last_fitting(kept, self._replaced if is_further else self._original)
        units = self._covered(end)
        if is_further and not self._known <= self._seqs_of(units):
            units = []
        if not any(map(self._is_new, units)):
            return self._refusal(is_cut=end < kept)
        found = self._covering(units, is_further=is_further)
        return found if found.last >= self._before.last else self._refusal(is_cut=end < kept)

    def _last_fitting(self, kept: int, tokens: Callable[[int], int]) -> int:
        """Return the last end up to which `tokens`, which grow with it, are within the budget."""
        return bisect_left(range(1, kept + 1), True, key=lambda end: not self._fits(tokens(end)))

    def _refusal(self, *, is_cut: bool) -> str:
        if is_cut:
            return (
                f"nothing can be summarised within budget={self._wishes.budget} that is not summarised already: allow "
                "more"
            )
        return "there is nothing left to gain: all that is over and not kept is summarised already"

    def _first_kept(self) -> int:
        """Return which unit is the first that stays: of the turns that fit, or of the newest one's exchanges."""
        units, left = self._units, self._wishes.keep
        end = len(units)
        while end and begins_turn(self._found, units[end - 1]):  # what the user asks and nobody has answered
            end -= 1
        kept = end
        for start in reversed([at for at in range(end) if begins_turn(self._found, units[at])]):
            cost = sum(map(self._cost, units[start:kept]))
            if cost > left:
                break
            left, kept = left - cost, start
        while kept == end and end and (cost := self._cost(units[end - 1])) <= left:
            left, end = left - cost, end - 1
            kept = end
        return kept

    def _covered(self, end: int) -> list[Unit]:
        """Return the units before the one at `end`, but for those that stay, and what shares an event with these."""
        pinned = self._open.union(self._asked(end)) if end else ()
        covered = [unit for unit in self._units[:end] if unit not in pinned]
        return self._apart_from(self._seqs_of(pinned) | self._seqs_of(self._units[end:]), covered)

    def _apart_from(self, kept: set[int], units: list[Unit]) -> list[Unit]:
        """Return those of some units that share no event with what stays: one may hold the results of two calls."""
        apart = [unit for unit in units if kept.isdisjoint(self._seqs(unit))]
        if len(apart) == len(units):
            return units
        return self._apart_from(kept.union(*(self._seqs(unit) for unit in units if unit not in apart)), apart)

    @cached_property
    def _open(self) -> set[Unit]:
        """The exchanges with an open call, and the newest one of each run that has not ended."""
        matching, seqs = Matching(self._said).finish(), self._said.seqs
        waiting = {seqs[each.at] for each in matching.open_calls()}
        runs = dict(zip(seqs, self._said.run_ids, strict=True))
        newest = {runs.get(seq): unit for unit in self._units for seq in self._seqs(unit)}
        found = {unit for run_id, unit in newest.items() if run_id in self._wishes.open_runs}
        return found | {unit for unit in self._units if not waiting.isdisjoint(self._seqs(unit))}

    def _asked(self, end: int) -> list[Unit]:
        """Return what the user asks at the start of the turn that goes on after `end`, or has no answer yet."""
        units = self._units
        is_cut = end < len(units) and not begins_turn(self._found, units[end])
        if not is_cut and not (end == len(units) and self._is_under_way(units[end - 1])):
            return []
        return next(([units[at]] for at in reversed(range(end)) if begins_turn(self._found, units[at])), [])

    def _is_under_way(self, unit: Unit) -> bool:
        """Tell whether the model has still to answer what stands last."""
        messages = [read_message(each) for each in self._found.messages[unit[0] : unit[1]]]
        return any(has_calls(each) or any(isinstance(part, Result) for part in each.parts) for each in messages)

    def _is_new(self, unit: Unit) -> bool:
        return not self._known.issuperset(self._seqs(unit))

    def _original(self, end: int) -> int:
        """Return the tokens of all that is covered before the unit at `end`."""
        return sum(map(self._cost, self._covered(end)))

    def _replaced(self, end: int) -> int:
        """Return the tokens of what a summary of that replaces in the view: the summary so far, and what is new."""
        new = filter(self._is_new, self._covered(end))
        return self._tokens(self._before.messages) + sum(map(self._cost, new))

    def _covering(self, units: list[Unit], *, is_further: bool) -> Covering:
        covered, new = self._seqs_of(units), [unit for unit in units if self._is_new(unit)]
        source, generation = MessageColumns(), 1
        if is_further:
            source, generation = self._before.messages[:], self._before.generation + 1
        given = self._seqs_of(new) if is_further else covered
        source.extend(self._events.where([seq in given for seq in self._events.seqs]))
        first, last = min(covered), max(covered)
        left = (self._shown | self._found.waiting) - covered
        pins = tuple(merged((seq, seq) for seq in left if first <= seq <= last))
        inside = self._visible[bisect_left(self._visible, first) : bisect_right(self._visible, last)]
        hidden = hidden_digest(first, last, inside)
        tokens = self._tokens(self._before.messages) + sum(map(self._cost, new))
        return Covering(first, last, pins, hidden, len(covered), source, tokens, generation)

    def _seqs_of(self, units: Iterable[Unit]) -> set[int]:
        return {seq for unit in units for seq in self._seqs(unit)}

    def _fits(self, tokens: int) -> bool:
        return self._wishes.budget is None or tokens <= self._wishes.budget

    def _seqs(self, unit: Unit) -> list[int]:
        return self._found.events_at(range(*unit))

    def _cost(self, unit: Unit) -> int:
        if unit not in self._costs:
            messages = self._found.messages[unit[0] : unit[1]]
            self._costs[unit] = sum(count_message(each, self._counter)[0] for each in messages)
        return self._costs[unit]

    def _tokens(self, messages: MessageColumns) -> int:
        return sum(count_message(each, self._counter)[0] for each in said_in(messages).messages)
