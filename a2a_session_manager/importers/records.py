"""What a format's reader yields: sessions that begin, and what is in them, in the order in which it is to be stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, TypeAlias

from a2a_session_manager.context.messages import event_from_message
from a2a_session_manager.identifiers import derived_id, is_id
from a2a_session_manager.importers.source import SourceFile, Value
from a2a_session_manager.importers.times import Moment
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.shapes.recognition import shape_of

# The property of a session, and the key in the metadata of an event, for what the file says beside what was said.
IMPORTED: Final = "imported"
# The type of an event that keeps a record which says nothing to a model, or which nobody knows.
OPAQUE: Final = "opaque"


@dataclass(frozen=True, slots=True)
class SessionStart:
    """A session begins; the same one may begin several times, and goes on then.

    Attributes:
        id: the session's, which is always the same for the same conversation.
        parent_id: the session that it is put below. With `fork_at`, the id of an event of that one, it is a fork.
        created_at, updated_at: when it was; None for when its first, or its last, event was.
        about: what the file says of it, which goes into the property `imported`.
        properties, state: those that it begins with.
    """

    id: str
    parent_id: str | None = None
    fork_at: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    title: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An event of a session that has begun. `kind` names what an opaque one was; `is_timed` whether its time is its
    own; `weight` is about how many characters it has."""

    session_id: str
    event: SessionEvent[Any]
    is_timed: bool = True
    kind: str | None = None
    weight: int = 0


@dataclass(frozen=True, slots=True)
class TitleRecord:
    """A title of a session that has begun; the last one counts."""

    session_id: str
    title: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run of a session that has begun; it comes before the events in it."""

    session_id: str
    run: SessionRun


@dataclass(frozen=True, slots=True)
class Note:
    """Something of the file that people should know."""

    text: str


Record: TypeAlias = SessionStart | EventRecord | TitleRecord | RunRecord | Note


def safe_id(text: str) -> str:
    """Return an id as it is, or another one that is always the same for it where no store could keep it."""
    return text if is_id(text) else derived_id(text)


def storable(record: Record) -> Record:
    """Return a record with ids of sessions that a store can keep: mostly as it is."""
    match record:
        case SessionStart() if not (is_id(record.id) and (record.parent_id is None or is_id(record.parent_id))):
            parent_id = None if record.parent_id is None else safe_id(record.parent_id)
            return replace(record, id=safe_id(record.id), parent_id=parent_id)
        case EventRecord() | TitleRecord() | RunRecord() if not is_id(record.session_id):
            return replace(record, session_id=safe_id(record.session_id))
    return record


class UsedIds:
    """The ids of the events of one record: a second event of an id gets another one, unless it says the same."""

    def __init__(self) -> None:
        self._said: dict[str, Any] = {}

    def of(self, event_id: str, message: Any, number: int) -> str:
        """Return the id for an event that is called `event_id`, the record's `number`th."""
        if self._said.setdefault(event_id, message) == message:
            return event_id
        return f"{event_id[:400]}#{number}"


class ConversationIds:
    """Gives each conversation of a file an id: its own, or with a number after it where that was taken before."""

    def __init__(self) -> None:
        self._taken: set[bytes] = set()

    def of(self, name: str, number: int, kind: str = "") -> str:
        """Return the id for a conversation that is called `name`, the file's `number`th; each `kind` has ids of its
        own, so that a request and its answer may share one."""
        name = safe_id(name)
        mark = blake2b(f"{kind} {name}".encode(errors="surrogatepass"), digest_size=8).digest()
        if mark in self._taken:
            return f"{name[:400]}#{number}"
        self._taken.add(mark)
        return name


def said(
    session_id: str,
    message: Mapping[str, Any],
    *,
    id: str,
    at: Moment,
    rest: Mapping[str, Any] | None = None,
    usage: TokenUsage | None = None,
    run_id: str | None = None,
    weight: int = 0,
    **changes: Any,
) -> EventRecord:
    """Return the event of a message; an opaque one where it is no message.

    `rest` is what its record says beside it. `changes` are other fields of the event, such as `type`.
    """
    role = message.get("role")
    if not (isinstance(role, str) and role) and shape_of(message) is None:
        kind = message.get("type", message.get("kind"))
        kind = kind if isinstance(kind, str) and kind else "message"
        return opaque(session_id, message, kind, id=id, at=at, rest=rest, weight=weight)
    about = {"metadata": {IMPORTED: dict(rest)}} if rest else {}
    event = event_from_message(message, id=safe_id(id), timestamp=at.time, token_usage=usage, task_id=run_id, **about)
    if changes:
        event = event.model_copy(update=changes)
    return EventRecord(session_id, event, at.is_known, None, weight)


def opaque(
    session_id: str,
    record: Any,
    kind: str,
    *,
    id: str,
    at: Moment,
    rest: Mapping[str, Any] | None = None,
    usage: TokenUsage | None = None,
    run_id: str | None = None,
    weight: int = 0,
) -> EventRecord:
    """Return the event that keeps a record as it is, which no view shows; `kind` says what it was."""
    event = SessionEvent(
        id=safe_id(id),
        message=record,
        source=EventSource.SYSTEM,
        type=OPAQUE,
        timestamp=at.time,
        task_id=run_id,
        token_usage=usage,
        metadata={IMPORTED: {"kind": kind, **(rest or {})}},
    )
    return EventRecord(session_id, event, at.is_known, kind, weight)


def stray(source: SourceFile, value: Value, *, is_first: bool, what: str) -> Iterator[Record]:
    """Yield a value that is none of its file's kind, as a session of such values, which is named by the file.

    Raises ImportFault for the first value: then the file is of another format.
    """
    if is_first:
        raise source.fault(f"this is no {what}", value.line)
    yield SessionStart(f"{source.name}/strays", created_at=source.modified_at)
    at = Moment(source.modified_at, False)
    yield opaque(f"{source.name}/strays", value.data, "stray", id=f"line-{value.line}", at=at, weight=value.weight)


def without(record: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """Return a record without some of its keys."""
    return {key: value for key, value in record.items() if key not in keys}
