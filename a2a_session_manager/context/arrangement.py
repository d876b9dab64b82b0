"""Arranged: messages in the order in which they may be given to a model, with what is known of each."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from a2a_session_manager.context.findings import INTERRUPTED, Finding
from a2a_session_manager.shapes.normal_form import Call, Message, Result, Text
from a2a_session_manager.shapes.shape import RawMessage


@dataclass(slots=True)
class Arranged:
    """Messages in an order that a model takes, with the seq of each one's event; one made here has that of its call.

    `starts` are the indexes at which something begins that belongs together: calls with their results, or a message by
    itself. `unfinished` says which of these, by their number, have calls whose results may still come. `system` is what
    goes beside the messages, in a format that has it there, and `told` the seqs of its events. `joins` has, for each
    message, the seqs of other events that it holds as well, and `log_seqs` those of all that was said. `waiting` has
    the seqs of thoughts that are left out until the answer comes that they lead to. `is_doubtful` says that messages
    which are not among these may change which call a result stands after. `shapes` has the names of the shapes of
    messages that were read already, by which object each is.
    """

    messages: list[RawMessage] = field(default_factory=list)
    seqs: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    unfinished: set[int] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)
    system: Any = None
    told: list[int] = field(default_factory=list)
    joins: list[tuple[int, ...]] = field(default_factory=list)
    log_seqs: Sequence[int] = ()
    waiting: set[int] = field(default_factory=set)
    is_doubtful: bool = False
    shapes: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.joins = self.joins or [()] * len(self.messages)

    def units(self) -> list[tuple[int, int]]:
        """Return where each thing that belongs together begins and ends."""
        return list(pairwise([*self.starts, len(self.messages)]))

    def only(self, parts: Iterable[tuple[int, int]]) -> Arranged:
        """Return those parts alone, each from an index to another one; the findings are those of all."""
        found = Arranged(findings=self.findings, system=self.system, told=self.told, log_seqs=self.log_seqs)
        found.is_doubtful, found.shapes = self.is_doubtful, self.shapes
        for first, end in parts:
            low, high = bisect_left(self.starts, first), bisect_left(self.starts, end)
            for number in self.unfinished:
                if low <= number < high:
                    found.unfinished.add(number - low + len(found.starts))
            ahead = first - len(found.messages)
            found.starts += [start - ahead for start in self.starts[low:high]]
            found.messages += self.messages[first:end]
            found.seqs += self.seqs[first:end]
            found.joins += self.joins[first:end]
        return found

    def events_at(self, indexes: Iterable[int]) -> list[int]:
        """Return the seqs of all events that the messages at some indexes hold."""
        return list(dict.fromkeys(seq for index in indexes for seq in (self.seqs[index], *self.joins[index])))

    def events(self) -> set[int]:
        """Return the seqs of all events that the messages hold, and of what goes beside them."""
        return set(self.seqs).union(self.told, *filter(None, self.joins))

    def add(self, messages: Sequence[RawMessage], seq: int, joined: tuple[int, ...] = ()) -> None:
        """Put messages after the others, which hold the event of `seq` and those that were joined with it."""
        self.messages += messages
        self.seqs += [seq] * len(messages)
        self.joins += [joined] * len(messages)

    def remove(self, at: int) -> None:
        """Leave out the message at an index."""
        del self.messages[at], self.seqs[at], self.joins[at]


def interrupted(call: Call, shape: str) -> Message:
    """Return the result that stands for one that never came, in the call's own shape."""
    made = Result(call.id, call.name or None, (Text(INTERRUPTED),), is_error=True, kind=call.kind)
    return Message("tool", (made,), shape)


def joined(messages: Sequence[Message]) -> Message:
    """Return one message that says what several of a shape do, results first."""
    parts = [part for message in messages for part in message.parts]
    results = [part for part in parts if isinstance(part, Result) and not part.is_hosted]
    others = [part for part in parts if not isinstance(part, Result) or part.is_hosted]
    role = messages[0].role
    if role != "assistant" and results:
        role = "user" if others else "tool"
    return messages[0]._replace(role=role, parts=(*results, *others), raw=None)
