"""Events of a log by their ids, read together where they lie close to each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from a2a_session_manager.storage import ranges
from a2a_session_manager.storage.file.event_columns import EventColumns
from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.storage.read_records import FoundEvents, StoredEvent
from a2a_session_manager.storage.records import Range

_FIRST_STEP: Final = 4  # so many events are read before it is known how large they are
_LARGEST_STEP: Final = 256

ReadRanges = Callable[[Sequence[Range]], Sequence[EventColumns]]


def find_events(log: LogFile, event_ids: Sequence[str], max_bytes: int) -> FoundEvents:
    """Return the events of these ids from a log that exists; of those together larger than `max_bytes`, the first."""
    seqs = log.unmisled(lambda: log.find_seqs(event_ids))
    events = read_some(log.read_ranges, sorted(seqs.values()), max_bytes)
    head = log.head  # read anew, perhaps, to find the events
    assert head is not None, "only a log that exists has events"
    return found_events(head.creation_id, seqs, events, head.hidden)


def found_events(
    creation_id: str, seqs: Mapping[str, int], events: Mapping[int, StoredEvent], hidden: Sequence[Range]
) -> FoundEvents:
    """Return what was found of the events that have these `seqs`, of which some were read; `hidden` are too many."""
    found = {event_id: events[seq] for event_id, seq in seqs.items() if seq in events}
    of_these = [(seq, seq) for seq in events if ranges.contains(hidden, seq)]
    return FoundEvents(creation_id, found, [event_id for event_id in seqs if event_id not in found], of_these)


def joined(inherited: FoundEvents, own: FoundEvents) -> FoundEvents:
    """Return both of what a fork found: what it inherits, and what is its own."""
    return FoundEvents(
        own.creation_id,
        {**inherited.events, **own.events},
        [*inherited.unread, *own.unread],
        [*inherited.hidden, *own.hidden],
    )


def read_some(read_ranges: ReadRanges, seqs: Sequence[int], max_bytes: int) -> dict[int, StoredEvent]:
    """Return the first of these events, as many as make a page; seqs are sorted."""
    events: dict[int, StoredEvent] = {}
    size, step = 0, _FIRST_STEP
    while len(events) < len(seqs) and size < max(max_bytes, 1):
        wanted = seqs[len(events) : len(events) + step]
        for columns in read_ranges(ranges.merged((seq, seq) for seq in wanted)):
            events |= {event.seq: event for event in columns.events()}
            size += sum(map(len, columns.data))
        # Not many more than will fit, if those to come are like those that came.
        fitting = (max_bytes - size) * len(events) // max(size, 1)
        step = max(1, min(step * 2, _LARGEST_STEP, fitting))
    return events
