"""Messages of any shape to those of one format, over the normal form; what that cannot hold is reported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, TypeAlias, get_args

from a2a_session_manager.context.arrangement import Arranged
from a2a_session_manager.context.findings import Finding
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import shown
from a2a_session_manager.shapes import openai_chat
from a2a_session_manager.shapes.normal_form import Call, Instruction, Message, Part, Result, Text, split, text_of
from a2a_session_manager.shapes.recognition import BY_NAME, read_message
from a2a_session_manager.shapes.shape import Losses, Shape

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

    def of(self, found: Arranged) -> Arranged:
        made = self._made
        for start, end in found.units():
            made.starts.append(len(made.messages))
            self._put(list(map(read_message, found.messages[start:end])), found.seqs[start:end])
        made.starts = [start for start in dict.fromkeys(made.starts) if start < len(made.messages)]
        made.findings = sorted([*found.findings, *made.findings], key=lambda each: each.seqs)
        if self._instructions:
            made.system = _system(self._instructions, self._shape)
        return made

    def _instruct(self, message: Message, seq: int) -> None:
        self._instructions.append(message)
        if any(not isinstance(part, Text | Instruction) for part in message.parts):
            self._lose(seq, ["what is no text in a system message"])

    def _put(self, messages: Sequence[Message], seqs: Sequence[int]) -> None:
        """Put messages that belong together behind the others."""
        if all(message.shape == self._shape.name for message in messages):
            for message, seq in zip(messages, seqs, strict=True):
                self._write(message, seq)
            return
        for message, seq in self._regrouped(_as_called(messages, self._shape), seqs):
            self._write(message, seq)

    def _regrouped(self, messages: Sequence[Message], seqs: Sequence[int]) -> Iterator[tuple[Message, int]]:
        """Yield messages that each speak in one role; those of one answer, or its results, as one if needed."""
        pieces = [(piece, seq) for message, seq in zip(messages, seqs, strict=True) for piece in split(message)]
        before: tuple[Message, int] | None = None
        for piece, seq in pieces:
            if before is not None and self._belong_together(before[0], piece):
                before = before[0]._replace(parts=(*before[0].parts, *piece.parts), raw=None), before[1]
                continue
            if before is not None:
                yield before
            before = piece, seq
        if before is not None:
            yield before

    def _belong_together(self, one: Message, other: Message) -> bool:
        if one.role != other.role:
            return False
        if one.role == "tool":
            return self._shape.joins_results
        shape = BY_NAME.get(one.shape)
        return one.role == "assistant" and shape is not None and shape.splits_answers and not self._shape.splits_answers

    def _write(self, message: Message, seq: int) -> None:
        shape, made = self._shape, self._made
        if message.role == "system" and shape.has_system_apart:
            if not made.messages:
                self._instruct(message, seq)
                return
            self._lose(seq, ["the system's role inside of a conversation"])
            text = f"<system>{text_of(message.parts)}</system>"
            message = Message("user", (Text(text),))
        losses: Losses = []
        if message.shape == openai_chat.NAME and shape.is_mine(message.raw or {}) and message.role != "tool":
            written = [message.raw]
        else:
            written = [shape.as_input(each) for each in shape.write(message, losses)]
        self._lose(seq, losses)
        made.messages += written
        made.seqs += [seq] * len(written)

    def _lose(self, seq: int, losses: Losses) -> None:
        if losses:
            text = f"event {seq} holds what {self._shape.name} cannot: {', '.join(dict.fromkeys(losses))}"
            self._made.findings.append(Finding("not_converted", (seq,), text))


def _as_called(messages: Sequence[Message], shape: Shape) -> list[Message]:
    """Return the messages of an exchange, with what only the call says in its result too: the kind, and the name."""
    calls = {part.id: part for message in messages for part in message.parts if isinstance(part, Call)}

    def completed(part: Part) -> Part:
        call = calls.get(part.call_id) if isinstance(part, Result) and part.call_id else None
        if call is None or not isinstance(part, Result):
            return part
        name = part.name or call.name if shape.names_results else part.name
        return part._replace(kind=part.kind or call.kind, name=name)

    return [
        message._replace(parts=tuple(map(completed, message.parts)))
        if any(isinstance(part, Result) for part in message.parts)
        else message
        for message in messages
    ]


def _system(instructions: Sequence[Message], shape: Shape) -> Any:
    """Return what goes beside the messages: a text, or the stored parts where they are the format's own."""
    own = [part.raw for each in instructions for part in each.parts if isinstance(part.raw, dict)]
    if shape.name == "anthropic" and any(set(raw) - {"type", "text"} for raw in own):
        return [
            part.raw if isinstance(part.raw, dict) else {"type": "text", "text": part.text}
            for each in instructions
            for part in each.parts
            if isinstance(part, Text | Instruction)
        ]
    return "\n\n".join(text_of(each.parts) for each in instructions)
