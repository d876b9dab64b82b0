"""What is kept of a main transcript beside its lines: when it was written to, and the SDK's summary of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from claude_agent_sdk import fold_session_summary

from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.models.clock import now_micros

if TYPE_CHECKING:
    from claude_agent_sdk import SessionKey, SessionStoreEntry, SessionSummaryEntry

# The key in the session's state, and the version of what is under it.
STATE_KEY: Final = "claude_agent"
_VERSION: Final = 1


class Transcript(NamedTuple):
    """The record in the state of a session: `mtime` in milliseconds, and the `data` of the SDK's summary."""

    mtime: int
    data: dict[str, Any]

    def as_state(self) -> dict[str, Any]:
        """Return it as it is stored."""
        return {STATE_KEY: {"v": _VERSION, "mtime": self.mtime, "summary": self.data}}


def transcript_in(state: Mapping[str, Any], session_id: str) -> Transcript | None:
    """Return the record in a session's state; None for one that no line was appended to.

    Raises CorruptSession for one of a newer release, or that is none.
    """
    record = state.get(STATE_KEY)
    if record is None:
        return None
    match record:
        case {"v": int(version), "mtime": int(mtime), "summary": dict(data)} if version == _VERSION:
            return Transcript(mtime, data)
        case {"v": int(version)} if version > _VERSION:
            raise CorruptSession(
                session_id, f"transcript {session_id!r} was written by a newer release: upgrade a2a_session_manager"
            )
    raise CorruptSession(session_id, f"session {session_id!r} holds a record under {STATE_KEY!r} that is none of ours")


def folded(
    before: Transcript | None, key: SessionKey, entries: Sequence[SessionStoreEntry], *, at_least: int
) -> Transcript:
    """Return the record after `entries` were appended; its time grows, and is `at_least` so many milliseconds."""
    summary: SessionSummaryEntry | None = None
    if before is not None:
        summary = {"session_id": key["session_id"], "mtime": before.mtime, "data": before.data}
    mtime = max(now_micros() // 1000, at_least, 0 if before is None else before.mtime + 1)
    return Transcript(mtime, fold_session_summary(summary, key, list(entries))["data"])
