"""The lifespan of an app that has a SessionManager: opened when the app starts, closed when it has stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from a2a_session_manager.integrations.fastapi.dependencies import STATE_KEY
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.storage.limits import DEFAULT_LIMITS, StoreLimits

# An app type of one's own is fine: FastAPI, Starlette, or a subclass.
Lifespan = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any] | None]]


def session_lifespan(
    url: str, *, inner: Lifespan | None = None, limits: StoreLimits = DEFAULT_LIMITS
) -> Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]:
    """Return a lifespan that opens the store of `url`: `FastAPI(lifespan=session_lifespan("file:./sessions"))`.

    `inner` is a lifespan of your own; it runs inside this one, and what it yields joins the state. One that
    needs the manager itself opens it, `SessionManager.from_url(url) as sessions`, and yields it as `"sessions"`.
    """

    @asynccontextmanager
    async def opened(app: Any) -> AsyncIterator[Mapping[str, Any]]:
        async with SessionManager.from_url(url, limits=limits) as sessions:
            state = {STATE_KEY: sessions}
            if inner is None:
                yield state
            else:
                async with inner(app) as more:
                    yield {**state, **(more or {})}

    return opened
