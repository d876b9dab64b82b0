"""The order in which messages may be given to a model: each call with its results behind it, and nothing empty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import Any, NamedTuple

from a2a_session_manager.context.findings import INTERRUPTED, Finding
from a2a_session_manager.context.matching import Answer, Matching, OpenCall, Said, named
from a2a_session_manager.shapes.normal_form import Call, Message, Reasoning, Result, Text
from a2a_session_manager.shapes.recognition import BY_NAME
from a2a_session_manager.shapes.shape import RawMessage


@dataclass(slots=True)
class Arranged:
    """Messages in an order that a model takes, with the seq of each one's event; one made here has that of its call.

    `starts` are the indexes at which something begins that belongs together: calls with their results, or a message by
    itself. `made` are the indexes of messages that are not stored as they are here. `system` is what goes beside the
    messages, in a format that has it there.
    """

    messages: list[RawMessage] = field(default_factory=list)
    seqs: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    made: set[int] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)
    system: Any = None

    def units(self) -> list[tuple[int, int]]:
        """Return where each thing that belongs together begins and ends."""
        return list(pairwise([*self.starts, len(self.messages)]))

    def only(self, indexes: Sequence[int]) -> Arranged:
        """Return those messages alone; their findings are those of all."""
        first, last = (indexes[0], indexes[-1] + 1) if indexes else (0, 0)
        if last - first == len(indexes):  # they stand side by side, as they mostly do
            return Arranged(
                self.messages[first:last],
                self.seqs[first:last],
                [index - first for index in self.starts if first <= index < last],
                {index - first for index in self.made if first <= index < last},
                self.findings,
                self.system,
            )
        places = {index: place for place, index in enumerate(indexes)}
        return Arranged(
            [self.messages[index] for index in indexes],
            [self.seqs[index] for index in indexes],
            [places[index] for index in self.starts if index in places],
            {places[index] for index in self.made if index in places},
            self.findings,
            self.system,
        )

    def add(self, messages: Sequence[RawMessage], seq: int, *, is_made: bool = False) -> None:
        """Put messages behind the others."""
        if is_made:
            self.made.update(range(len(self.messages), len(self.messages) + len(messages)))
        self.messages += messages
        self.seqs += [seq] * len(messages)


def arranged(said: Said, *, has_earlier: bool = False) -> Arranged:
    """Return the messages in an order that a model takes, and what was done for it.

    With `has_earlier`, there are earlier messages that are not among these: a result without its call may answer one of
    them, and is left out without a finding.
    """
    matching = Matching(said)
    if not has_earlier:
        for index, result in matching.orphans:
            name = repr(result.call_id or result.name)
            matching.find("orphan_result", f"answers the call {name}, which was not made, and is left out", index)
    for call in matching.open_calls():
        matching.find("closed_call", f"makes the call {named(call.call)}, which has no result", call.at)
        _close(matching, call)
    return _Arranging(matching).done()


def interrupted(call: Call, shape: str) -> Message:
    """Return the result that stands for one that never came, in the call's own shape."""
    made = Result(call.id, call.name or None, (Text(INTERRUPTED),), is_error=True, kind=call.kind)
    return Message("tool", (made,), shape)


def _close(matching: Matching, call: OpenCall) -> None:
    message = matching.read[call.at]
    answer = interrupted(call.call, message.shape)
    shape = BY_NAME.get(message.shape)
    if shape is not None and shape.holds_results:
        matching.read[call.at] = message._replace(parts=(*message.parts, *answer.parts))
    else:
        matching.answers[call.at].append(Answer(call.at, answer))


class _Piece(NamedTuple):
    """A message in its place; None stands for one that is given as it is stored. `at` are the indexes it comes from."""

    message: Message | None
    at: tuple[int, ...]
    is_start: bool


class _Arranging:
    def __init__(self, matching: Matching) -> None:
        self._matching = matching
        self._said = matching.said
        self._pieces: list[_Piece] = []
        self._pending: list[Answer] = []  # to the calls of an answer that may go on

    def done(self) -> Arranged:
        matching, said, found = self._matching, self._said, Arranged()
        if not matching.read and len(matching.order) == len(said.messages):  # all are in their place
            found.messages, found.seqs = list(said.messages), list(said.seqs)
            found.starts = [index for index in matching.order if index not in matching.follows]
        else:
            for before, index in zip(chain((None,), matching.order), matching.order, strict=False):
                self._put(before, index)
            self._end_answer()
            for piece in self._pieces:
                self._write(found, piece)
        found.findings = sorted(matching.findings, key=lambda each: each.seqs)
        return found

    def _put(self, before: int | None, index: int) -> None:
        matching = self._matching
        message = matching.read.get(index)
        goes_on = self._goes_on(before, index)
        if not goes_on:
            self._end_answer()
        self._add(message, (index,), is_start=not goes_on and index not in matching.follows)
        if message is not None:
            self._pending += matching.answers.get(index, ())

    def _goes_on(self, before: int | None, index: int) -> bool:
        """Tell whether a message is part of the answer that the one before belongs to, as each call item is."""
        if before is None:
            return False
        one, other = self._matching.read.get(before), self._matching.read.get(index)
        if one is None or other is None or one.shape != other.shape or not one.role == other.role == "assistant":
            return False
        shape = BY_NAME.get(one.shape)
        is_same_run = self._said.run_ids[before] == self._said.run_ids[index]
        return shape is not None and shape.splits_answers and is_same_run and index == before + 1

    def _end_answer(self) -> None:
        """Put the results of an answer's calls behind it; thoughts that lead to nothing are left out."""
        pieces = self._pieces
        while pieces and not self._pending and _is_thought(pieces[-1].message):
            thought = pieces.pop()
            self._matching.find("empty_message", "is a thought that no answer follows, and is left out", *thought.at)
        pending, self._pending = self._pending, []
        shape = BY_NAME.get(pending[0].message.shape) if pending else None
        if shape is not None and shape.joins_results and len(pending) > 1:
            at = tuple(answer.at for answer in pending)
            self._matching.find("joined_results", "holds the results of other messages, too", *at)
            self._add(_joined([answer.message for answer in pending]), at, is_start=False)
            return
        for answer in pending:
            self._add(answer.message, (answer.at,), is_start=False)

    def _add(self, message: Message | None, at: tuple[int, ...], *, is_start: bool) -> None:
        """Put a message behind the others, and into the one before where two of a role must not follow each other."""
        before = self._pieces[-1] if self._pieces else None
        if before is not None and message is not None and before.message is not None:
            shape = BY_NAME.get(message.shape)
            is_same_role = (before.message.role == "assistant") == (message.role == "assistant")
            if shape is not None and shape.alternates and before.message.shape == message.shape and is_same_role:
                self._matching.find("joined_messages", "holds what the next message of the role says", *before.at, *at)
                self._pieces[-1] = _Piece(_joined([before.message, message]), (*before.at, *at), before.is_start)
                return
        self._pieces.append(_Piece(message, at, is_start))

    def _write(self, found: Arranged, piece: _Piece) -> None:
        message, at = piece.message, piece.at[0]
        seq, raw = self._said.seqs[at], self._said.messages[at]
        if piece.is_start:
            found.starts.append(len(found.messages))
        shape = None if message is None else BY_NAME.get(message.shape)
        if message is None or shape is None:
            found.add([raw], seq)
            return
        kept = _without_blank_texts(message) if shape.refuses_blank_text else message
        written = shape.write(kept, [])
        if kept is not message and message.raw is raw:
            self._matching.find("empty_part", "has parts that say nothing, which are left out", at)
        found.add(written, seq, is_made=written != [raw])


def _is_thought(message: Message | None) -> bool:
    return message is not None and bool(message.parts) and all(isinstance(part, Reasoning) for part in message.parts)


def _joined(messages: Sequence[Message]) -> Message:
    """Return one message that says what several of a shape do, results first."""
    parts = [part for message in messages for part in message.parts]
    results = [part for part in parts if isinstance(part, Result)]
    others = [part for part in parts if not isinstance(part, Result)]
    role = messages[0].role if others else "tool"
    if others and role == "tool":
        role = "user"
    return messages[0]._replace(role=role, parts=(*results, *others), raw=None)


def _without_blank_texts(message: Message) -> Message:
    kept = tuple(part for part in message.parts if not isinstance(part, Text) or part.text.strip())
    return message if len(kept) == len(message.parts) else message._replace(parts=kept)
