"""The timeline of a session over HTTP: a page for people, and the stream that a live one follows."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import HTMLResponse, Response

from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.exceptions import InvalidSessionOperation, SessionNotFound
from a2a_session_manager.integrations.fastapi.dependencies import LAST_SEQ
from a2a_session_manager.integrations.fastapi.sse import PING_SECONDS, EventStream, sse_frame, with_pings
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.timeline.export import MOST_EVENTS, timeline_page
from a2a_session_manager.timeline.following import StaleTimeline, timeline_updates
from a2a_session_manager.timeline.html import content_policy
from a2a_session_manager.timeline.reading import read_tree

_MOST_SESSIONS = 10_000


def add_timeline(router: APIRouter, shown: Any) -> None:
    """Add the page to a router; `shown` is the dependency that gives the manager."""

    @router.get("/timeline/{session_id:path}", response_class=HTMLResponse)
    async def get_timeline(
        session_id: Annotated[str, Path(description="The id, percent-encoded; slashes in it may stay as they are.")],
        live: bool = False,
        alone: bool = False,
        last: Annotated[int, Query(ge=0, le=MOST_EVENTS)] = MOST_EVENTS,
        after: Annotated[str | None, Query(description="Of a live page alone: what it has already")] = None,
        of: str = "",
        sessions: SessionManager = shown,
    ) -> Response:
        if after is not None:
            if await sessions.store.get(session_id, last=0) is None:
                raise SessionNotFound(session_id)
            return EventStream(with_pings(_updates(sessions, session_id, _seqs(after), of), PING_SECONDS))
        tree = await read_tree(sessions.store, session_id, alone=alone, last=last)
        page = await in_thread(timeline_page, tree, redact=True, live=live and not alone)
        return HTMLResponse(page, headers=_headers(live=live and not alone))


def _headers(*, live: bool) -> dict[str, str]:
    return {
        "Content-Security-Policy": f"{content_policy(live=live)}; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


def _seqs(text: str) -> list[int]:
    parts = text.split(".") if text else []
    if len(parts) > _MOST_SESSIONS or not all(part.isascii() and part.isdigit() and len(part) < 17 for part in parts):
        raise InvalidSessionOperation("after= is no list of seqs such as 12.3.40: load the page again")
    return [min(int(part), LAST_SEQ) for part in parts]


async def _updates(
    sessions: SessionManager, session_id: str, known: Sequence[int], of: str
) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(timeline_updates(sessions.store, session_id, known=known, of=of)) as updates:
            async for update in updates:
                yield await in_thread(sse_frame, "timeline", update)
    except StaleTimeline:
        yield sse_frame("stale", None)
