"""A chat over HTTP: answers are streamed, and kept once, whole or marked as interrupted. The model is scripted.

To run: python examples/fastapi_chat.py  (pip install 'a2a_session_manager[fastapi]' uvicorn httpx2)
        It serves itself, talks to itself, and stops.
To serve: SESSIONS_URL=file:./sessions uvicorn fastapi_chat:app --app-dir examples
It prints: the answer to one question, how its run ended, what a second tab sees, the conflict of a stale one, and what
the store has done.
"""

import asyncio
import json
import os
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from secrets import compare_digest, token_hex
from typing import Annotated

import uvicorn
from fastapi import Body, Depends, FastAPI, Header, HTTPException, Response
from httpx2 import AsyncClient

from a2a_session_manager import ActiveSession, ChatMessage
from a2a_session_manager.integrations.fastapi import (
    AsciiJSONResponse,
    Chat,
    EventStream,
    IfMatch,
    ResumeAfter,
    Sessions,
    StreamedAnswer,
    etag,
    event_frame,
    follow_stream,
    install_problem_handlers,
    session_lifespan,
    session_router,
    sse_frame,
)

# Without the variable, only this script knows the token that lets one read all sessions.
ADMIN_TOKEN = os.environ.get("ADMIN_TOKEN") or token_hex()
TOKEN_SECONDS = float(os.environ.get("TOKEN_SECONDS", "0.001"))

app = FastAPI(
    lifespan=session_lifespan(os.environ.get("SESSIONS_URL", "memory:")), default_response_class=AsciiJSONResponse
)
install_problem_handlers(app)


async def is_admin(authorization: Annotated[str, Header()] = "") -> None:
    """Refuse a request without the token."""
    if not compare_digest(authorization.encode(), f"Bearer {ADMIN_TOKEN}".encode()):
        raise HTTPException(401)


app.include_router(session_router(), prefix="/read", dependencies=[Depends(is_admin)])


@app.get("/statistics", dependencies=[Depends(is_admin)])
async def statistics(sessions: Sessions) -> dict[str, int]:
    """Tell whoever operates this what the store has done, and what waits: numbers, nothing of what was said."""
    return asdict(sessions.store.statistics())


Text = Annotated[str, Body(min_length=1)]
RequestId = Annotated[str | None, Body()]


@app.put("/chats/{session_id:path}", status_code=204)
async def start(session_id: str, sessions: Sessions) -> None:
    """Create the chat if it is not there."""
    await sessions.get_or_create(session_id, last=0)


@app.post("/messages/{session_id:path}", status_code=201)
async def say(chat: Chat, if_match: IfMatch, text: Text, response: Response, id: RequestId = None) -> dict[str, int]:
    """Append what a user says. Of two tabs that send the same If-Match, the second gets a 409."""
    revision = if_match.revision_of(chat)
    [said] = await chat.append({"role": "user", "content": text}, id=id, expected_revision=revision)
    response.headers["ETag"] = etag(chat.session)
    return {"seq": said.seq or 0}


@app.post("/answers/{session_id:path}")
async def ask(chat: Chat, text: Text, id: RequestId = None) -> EventStream:
    """Append a question, and stream the answer to it."""
    asked = await chat.user(text, id=id)
    return EventStream(answer(chat, await event_frame(asked)))


@app.get("/events/{session_id:path}")
async def follow(chat: Chat, after: ResumeAfter) -> EventStream:
    """Follow the chat, from the beginning or from where this client was cut off."""
    return follow_stream(chat, after=after)


async def answer(chat: ActiveSession, asked: bytes) -> AsyncGenerator[bytes, None]:
    yield asked
    async with chat.run(agent="echo") as run, StreamedAnswer(run, model="scripted") as spoken:
        prompt = await chat.messages()
        async for token in scripted_model(prompt):
            spoken.write(token)
            yield sse_frame("token", token)
        spoken.set_usage({"prompt_tokens": len(prompt), "completion_tokens": len(spoken.text.split())})
    yield await event_frame(spoken.event)


async def scripted_model(prompt: Sequence[ChatMessage]) -> AsyncIterator[str]:
    """Repeat the last message, word by word."""
    for word in ["You", "said:", *prompt[-1]["content"].split()]:
        await asyncio.sleep(TOKEN_SECONDS)
        yield f"{word} "


async def main() -> None:
    async with served() as url, AsyncClient(base_url=url) as tab, AsyncClient(base_url=url) as other_tab:
        await tab.put("/chats/oslo-trip")
        async with tab.stream("POST", "/answers/oslo-trip", json={"text": "Two days in Oslo?"}) as answered:
            lines = [line async for line in answered.aiter_lines()]
        print("answer:", json.loads(lines[-2].removeprefix("data: "))["message"])

        admin = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        seen = await other_tab.get("/read/sessions/oslo-trip", headers=admin)
        print("run:", seen.json()["runs"][0]["status"])
        print("other tab sees:", [event["source"] for event in seen.json()["events"]])

        guard = {"If-Match": seen.headers["ETag"]}
        for client, text in ((tab, "In May?"), (other_tab, "In June?")):
            reply = await client.post("/messages/oslo-trip", json={"text": text}, headers=guard)
            print(text, reply.status_code, reply.json().get("missed_seqs", "is kept"))

        counted = (await tab.get("/statistics", headers=admin)).json()
        print(f"the store: {counted['commits']} commits, {counted['commits_waiting']} waiting")


@asynccontextmanager
async def served() -> AsyncGenerator[str, None]:
    """Serve the app in this loop, on a free port of this machine."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


if __name__ == "__main__":
    asyncio.run(main())
