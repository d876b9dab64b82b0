"""Where summaries stand in a view: in the place of what they stand for, and not in their own."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from a2a_session_manager.context.messages import message_from_event
from a2a_session_manager.models.compaction import Compaction, compaction_in, digest
from a2a_session_manager.models.event_message import EventMessage, MessageColumns, MessageTail
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.shapes.recognition import role_of
from a2a_session_manager.storage.ranges import gaps, merged


def placed(tail: MessageTail) -> MessageColumns:
    """Return messages that were read for a view in the order in which they are shown.

    What a compaction does not cover of its range stands after it, but for what the system says, which stands before.
    """
    if not tail.summaries:
        return tail.messages
    return _Placing(tail).done()


def compacted_tail(messages: MessageColumns, creation_id: str | None, *, inherited: int = 0) -> MessageTail:
    """Return what a view is made of, by what the visible events of a session alone tell.

    It is for stores that do not keep which compaction counts. Of those under which nothing else is hidden than when
    they were made, it is the one that reaches furthest. Up to the seq `inherited`, they were made in a fork's source.
    """
    seqs, found = messages.seqs, dict[int, Compaction]()
    for at, kind in enumerate(messages.types):
        told = compaction_in(kind, messages.metadata[at]) if kind == EventType.SUMMARY else None
        is_meant = told is not None and (told.session == creation_id or seqs[at] <= inherited)
        if told is not None and is_meant and _is_as_it_was(told, seqs):
            found[seqs[at]] = told
    if not found:
        return MessageTail(messages, 0)
    seq = max(found, key=lambda each: (found[each].last, each))
    told = found[seq]
    pins = {each for first, last in told.pins for each in range(first, last + 1)}
    is_shown = [each in pins or not told.first <= each <= told.last for each in seqs]
    return MessageTail(messages.where(is_shown), 0, {seq: told.first}, seq, told.last)


def summary_messages(event: EventMessage) -> list[dict[str, Any]]:
    """Return what the event of a summary says, which is one chat message or several."""
    if isinstance(event.message, list) and compaction_in(event.type, event.metadata) is not None:
        return [each for each in event.message if isinstance(each, dict)]
    message = message_from_event(event._replace(metadata={}))
    return [] if message is None else [message]


def hidden_digest(first: int, last: int, visible: Iterable[int]) -> str:
    """Return the digest of what is hidden in a range, given the seqs in it that are visible."""
    return digest(gaps(first, last, merged((seq, seq) for seq in visible)))


class _Placing:
    def __init__(self, tail: MessageTail) -> None:
        self._tail = tail
        self._messages = tail.messages
        self._own = _indexes(tail.messages.seqs, tail.summaries)
        self._found = MessageColumns()

    def done(self) -> MessageColumns:
        seqs, at = self._messages.seqs, 0
        for index in sorted(self._own, key=lambda each: (self._tail.summaries[seqs[each]], seqs[each])):
            place = bisect_left(seqs, self._tail.summaries[seqs[index]])
            self._put(at, place)
            at = max(at, place)
            if seqs[index] == self._tail.compaction:
                at = self._put_compaction(index, at)
            else:
                self._put_summary(index)
        self._put(at, len(seqs))
        return self._found

    def _put_compaction(self, index: int, at: int) -> int:
        """Put the compaction that counts, with what it does not cover around it; return where that ends."""
        end = max(at, bisect_right(self._messages.seqs, self._tail.covered))
        pins = [each for each in range(at, end) if each not in self._own]
        system = [each for each in pins if _is_instruction(self._messages[each])]
        for each in system:
            self._put(each, each + 1)
        self._put_summary(index)
        for each in pins:
            if each not in system:
                self._put(each, each + 1)
        return end

    def _put_summary(self, index: int) -> None:
        event = self._messages[index]
        # As a message like others: what it stands for is settled here.
        plain = event._replace(type=EventType.MESSAGE, metadata={})
        said = summary_messages(event)
        self._found.extend(MessageColumns.of(plain._replace(message=message) for message in said))

    def _put(self, start: int, end: int) -> None:
        """Put messages that stand side by side, but no summaries that are shown elsewhere."""
        for index in sorted(each for each in self._own if start <= each < end):
            self._found.extend(self._messages[start:index])
            start = index + 1
        if start < end:
            self._found.extend(self._messages[start:end])


def _indexes(seqs: Sequence[int], summaries: Mapping[int, int]) -> set[int]:
    return set(_found(seqs, summaries))


def _found(seqs: Sequence[int], wanted: Mapping[int, int]) -> Iterator[int]:
    for seq in wanted:
        at = bisect_left(seqs, seq)
        if at < len(seqs) and seqs[at] == seq:
            yield at


def _is_instruction(event: EventMessage) -> bool:
    message = message_from_event(event)
    return message is not None and role_of(message) == "system"


def _is_as_it_was(told: Compaction, seqs: Sequence[int]) -> bool:
    """Tell whether just what was hidden in the range of a compaction is hidden now, given the visible seqs."""
    inside = seqs[bisect_left(seqs, told.first) : bisect_right(seqs, told.last)]
    return hidden_digest(told.first, told.last, inside) == told.hidden
