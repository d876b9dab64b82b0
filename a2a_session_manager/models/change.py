"""SessionChange, Retraction and Restoration: what one commit changes, as data; and CommitResult, what it did."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import checked_id, shown
from a2a_session_manager.models import arguments
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_run import SessionRun


@dataclass(frozen=True, slots=True)
class Retraction:
    """Which events a commit hides: chosen in exactly one way, and determined when the commit is made.

    Making one in none or in several ways raises InvalidSessionOperation.

    Attributes:
        event_ids: the ids of the events. The commit refuses an id that was never appended.
        last: how many of the newest visible events; `last=1` is the newest one.
        after: a seq; all events with a higher one. `after=0` means all.
    """

    event_ids: Sequence[str] = ()
    last: int | None = None
    after: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "event_ids", arguments.items("event_ids", self.event_ids))
        for event_id in self.event_ids:
            checked_id(event_id, "event id")
        ways = bool(self.event_ids) + (self.last is not None) + (self.after is not None)
        if ways != 1:
            raise InvalidSessionOperation("say what to retract in one way: event ids, last= or after=")
        for name in ("last", "after"):
            object.__setattr__(self, name, arguments.limit(name, getattr(self, name)))


@dataclass(frozen=True, slots=True)
class Restoration:
    """Which hidden events a commit shows again: chosen in exactly one way, and determined when the commit is made.

    Making one in none or in both ways raises InvalidSessionOperation.

    Attributes:
        event_ids: the ids of the events, however they were hidden. The commit refuses an id that was never appended,
            and one whose event was never hidden; an event that somebody has restored already stays as it is.
        write_id: the write id of the commit whose retraction is undone: all that it hid and nobody has restored since.
            The commit refuses one that is not known, that hid nothing, or that claimed the `last` events: they are
            another's by now, and come back only by their ids.
    """

    event_ids: Sequence[str] = ()
    write_id: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "event_ids", arguments.items("event_ids", self.event_ids))
        for event_id in self.event_ids:
            checked_id(event_id, "event id")
        if bool(self.event_ids) + (self.write_id is not None) != 1:
            raise InvalidSessionOperation(
                "say what to restore in one way: event ids, or write_id=, that of the retraction to undo"
            )
        if self.write_id is not None:
            checked_id(self.write_id, "write id")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChange:
    """What a store commits as one atomic step: the retraction and the restoration first, then the rest.

    With both, one answer takes the place of another: each looks at the session as it was before the commit.

    An empty change writes nothing; its commit returns where the session is. Making one with a key both set and unset,
    or with something else than lists and dicts, raises InvalidSessionOperation.

    Attributes:
        events: events to append, in this order.
        set_state, set_properties: top-level keys with their new values, each replaced as a whole; other keys stay.
        unset_state, unset_properties: top-level keys to remove; one that is not there is fine.
        runs: runs to add, or to update by their ids. An illegal move of a status raises InvalidSessionOperation.
        retraction: which events to hide from the default view.
        restoration: which hidden events to show in it again.
    """

    events: Sequence[SessionEvent[Any]] = ()
    set_state: Mapping[str, Any] = field(default_factory=dict)
    unset_state: Collection[str] = ()
    set_properties: Mapping[str, Any] = field(default_factory=dict)
    unset_properties: Collection[str] = ()
    runs: Sequence[SessionRun] = ()
    retraction: Retraction | None = None
    restoration: Restoration | None = None

    def __post_init__(self) -> None:
        # Copied as they are now, and iterators read once: they would be empty when the commit is sent.
        for name in ("events", "runs", "unset_state", "unset_properties"):
            object.__setattr__(self, name, arguments.items(name, getattr(self, name)))
        for name in ("set_state", "set_properties"):
            object.__setattr__(self, name, arguments.values(name, getattr(self, name)))
        if not isinstance(self.retraction, Retraction | None):
            raise InvalidSessionOperation(f"retraction={shown(self.retraction)} is none: pass a Retraction")
        if not isinstance(self.restoration, Restoration | None):
            raise InvalidSessionOperation(f"restoration={shown(self.restoration)} is none: pass a Restoration")
        for what, set_values, unset_keys in (
            ("state", self.set_state, self.unset_state),
            ("properties", self.set_properties, self.unset_properties),
        ):
            if both := sorted(key for key in set_values if key in unset_keys):
                raise InvalidSessionOperation(f"{what} keys both set and unset in one change: {both}")
        if self.retraction is not None and self.restoration is not None:
            _check_apart(self.retraction.event_ids, self.restoration.event_ids)


def _check_apart(retracted: Sequence[str], restored: Sequence[str]) -> None:
    if both := sorted(set(retracted).intersection(restored)):
        raise InvalidSessionOperation(f"events both retracted and restored in one change: {both}")


@dataclass(frozen=True, slots=True)
class CommitResult:
    """What a commit did.

    Attributes:
        revision: how many commits changed the session so far, this one included.
        last_seq: the seq of the session's newest event; 0 when it has none.
        events: the events of the change as they are stored, in the order given, each with its `seq`. One that was
            stored before keeps its seq and is marked `is_repeat`, and `retracted` if it was hidden since.
        retracted: the events that this commit hid, oldest first.
        restored: the events that this commit showed again, oldest first, marked `restored`.
    """

    revision: int
    last_seq: int
    events: list[SessionEvent[Any]]
    retracted: list[SessionEvent[Any]]
    restored: list[SessionEvent[Any]] = field(default_factory=list)
