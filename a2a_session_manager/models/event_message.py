"""EventMessage: the message of a stored event, without the event, for prompts and other views of a conversation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import compress
from typing import Any, NamedTuple, Self, overload

from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.session_event import SessionEvent


class EventMessage(NamedTuple):
    """The message of a stored event, its seq, and the fields of the event that decide how the message is shown.

    The metadata may be shared by several, and must not be changed.
    """

    seq: int
    id: str
    message: Any
    source: EventSource
    type: EventType | str
    task_id: str | None
    metadata: Mapping[str, Any]


_made = partial(tuple.__new__, EventMessage)


@dataclass(slots=True)
class MessageColumns(Sequence[EventMessage]):
    """Messages by the column, one list for each field of EventMessage; as a sequence, it makes an EventMessage of each.

    Thousands are read for a prompt. To read a column takes a fraction of the time, and an object for each message would
    have the garbage collector walk the whole process several times as often.
    """

    seqs: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    messages: list[Any] = field(default_factory=list)
    sources: list[EventSource] = field(default_factory=list)
    types: list[EventType | str] = field(default_factory=list)
    task_ids: list[str | None] = field(default_factory=list)
    metadata: list[Mapping[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, messages: Iterable[EventMessage]) -> Self:
        """Return the columns of `messages`."""
        found = cls()
        for message in messages:
            for column, value in zip(found._columns(), message, strict=True):
                column.append(value)
        return found

    def __len__(self) -> int:
        return len(self.seqs)

    def __iter__(self) -> Iterator[EventMessage]:
        return map(_made, zip(*self._columns(), strict=True))

    @overload
    def __getitem__(self, place: int) -> EventMessage: ...
    @overload
    def __getitem__(self, place: slice) -> Self: ...
    def __getitem__(self, place: int | slice) -> EventMessage | Self:
        found = (column[place] for column in self._columns())
        return type(self)(*found) if isinstance(place, slice) else EventMessage._make(found)

    def extend(self, later: MessageColumns) -> None:
        """Put `later` messages after these."""
        for column, more in zip(self._columns(), later._columns(), strict=True):
            column += more

    def where(self, is_wanted: Sequence[bool]) -> Self:
        """Return the messages that stand where `is_wanted` is true."""
        return type(self)(*(list(compress(column, is_wanted)) for column in self._columns()))

    def _columns(self) -> tuple[list[Any], ...]:
        return self.seqs, self.ids, self.messages, self.sources, self.types, self.task_ids, self.metadata


class MessageTail(NamedTuple):
    """A session's newest visible messages, oldest first; `earlier_events` counts the visible events before them.

    Where they were read as a view shows them, `summaries` are the events of those summaries that are shown, by their
    seq, each with the seq where it stands. `compaction` is the seq of the one that stands for what is not here, and
    `covered` that of the last event which it may stand for; 0 for none.
    """

    messages: MessageColumns
    earlier_events: int
    summaries: Mapping[int, int] = {}
    compaction: int | None = None
    covered: int = 0


def message_of(event: SessionEvent[Any]) -> EventMessage:
    """Return the message of a stored event."""
    return EventMessage(
        event.seq or 0, event.id, event.message, event.source, event.type, event.task_id, event.metadata
    )
