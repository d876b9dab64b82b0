"""Tasks of A2A, of 0.2 to 1.0: what was said in one, and what came out of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from a2a_session_manager.foreign_records.held import Held, text_of
from a2a_session_manager.shapes.shape import RawMessage, mappings

_PREFIX: Final = "TASK_STATE_"


def is_task(record: Mapping[str, Any]) -> bool:
    """Tell whether a record is a task."""
    status = record.get("status")
    is_one = isinstance(status, Mapping) and isinstance(status.get("state"), str) and isinstance(record.get("id"), str)
    return is_one and (record.get("kind") == "task" or "history" in record or context_of(record) is not None)


def messages_of(record: Mapping[str, Any]) -> Iterator[Held]:
    """Yield the messages of a task's history, its artifacts as said by the agent, and what its status says."""
    status = record["status"]
    time = text_of(status.get("timestamp"))
    ids: set[str | None] = set()
    for message in mappings(record.get("history")):
        ids.add(id_of(message))
        yield Held(dict(message), None, None, id_of(message), time_of(message) or time)
    for artifact in mappings(record.get("artifacts")):
        artifact_id = text_of(artifact.get("artifactId", artifact.get("artifact_id")))
        yield Held(_said(artifact, artifact_id), None, None, artifact_id, time)
    last = status.get("message")
    if isinstance(last, Mapping) and (id_of(last) is None or id_of(last) not in ids):
        yield Held(dict(last), None, None, id_of(last), time)


def context_of(record: Mapping[str, Any]) -> str | None:
    """Return the id of the conversation that a task belongs to."""
    return text_of(record.get("contextId", record.get("context_id")))


def state_of(record: Mapping[str, Any]) -> str:
    """Return the state of a task by its name of 0.3, such as "input-required"."""
    state: str = record["status"]["state"]
    return state.removeprefix(_PREFIX).lower().replace("_", "-")


def id_of(message: Mapping[str, Any]) -> str | None:
    """Return a message's id."""
    return text_of(message.get("messageId", message.get("message_id")))


def time_of(message: Mapping[str, Any]) -> str | None:
    """Return the time that a message's metadata names."""
    metadata = message.get("metadata")
    return text_of(metadata.get("timestamp")) if isinstance(metadata, Mapping) else None


def _said(artifact: Mapping[str, Any], artifact_id: str | None) -> RawMessage:
    return {"kind": "message", "role": "agent", "messageId": artifact_id, "parts": artifact.get("parts")}
