"""The usage that agents report in the metadata of A2A messages, for which the protocol has no place of its own."""

from __future__ import annotations

from typing import Any

from a2a.server.events.event_queue import Event
from a2a.types.a2a_pb2 import Task, TaskArtifactUpdateEvent, TaskStatusUpdateEvent
from google.protobuf.json_format import MessageToDict

from a2a_session_manager.exceptions import InvalidEvent
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.usage.recorded import recorded_usage


def usage_in(key: str, task: Task, before: Task | None, event: Event | None) -> TokenUsage | None:
    """Return the usage that this save brings: that of the event's metadata or, without an event, the task's new one."""
    if isinstance(event, TaskStatusUpdateEvent | TaskArtifactUpdateEvent):
        usage = _named(key, event)
    else:
        usage = _named(key, task)
        if before is not None and usage == _named(key, before):
            return None  # it is what an earlier save has brought
    if usage is None:
        return None
    try:
        return recorded_usage(usage)
    except InvalidEvent:  # a text, say: the metadata keeps it, and it is no reason to lose the answer
        return None


def _named(key: str, message: Any) -> Any:
    return MessageToDict(message.metadata).get(key) if message.HasField("metadata") else None
