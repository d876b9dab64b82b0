"""Lines of a transcript to events and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from a2a_session_manager.exceptions import InvalidEvent
from a2a_session_manager.identifiers import derived_id, is_id, new_id
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.usage.recorded import recorded_usage

# The type of the events that are lines; others in the session are not the SDK's.
ENTRY: Final = "claude_transcript_entry"
_SOURCES: Final = {"user": EventSource.USER, "assistant": EventSource.LLM}


def ids_of(entries: Sequence[Any]) -> list[str]:
    """Return an event id for each entry: its `uuid`, by which it is stored once, or else a random one."""
    return [_id_of(entry) for entry in entries]


def event_of(entry: Any, id: str) -> SessionEvent[Any]:
    """Return the event that holds an entry as it is. Raises InvalidEvent for what is no JSON object."""
    if not isinstance(entry, Mapping):
        raise InvalidEvent(f"an entry is a JSON object, this one is a {type(entry).__name__}")
    kind = entry.get("type")
    made_at = _moment(entry.get("timestamp"))
    about: dict[str, Any] = {} if made_at is None else {"timestamp": made_at}
    return SessionEvent(
        id=id,
        message=dict(entry),
        source=_SOURCES.get(kind, EventSource.SYSTEM) if isinstance(kind, str) else EventSource.SYSTEM,
        type=ENTRY,
        token_usage=_usage(entry),
        **about,
    )


def _id_of(entry: Any) -> str:
    uuid = entry.get("uuid") if isinstance(entry, Mapping) else None
    if not isinstance(uuid, str) or not uuid:
        return new_id()
    return uuid if is_id(uuid) else derived_id(uuid)


def _usage(entry: Mapping[str, Any]) -> TokenUsage | None:
    """Return what the response cost that a line is part of; of the lines of one response, the totals count the most.

    The lines of a fork were paid for where they came from.
    """
    message = entry.get("message")
    if entry.get("type") != "assistant" or "forkedFrom" in entry or not isinstance(message, Mapping):
        return None
    usage, model, response_id = message.get("usage"), message.get("model"), message.get("id")
    if not isinstance(usage, Mapping) or model == "<synthetic>":  # the program's own words, such as an error's
        return None
    return recorded_usage(
        usage,
        model=model if isinstance(model, str) else None,
        provider="anthropic",
        response_id=response_id if isinstance(response_id, str) else None,
    )


def _moment(timestamp: Any) -> datetime | None:
    if not isinstance(timestamp, str):
        return None
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
