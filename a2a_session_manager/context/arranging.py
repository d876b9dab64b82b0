"""Putting messages in an order that a model takes: each call with its results after it, and nothing empty."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import chain, groupby
from typing import NamedTuple

from a2a_session_manager.context.arrangement import Arranged, interrupted, joined
from a2a_session_manager.context.known_calls import has_calls, named
from a2a_session_manager.context.matching import Answer, Matching, Said
from a2a_session_manager.shapes.normal_form import Call, Message, Part, Reasoning, Result, Text
from a2a_session_manager.shapes.recognition import BY_NAME
from a2a_session_manager.shapes.shape import Shape


def arranged(
    said: Said, *, format: str | None = None, has_earlier: bool = False, is_compacted: bool = False
) -> Arranged:
    """Return the messages in an order that a model takes, and what was done for it.

    `format` names what they are to be converted to, None for nothing: what their own format demands matters only then.
    With `has_earlier`, there are earlier messages that are not among these: a result without its call may answer one of
    them, and is left out without a finding. With `is_compacted`, a summary stands for some of them.
    """
    matching = Matching(said, has_earlier=has_earlier)
    if matching.is_in_place:
        return _in_place(said, matching, is_as_stored=format is None)
    matching.finish()
    if not has_earlier:
        why = "a summary stands for, or nobody made" if is_compacted else "was not made"
        for index, result in matching.orphans:
            name = repr(result.call_id or result.name)
            matching.find("orphan_result", f"answers the call {name}, which {why}, and is left out", index)
    for call in matching.open_calls():
        matching.find("closed_call", f"makes the call {named(call.call)}, which has no result", call.at)
        matching.answers[call.at].append(Answer(call.at, interrupted(call.call, matching.read[call.at].shape)))
    return _Arranging(matching, format).done()


def _in_place(said: Said, matching: Matching, *, is_as_stored: bool) -> Arranged:
    starts = [index for index, message in enumerate(said.messages) if message["role"] != "tool"]
    messages = list(said.messages) if is_as_stored else list(map(matching.apart.of, said.messages))
    return Arranged(messages, list(said.seqs), starts, log_seqs=said.seqs, is_doubtful=matching.is_doubtful)


class _Piece(NamedTuple):
    """A message in its place; None stands for one that is given as it is stored. `at` are the indexes it comes from."""

    message: Message | None
    at: tuple[int, ...]
    is_start: bool
    is_joined: bool = False


class _Pending(NamedTuple):
    """What answers the calls of the message at an index, to go after the whole answer that this is a part of."""

    call_at: int
    answer: Answer

    @property
    def is_interruption(self) -> bool:
        """Whether it was made here, for a result that never came."""
        return self.answer.at == self.call_at

    @property
    def says_more(self) -> bool:
        """Whether the user speaks after the results: nobody may, before they are all there."""
        return self.answer.message.role != "tool"


class _Arranging:
    def __init__(self, matching: Matching, format: str | None) -> None:
        self._matching = matching
        self._format = format
        self._said = matching.said
        self._unfinished = {each.at for each in matching.waiting_calls()}
        self._pieces: list[_Piece] = []
        self._pending: list[_Pending] = []  # to the calls of an answer that may go on
        self._thoughts: dict[str | None, list[_Piece]] = {}  # that nothing follows yet, by their run
        self._end = -1  # the index of the last message of that answer

    def done(self) -> Arranged:
        matching = self._matching
        found = Arranged(log_seqs=self._said.seqs, is_doubtful=matching.is_doubtful)
        for before, index in zip(chain((None,), matching.order), matching.order, strict=False):
            self._put(before, index)
        self._end_answer()
        waiting = [thought for some in self._thoughts.values() for thought in some]
        self._leave_out(waiting)
        found.waiting = {self._said.seqs[at] for thought in waiting for at in thought.at}
        for piece in self._pieces:
            self._write(found, piece)
        found.findings = sorted(matching.findings, key=lambda each: each.seqs)
        return found

    def _put(self, before: int | None, index: int) -> None:
        matching = self._matching
        message, answers = matching.read.get(index), matching.answers.get(index, ())
        at: tuple[int, ...] = (index,)
        if message is not None and answers and _holds_results(message):
            at = tuple(dict.fromkeys((index, *(each.at for each in answers))))
            message, answers = _with_results(message, answers)
        is_start = not self._goes_on(before, index)
        if is_start:
            self._end_answer()
            is_start = not self._put_thoughts(index)
        self._add(message, at, is_start=is_start and not matching.follows(index))
        self._end = index
        self._pending += (_Pending(index, each) for each in answers)

    def _goes_on(self, before: int | None, index: int) -> bool:
        """Tell whether a message is part of the answer that the one before belongs to, as each call item is."""
        if before is None:
            return False
        one, other = self._matching.read.get(before), self._matching.read.get(index)
        if one is None or other is None or one.shape != other.shape or not one.role == other.role == "assistant":
            return False
        shape = BY_NAME.get(one.shape)
        is_same_run = self._said.run_ids[before] == self._said.run_ids[index]
        is_answer = shape is not None and shape.splits_answers and is_same_run and index == before + 1
        # What a model says after its calls, it says when they are answered.
        return is_answer and (not self._pending or all(isinstance(part, Call) for part in other.parts))

    def _put_thoughts(self, index: int) -> bool:
        """Put before the model's message at `index` what was thought in its run; tell whether there was anything."""
        thoughts = self._thoughts.pop(self._said.run_ids[index], [])
        message = self._matching.read.get(index)
        shape = None if message is None or message.role != "assistant" else message.shape
        own = [each for each in thoughts if each.message is not None and each.message.shape == shape]
        for number, thought in enumerate(own):
            self._pieces.append(thought._replace(is_start=number == 0))
            if self._matching.order[bisect_right(self._matching.order, thought.at[0])] != index:
                self._matching.find("moved_thought", "goes before the answer that it led to", *thought.at)
        self._leave_out([each for each in thoughts if each not in own])
        return bool(own)

    def _leave_out(self, thoughts: Sequence[_Piece]) -> None:
        for thought in thoughts:
            self._matching.find("empty_message", "is a thought that no answer follows, and is left out", *thought.at)

    def _end_answer(self) -> None:
        """Put the results of an answer's calls after it; thoughts that lead to nothing yet wait for what they do."""
        pieces = self._pieces
        while pieces and not self._pending and _is_thought(pieces[-1].message):
            thought = pieces.pop()
            self._thoughts.setdefault(self._said.run_ids[thought.at[0]], []).insert(0, thought)
        # In the order in which they came, and after them what stands for those that did not.
        pending = sorted(self._pending, key=lambda each: (each.says_more, each.is_interruption, each.answer.at))
        self._pending = []
        self._report_moved(pending)
        for name, some in groupby(pending, key=lambda each: each.answer.message.shape):
            self._add_answers(list(some), BY_NAME.get(name))

    def _add_answers(self, answers: Sequence[_Pending], shape: Shape | None) -> None:
        if len(answers) < 2 or shape is None or not shape.joins_results or not self._is_demanded_by(shape):
            for each in answers:
                self._add(each.answer.message, (each.answer.at,), is_start=False)
            return
        at = tuple(each.answer.at for each in answers if not each.is_interruption)
        if len(at) > 1:
            self._matching.find("joined_results", "holds the results of other messages, too", *at)
        self._add(joined([each.answer.message for each in answers]), at or (answers[0].call_at,), is_start=False)

    def _report_moved(self, pending: Sequence[_Pending]) -> None:
        order = self._matching.order
        after = bisect_right(order, self._end)
        for call_at, answer in pending:
            if after < len(order) and order[after] < answer.at:
                where = f"goes after its call in the event {self._said.seqs[call_at]}"
                self._matching.find("moved_result", where, answer.at)

    def _add(self, message: Message | None, at: tuple[int, ...], *, is_start: bool) -> None:
        """Put a message after the others, and into the one before where two of a role must not follow each other."""
        is_joined = False
        while message is not None and self._pieces:
            before = self._pieces[-1]
            if before.message is None or not self._must_be_one(before.message, message):
                break
            self._pieces.pop()
            message, at = joined([before.message, message]), (*before.at, *at)
            is_start, is_joined = before.is_start, True
        self._pieces.append(_Piece(message, at, is_start, is_joined))

    def _must_be_one(self, one: Message, other: Message) -> bool:
        """Tell whether their format demands that two messages in a row are one."""
        shape = BY_NAME.get(other.shape)
        if shape is None or one.shape != other.shape or not self._is_demanded_by(shape):
            return False
        if (one.role == "assistant") != (other.role == "assistant"):
            return False
        return shape.alternates or (shape.joins_answers and other.role == "assistant" and has_calls(other))

    def _is_demanded_by(self, shape: Shape) -> bool:
        return self._format in (None, shape.name)

    def _write(self, found: Arranged, piece: _Piece) -> None:
        message, at = piece.message, piece.at[0]
        seq, raw = self._said.seqs[at], self._said.messages[at]
        shape = None if message is None else BY_NAME.get(message.shape)
        if message is None or shape is None:
            self._begin(found, piece)
            found.add([raw if self._format is None else self._matching.apart.of(raw)], seq)
            return
        if (ordered := self._with_results_first(message, shape)) is not message:
            self._matching.find("moved_result", "goes before what its message says beside it", *piece.at)
            message = ordered
        if shape.refuses_blank_text and (clean := _without_blank_texts(message)) is not message:
            self._matching.find("empty_part", "has parts that say nothing, which are left out", *piece.at)
            message = clean
        written = shape.write(message, [])
        if not written:
            self._matching.find("empty_message", "says nothing but what is left out of it", *piece.at)
            return
        self._begin(found, piece)
        if written[0] is message.raw:
            found.shapes[id(message.raw)] = message.shape
        found.add(written, seq, tuple(self._said.seqs[each] for each in piece.at[1:]))
        if piece.is_joined:
            self._matching.find("joined_messages", "holds what the next message of the role says", *piece.at)

    def _begin(self, found: Arranged, piece: _Piece) -> None:
        if piece.is_start:
            found.starts.append(len(found.messages))
        if not self._unfinished.isdisjoint(piece.at):
            found.unfinished.add(len(found.starts) - 1)

    def _with_results_first(self, message: Message, shape: Shape) -> Message:
        """Return a message with its results before all else that it says, if its format demands it."""
        if not shape.joins_results or message.role == "assistant" or not self._is_demanded_by(shape):
            return message
        parts = tuple(sorted(message.parts, key=lambda part: not isinstance(part, Result)))
        is_same = all(one is other for one, other in zip(parts, message.parts, strict=True))
        return message if is_same else message._replace(parts=parts)


def _holds_results(message: Message) -> bool:
    shape = BY_NAME.get(message.shape)
    return shape is not None and shape.holds_results


def _with_results(message: Message, answers: Sequence[Answer]) -> tuple[Message, list[Answer]]:
    """Return a message with the results after their calls, and what is said beside them."""
    parts, rest = list(message.parts), []
    for answer in answers:
        for result in (part for part in answer.message.parts if isinstance(part, Result)):
            at, call = _call_of(result, parts)
            parts.insert(at + 1, result._replace(call_id=call.id))
        others = tuple(part for part in answer.message.parts if not isinstance(part, Result))
        if others:
            rest.append(Answer(answer.at, answer.message._replace(role="user", parts=others)))
    return message._replace(parts=tuple(parts)), rest


def _call_of(result: Result, parts: Sequence[Part]) -> tuple[int, Call]:
    """Return the call that a result answers, and its index: if possible, one that has no result after it."""
    calls = [(at, part) for at, part in enumerate(parts) if isinstance(part, Call) and _answers(result, part)]
    answered = {at for at, after in enumerate(parts[1:]) if isinstance(after, Result)}
    return next((each for each in calls if each[0] not in answered), calls[0])


def _answers(result: Result, call: Call) -> bool:
    """Tell whether a result is of a call: by the id, or by the tool's name where one of them has no id."""
    if result.call_id is not None and call.id is not None:
        return result.call_id == call.id
    if result.call_id is None:
        return call.name == (result.name or "")  # a call may have neither
    return call.name in (result.call_id, result.name)


def _is_thought(message: Message | None) -> bool:
    return message is not None and bool(message.parts) and all(isinstance(part, Reasoning) for part in message.parts)


def _without_blank_texts(message: Message) -> Message:
    """Return a message without its blank parts; a text that is its whole content is none of them."""
    kept = tuple(
        part for part in message.parts if not isinstance(part, Text) or part.text.strip() or type(part.raw) is str
    )
    return message if len(kept) == len(message.parts) else message._replace(parts=kept)
