"""SyncState: what a session knows of its store, kept in step by every write that goes through the session."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from a2a_session_manager.hierarchy import TreeReader
from a2a_session_manager.models.forked_from import ForkedFrom
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.token_summary import TokenSummary

# More events than these are placed and counted in slices, between which the event loop runs other tasks.
EVENTS_AT_ONCE = 256


@dataclass(slots=True, eq=False)
class SyncState:
    """What one session object knows of its stored session; each object has one of its own. `save` compares with it.

    Attributes:
        created_at, updated_at: in microseconds since the epoch.
        revision, last_seq: the object has seen everything up to these, so that a guarded commit never passes over a
            change that it has not seen.
        tag: the tag of the commit that made `revision`, since that number comes again after a restore.
        events: those in the session's list that are stored, by seq.
        hidden: ranges of seqs that were hidden through this object; `totals` still counts their events.
        retracted: all ranges of seqs that were hidden through this object, also those of events that are not counted
            yet, since the answer to their append comes after that to the retraction. What was restored through this
            object is in none of them.
        restored_at: the revision of the newest commit through this object that restored events.
        state, properties, runs: encoded bytes by key.
        totals: what all events up to `last_seq` and those in `events` spent.
        counted_to: the seq up to which the store's own totals were read since, with what others have spent by then.
        earlier_events: how many visible events a read with `last=` left out.
        changes: a counter of the changes to this state.
    """

    store: TreeReader
    session_id: str
    creation_id: str
    parent_id: str | None
    root_id: str
    created_at: int
    updated_at: int
    forked_from: ForkedFrom | None = None
    revision: int = 0
    last_seq: int = 0
    tag: str = ""
    events: list[SessionEvent[Any]] = field(default_factory=list)
    hidden: list[tuple[int, int]] = field(default_factory=list)
    retracted: list[tuple[int, int]] = field(default_factory=list)
    restored_at: int = 0
    state: dict[str, bytes] = field(default_factory=dict)
    properties: dict[str, bytes] = field(default_factory=dict)
    runs: dict[str, bytes] = field(default_factory=dict)
    totals: TokenSummary = field(default_factory=TokenSummary)
    counted_to: int = 0
    is_partial: bool = False
    earlier_events: int = 0
    changes: int = 0

    def copied(self) -> SyncState:
        """Return the state for a copy of the session; later writes through one do not change that of the other."""
        return replace(
            self,
            events=list(self.events),
            hidden=list(self.hidden),
            retracted=list(self.retracted),
            state=dict(self.state),
            properties=dict(self.properties),
            runs=dict(self.runs),
        )
