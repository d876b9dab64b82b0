"""Which result answers which call, message after message, by the rules that providers publish."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

from a2a_session_manager.context.findings import INTERRUPTED, Finding, FindingCode
from a2a_session_manager.context.known_calls import (
    CallKey,
    KnownCalls,
    OpenCall,
    calls_in,
    key_of,
    named,
    newest_of,
    shown,
    time_of,
)
from a2a_session_manager.context.naming import Naming
from a2a_session_manager.context.regular_messages import end_of_regular, has_results_of_other_runs, may_come_again
from a2a_session_manager.context.sharing import Apart
from a2a_session_manager.shapes import openai_chat
from a2a_session_manager.shapes.normal_form import Call, Message, Other, Part, Reasoning, Result, is_blank, text_of
from a2a_session_manager.shapes.recognition import BY_NAME, read_message
from a2a_session_manager.shapes.shape import RawMessage


class Said(NamedTuple):
    """What was said, oldest first, in parallel lists: the messages, the seqs of their events, and their runs' ids."""

    messages: Sequence[RawMessage]
    seqs: Sequence[int]
    run_ids: Sequence[str | None]


class Answer(NamedTuple):
    """What answers the calls of a message: the results in the message at an index, with what else that says."""

    at: int
    message: Message


class Matching:
    """What was said, with each result at its call.

    `order` are the indexes of the messages that do not answer a call elsewhere, in their order. `read` has the normal
    form of those that were looked into, which `apart` has taken apart, `answers` what goes after a message with calls.
    Until `finish`, it is about the beginning, as far as all messages are in their place.

    With `has_earlier`, there are earlier messages that are not among these, and may hold calls without a result.
    `is_doubtful` says then that they decide which call one of these results answers.
    """

    def __init__(self, said: Said, *, has_earlier: bool = False) -> None:
        self.said = said
        self._has_earlier = has_earlier
        self.is_doubtful = False
        self.order: list[int] = []
        self.read: dict[int, Message] = {}
        self.answers: dict[int, list[Answer]] = {}
        self.findings: list[Finding] = []
        self.orphans: list[tuple[int, Result]] = []
        self.apart = Apart()
        self._known = KnownCalls()
        self._naming = Naming(self._known, said.messages, said.run_ids, has_earlier=has_earlier)
        self._end = self._pass_regular(0)

    @property
    def is_in_place(self) -> bool:
        """Whether all messages are in their place, so that there is nothing to be done."""
        return not self.read and len(self.order) == len(self.said.messages)

    def finish(self) -> Self:
        """Take all other messages, too."""
        messages = self.said.messages
        while self._end < len(messages):
            self._take(self._end, read_message(self.apart.of(messages[self._end])))
            self._end = self._pass_regular(self._end + 1)
        return self

    def follows(self, index: int) -> bool:
        """Tell whether a message of `order` belongs to the one before, as results of regular calls do."""
        return index not in self.read and self.said.messages[index]["role"] == "tool"

    def open_calls(self) -> list[OpenCall]:
        """Return the calls without a result, in the order in which they were made."""
        return self._known.in_order()

    def waiting_calls(self) -> list[OpenCall]:
        """Return the calls that a result may still come for, in their order: open ones, and interrupted ones."""
        interrupted = [self._call_at(at, key) for key, (at, _) in self._known.interruptions.items()]
        return sorted([*self.open_calls(), *interrupted], key=time_of)

    def find(self, code: FindingCode, text: str, *indexes: int) -> None:
        """Note what is done with messages, of which the first is what `text` says something about."""
        seqs = tuple(self.said.seqs[each] for each in indexes)
        self.findings.append(Finding(code, seqs, f"event {seqs[0]} {text}"))

    def _pass_regular(self, index: int) -> int:
        """Take the messages from `index` on that are in their place, and return the index of the first other one."""
        end = end_of_regular(self.said.messages, index, self._known.open, self._known.interruptions)
        if self._has_earlier and not self.is_doubtful:
            self.is_doubtful = has_results_of_other_runs(self.said.messages, self.said.run_ids, index, end)
        self.order.extend(range(index, end))
        return end

    def _take(self, index: int, message: Message) -> None:
        if message.shape == openai_chat.NAME and (listed := openai_chat.with_listed_calls(message)) is not message:
            if len(listed.parts) < len(message.parts):
                self.find("unknown_part", "has tool_calls that are none, which are left out", index)
            message = listed
        calls = calls_in(message)
        message = self._naming.of(message, index, self.order[-1] if self.order else None, calls)
        self.is_doubtful |= self._naming.is_doubtful
        results = [part for part in message.parts if isinstance(part, Result) and not part.is_hosted]
        if any(isinstance(part, Other) for part in message.parts):
            code: FindingCode = "unknown_part" if message.shape in BY_NAME else "unknown_shape"
            self.find(code, "holds what is not understood, and is passed on as it is", index)
        if calls and self._is_repeated(index, message, calls):
            self.find("repeated_call", f"makes the call {named(calls[0])} again, and is left out", index)
            return
        if calls:
            self._stand(index, message)
            self.answers[index] = []
            for place, call in enumerate(calls):
                self._known.add(OpenCall(index, place, call, self.said.run_ids[index]))
        if results:
            self._answer(index, message, results)
        elif not calls and _says_nothing(message):
            self.find("empty_message", "says nothing, and is left out", index)
        elif not calls:
            self._stand(index, message)

    def _stand(self, index: int, message: Message) -> None:
        self.order.append(index)
        self.read[index] = message

    def _answer(self, index: int, message: Message, results: Sequence[Result]) -> None:
        """Give each result to the call that it answers; what answers none is left out."""
        given: dict[int, list[Part]] = {}
        keys: dict[int, CallKey] = {}
        for result in results:
            answered = self._answered_call(result, index)
            if answered is not None:
                given.setdefault(answered.at, []).append(result)
                keys[answered.at] = key_of(answered.call)
        if set(given) == {index}:
            return  # the calls are in the same message
        others = [part for part in message.parts if not isinstance(part, Result) or part.is_hosted]
        for call_index, parts in given.items():
            if _is_interruption(parts):
                self._known.interruptions[keys[call_index]] = (call_index, index)
            answer = message._replace(parts=(*parts, *others)) if len(parts) < len(results) else message
            self.answers[call_index].append(Answer(index, answer))
            others = []
        rest = message._replace(parts=tuple(others))
        if not given and others and not _says_nothing(rest):
            self._stand(index, rest)

    def _answered_call(self, result: Result, index: int) -> OpenCall | None:
        """Return the call that a result answers, which is open no longer."""
        key = self._known.key_for(result)
        calls = self._known.open_for(key, result)
        if not calls:
            if key in self._known.interruptions and not _is_interruption([result]):
                return self._reopened(key, index)
            if self._is_answered(key, index):
                again = "again, or an earlier one that was not read," if self._has_earlier else "again,"
                self.find("repeated_result", f"answers the call {shown(key)} {again} and is left out", index)
            else:
                self.orphans.append((index, result))
            return None
        call = newest_of(calls, self.said.run_ids[index])
        self._note_run(call, index)
        self._known.close(call)
        return call

    def _note_run(self, call: OpenCall, index: int) -> None:
        """Note that a result answers a call; its run may have made such a call among the earlier messages."""
        if self._has_earlier and call.run_id != self.said.run_ids[index] and may_come_again(call.call.id):
            self.is_doubtful = True

    def _reopened(self, key: CallKey, late: int) -> OpenCall:
        """Return the call whose answer was that it is interrupted: its result is in the message at the index `late`."""
        at, index = self._known.interruptions.pop(key)
        self.answers[at] = [each for each in self.answers[at] if each.at != index]
        self.find("repeated_result", f"says that the call {shown(key)} was interrupted: its result came", index)
        call = self._call_at(at, key)
        self._note_run(call, late)
        return call

    def _call_at(self, at: int, key: CallKey) -> OpenCall:
        calls = enumerate(calls_in(self.read[at]))
        place, call = next(each for each in calls if key_of(each[1]) == key)
        return OpenCall(at, place, call, self.said.run_ids[at])

    def _is_answered(self, key: CallKey, index: int) -> bool:
        """Tell whether a call has its result before an index; with earlier messages, one of the same run."""
        messages, run_ids, runs = self.said.messages, self.said.run_ids, self._known.answered.get(key, ())
        if run_ids[index] in runs or (runs and not self._has_earlier):
            return True
        given = (at for at in range(index) if messages[at].get("tool_call_id") == key)
        return any(not self._has_earlier or run_ids[at] == run_ids[index] for at in given)

    def _is_repeated(self, index: int, message: Message, calls: Sequence[Call]) -> bool:
        """Tell whether all calls are open, and were made in the same run by a message like this one."""
        for call in calls:
            known = self._known.open.get(key_of(call))
            if call.id is None or not known or self.read[known[-1].at].parts != message.parts:
                return False
            if known[-1].run_id != self.said.run_ids[index]:
                return False
        return True


def _is_interruption(parts: Sequence[Part]) -> bool:
    """Tell whether these are one result, which says that the call was interrupted."""
    if len(parts) != 1 or not isinstance(parts[0], Result):
        return False
    return text_of(parts[0].content) == INTERRUPTED


def _says_nothing(message: Message) -> bool:
    shape = BY_NAME.get(message.shape)
    if message.role == "assistant" and not (shape is not None and shape.splits_answers):
        # Thoughts without an answer are refused as an empty one; where they are a message, what follows decides.
        message = message._replace(parts=tuple(part for part in message.parts if not isinstance(part, Reasoning)))
    return is_blank(message)
