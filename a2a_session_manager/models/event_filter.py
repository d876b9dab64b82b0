"""EventFilters: which events a read is to bring, as callers say it; and EventFilter, which tells them apart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import checked_id, shown
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.session_event import SessionEvent


class EventFilters(TypedDict, total=False):
    """Which events are meant, by keyword arguments: those that fit all that are given. None leaves one out.

    Attributes:
        type: the event's type; one that the library does not know is a plain string.
        source: who the event comes from.
        run: the id of the run that it is of, which is its `task_id`.
        since: the event's timestamp is at this time or later; with a time zone.
        until: the event's timestamp is before this time; with a time zone.
    """

    type: EventType | str | None
    source: EventSource | str | None
    run: str | None
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Checked EventFilters. Making one of what cannot be meant raises InvalidSessionOperation."""

    type: EventType | str | None = None
    source: EventSource | str | None = None
    run: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        if self.type is not None and not isinstance(self.type, str):
            raise InvalidSessionOperation(f"type={shown(self.type)} is none of an event: take an EventType or a text")
        if self.source is not None and self.source not in list(EventSource):
            known = ", ".join(repr(each.value) for each in EventSource)
            raise InvalidSessionOperation(f"source={shown(self.source)} is unknown: take one of {known}")
        if self.run is not None:
            checked_id(self.run, "run id")
        _check_time("since", self.since)
        _check_time("until", self.until)

    def lets_through(self, event: SessionEvent[Any]) -> bool:
        """Tell whether the event is one of those that are meant."""
        return (
            self.type in (None, event.type)
            and self.source in (None, event.source)
            and self.run in (None, event.task_id)
            and (self.since is None or event.timestamp >= self.since)
            and (self.until is None or event.timestamp < self.until)
        )


def event_filter(which: EventFilters) -> EventFilter | None:
    """Return the filter that is meant; None when every event is. Raises what making an EventFilter raises."""
    made = EventFilter(**which)
    return None if made == _ALL else made


def _check_time(name: str, moment: Any) -> None:
    if moment is None:
        return
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise InvalidSessionOperation(
            f"{name}={shown(moment)} is no time that events can be compared with: take a datetime with a time zone"
        )


_ALL = EventFilter()
