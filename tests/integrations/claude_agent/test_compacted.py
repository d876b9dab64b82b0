"""What the Claude Agent SDK sees of a transcript whose session was compacted by us: all of its lines."""

from __future__ import annotations

from a2a_session_manager import SessionManager
from a2a_session_manager.integrations.claude_agent import ClaudeSessionStore
from tests.integrations.bridging import sessions
from tests.integrations.claude_agent.test_session_store import KEY, line, uuids
from tests.integrations.compacting import check_is_refused, compact_what_is_ours
from tests.stores import url

__all__ = ["sessions", "url"]


async def test_the_lines_stay_whatever_is_compacted_beside_them(sessions: SessionManager) -> None:
    store = ClaudeSessionStore(sessions)
    await store.append(KEY, [line(1), line(2)])
    [ours] = await sessions.list_sessions()
    await check_is_refused(sessions, ours, "claude_transcript_entry")
    await compact_what_is_ours(sessions, ours)

    await store.append(KEY, [line(3)])

    assert await uuids(ClaudeSessionStore(sessions)) == ["u1", "u2", "u3"]
