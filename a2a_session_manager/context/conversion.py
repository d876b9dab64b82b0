"""Messages of any shape to those of one format, over the normal form; what that cannot hold is reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, get_args

from a2a_session_manager.context.agreement import agreeing
from a2a_session_manager.context.arrangement import Arranged, joined
from a2a_session_manager.context.findings import Finding
from a2a_session_manager.context.known_calls import has_calls
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import shown
from a2a_session_manager.shapes import anthropic, gemini, openai_chat
from a2a_session_manager.shapes.litellm import with_plain_ids
from a2a_session_manager.shapes.normal_form import (
    Instruction,
    Message,
    Opaque,
    Result,
    Text,
    is_blank,
    split,
    text_of,
)
from a2a_session_manager.shapes.recognition import BY_NAME, is_plain, read_message
from a2a_session_manager.shapes.shape import Losses, RawMessage, Shape

MessageFormat: TypeAlias = Literal["openai", "anthropic", "gemini", "responses"]

FORMATS: Final[tuple[str, ...]] = get_args(MessageFormat)


def shape_of_format(name: str) -> Shape:
    """Return the shape that messages are converted to. Raises InvalidSessionOperation for an unknown format."""
    shape = BY_NAME.get(name) if name in FORMATS else None
    if shape is None:
        known = ", ".join(map(repr, FORMATS))
        raise InvalidSessionOperation(f"format={shown(name)} is unknown: take {known}, or None for messages as stored")
    return shape


def converted(found: Arranged, shape: Shape) -> Arranged:
    """Return arranged messages in the format of `shape`."""
    return _Conversion(shape).of(found)


class _Conversion:
    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._made = Arranged()
        self._instructions: list[Message] = []
        self._unwritten: list[int] = []  # the seqs of messages of which at least a part is not written

    def of(self, found: Arranged) -> Arranged:
        made = self._made
        made.log_seqs, made.is_doubtful = found.log_seqs, found.is_doubtful
        shapes = found.shapes
        for number, (start, end) in enumerate(found.units()):
            messages = [_read(each, shapes) for each in found.messages[start:end]]
            self._put(messages, found.seqs[start:end], found.joins[start:end], number in found.unfinished)
        made.findings = sorted([*found.findings, *made.findings], key=lambda each: each.seqs)
        if self._instructions:
            made.system = _system(self._instructions, self._shape)
        return made

    def _instruct(self, message: Message, seq: int) -> None:
        self._instructions.append(message)
        self._made.told.append(seq)
        self._lose(seq, _beside_texts(message))

    def _put(
        self, messages: Sequence[Message], seqs: Sequence[int], joins: Sequence[tuple[int, ...]], is_unfinished: bool
    ) -> None:
        """Put messages that belong together after the others."""
        made = self._made
        start, known = len(made.messages), len(made.findings)
        messages = [each if each.shape == self._shape.name else with_plain_ids(each) for each in messages]
        agreed = agreeing(messages, self._shape)
        for message, other, seq in zip(messages, agreed, seqs, strict=True):
            self._lose(seq, self._unread(message, other))
        for message, seq, joins_of in zip(agreed, seqs, joins, strict=True):
            for piece in [message] if message.shape == self._shape.name else split(message):
                self._write(piece, seq, joins_of, start)
        self._drop_what_says_nothing(start)
        if self._unwritten:
            self._name_what_is_gone(start, known)
        if len(made.messages) == start:
            return
        start = self._with_answer_before(start)
        made.starts = [*made.starts, start] if not made.starts or start > made.starts[-1] else made.starts
        if is_unfinished:
            made.unfinished.add(len(made.starts) - 1)

    def _unread(self, message: Message, agreed: Message) -> Losses:
        """Return what of a message no part gives to the format; of one of that format, if it is written anew."""
        if is_plain(message.raw):  # all of it is in its parts
            return []
        source = BY_NAME.get(message.shape)
        is_told_apart = message.role == "system" and self._shape.has_system_apart  # as a text
        if source is None or (source is self._shape and agreed is message and not is_told_apart):
            return []
        losses = source.unread(message.raw)
        has_own_parts = source in (self._shape, openai_chat.SHAPE) and not is_told_apart  # which come as they were
        if losses and has_own_parts:
            kept = Counter(name for each in self._shape.write(agreed, []) for name in source.unread(each))
            losses = list(Counter(losses) - kept)
        if source is self._shape:
            return losses
        if not self._shape.signs_calls and any(map(gemini.is_signed, message.parts)):
            losses = [*losses, "thought signature"]
        return losses

    def _write(self, message: Message, seq: int, joins: tuple[int, ...], start: int) -> None:
        """Write what one role says; into the message before, from `start` on, where the format demands it."""
        shape, made = self._shape, self._made
        if message.role == "system" and shape.has_system_apart:
            if not made.messages:
                self._instruct(message, seq)
                return
            self._lose(seq, ["the system's role inside of a conversation", *_beside_texts(message)])
            message = Message("user", (Text(f"<system>{text_of(message.parts)}</system>"),))
        losses: Losses = []
        if message.shape == openai_chat.NAME and shape.is_mine(message.raw or {}) and message.role != "tool":
            written = [shape.as_input(message.raw)]
            losses += (part.what for part in message.parts if isinstance(part, Opaque))
        else:
            written = [shape.as_input(each) for each in shape.write(message, losses)]
        self._lose(seq, losses)
        at = len(made.messages) - 1
        if not written:
            self._unwritten.append(seq)
        made.add(written, seq, joins)
        if written and at >= start and self._belong_together(shape.read(made.messages[at]), message):
            self._join(at)

    def _drop_what_says_nothing(self, start: int) -> None:
        """Leave out messages of the model from `start` on of which nothing could be converted."""
        made = self._made
        for at in reversed(range(start, len(made.messages))):
            if made.messages[at].get("role") == "user":
                continue
            written = self._shape.read(made.messages[at])
            if written.role == "assistant" and is_blank(written):
                self._unwritten.append(made.seqs[at])
                made.remove(at)

    def _name_what_is_gone(self, start: int, first: int) -> None:
        """Name messages of which nothing stands from `start` on, unless a finding from `first` on says what is lost."""
        made = self._made
        known = {seq for each in made.findings[first:] for seq in each.seqs}
        known.update(made.events_at(range(start, len(made.seqs))))
        for seq in dict.fromkeys(self._unwritten):
            if seq not in known:
                made.findings.append(Finding("empty_message", (seq,), f"event {seq} says nothing, and is left out"))
        self._unwritten = []

    def _belong_together(self, one: Message, other: Message) -> bool:
        if any(isinstance(part, Result) and not part.is_hosted for part in other.parts):
            is_results = any(isinstance(part, Result) and not part.is_hosted for part in one.parts)
            return self._shape.joins_results and is_results
        source = BY_NAME.get(other.shape)
        is_answer = one.role == other.role == "assistant"
        return is_answer and source is not None and source.splits_answers and not self._shape.splits_answers

    def _with_answer_before(self, start: int) -> int:
        """Put calls at `start` into what the model says before, if the format demands it, and return where that is."""
        made, read = self._made, self._shape.read
        if not self._shape.joins_answers or made.messages[start].get("role") == "user":
            return start
        first = read(made.messages[start])
        if first.role != "assistant" or not has_calls(first):
            return start
        while start and read(made.messages[start - 1]).role == "assistant":
            start -= 1
            seqs = tuple(made.seqs[start : start + 2])
            text = f"event {seqs[0]} holds what the next message of the role says"
            made.findings.append(Finding("joined_messages", seqs, text))
            self._join(start)
            while made.starts and made.starts[-1] > start:
                made.starts.pop()
        return start

    def _join(self, at: int) -> None:
        """Make one of the message at an index and the next one."""
        made = self._made
        one = joined([self._shape.read(each) for each in made.messages[at : at + 2]])
        made.joins[at] += (made.seqs[at + 1], *made.joins[at + 1])
        made.remove(at + 1)
        made.messages[at : at + 1] = self._shape.write(one, [])

    def _lose(self, seq: int, losses: Losses) -> None:
        if losses:
            text = f"event {seq} holds what {self._shape.name} cannot: {', '.join(dict.fromkeys(losses))}"
            self._made.findings.append(Finding("not_converted", (seq,), text))


def _read(message: RawMessage, shapes: Mapping[int, str]) -> Message:
    name = shapes.get(id(message))
    return read_message(message) if name is None else BY_NAME[name].read(message)


def _beside_texts(system: Message) -> Losses:
    is_all = all(isinstance(part, Text | Instruction) for part in system.parts)
    return [] if is_all else ["what is no text in a system message"]


def _system(instructions: Sequence[Message], shape: Shape) -> Any:
    """Return what goes beside the messages: a text, or the stored parts where they are the format's own."""
    parts = [part for each in instructions for part in each.parts if isinstance(part, Text | Instruction)]
    if shape.name == "anthropic" and any(map(anthropic.is_marked_text, parts)):
        return [
            part.raw if anthropic.is_marked_text(part) else {"type": "text", "text": part.text}
            for part in parts
            if part.text.strip()
        ]
    return "\n\n".join(text_of(each.parts) for each in instructions)
