"""The events that a session knows to be stored: put in their places, and taken out again when they are hidden."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import is_
from typing import Any, NamedTuple

from a2a_session_manager.models.baseline import Baseline
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent, with_seq
from a2a_session_manager.storage import ranges
from a2a_session_manager.storage.records import Range


class KnownEvents(NamedTuple):
    """What a baseline holds of events: a list that it shares with others, and how many of it are its own."""

    events: list[SessionEvent[Any]]
    event_count: int


def put_in_place(session: Session[Any], baseline: Baseline, events: Iterable[SessionEvent[Any]]) -> KnownEvents:
    """Put stored events where their seqs say, in the session and in what is returned for its next baseline.

    Each goes in once, if it is visible.
    """
    places = _missing(baseline, events)
    count = baseline.event_count
    if not places:
        return KnownEvents(baseline.events, count)
    new = [event for _, event in places]
    if places[0][0] == count:
        session.events[count:count] = new
        known, count = baseline.grown(new)
    else:
        # Two tasks may write through one session and hear back in the other order.
        known = baseline.events[:count]
        for number, (at, event) in enumerate(places):
            known.insert(at + number, event)
            session.events.insert(at + number, event)
        count = len(known)
    return KnownEvents(known, count)


def without_hidden(session: Session[Any], baseline: Baseline, hidden: Sequence[Range]) -> Baseline:
    """Take what was hidden out of the session and its baseline; nothing is looked at that stays."""
    count = baseline.event_count
    before = baseline.events[:count]
    cuts = [(bisect_left(before, first, key=_seq), bisect_right(before, last, key=_seq)) for first, last in hidden]
    gone = list(baseline.hidden)
    for start, end in cuts:
        ranges.add(gone, [(_seq(event), _seq(event)) for event in before[start:end]])
    if all(map(is_, _taken(before, cuts), _taken(session.events, cuts))):
        new = [event for event in session.events[count:] if _stays(event, hidden)]
        session.events = [*_left(session.events[:count], cuts), *new]
    else:  # somebody has moved events in the list
        session.events = [event for event in session.events if _stays(event, hidden)]
    known = _left(before, cuts)
    return replace(baseline, events=known, event_count=len(known), hidden=gone)


def holds(event: SessionEvent[Any], baseline: Baseline) -> bool:
    """Tell whether the event of this seq is known."""
    return _is_at(_place(event, baseline), event, baseline)


def _is_at(place: int, event: SessionEvent[Any], baseline: Baseline) -> bool:
    return place > 0 and baseline.events[place - 1].seq == event.seq


def _place(event: SessionEvent[Any], baseline: Baseline) -> int:
    """Return how many known events come before or at the place of `event`; nearly always all of them."""
    count = baseline.event_count
    if count == 0 or _seq(baseline.events[count - 1]) <= _seq(event):
        return count
    return bisect_right(baseline.events, _seq(event), hi=baseline.event_count, key=_seq)


def _missing(baseline: Baseline, events: Iterable[SessionEvent[Any]]) -> list[tuple[int, SessionEvent[Any]]]:
    """Return the visible ones of `events` that are not known, by seq, each with its place among those that are."""
    places: dict[int, tuple[int, SessionEvent[Any]]] = {}
    for event in events:
        at = _place(event, baseline)
        if not event.retracted and not _is_at(at, event, baseline):
            # To the session, one that was sent again is an event like any other.
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
