"""What a path operation depends on: the manager, the session in its path, and both in a tenant's namespace.

No dependency here writes after the response: a verb has written when it returns.
"""

# No `from __future__ import annotations` here: FastAPI evaluates the annotations of the inner functions, and could not
# look up the names that are local to the outer ones.

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from weakref import WeakSet

from fastapi import Depends, Path, Query
from fastapi.requests import HTTPConnection

from a2a_session_manager.active import ActiveSession
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.manager import SessionManager

STATE_KEY = "sessions"
REQUESTS_KEY = "session_requests"
LAST_SEQ = 2**63 - 1
RequestTasks = WeakSet[asyncio.Task[Any]]

After = Annotated[int, Query(ge=0, le=LAST_SEQ)]


# It is async without awaiting, because FastAPI calls a plain function in a thread, which takes longer than the call.
async def get_sessions(connection: HTTPConnection) -> SessionManager:
    """Return the manager that `session_lifespan` opened. Raises RuntimeError in an app without that lifespan.

    Tests replace it: `app.dependency_overrides[get_sessions] = lambda: sessions`.
    """
    sessions = getattr(connection.state, STATE_KEY, None)
    if not isinstance(sessions, SessionManager):
        raise RuntimeError(
            "the app has no SessionManager: make it with FastAPI(lifespan=session_lifespan(url)); "
            "httpx.ASGITransport runs no lifespan, override get_sessions there"
        )
    tasks: RequestTasks | None = getattr(connection.state, REQUESTS_KEY, None)
    if tasks is not None and (task := asyncio.current_task()) is not None:
        tasks.add(task)
    return sessions


Sessions = Annotated[SessionManager, Depends(get_sessions)]


async def get_chat(session_id: Annotated[str, Path()], sessions: Sessions) -> ActiveSession:
    """Return the session that the path parameter `session_id` names; its head is read. Raises SessionNotFound."""
    return await _chat(sessions, session_id)


Chat = Annotated[ActiveSession, Depends(get_chat)]


def sessions_of(tenant: Callable[..., Any]) -> Callable[..., Awaitable[SessionManager]]:
    """Return a dependency that gives the manager of the request's tenant.

    `tenant` is a dependency of yours that returns the name of a namespace, such as that of the authenticated customer:
    `Sessions = Annotated[SessionManager, Depends(sessions_of(tenant))]`. A request for which it returns no name, or an
    empty one, raises InvalidSessionOperation: it never gets the default namespace.
    """

    async def get_tenant_sessions(sessions: Sessions, name: Annotated[Any, Depends(tenant)]) -> SessionManager:
        if not isinstance(name, str) or not name:
            raise InvalidSessionOperation(
                f"the tenant is {name!r:.80}: it takes a name, or all would share one namespace"
            )
        return sessions.namespace(name)

    return get_tenant_sessions


def chat_of(tenant: Callable[..., Any]) -> Callable[..., Awaitable[ActiveSession]]:
    """Return a dependency that gives the session in the path, in the namespace of the request's tenant.

    `tenant` is a dependency of yours, as for `sessions_of`. Raises what `sessions_of` and `get_chat` raise.
    """

    async def get_tenant_chat(
        session_id: Annotated[str, Path()], sessions: Annotated[SessionManager, Depends(sessions_of(tenant))]
    ) -> ActiveSession:
        return await _chat(sessions, session_id)

    return get_tenant_chat


async def _chat(sessions: SessionManager, session_id: str) -> ActiveSession:
    return ActiveSession(sessions.store, await sessions.get(session_id, last=0))
