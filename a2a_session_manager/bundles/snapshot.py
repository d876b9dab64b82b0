"""A session as it was at one moment, while others write to it: its head, and then its events, which never change."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final

from a2a_session_manager.bundles.carried_events import CarriedEvent, carried
from a2a_session_manager.concurrency.slices import Slices
from a2a_session_manager.exceptions import SessionNotFound, StoreUnavailable
from a2a_session_manager.storage import ranges
from a2a_session_manager.storage.read_records import HeadRecord, LogPage, StoredRetraction
from a2a_session_manager.storage.records import Range
from a2a_session_manager.storage.target import Target

# Each try sees a later moment; only a session that is deleted and made again, or restored, takes a second one.
_TRIES: Final = 8
_EVENTS_A_LOOK: Final = 4_096


async def read_head(target: Target) -> HeadRecord | None:
    """Return the whole head with what is hidden, all as it was at one moment; None when there is no session.

    No backend reads both at once, so what was hidden is read a moment later, and what was changed of it in between is
    taken back. However many write meanwhile, it takes a few reads.
    """
    backend, key, _, creation_id = target[:4]
    for _ in range(_TRIES):
        loaded = (await backend.load([key], last=0, whole_head=True))[0]
        if loaded is None or creation_id not in (None, loaded.head.creation_id):
            return None
        head = loaded.head
        later = await backend.load_until(key, seq=None, last=0)
        if later is None or later.head.creation_id != head.creation_id or later.head.revision < head.revision:
            continue
        hidden = list(later.head.hidden)
        if later.head.revision > head.revision:
            since = await _retractions_since(target, head, later.head)
            if since is None:
                continue
            hidden = _taken_back(hidden, since)
        head.hidden = hidden
        return head
    raise StoreUnavailable(f"session {key.id!r} was another one at each look: try again when its store is at rest")


async def _retractions_since(target: Target, head: HeadRecord, later: HeadRecord) -> Sequence[StoredRetraction] | None:
    """Return what was hidden and restored after `head`, up to `later`; None when the session is gone."""
    found: list[StoredRetraction] = []
    after = head.last_seq
    while True:
        page = await _page(target, head.creation_id, after, _EVENTS_A_LOOK)
        if page is None:
            return None
        found += page.retractions
        after += len(page.events)
        if page.is_last or after > later.last_seq:
            return [each for each in found if head.revision < each.revision <= later.revision]


def _taken_back(hidden: list[Range], since: Sequence[StoredRetraction]) -> list[Range]:
    for each in reversed(since):
        hidden = ranges.subtract(hidden, each.hidden)
        ranges.add(hidden, each.restored)
    return hidden


async def read_events(
    target: Target, head: HeadRecord, *, after: int = 0, last: int, spent_up_to: int = 0
) -> AsyncGenerator[list[CarriedEvent], None]:
    """Yield the events of `head` after the seq `after` up to `last`, in pages.

    The usage of those up to `spent_up_to` is not to count where they go. Raises SessionNotFound when the session is
    deleted meanwhile, and CorruptSession.
    """
    limits, slices = target.limits, Slices()
    while after < last:
        page = await _page(target, head.creation_id, after, min(last - after, limits.page_events))
        if page is None or not page.events:
            raise SessionNotFound(target.key.id)
        found = []
        for event in page.events[: last - after]:
            is_spent = event.seq <= spent_up_to
            found.append(
                carried(
                    event.data,
                    event.seq,
                    target.key.id,
                    limits,
                    creation_id=head.creation_id if event.seq > head.inherited else _owner(head, event.seq),
                    was_spent_elsewhere=is_spent,
                )
            )
            if slices.is_over():
                await slices.give_way()
        yield found
        after = found[-1].seq


async def _page(target: Target, creation_id: str, after: int, limit: int) -> LogPage | None:
    page = await target.backend.read_log(target.key, after=after, limit=limit, max_bytes=target.limits.page_bytes)
    return None if page is None or page.creation_id != creation_id else page


def _owner(head: HeadRecord, seq: int) -> str:
    """Return the creation id of the session that has stored an inherited event."""
    return next(segment.creation_id for segment in head.segments if seq <= segment.last_seq)
