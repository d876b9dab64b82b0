"""A read-only router: list, get, events by page, tree and usage.

The id is the end of each path, because an id may hold slashes: if anything came after it, `/trip/events` could be the
session of that id or the events of `trip`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import Response

from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.integrations.fastapi.dependencies import After, get_sessions, sessions_of
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
# A view of more tallies is built in a thread, since it takes longer than the event loop may be held up.
_FEW_TALLIES = 200

SessionId = Annotated[str, Path(description="The id, percent-encoded; slashes in it may stay as they are.")]
EventLimit = Annotated[int, Query(ge=1, le=MOST_EVENTS)]
EventsLast = Annotated[int, Query(ge=0, le=MOST_EVENTS)]
IdLimit = Annotated[int, Query(ge=1, le=MOST_IDS)]


def session_router(tenant: Callable[..., Any] | None = None) -> APIRouter:
    """Return a read-only router. It shows everything that sessions hold, so include it with your own authentication.

    `app.include_router(session_router(), prefix="/admin", dependencies=[Depends(is_admin)])`. With `tenant`, a
    dependency of yours that returns the name of a namespace, it shows that namespace alone.
    """
    router = APIRouter(tags=["sessions"])
    shown = Depends(get_sessions if tenant is None else sessions_of(tenant))
    for add_route in (_add_list, _add_session, _add_events, _add_tree, _add_usage):
        add_route(router, shown)
    return router


def _add_list(router: APIRouter, shown: Any) -> None:
    @router.get("/sessions", response_model=SessionList)
    async def list_sessions(
        prefix: str = "",
        cursor: str | None = None,
        limit: IdLimit = 100,
        roots_only: bool = False,
        sessions: SessionManager = shown,
    ) -> Response:
        page = await sessions.store.list_page(prefix, cursor=cursor, limit=limit, roots_only=roots_only)
        return await json_response(SessionList(session_ids=page.session_ids, cursor=page.cursor))


def _add_session(router: APIRouter, shown: Any) -> None:
    @router.get("/sessions/{session_id:path}", response_model=SessionView)
    async def get_session(session_id: SessionId, last: EventsLast = 20, sessions: SessionManager = shown) -> Response:
        session = await sessions.get(session_id, last=last)
        payloads = [session.state, session.metadata.properties, *(event.message for event in session.events)]
        return await json_response(SessionView.of(session), payloads, {"ETag": etag(session)})


def _add_events(router: APIRouter, shown: Any) -> None:
    @router.get("/events/{session_id:path}", response_model=EventPage)
    async def get_events(
        session_id: SessionId, after: After = 0, limit: EventLimit = 100, sessions: SessionManager = shown
    ) -> Response:
        page = await sessions.store.events_page(session_id, after=after, limit=limit)
        return await json_response(EventPage(**page._asdict()), [event.message for event in page.events])


def _add_tree(router: APIRouter, shown: Any) -> None:
    @router.get("/tree/{session_id:path}", response_model=TreeView)
    async def get_tree(session_id: SessionId, sessions: SessionManager = shown) -> Response:
        nodes = await sessions.store.tree(session_id)
        return await json_response(TreeView(sessions=[TreeNode(id=node, parent_id=above) for node, above in nodes]))


def _add_usage(router: APIRouter, shown: Any) -> None:
    @router.get("/usage/{session_id:path}", response_model=UsageView)
    async def get_usage(session_id: SessionId, tree: bool = False, sessions: SessionManager = shown) -> Response:
        spent = await sessions.usage(session_id, tree=tree)
        if len(spent.by_model) + len(spent.by_run) > _FEW_TALLIES:
            return await json_response(await in_thread(UsageView.of, spent))
        return await json_response(UsageView.of(spent))
