"""What `append` is given, as the events that it appends: events, chat messages, and records of other programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from a2a_session_manager.context.messages import event_from_message
from a2a_session_manager.exceptions import InvalidEvent, InvalidSessionOperation
from a2a_session_manager.foreign_records.held import Held
from a2a_session_manager.foreign_records.recognition import messages_in
from a2a_session_manager.identifiers import shown
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.shapes.client_objects import plain_message, plain_parts
from a2a_session_manager.usage.recorded import recorded_usage


def check_single(items: Sequence[object], id: str | None) -> None:
    """Raise InvalidSessionOperation when one id is given for several items, or for none."""
    if id is not None and len(items) != 1:
        raise InvalidSessionOperation(f"id={id!r} fits one event, not {len(items)}: give each event its own id")


def new_events(items: Iterable[object], id: str | None, run_id: str | None) -> list[SessionEvent[Any]]:
    """Return the events of all items: one of each, or those of the messages in a record of another program's file.

    `id` becomes that of a single item's event. Those that are of no run are of `run_id`.
    """
    return [event for item in items for event in _events_of(item, id, run_id)]


def new_event(item: object, id: str | None, run_id: str | None) -> SessionEvent[Any]:
    """Return the event of an item that is an event or one message. Raises InvalidEvent for anything else."""
    if not isinstance(item, SessionEvent):
        message = plain_parts(item) if isinstance(item, Mapping) else plain_message(item)
        if message is None:
            raise InvalidEvent(
                f"{shown(item)} is no event: append a SessionEvent, a chat message, or a message of an official "
                "client such as reply.choices[0].message",
                path="events",
            )
        return event_from_message(message, **_fields(id, run_id), **_usage_in(item))
    changes: dict[str, Any] = {} if id is None else {"id": id}
    if item.task_id is None and run_id is not None:
        changes["task_id"] = run_id
    return item.model_copy(update=changes) if changes else item


def _events_of(item: object, id: str | None, run_id: str | None) -> list[SessionEvent[Any]]:
    held = messages_in(item) if isinstance(item, Mapping) else []
    if not held:
        return [new_event(item, id, run_id)]
    ids = [None if id is None else id if number == 1 else f"{id}:{number}" for number in range(1, len(held) + 1)]
    return [
        event_from_message(each.message, **_fields(own_id, run_id), **_usage_held(each))
        for own_id, each in zip(ids, held, strict=True)
    ]


def _fields(id: str | None, run_id: str | None) -> dict[str, Any]:
    return {"task_id": run_id, **({} if id is None else {"id": id})}


def _usage_held(held: Held) -> dict[str, TokenUsage]:
    """Return the usage that a foreign record has with a message."""
    return {} if held.usage is None else {"token_usage": recorded_usage(held.usage, model=held.model)}


def _usage_in(item: object) -> dict[str, TokenUsage]:
    """Return the usage in a message that is a provider's whole reply, such as Anthropic's or LangChain's."""
    if isinstance(item, Mapping):
        is_reply = item.get("role") == "assistant" and isinstance(item.get("usage"), Mapping)
    else:
        is_reply = any(getattr(item, name, None) is not None for name in ("usage", "usage_metadata"))
    return {"token_usage": recorded_usage(item)} if is_reply else {}
