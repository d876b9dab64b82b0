"""A read-only router: list, get, events by page, tree and usage.

The id is the last part of each path, and all of it: an id may hold slashes, and nothing behind one could tell
`/trip/events` the session from `/trip` and its events.
"""

# No future annotations here: FastAPI reads those of the inner functions, whose own names it could not look up.

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import Response

from a2a_session_manager.integrations.fastapi.dependencies import get_sessions, sessions_of
from a2a_session_manager.integrations.fastapi.preconditions import etag
from a2a_session_manager.integrations.fastapi.responses import json_response
from a2a_session_manager.integrations.fastapi.views import (
    EventPage,
    SessionList,
    SessionView,
    TreeNode,
    TreeView,
    UsageView,
)
from a2a_session_manager.manager import SessionManager

MOST_EVENTS = 500
MOST_IDS = 1_000
_LAST_SEQ = 2**63 - 1

SessionId = Annotated[str, Path(description="The id, percent-encoded; slashes in it may stay as they are.")]
Limit = Annotated[int, Query(ge=1, le=MOST_EVENTS)]


def session_router(tenant: Callable[..., Any] | None = None) -> APIRouter:
    """Return the router, to include behind your own authentication: it shows everything a session holds.

    `app.include_router(session_router(), prefix="/admin", dependencies=[Depends(is_admin)])`. With `tenant`, a
    dependency of yours that returns a namespace, it shows that namespace alone.
    """
    router = APIRouter(tags=["sessions"])
    Sessions = Annotated[SessionManager, Depends(get_sessions if tenant is None else sessions_of(tenant))]  # noqa: N806  a type

    @router.get("/sessions", response_model=SessionList)
    async def list_sessions(
        sessions: Sessions,
        prefix: str = "",
        cursor: str | None = None,
        limit: Annotated[int, Query(ge=1, le=MOST_IDS)] = 100,
        roots_only: bool = False,
    ) -> Response:
        page = await sessions.store.list_page(prefix, cursor=cursor, limit=limit, roots_only=roots_only)
        return await json_response(SessionList(session_ids=page.session_ids, cursor=page.cursor))

    @router.get("/sessions/{session_id:path}", response_model=SessionView)
    async def get_session(
        session_id: SessionId, sessions: Sessions, last: Annotated[int, Query(ge=0, le=MOST_EVENTS)] = 20
    ) -> Response:
        session = await sessions.get(session_id, last=last)
        payloads = [session.state, session.metadata.properties, *(event.message for event in session.events)]
        return await json_response(SessionView.of(session), payloads, {"ETag": etag(session)})

    @router.get("/events/{session_id:path}", response_model=EventPage)
    async def get_events(
        session_id: SessionId,
        sessions: Sessions,
        after: Annotated[int, Query(ge=0, le=_LAST_SEQ)] = 0,
        limit: Limit = 100,
    ) -> Response:
        events = await sessions.store.events(session_id, after=after, limit=limit)
        page = EventPage(events=events, next_after=events[-1].seq if len(events) == limit else None)
        return await json_response(page, [event.message for event in events])

    @router.get("/tree/{session_id:path}", response_model=TreeView)
    async def get_tree(session_id: SessionId, sessions: Sessions) -> Response:
        nodes = await sessions.store.tree(session_id)
        return await json_response(TreeView(sessions=[TreeNode(id=node, parent_id=above) for node, above in nodes]))

    @router.get("/usage/{session_id:path}", response_model=UsageView)
    async def get_usage(session_id: SessionId, sessions: Sessions, tree: bool = False) -> Response:
        return await json_response(UsageView.of(await sessions.usage(session_id, tree=tree)))

    return router
