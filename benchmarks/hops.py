"""How crooked a verb's way is: `python -m benchmarks.hops` counts calls, modules, and rooms that it comes back to.

A room is a folder of the package, or a module beside the folders. A call is a function's or coroutine's frame, counted
once however often it goes on; a room is entered again when a frame of it follows on one of another room, and it was
entered before.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

import a2a_session_manager
from a2a_session_manager import SessionManager
from a2a_session_manager.integrations.fastapi import Chat, EventStream, Sessions, session_lifespan, stream_answer
from benchmarks import redis

_PACKAGE = Path(a2a_session_manager.__file__).parent
_WARM_UPS = 5
_LAST = 5
_CHAT = "answers"

Verb = Callable[[], Awaitable[object]]


class Way:
    """The frames of the package that were entered, in their order, on all threads."""

    def __init__(self) -> None:
        self._frames: list[FrameType] = []  # kept, so that no id comes again
        self._seen: set[int] = set()
        self.is_watched = False

    def note(self, frame: FrameType, event: str, _: Any) -> None:
        """Take what the interpreter tells a profiler."""
        if not self.is_watched or event != "call" or id(frame) in self._seen:
            return
        # Comprehensions are frames of their own in some releases of Python, and not in others.
        if frame.f_code.co_filename.startswith(str(_PACKAGE)) and not frame.f_code.co_name.startswith("<"):
            self._seen.add(id(frame))
            self._frames.append(frame)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note what happens inside, from the beginning."""
        self._frames.clear()
        self._seen.clear()
        self.is_watched = True
        try:
            yield
        finally:
            self.is_watched = False

    @property
    def modules(self) -> list[Path]:
        """The module of each frame."""
        return [Path(frame.f_code.co_filename).relative_to(_PACKAGE) for frame in self._frames]


def rooms(modules: Iterable[Path]) -> list[Path]:
    """Return the rooms in the order in which they are entered."""
    return [room for room, _ in groupby(module.parent if module.parent.name else module for module in modules)]


async def _counted(way: Way, name: str, verb: Verb) -> None:
    for _ in range(_WARM_UPS):
        await verb()
    with way.watched():
        await verb()
    entered = rooms(way.modules)
    print(f"{name:24}{len(way.modules):>6}{len(set(way.modules)):>9}{len(entered) - len(set(entered)):>12}")
    if "-v" in sys.argv:
        print("   ", " > ".join(map(str, entered)))


async def _count(way: Way, name: str, opened: AbstractAsyncContextManager[str]) -> None:
    async with opened as url, SessionManager.from_url(url) as sessions, sessions.open() as chat:
        await _counted(way, f"{name}/chat.user", lambda: chat.user("Two days in Oslo?"))
        await _counted(way, f"{name}/get(last={_LAST})", lambda: sessions.store.get(chat.id, last=_LAST))
        async with _client_of_an_app(url) as client:
            await client.put(f"/chats/{_CHAT}")
            await _counted(way, f"{name}/streamed POST", lambda: client.post(f"/ask/{_CHAT}"))


@asynccontextmanager
async def _client_of_an_app(url: str) -> AsyncIterator[AsyncClient]:
    """Serve an app whose route stores a question, and streams and stores an answer of three words."""
    app = FastAPI(lifespan=session_lifespan(url))

    @app.put("/chats/{session_id}")
    async def start(session_id: str, sessions: Sessions) -> None:
        await sessions.create(session_id)

    @app.post("/ask/{session_id}")
    async def ask(chat: Chat) -> EventStream:
        await chat.user("Two days in Oslo?")
        return stream_answer(chat, _words(), model="scripted")

    async with app.router.lifespan_context(app) as state:

        async def served(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        async with AsyncClient(transport=ASGITransport(served), base_url="http://test") as client:
            yield client


async def _words() -> AsyncIterator[str]:
    for word in ("It ", "rains", "."):
        yield word


@asynccontextmanager
async def _in_memory() -> AsyncIterator[str]:
    yield "memory:"


@asynccontextmanager
async def _on_files() -> AsyncIterator[str]:
    with TemporaryDirectory() as name:
        yield f"file:{name}"


@asynccontextmanager
async def _on_redis() -> AsyncIterator[str]:
    async with redis.one_server() as place:
        yield place.url


async def _main(way: Way) -> None:
    print(f"{'':24}{'calls':>6}{'modules':>9}{'re-entered':>12}")
    await _count(way, "memory", _in_memory())
    await _count(way, "file", _on_files())
    if redis.CASES:
        await _count(way, "redis", _on_redis())


if __name__ == "__main__":
    watched = Way()
    threading.setprofile(watched.note)
    sys.setprofile(watched.note)
    asyncio.run(_main(watched))
