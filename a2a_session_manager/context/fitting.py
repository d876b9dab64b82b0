"""Which messages fit a budget of tokens, without I/O: the instructions, then whole turns, newest first."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import inf
from typing import Any, NamedTuple

from a2a_session_manager.context.arrangement import Arranged
from a2a_session_manager.context.findings import Finding
from a2a_session_manager.context.known_calls import has_calls
from a2a_session_manager.shapes.normal_form import Result
from a2a_session_manager.shapes.recognition import is_plain, read_message, role_of
from a2a_session_manager.tokens.chat import TOKENS_FOR_REPLY, PromptCounter, count_message, count_turn
from a2a_session_manager.tokens.token_count import TokenCount

Unit = tuple[int, int]


class Fit(NamedTuple):
    """What fits of arranged messages, and what it takes. `is_full` when there was something older that did not fit.

    `lacking` says why nothing fits; `is_sure` is false when what is not among the messages may change that.
    """

    found: Arranged
    token_count: TokenCount
    is_full: bool
    is_sure: bool
    lacking: str | None = None


def fitted(
    found: Arranged,
    max_tokens: int | None,
    counter: PromptCounter,
    *,
    has_earlier: bool,
    front: Collection[int] = (),
) -> Fit:
    """Return what of `found` fits into `max_tokens`, None for all of it.

    With `has_earlier`, there are earlier messages between what is at the start and the others. That is the
    instructions, and the messages of the events whose seqs are in `front`, as those of a summary.
    """
    return _Fitting(found, max_tokens, counter, has_earlier, front).done()


def begins_turn(found: Arranged, unit: Unit) -> bool:
    """Tell whether the user speaks in a unit, and a conversation may begin with it."""
    return is_users(found.messages[unit[0]])


def is_users(message: Any) -> bool:
    """Tell whether the user speaks in a message, which may begin a conversation."""
    named = message.get("role")
    if named == "assistant":  # as most are
        return False
    if named == "user" and is_plain(message):
        return True
    return role_of(message) == "user" and not any(isinstance(part, Result) for part in read_message(message).parts)


def find_left_out_words(found: Arranged, units: Sequence[Unit]) -> None:
    """Name what the user says after the results of calls, in units that are left out: the turn is not begun by it."""
    at = [index for first, end in units for index in range(first + 1, end) if _says_more(found.messages[index])]
    if at:
        seqs = tuple(found.events_at(at))
        text = f"event {seqs[-1]} is left out with what the user says beside results"
        found.findings.append(Finding("left_out_words", seqs, text))


def _says_more(message: Any) -> bool:
    """Tell whether the user says more in a message than tools' results."""
    if message.get("role") in ("tool", "assistant"):  # as most are
        return False
    read = read_message(message)
    return read.role == "user" and any(not isinstance(part, Result) for part in read.parts)


class _Fitting:
    def __init__(
        self,
        found: Arranged,
        max_tokens: int | None,
        counter: PromptCounter,
        has_earlier: bool,
        front: Collection[int],
    ) -> None:
        self._found = found
        self._front = front
        self._max_tokens = max_tokens
        self._counter = counter
        self._has_earlier = has_earlier
        self._is_exact = True
        self._total = TOKENS_FOR_REPLY
        self._is_settled = True

    def done(self) -> Fit:
        found = self._found
        units = found.units()
        head = self._head(units)
        self._is_settled = not self._has_earlier or (self._are_answered(head) and not found.is_doubtful)
        if found.system is not None:
            self._take(*count_message({"role": "system", "content": found.system}, self._counter))
        for unit in head:
            self._take(*self._cost(unit))
        heading = self._total
        starts = self._starts_of_turns(units, len(head))
        is_full, end = False, len(units)  # what stands from `end` on fits
        for start in reversed(starts):
            is_full = not self._fit_part(units[start][0], units[end - 1][1])
            if is_full:
                break
            end = start
        if end == len(units) > len(head):
            newest = starts[-1] if starts else len(head)
            return self._shortened(head, units[newest:], heading)
        lacking = self._lack(heading, 0) if end == len(units) else None
        return self._fit(head, units[end:], is_full=is_full, lacking=lacking)

    def _head(self, units: list[Unit]) -> list[Unit]:
        end = 0
        while end < len(units) and self._is_at_front(units[end][0]):
            end += 1
        return units[:end]

    def _are_answered(self, head: list[Unit]) -> bool:
        """Tell whether calls at the front are answered there: else what is not looked at may hold their results."""
        calling = [number for number, unit in enumerate(head) if has_calls(read_message(self._found.messages[unit[0]]))]
        seqs = self._found.events_at(index for number in calling for index in range(*head[number]))
        return self._found.unfinished.isdisjoint(calling) and all(seq in self._front for seq in seqs)

    def _starts_of_turns(self, units: list[Unit], first: int) -> list[int]:
        """Return which units, from the `first` one on, a turn begins with: it ends where the next one begins."""
        starts = [number for number in range(first, len(units)) if begins_turn(self._found, units[number])]
        if self._has_earlier or starts[:1] == [first] or first == len(units):
            return starts
        return [first, *starts]  # what was said before the user spoke for the first time

    def _is_at_front(self, index: int) -> bool:
        return self._found.seqs[index] in self._front or role_of(self._found.messages[index]) == "system"

    def _fit_part(self, start: int, end: int) -> bool:
        """Take messages that stand side by side, if they fit."""
        most = inf if self._max_tokens is None else self._max_tokens - self._total
        tokens, is_exact = count_turn(self._found.messages[start:end], self._counter, most)
        if tokens > most:
            return False
        self._take(tokens, is_exact)
        return True

    def _take(self, tokens: int, is_exact: bool) -> None:
        self._total += tokens
        self._is_exact = self._is_exact and is_exact

    def _cost(self, unit: Unit) -> tuple[int, bool]:
        return count_turn(self._found.messages[slice(*unit)], self._counter)

    def _shortened(self, head: list[Unit], turn: list[Unit], heading: int) -> Fit:
        """Return what fits of the turn that is under way: what the user asks, and the newest done for it."""
        asked = turn[:1] if begins_turn(self._found, turn[0]) else []
        done = turn[len(asked) :]
        lacking = self._lack(heading, sum(self._cost(unit)[0] for unit in (*asked, *done[-1:])))
        if lacking is not None:
            return self._fit(head, is_full=True, lacking=lacking)
        for unit in asked:
            self._fit_part(*unit)
        kept: list[Unit] = []
        while done and self._fit_part(*done[-1]):
            kept.insert(0, done.pop())
        if done:
            self._note_shortened(done)
        return self._fit(head, asked, kept, is_full=True, is_sure=bool(asked) or not self._has_earlier)

    def _note_shortened(self, units: list[Unit]) -> None:
        seqs = tuple(self._found.events_at(index for unit in units for index in range(*unit)))
        text = f"the turn that is under way takes more than {self._max_tokens} tokens: its first exchanges are left out"
        self._found.findings.append(Finding("shortened_turn", seqs, text))
        find_left_out_words(self._found, units)

    def _fit(self, *parts: Sequence[Unit], is_full: bool, is_sure: bool = True, lacking: str | None = None) -> Fit:
        # Every message tells whether its count is exact; where there is none, a text does.
        is_exact = self._is_exact if self._total > TOKENS_FOR_REPLY else self._counter.text("")[1]
        token_count = TokenCount(self._total, "counted" if is_exact else "estimated", self._counter.encoding)
        found = self._found.only([(part[0][0], part[-1][1]) for part in parts if part])
        return Fit(found, token_count, is_full, is_sure and self._is_settled, lacking)

    def _lack(self, heading: int, turn: int) -> str | None:
        needed = heading + turn
        if self._max_tokens is None or needed <= self._max_tokens:
            return None
        newest = "" if not turn else f", what is asked for and the newest exchange {turn}"
        return (
            f"max_tokens={self._max_tokens} is too small: the system messages take {heading - TOKENS_FOR_REPLY} "
            f"tokens{newest}, the reply's beginning {TOKENS_FOR_REPLY}: allow {needed} or more"
        )
