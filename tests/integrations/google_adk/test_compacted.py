"""What the ADK sees of a session that was compacted by us: all of its events, in their order."""

from __future__ import annotations

from a2a_session_manager import SessionManager
from a2a_session_manager.integrations.google_adk import ADKSessionService
from tests.integrations.bridging import sessions
from tests.integrations.compacting import check_is_refused, compact_what_is_ours
from tests.integrations.google_adk.test_session_service import ANN, found, said, texts
from tests.stores import url

__all__ = ["sessions", "url"]


async def test_the_events_stay_whatever_is_compacted_beside_them(sessions: SessionManager) -> None:
    service = ADKSessionService(sessions)
    session = await service.create_session(**ANN, session_id="s")
    for number in range(4):
        await service.append_event(session, said(f"text {number}"))
    [ours] = [each for each in await sessions.list_sessions() if each.startswith("session/")]
    await check_is_refused(sessions, ours, "google_adk_event")
    await compact_what_is_ours(sessions, ours)

    await service.append_event(await found(service), said("after"))

    cold = ADKSessionService(sessions)
    assert texts(await found(cold)) == ["text 0", "text 1", "text 2", "text 3", "after"]
    assert texts(await found(cold, num_recent_events=2)) == ["text 3", "after"]
