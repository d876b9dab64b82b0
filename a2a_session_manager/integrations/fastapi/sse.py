"""Server-sent events whose ids are event seqs, and the stream that follows a session from one of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import Depends, Header
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from a2a_session_manager.active import ActiveSession
from a2a_session_manager.concurrency.cancellation import wait_out
from a2a_session_manager.exceptions import InvalidSessionOperation, SessionManagerError
from a2a_session_manager.integrations.fastapi.dependencies import LAST_SEQ, After
from a2a_session_manager.integrations.fastapi.detached import DETACHED_KEY, DetachedStreams, without_lifespan
from a2a_session_manager.integrations.fastapi.problems import log_outage, problem_of
from a2a_session_manager.integrations.fastapi.responses import escaped_json, json_bytes
from a2a_session_manager.limits import DEFAULT_LIMITS
from a2a_session_manager.models.session_event import SessionEvent

PING_SECONDS = 15.0  # proxies close a connection that is silent for a minute, some after half a minute
_PING = b": ping\n\n"


class EventStream(StreamingResponse):
    """A `text/event-stream` response that sends ready-made `frames`, and in the end always closes their generator.

    Starlette's own response leaves the generator to the garbage collector when the client goes while a frame is being
    sent; its `finally` then runs at any later time. An error of the library is sent as a last frame, `event: problem`;
    any other error cuts the response off. `headers` are added to those that keep caches and proxies from holding frames
    back.

    With `detach`, the generator runs in a task of its own, on to its end when the client leaves; `follow` finds what it
    stores. When the app stops, its lifespan waits for the task and in the end cancels it; an error is logged.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        frames: AsyncGenerator[bytes, None],
        headers: Mapping[str, str] | None = None,
        *,
        detach: bool = False,
    ) -> None:
        ours = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        self._frames = frames
        self._is_detached = detach
        super().__init__(_with_problem(frames), headers={**ours, **(headers or {})})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request; a detached stream starts here and outlives it."""
        if self._is_detached:
            detached: DetachedStreams = scope.get("state", {}).get(DETACHED_KEY, without_lifespan)
            self._frames = detached.start(self._frames).watched()
            self.body_iterator = _with_problem(self._frames)
        await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        """Send the frames, and close their generator."""
        async with aclosing(self._frames):
            await super().stream_response(send)


def sse_frame(event: str, data: Any, *, id: int | None = None) -> bytes:
    """Return one frame as bytes: the event's name, `data` as JSON in one line, and the `id` to resume after.

    `data` is any JSON value. Without `id`, a client that reconnects resumes after the frame before. Raises what
    `json.dumps` raises.
    """
    return _frame(event, escaped_json(data), id)


async def event_frame(event: SessionEvent[Any]) -> bytes:
    """Return the frame of a stored event: `event: event` with its seq as id, or `event: retracted` or `restored`.

    These two have no id: their event's seq is an old one, and a client that resumed there would get again what came
    since.
    """
    data = await json_bytes(event, [event.message, event.metadata])
    if event.retracted or event.restored:
        return _frame("retracted" if event.retracted else "restored", data, None)
    return _frame("event", data, event.seq)


def follow_stream(chat: ActiveSession, *, after: int = 0, ping_seconds: float = PING_SECONDS) -> EventStream:
    """Return a response that sends every event of `chat` with a seq above `after`, then each new one as it comes.

    It ends when the client leaves, or with a last frame `event: problem` when the session is deleted. After each
    `ping_seconds` without an event, it sends a comment, so that proxies keep the connection. Raises
    InvalidSessionOperation when the session has no event `after`.
    """
    if after > chat.session.last_seq:
        raise InvalidSessionOperation(
            f"session {chat.id!r} has no event {after} yet, its last is {chat.session.last_seq}: "
            "it is another one than the client has read; start again at 0",
            session_id=chat.id,
        )
    return EventStream(with_pings(_followed(chat, after), ping_seconds))


# It is async without awaiting, because FastAPI calls a plain function in a thread.
async def read_resume_after(
    last_event_id: Annotated[int | None, Header(ge=0, le=LAST_SEQ)] = None,
    after: After = 0,
) -> int:
    """Return the seq to resume after: the header Last-Event-ID, which browsers send on reconnecting, else `?after=`."""
    return after if last_event_id is None else last_event_id


ResumeAfter = Annotated[int, Depends(read_resume_after)]


async def _followed(chat: ActiveSession, after: int) -> AsyncGenerator[bytes, None]:
    async with aclosing(chat.follow(after=after)) as events:
        async for event in events:
            yield await event_frame(event)


async def with_pings(frames: AsyncGenerator[bytes, None], ping_seconds: float) -> AsyncGenerator[bytes, None]:
    """Yield `frames`, and a comment whenever none has come for `ping_seconds`."""
    upcoming: asyncio.Future[bytes | None] | None = None
    try:
        while True:
            upcoming = asyncio.ensure_future(anext(frames, None)) if upcoming is None else upcoming
            done, _ = await asyncio.wait({upcoming}, timeout=ping_seconds)
            if not done:
                yield _PING
                continue
            frame, upcoming = upcoming.result(), None
            if frame is None:
                return
            yield frame
    finally:
        if upcoming is not None:
            upcoming.cancel()
            await wait_out(upcoming, DEFAULT_LIMITS.cancel_seconds)
        await frames.aclose()


async def _with_problem(frames: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    try:
        async for frame in frames:
            yield frame
    except SessionManagerError as error:
        log_outage(error)
        yield _frame("problem", escaped_json(problem_of(error)), None)


def _frame(event: str, data: bytes, id: int | None) -> bytes:
    id_line = b"" if id is None else b"id: %d\n" % id
    return id_line + b"event: %b\ndata: %b\n\n" % (event.encode(), data)
