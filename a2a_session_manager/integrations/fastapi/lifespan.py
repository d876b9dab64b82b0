"""The lifespan of an app that has a SessionManager: opened when the app starts, closed when its requests have ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any
from weakref import WeakSet

from a2a_session_manager.integrations.fastapi.dependencies import REQUESTS_KEY, STATE_KEY, RequestTasks
from a2a_session_manager.integrations.fastapi.detaching import GENERATIONS_KEY, Generations
from a2a_session_manager.limits import DEFAULT_LIMITS, StoreLimits
from a2a_session_manager.manager import SessionManager

# The app is FastAPI, Starlette or a subclass: a lifespan of one's own names the type it wants.
Lifespan = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any] | None]]


def session_lifespan(
    url: str,
    *,
    inner: Lifespan | None = None,
    limits: StoreLimits = DEFAULT_LIMITS,
    detached_seconds: float = 10.0,
) -> Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]:
    """Return a lifespan that opens the store of `url`: `FastAPI(lifespan=session_lifespan("file:./sessions"))`.

    `inner` is a lifespan of your own; it runs inside this one, finds the manager as `app.state.sessions`, and
    what it yields joins the state. When the app stops, detached streams may go on for `detached_seconds`; then each
    is cancelled, and keeps what it has as an interrupted answer. `inner` ends after them. A bad URL raises
    InvalidSessionOperation when the app starts.
    """

    @asynccontextmanager
    async def opened(app: Any) -> AsyncIterator[Mapping[str, Any]]:
        tasks: RequestTasks = WeakSet()
        generations = Generations()
        async with SessionManager.from_url(url, limits=limits) as sessions:
            app.state.sessions = sessions
            state = {STATE_KEY: sessions, REQUESTS_KEY: tasks, GENERATIONS_KEY: generations}
            async with nullcontext() if inner is None else inner(app) as more:
                try:
                    yield {**state, **(more or {})}
                finally:
                    await _ended(tasks, limits.cancel_seconds)
                    await generations.aclose(detached_seconds)

    return opened


async def _ended(tasks: RequestTasks, patience: float) -> None:
    """Wait for requests still under way: a server that runs out of patience cancels them and asks for the end at
    once, when the answers it cut off and the ends of their runs are yet to be written.
    """
    if under_way := [task for task in tasks if not task.done()]:
        await asyncio.wait(under_way, timeout=patience)
