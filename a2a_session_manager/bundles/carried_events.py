"""Events on their way: as they are stored, but that the summary of a session does not name its incarnation.

A summary of a range names the creation id of its session. That one is "" on the way, and the new session's own where it
is stored again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from pydantic import ConfigDict

from a2a_session_manager.limits import StoreLimits
from a2a_session_manager.models.compaction import KEY
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.session_event import COUNTED, SessionEvent
from a2a_session_manager.serialization.json_check import SizeCheck
from a2a_session_manager.serialization.plain_json import parsed
from a2a_session_manager.storage.codec import decode_event, encode_event, usage_delta
from a2a_session_manager.storage.records import EncodedEvent, UsageDelta

_NOWHERE: Final = ""
# What would come out as something else each time that it is read, were it not there.
_ALWAYS: Final = {"id", "timestamp"}


class _PassingEvent(SessionEvent[Any]):
    """An event that is looked at once: pydantic keeps none of its texts in the cache of those that come again."""

    model_config = ConfigDict(cache_strings="keys")


class CarriedEvent(NamedTuple):
    """An event as a bundle has it: the bytes, and what a store has to know of them.

    `is_summary` tells that it is a summary of its own session.
    """

    seq: int
    id: str
    data: bytes
    run_id: str | None
    usage: UsageDelta | None
    is_summary: bool


def carried(
    data: bytes, seq: int, session_id: str, limits: StoreLimits, *, creation_id: str, was_spent_elsewhere: bool = False
) -> CarriedEvent:
    """Return a stored event as it goes on its way out of the session `creation_id`. Raises CorruptSession.

    With `was_spent_elsewhere`, its usage is not to count where it goes.
    """
    event = decode_event(data, session_id, seq, retracted=False, model=_PassingEvent)
    return _carried(event, data, seq, limits, creation_id, was_spent_elsewhere=was_spent_elsewhere)


def _carried(
    event: SessionEvent[Any],
    data: bytes,
    seq: int,
    limits: StoreLimits,
    creation_id: str,
    *,
    was_spent_elsewhere: bool = False,
) -> CarriedEvent:
    told = _told(event)
    is_summary = told is not None and told.get("session") == creation_id
    metadata = dict(event.metadata)
    if is_summary and told is not None:
        metadata[KEY] = {**told, "session": _NOWHERE}
    if was_spent_elsewhere and event.token_usage is not None:
        metadata[COUNTED] = False
    if metadata == event.metadata:  # as mostly
        return CarriedEvent(seq, event.id, data, event.task_id, usage_delta(event), is_summary)
    encoded = encode_event(event.model_copy(update={"metadata": metadata}), SizeCheck(limits.event_bytes), "events")
    return CarriedEvent(seq, event.id, encoded.data, event.task_id, encoded.usage, is_summary)


def bound(event: CarriedEvent, session_id: str, creation_id: str, limits: StoreLimits) -> EncodedEvent:
    """Return the event as it is stored in the session `creation_id`."""
    if not event.is_summary:
        return EncodedEvent(event.id, event.data, event.run_id, event.usage)
    decoded = decode_event(event.data, session_id, event.seq, retracted=False)
    metadata = {**decoded.metadata, KEY: {**decoded.metadata[KEY], "session": creation_id}}
    return encode_event(decoded.model_copy(update={"metadata": metadata}), SizeCheck(limits.event_bytes), "events")


def checked(data: bytes, seq: int, session_id: str, limits: StoreLimits) -> CarriedEvent:
    """Return an event that a file has, once nothing in it is what a store would refuse.

    Raises SessionManagerError or ValueError for what is no event, is nested too deeply, or is too large.
    """
    event = decode_event(data, session_id, seq, retracted=False, model=_PassingEvent)
    encoded = encode_event(event, SizeCheck(limits.event_bytes), f"event {seq}")
    found = _carried(event, data, seq, limits, _NOWHERE)
    if encoded.data != data:  # another release may have written it; what a store writes anew has to come out the same
        missing = _ALWAYS - parsed(data).keys()
        if missing or found.is_summary:
            raise ValueError(
                f"an event without {', '.join(sorted(missing))}" if missing else "a summary in other bytes"
            )
    return found


def _told(event: SessionEvent[Any]) -> Mapping[str, Any] | None:
    told = event.metadata.get(KEY) if event.type == EventType.SUMMARY else None
    return told if isinstance(told, Mapping) else None
