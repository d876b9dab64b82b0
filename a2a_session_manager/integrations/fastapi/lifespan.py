"""The lifespan of an app that has a SessionManager: opened when the app starts, closed when its requests have ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any
from weakref import WeakSet

from a2a_session_manager.integrations.fastapi.dependencies import REQUESTS_KEY, STATE_KEY, RequestTasks
from a2a_session_manager.integrations.fastapi.detached import DETACHED_KEY, DetachedStreams
from a2a_session_manager.limits import DEFAULT_LIMITS, StoreLimits
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.pricing.pricer import DEFAULT_PRICER, Pricer

# The app is Any, because a user's lifespan may name FastAPI, Starlette or a subclass as its type.
Lifespan = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any] | None]]


def session_lifespan(
    url: str,
    *,
    inner: Lifespan | None = None,
    limits: StoreLimits = DEFAULT_LIMITS,
    pricer: Pricer = DEFAULT_PRICER,
    indexed: Sequence[str] = (),
    detached_seconds: float = 10.0,
) -> Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]:
    """Return a lifespan that opens a SessionManager: `FastAPI(lifespan=session_lifespan("file:./sessions"))`.

    Args:
        url: the store's; see `store_from_url`. A bad one raises InvalidSessionOperation when the app starts.
        inner: a lifespan of your own. It runs inside this one, finds the manager as `app.state.sessions`, and what it
            yields joins the state. It ends after the detached streams.
        limits: the store's; its `cancel_seconds` is also how long requests under way may take when the app stops.
        pricer: gives a usage without a cost one when it is stored, such as a ListPricer with prices of your own.
        indexed: the properties that `page` and `count` find sessions by, such as `("owner",)`.
        detached_seconds: how long detached streams may go on when the app stops. Then each is cancelled, and keeps what
            it has as an interrupted answer.
    """

    @asynccontextmanager
    async def opened(app: Any) -> AsyncIterator[Mapping[str, Any]]:
        tasks: RequestTasks = WeakSet()
        detached = DetachedStreams()
        async with SessionManager.from_url(url, limits=limits, pricer=pricer, indexed=indexed) as sessions:
            app.state.sessions = sessions
            state = {STATE_KEY: sessions, REQUESTS_KEY: tasks, DETACHED_KEY: detached}
            async with nullcontext() if inner is None else inner(app) as more:
                try:
                    yield {**state, **(more or {})}
                finally:
                    await _ended(tasks, limits.cancel_seconds)
                    await detached.aclose(detached_seconds)

    return opened


async def _ended(tasks: RequestTasks, seconds: float) -> None:
    """Wait up to `seconds` for the requests under way.

    A server that stops waiting for them cancels them and ends the lifespan at once, while the answers that it cut off
    and the ends of their runs are still to be written.
    """
    if under_way := [task for task in tasks if not task.done()]:
        await asyncio.wait(under_way, timeout=seconds)
