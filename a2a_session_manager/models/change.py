"""Everything that one commit changes in a session, as data."""

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
    """Which events to hide, chosen in exactly one way and decided inside the commit.

    Raises InvalidSessionOperation when made in none or in several ways.

    Attributes:
        event_ids: these events; an id that was never appended is refused.
        last: the last `last` events that are visible now: `last=1` pops.
        after: every event with a seq above this; `after=0` clears the session.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChange:
    """What a store commits as one atomic step: retractions first, then the rest.

    State and properties merge per top-level key, runs per id. An empty change only looks where the session is.
    Raises InvalidSessionOperation when made with a key both set and unset, or with what are no lists and dicts.
    """

    events: Sequence[SessionEvent[Any]] = ()
    set_state: Mapping[str, Any] = field(default_factory=dict)
    unset_state: Collection[str] = ()
    set_properties: Mapping[str, Any] = field(default_factory=dict)
    unset_properties: Collection[str] = ()
    runs: Sequence[SessionRun] = ()
    retraction: Retraction | None = None

    def __post_init__(self) -> None:
        # As they are now, and read once: a generator would be empty when it is written.
        for name in ("events", "runs", "unset_state", "unset_properties"):
            object.__setattr__(self, name, arguments.items(name, getattr(self, name)))
        for name in ("set_state", "set_properties"):
            object.__setattr__(self, name, arguments.values(name, getattr(self, name)))
        if not isinstance(self.retraction, Retraction | None):
            raise InvalidSessionOperation(f"retraction={shown(self.retraction)} is none: pass a Retraction")
        for what, kept, dropped in (
            ("state", self.set_state, self.unset_state),
            ("properties", self.set_properties, self.unset_properties),
        ):
            if both := sorted(key for key in kept if key in dropped):
                raise InvalidSessionOperation(f"{what} keys both set and unset in one change: {both}")


@dataclass(frozen=True, slots=True)
class CommitResult:
    """What a commit did. `events` are as they are stored, in the order given, each with its `seq`; `is_repeat`
    marks those that were stored before, which keep their seq, and are marked `retracted` if they were hidden since.
    `retracted` is what this commit hid. `revision` counts the session's commits, `last_seq` its events.
    """

    revision: int
    last_seq: int
    events: list[SessionEvent[Any]]
    retracted: list[SessionEvent[Any]]
