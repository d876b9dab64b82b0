"""What is stored of an event that is refused: its usage, encoded only when it comes to that, or is sent along."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from a2a_session_manager.limits import StoreLimits
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.usage_event import usage_event, usage_event_id
from a2a_session_manager.serialization.json_check import SizeCheck
from a2a_session_manager.serialization.plain_json import dumped
from a2a_session_manager.storage.codec import MARK, encode_event
from a2a_session_manager.storage.records import EncodedEvent

_SOURCE: Final = b',"source":"'
_TIME: Final = b',"timestamp":"'
_TYPE: Final = EventType.USAGE.value.encode()


def usage_of(events: Sequence[SessionEvent[Any]], limits: StoreLimits) -> Callable[[EncodedEvent], EncodedEvent] | None:
    """Return what makes, of one of these events, the event of its usage; None where none has a usage."""
    by_id = {event.id: event for event in events if event.token_usage is not None}
    if not by_id:
        return None

    def encoded(event: EncodedEvent) -> EncodedEvent:
        given = by_id[event.id]
        if _ends_with_plain_usage(given):
            return _of_bytes(event)
        return encode_event(usage_event(given), SizeCheck(limits.event_bytes), "events")

    return encoded


def _ends_with_plain_usage(event: SessionEvent[Any]) -> bool:
    """Tell whether nothing after the event's message can look like one of its own keys, as it does for most events."""
    return not event.metadata and event.token_usage is not None and event.token_usage.details is None


def _of_bytes(event: EncodedEvent) -> EncodedEvent:
    """Return the event of the usage without encoding that again, which would take as long as the event itself."""
    source, _, rest = event.data.rpartition(_SOURCE)[2].partition(_TIME)
    source = source[: source.index(b'"')]
    usage_id = usage_event_id(event.id)
    about = (usage_id.encode(), source, _TYPE, dumped(event.id), rest)
    data = b'%b"id":"%b","message":null,"source":"%b","type":"%b","metadata":{"usage_of":%b},"timestamp":"%b'
    return event._replace(id=usage_id, data=data % (MARK, *about))
