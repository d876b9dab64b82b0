"""The app that the tests serve: every way to stream an answer, and two tenants."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from importlib.util import find_spec
from typing import Annotated

from fastapi import Body, Depends, FastAPI, Header
from fastapi.responses import StreamingResponse

from a2a_session_manager import ActiveSession, SessionManager
from a2a_session_manager.integrations.fastapi import (
    AsciiJSONResponse,
    Chat,
    EventStream,
    IfMatch,
    StreamedAnswer,
    chat_of,
    install_problem_handlers,
    session_lifespan,
    session_router,
    sessions_of,
    sse_frame,
    stream_answer,
)

TOKEN_SECONDS = float(os.environ.get("TOKEN_SECONDS", "0"))


async def tenant(x_tenant: Annotated[str, Header()] = "") -> str:
    return x_tenant


TenantSessions = Annotated[SessionManager, Depends(sessions_of(tenant))]
TenantChat = Annotated[ActiveSession, Depends(chat_of(tenant))]

app = FastAPI(
    lifespan=session_lifespan(os.environ.get("SESSIONS_URL", "memory:")), default_response_class=AsciiJSONResponse
)
install_problem_handlers(app)
app.include_router(session_router())
app.include_router(session_router(tenant), prefix="/mine")


@app.put("/mine/chats/{session_id:path}")
async def start(session_id: str, sessions: TenantSessions) -> None:
    await sessions.create(session_id)


@app.post("/mine/messages/{session_id:path}")
async def say(chat: TenantChat, if_match: IfMatch, text: Annotated[str, Body(embed=True)]) -> int | None:
    [event] = await chat.append({"role": "user", "content": text}, expected_revision=if_match.revision_of(chat))
    return event.seq


@app.post("/short/{session_id:path}")
async def by_the_short_way(chat: Chat) -> EventStream:
    await chat.user("Go on.")
    return stream_answer(chat, model(), model="scripted")


@app.post("/own/{session_id:path}")
async def by_a_generator_of_ones_own(chat: Chat) -> EventStream:
    await chat.user("Go on.")
    return EventStream(frames(chat))


@app.post("/plain/{session_id:path}")
async def by_starlette(chat: Chat) -> StreamingResponse:
    await chat.user("Go on.")
    return StreamingResponse(frames(chat), media_type="text/event-stream")


if find_spec("fastapi.sse") is not None:  # newer ones than our lowest
    from fastapi.sse import EventSourceResponse, ServerSentEvent

    @app.post("/native/{session_id:path}", response_class=EventSourceResponse)
    async def by_fastapi(chat: Chat) -> AsyncIterator[ServerSentEvent]:
        await chat.user("Go on.")
        async with StreamedAnswer(chat) as answer:
            async for token in model():
                answer.write(token)
                yield ServerSentEvent(data=token, event="token")


async def frames(chat: ActiveSession) -> AsyncGenerator[bytes, None]:
    async with chat.run() as run, StreamedAnswer(run) as answer:
        async for token in model():
            answer.write(token)
            yield sse_frame("token", token)


async def model() -> AsyncIterator[str]:
    for number in range(100):
        await asyncio.sleep(TOKEN_SECONDS)
        yield f"{number} "
