"""A read-only router: lists of ids and of heads, a session, its events by page, its tree and its usage.

The id is the end of each path, because an id may hold slashes: if anything came after it, `/trip/events` could be the
session of that id or the events of `trip`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import Response
from pydantic import AwareDatetime

from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.integrations.fastapi.dependencies import After, get_sessions, sessions_of
from a2a_session_manager.integrations.fastapi.preconditions import etag
from a2a_session_manager.integrations.fastapi.responses import json_response
from a2a_session_manager.integrations.fastapi.timeline import add_timeline
from a2a_session_manager.integrations.fastapi.views import (
    EventPage,
    ForkPoint,
    HeadList,
    HeadView,
    SessionCount,
    SessionList,
    SessionView,
    TreeNode,
    TreeView,
    UsageView,
)
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.protocols import PageOrder

MOST_EVENTS = 500
MOST_IDS = 1_000
MOST_HEADS = 200
# Among so many of a session's newest events, the message of its preview is looked for.
_PREVIEWED_EVENTS = 10
# A view of more tallies is built in a thread, since it takes longer than the event loop may be held up.
_FEW_TALLIES = 200

SessionId = Annotated[str, Path(description="The id, percent-encoded; slashes in it may stay as they are.")]
EventLimit = Annotated[int, Query(ge=1, le=MOST_EVENTS)]
EventsLast = Annotated[int, Query(ge=0, le=MOST_EVENTS)]
HeadLimit = Annotated[int, Query(ge=1, le=MOST_HEADS)]
PropertiesQuery = Annotated[
    str | None, Query(alias="properties", description='Those that sessions must have, as JSON: {"owner": "ann"}')
]
IdLimit = Annotated[int, Query(ge=1, le=MOST_IDS)]


def session_router(tenant: Callable[..., Any] | None = None, *, timeline: bool = False) -> APIRouter:
    """Return a read-only router. It shows everything that sessions hold, so include it with your own authentication.

    `app.include_router(session_router(), prefix="/admin", dependencies=[Depends(is_admin)])`. With `tenant`, a
    dependency of yours that returns the name of a namespace, it shows that namespace alone. With `timeline`, people see
    a session and all below it at `/timeline/ID`, as `session_timeline` makes it, and with `?live=true` what comes, too.
    """
    router = APIRouter(tags=["sessions"])
    shown = Depends(get_sessions if tenant is None else sessions_of(tenant))
    for add_route in (_add_list, _add_heads, _add_count, _add_session, _add_events, _add_tree, _add_usage):
        add_route(router, shown)
    if timeline:
        add_timeline(router, shown)
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


def _add_heads(router: APIRouter, shown: Any) -> None:
    @router.get("/heads", response_model=HeadList)
    async def list_heads(
        order: PageOrder = "updated",
        newest_first: bool = True,
        properties: PropertiesQuery = None,
        title: str | None = None,
        roots_only: bool = False,
        preview: bool = False,
        limit: HeadLimit = 50,
        cursor: str | None = None,
        sessions: SessionManager = shown,
    ) -> Response:
        page = await sessions.page(
            order=order,
            newest_first=newest_first,
            properties=_properties(properties),
            title=title,
            roots_only=roots_only,
            limit=limit,
            cursor=cursor,
            last=_PREVIEWED_EVENTS if preview else 0,
        )
        shown_heads = HeadList(sessions=[HeadView.of(head) for head in page], cursor=page.cursor)
        return await json_response(shown_heads, [head.properties for head in page])


def _add_count(router: APIRouter, shown: Any) -> None:
    @router.get("/count", response_model=SessionCount)
    async def count_sessions(
        properties: PropertiesQuery = None, roots_only: bool = False, sessions: SessionManager = shown
    ) -> SessionCount:
        return SessionCount(count=await sessions.count(properties=_properties(properties), roots_only=roots_only))


def _add_session(router: APIRouter, shown: Any) -> None:
    @router.get("/sessions/{session_id:path}", response_model=SessionView)
    async def get_session(session_id: SessionId, last: EventsLast = 20, sessions: SessionManager = shown) -> Response:
        session = await sessions.get(session_id, last=last)
        payloads = [session.state, session.metadata.properties, *(event.message for event in session.events)]
        return await json_response(SessionView.of(session), payloads, {"ETag": etag(session)})


def _add_events(router: APIRouter, shown: Any) -> None:
    @router.get("/events/{session_id:path}", response_model=EventPage)
    async def get_events(
        session_id: SessionId,
        after: After = 0,
        limit: EventLimit = 100,
        type: str | None = None,
        source: EventSource | None = None,
        run: str | None = None,
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
        sessions: SessionManager = shown,
    ) -> Response:
        page = await sessions.events_page(
            session_id, after=after, limit=limit, type=type, source=source, run=run, since=since, until=until
        )
        return await json_response(EventPage(**page._asdict()), [event.message for event in page.events])


def _add_tree(router: APIRouter, shown: Any) -> None:
    @router.get("/tree/{session_id:path}", response_model=TreeView)
    async def get_tree(session_id: SessionId, sessions: SessionManager = shown) -> Response:
        nodes = await sessions.store.tree(session_id)
        shown_nodes = [
            TreeNode(id=node.id, parent_id=node.parent_id, forked_from=ForkPoint.of(node.forked_from)) for node in nodes
        ]
        return await json_response(TreeView(sessions=shown_nodes))


def _add_usage(router: APIRouter, shown: Any) -> None:
    @router.get("/usage/{session_id:path}", response_model=UsageView)
    async def get_usage(session_id: SessionId, tree: bool = False, sessions: SessionManager = shown) -> Response:
        spent = await sessions.usage(session_id, tree=tree)
        if len(spent.by_model) + len(spent.by_run) > _FEW_TALLIES:
            return await json_response(await in_thread(UsageView.of, spent))
        return await json_response(UsageView.of(spent))


def _properties(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidSessionOperation('properties= is no JSON object: take one such as {"owner": "ann"}')
    return found
