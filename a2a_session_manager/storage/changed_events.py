"""The events that a commit hid and restored, as they are now: what its caller is told, and its session takes in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from a2a_session_manager.models.session_event import SessionEvent, with_seq
from a2a_session_manager.storage import ranges
from a2a_session_manager.storage.commit_records import Receipt
from a2a_session_manager.storage.loading import EventDecoder
from a2a_session_manager.storage.range_reading import read_ranges
from a2a_session_manager.storage.records import Range
from a2a_session_manager.storage.target import Target


class ChangedEvents(NamedTuple):
    """Events whose place in the view a commit changed; each is marked as it is now, oldest first."""

    retracted: Sequence[SessionEvent[Any]] = ()
    restored: Sequence[SessionEvent[Any]] = ()

    @property
    def shown(self) -> list[SessionEvent[Any]]:
        """Those that are visible now, as a session holds them."""
        changed = [*self.retracted, *self.restored]
        return [with_seq(event, event.seq or 0) for event in changed if not event.retracted]

    @property
    def hidden(self) -> list[Range]:
        """The seqs of those that are hidden now."""
        changed = [*self.retracted, *self.restored]
        return ranges.merged((event.seq or 0, event.seq or 0) for event in changed if event.retracted)


async def read_changed(target: Target, receipt: Receipt) -> ChangedEvents:
    """Return the events that a commit hid and restored; of an old one, a later commit may have changed that since."""
    retracted = await _read(target, receipt, receipt.hidden)
    restored = await _read(target, receipt, receipt.restored)
    marked = [with_seq(event, event.seq or 0, restored=True) if not event.retracted else event for event in restored]
    return ChangedEvents(retracted, marked)


async def _read(target: Target, receipt: Receipt, wanted: Sequence[Range]) -> list[SessionEvent[Any]]:
    backend, key, limits, creation_id = target[:4]
    decoder = EventDecoder(key.id, limits)
    found: list[SessionEvent[Any]] = []
    async for page, stored in read_ranges(backend, key, limits, wanted, receipt.creation_id or creation_id):
        event = await decoder.decode(stored)
        is_hidden = ranges.contains(page.hidden, stored.seq)
        found.append(with_seq(event, stored.seq, retracted=is_hidden) if is_hidden else event)
    return found
