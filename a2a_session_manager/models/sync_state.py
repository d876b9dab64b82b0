"""SyncState: what a session knows of its store, kept in step by every write that goes through the session."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from a2a_session_manager.hierarchy import TreeReader
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.token_summary import TokenSummary

# More events are placed and counted in slices, between which the loop has its turn.
EVENTS_AT_ONCE = 256


@dataclass(slots=True, eq=False)
class SyncState:
    """The store's side of one session object, as far as that has seen it. A session holds it privately and alone.

    `save` compares with it: `events` are the shown ones that are stored, by seq; `state`, `properties` and `runs` are
    encoded bytes by key. `revision` and `last_seq` are the last ones seen without a gap, so that a guarded commit
    never passes over an unseen change; `tag` is what the commit of that revision has left, for where the revision
    comes again. `totals` count every event up to `last_seq`, the `events`, and the ranges of seqs in `hidden`, whose
    events are shown no more. `earlier_events` are the visible ones that a bounded read left out. Times are in
    microseconds. `changes` counts up whenever something here changes.
    """

    store: TreeReader
    session_id: str
    creation_id: str
    parent_id: str | None
    root_id: str
    created_at: int
    updated_at: int
    revision: int = 0
    last_seq: int = 0
    tag: str = ""
    events: list[SessionEvent[Any]] = field(default_factory=list)
    hidden: list[tuple[int, int]] = field(default_factory=list)
    state: dict[str, bytes] = field(default_factory=dict)
    properties: dict[str, bytes] = field(default_factory=dict)
    runs: dict[str, bytes] = field(default_factory=dict)
    totals: TokenSummary = field(default_factory=TokenSummary)
    is_partial: bool = False
    earlier_events: int = 0
    changes: int = 0

    def copied(self) -> SyncState:
        """Return the state for a copy of the session, which later writes through either do not change for the other."""
        return replace(
            self,
            events=list(self.events),
            hidden=list(self.hidden),
            state=dict(self.state),
            properties=dict(self.properties),
            runs=dict(self.runs),
        )
