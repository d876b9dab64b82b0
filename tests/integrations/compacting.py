"""What the tests of the bridges do to a bridge's session: our own compaction of it."""

from __future__ import annotations

import pytest

from a2a_session_manager import InvalidSessionOperation, SessionManager


async def check_is_refused(sessions: SessionManager, session_id: str, kind: str) -> None:
    """Check that a compaction of what only a framework reads is refused by name, and writes nothing."""
    before = await sessions.get(session_id)

    async with sessions.open(session_id) as chat:
        with pytest.raises(InvalidSessionOperation, match=f"{kind}.*nothing was written"):
            await chat.compact(lambda view: "short")

    assert (await sessions.get(session_id)).revision == before.revision


async def compact_what_is_ours(sessions: SessionManager, session_id: str) -> None:
    """Say something of our own beside what a framework keeps, and let a summary stand for that."""
    async with sessions.open(session_id) as chat:
        await chat.user("What does it cost? " * 9)
        await chat.assistant("120 EUR. " * 9)
        await chat.compact(lambda view: "short")
        assert await chat.messages() == [{"role": "user", "content": "short"}]
