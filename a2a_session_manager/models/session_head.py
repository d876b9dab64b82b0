"""SessionHead: what a page shows of a session."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.forked_from import ForkedFrom
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.models.token_summary import TokenSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionHead:
    """A session without its log and its state, as it was when a page was read; it is no handle to write through.

    Attributes:
        id: the session's id.
        parent_id: the session that it is below; None for a root.
        root_id: the root of its tree, which is itself for a root.
        forked_from: where a fork begins; None for any other session.
        title: the property `title`, if that is a text; see `SessionManager.set_title`.
        properties: JSON values under string keys.
        created_at: when it was created, in UTC.
        updated_at: when it was last active, in UTC; see SessionMetadata.
        last_seq: the number of its events, hidden ones too.
        revision: how many commits changed it.
        token_summary: what it has spent by itself, by model and source; `by_run` is empty.
        unfinished_runs: the runs that may still change, oldest first.
        events: its newest visible events, oldest first, as many as were asked for.
    """

    id: str
    parent_id: str | None
    root_id: str
    forked_from: ForkedFrom | None = None
    title: str | None
    properties: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    last_seq: int
    revision: int
    token_summary: TokenSummary
    unfinished_runs: list[SessionRun]
    events: list[SessionEvent[Any]]

    @property
    def newest_message(self) -> SessionEvent[Any] | None:
        """The newest message among `events`, for a preview; None when there is none, such as when none were read."""
        return next((event for event in reversed(self.events) if event.type == EventType.MESSAGE), None)
