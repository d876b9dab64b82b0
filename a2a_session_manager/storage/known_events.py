"""The events that a session knows to be stored: how they get in, and how hidden ones are taken out."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from operator import is_
from typing import Any

from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent, with_seq
from a2a_session_manager.models.sync_state import SyncState
from a2a_session_manager.storage import ranges
from a2a_session_manager.storage.records import Range


def put_in_place(session: Session[Any], sync: SyncState, events: Sequence[SessionEvent[Any]]) -> None:
    """Put stored events where their seqs say, in the session and among the known ones: each once, if it is visible."""
    ranges.add(sync.hidden, [(_seq(event), _seq(event)) for event in events if _is_hidden(sync, event)])
    places = _missing(sync, events)
    if not places:
        return
    new = [event for _, event in places]
    count = len(sync.events)
    if places[0][0] == count:
        session.events[count:count] = new
        sync.events.extend(new)
        return
    # Two tasks may write through one session and hear back in the other order.
    for number, (at, event) in enumerate(places):
        sync.events.insert(at + number, event)
        session.events.insert(at + number, event)


def hide(session: Session[Any], sync: SyncState, hidden: Sequence[Range]) -> None:
    """Take hidden events out of the session and of the known events, without a look at those that stay."""
    ranges.add(sync.retracted, hidden)
    known = sync.events
    count = len(known)
    cuts = [(bisect_left(known, first, key=_seq), bisect_right(known, last, key=_seq)) for first, last in hidden]
    for start, end in cuts:
        ranges.add(sync.hidden, [(_seq(event), _seq(event)) for event in known[start:end]])
    if all(map(is_, _taken(known, cuts), _taken(session.events, cuts))):
        new = [event for event in session.events[count:] if _stays(event, hidden)]
        session.events = [*_left(session.events[:count], cuts), *new]
    else:  # somebody has moved events in the list
        session.events = [event for event in session.events if _stays(event, hidden)]
    sync.events = _left(known, cuts)


def holds(sync: SyncState, event: SessionEvent[Any]) -> bool:
    """Tell whether the event of this seq is known."""
    return _is_at(sync, _place(sync, event), event)


def _is_hidden(sync: SyncState, event: SessionEvent[Any]) -> bool:
    """Tell whether the event was hidden when it was sent again, or through this session before its answer came."""
    return event.retracted or ranges.contains(sync.retracted, _seq(event))


def _is_at(sync: SyncState, place: int, event: SessionEvent[Any]) -> bool:
    return place > 0 and sync.events[place - 1].seq == event.seq


def _place(sync: SyncState, event: SessionEvent[Any]) -> int:
    """Return how many known events come before or at the place of `event`; nearly always all of them."""
    known = sync.events
    if not known or _seq(known[-1]) <= _seq(event):
        return len(known)
    return bisect_right(known, _seq(event), key=_seq)


def _missing(sync: SyncState, events: Iterable[SessionEvent[Any]]) -> list[tuple[int, SessionEvent[Any]]]:
    """Return the visible ones of `events` that are not known, by seq, each with its place among those that are."""
    places: dict[int, tuple[int, SessionEvent[Any]]] = {}
    for event in events:
        at = _place(sync, event)
        if not _is_hidden(sync, event) and not _is_at(sync, at, event):
            # In the session, an event that was sent again is one like any other.
            places.setdefault(_seq(event), (at, with_seq(event, _seq(event)) if event.is_repeat else event))
    return [places[seq] for seq in sorted(places)]


def _taken(events: Sequence[SessionEvent[Any]], cuts: Iterable[tuple[int, int]]) -> list[SessionEvent[Any]]:
    return [event for start, end in cuts for event in events[start:end]]


def _left(events: Sequence[SessionEvent[Any]], cuts: Iterable[tuple[int, int]]) -> list[SessionEvent[Any]]:
    left: list[SessionEvent[Any]] = []
    at = 0
    for start, end in cuts:
        left += events[at:start]
        at = end
    return [*left, *events[at:]]


def _stays(event: SessionEvent[Any], hidden: Sequence[Range]) -> bool:
    return event.seq is None or not ranges.contains(hidden, event.seq)


def _seq(event: SessionEvent[Any]) -> int:
    return event.seq or 0
