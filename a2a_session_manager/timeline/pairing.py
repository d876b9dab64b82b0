"""Which result answers which call, for a card that shows both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from a2a_session_manager.context.matching import Matching
from a2a_session_manager.context.prompt import said_in
from a2a_session_manager.models.event_message import MessageColumns, message_of
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.shapes.normal_form import Call, Message, Result
from a2a_session_manager.shapes.recognition import read_message


class PartPlace(NamedTuple):
    """A part of a message: the seq of its event, and its place among the parts."""

    seq: int
    part: int


Answers: TypeAlias = dict[PartPlace, PartPlace]
_Calls: TypeAlias = list[tuple[int, Call]]


def answers_in(events: Sequence[SessionEvent[Any]]) -> Answers:
    """Return where the calls are that results answer, by the results' places.

    Retracted events answer each other: what is visible is matched as a model is given it.
    """
    visible = _answers([event for event in events if not event.retracted])
    return {**_answers([event for event in events if event.retracted]), **visible}


def _answers(events: Sequence[SessionEvent[Any]]) -> Answers:
    if not events:
        return {}
    said = said_in(MessageColumns.of(map(message_of, events)))
    matching = Matching(said).finish()
    joined = _Joined({}, set())
    asked: tuple[int, _Calls] = 0, []
    for index in matching.order:
        message = matching.read.get(index) or read_message(said.messages[index])
        if matching.follows(index):
            joined.join(*asked, said.seqs[index], message)
            continue
        asked = said.seqs[index], [(at, part) for at, part in enumerate(message.parts) if isinstance(part, Call)]
        joined.join(*asked, *asked[:1], message)  # as hosted tools have it
        for answer in matching.answers.get(index, ()):
            joined.join(*asked, said.seqs[answer.at], read_message(said.messages[answer.at]))
    return joined.answers


class _Joined(NamedTuple):
    """The answers found so far, and the calls that have one."""

    answers: Answers
    taken: set[PartPlace]

    def join(self, asked: int, calls: _Calls, answered: int, message: Message) -> None:
        """Join the results in a message to those calls of the event `asked` that they answer."""
        for at, part in enumerate(message.parts):
            place = PartPlace(answered, at)
            if not isinstance(part, Result) or place in self.answers:
                continue
            fitting = [PartPlace(asked, each) for each, call in calls if _fits(call, part)]
            free = next((each for each in fitting if each not in self.taken), None)
            if free is not None:
                self.answers[place] = free
                self.taken.add(free)


def _fits(call: Call, result: Result) -> bool:
    if call.id and result.call_id:
        return call.id == result.call_id
    return result.name is None or result.name == call.name
