"""A checkpoint and the writes of its tasks as events, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from langgraph.checkpoint.base import WRITES_IDX_MAP, writes_sort_key

from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.identifiers import derived_id
from a2a_session_manager.integrations.langgraph.encoding import Encoded, newer
from a2a_session_manager.integrations.langgraph.lists import ListRef
from a2a_session_manager.models.session_event import SessionEvent

CHECKPOINT: Final = "langgraph_checkpoint"
VALUE: Final = "langgraph_value"
WRITES: Final = "langgraph_writes"
STATE_KEY: Final = "langgraph"
_VERSION: Final = 1

# Where the value of a channel lies: the id of its event, or a version of a list.
Ref = str | ListRef


class Record(NamedTuple):
    """A checkpoint as it is stored: all but the values, of which it says where they lie."""

    id: str
    parent_id: str | None
    checkpoint: Encoded
    metadata: Encoded
    refs: dict[str, Ref]

    def as_message(self) -> dict[str, Any]:
        """Return it as it is stored."""
        return {
            "v": _VERSION,
            "id": self.id,
            "parent": self.parent_id,
            "checkpoint": self.checkpoint,
            "metadata": self.metadata,
            "channels": {name: ref if isinstance(ref, str) else list(ref) for name, ref in self.refs.items()},
        }


def record_in(message: Any, session_id: str) -> Record:
    """Return the checkpoint that an event holds. Raises CorruptSession for one of a newer release, or that is none."""
    match message:
        case {"v": 1, "id": str(id), "parent": parent, "checkpoint": dict(checkpoint), "metadata": dict(metadata)}:
            channels = message.get("channels", {})
            refs = {name: ref if isinstance(ref, str) else ListRef(*ref) for name, ref in channels.items()}
            return Record(id, parent, checkpoint, metadata, refs)
        case {"v": int(version)} if version > _VERSION:
            raise newer(session_id)
    raise CorruptSession(session_id, f"{session_id!r} holds a checkpoint that is none of ours")


def writes_message(writes: Sequence[tuple[str, Encoded]], task_id: str, task_path: str) -> dict[str, Any]:
    """Return the writes of a task as they are stored."""
    numbered = [[WRITES_IDX_MAP.get(channel, at), channel, value] for at, (channel, value) in enumerate(writes)]
    return {"v": _VERSION, "task": task_id, "path": task_path, "writes": numbered}


def pending_writes(messages: Sequence[Any], session_id: str) -> list[tuple[str, str, Encoded]]:
    """Return the writes to a checkpoint, as (task, channel, value), of the messages in which they were stored.

    Of two with the same number, the first counts, and of those that the framework numbers below zero, the last. They
    come in the order in which the framework applies them.
    """
    found: dict[tuple[str, int], tuple[str, str, Encoded]] = {}
    for message in messages:
        if message.get("v") != _VERSION:
            raise newer(session_id)
        for number, channel, value in message["writes"]:
            place = (message["task"], number)
            if number < 0 or place not in found:
                found[place] = (message["path"], channel, value)
    ordered = sorted(found.items(), key=lambda each: writes_sort_key(each[1][0], *each[0]))
    return [(task_id, channel, value) for (task_id, _), (_, channel, value) in ordered]


def channels_of(records: Mapping[str, Ref]) -> tuple[list[str], list[ListRef]]:
    """Return the ids of plain values, and the versions of lists."""
    plain = [ref for ref in records.values() if isinstance(ref, str)]
    return plain, [ref for ref in records.values() if not isinstance(ref, str)]


def numbered(name: str, number: int) -> str:
    """Return the name of the first, second … event of one name."""
    return f"{name}#{number}" if number else name


def event_id(name: str) -> str:
    """Return the id of an event for a name of any length."""
    return name if len(name) <= 400 else f"{name[:2]}{derived_id(name)}"


def writes_id(checkpoint_id: str, number: int) -> str:
    """Return the id of a batch of writes to a checkpoint."""
    return event_id(f"w:{checkpoint_id}#{number}")


def checkpoint_of(event: SessionEvent[Any]) -> str:
    """Return the checkpoint that an event of it or its writes belongs to."""
    if event.type == CHECKPOINT:
        return str(event.message["id"])
    return event.id[2:].rpartition("#")[0]


def as_state(latest: str | None) -> dict[str, Any]:
    """Return the state of a session of which `latest` is the greatest id of a checkpoint."""
    return {STATE_KEY: {"v": _VERSION, "latest": latest}}
