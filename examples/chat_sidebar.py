"""The sidebar of a chat product: each user's chats, newest first, with previews; two companies share the app.

To run: python examples/chat_sidebar.py  (pip install 'a2a_session_manager[fastapi]' httpx2)
        It talks to itself, and stops.
To serve: SESSIONS_URL=file:./sessions uvicorn chat_sidebar:app --app-dir examples
It prints: Ann's sidebar, a page at a time; after a chat went on, a rename and a deletion; a search; what others see.
"""

import asyncio
import os
from typing import Annotated, Any, NamedTuple

from fastapi import Body, Depends, FastAPI, Header, HTTPException, Response
from httpx2 import ASGITransport, AsyncClient

from a2a_session_manager import ActiveSession, SessionHead, SessionManager, SessionNotFound, chat_messages
from a2a_session_manager.integrations.fastapi import (
    AsciiJSONResponse,
    chat_of,
    get_sessions,
    install_problem_handlers,
    session_lifespan,
    sessions_of,
)

# What finds sessions by their owner. It is said once, where the store is opened.
INDEXED = ("owner",)
CHATS_A_PAGE = 3
PREVIEW_CHARACTERS = 40

app = FastAPI(
    lifespan=session_lifespan(os.environ.get("SESSIONS_URL", "memory:"), indexed=INDEXED),
    default_response_class=AsciiJSONResponse,
)
install_problem_handlers(app)


class User(NamedTuple):
    company: str
    name: str


# In place of your own authentication.
USERS = {"key-ann": User("acme", "ann"), "key-bob": User("acme", "bob"), "key-eve": User("evil", "ann")}


async def user_of(authorization: Annotated[str, Header()] = "") -> User:
    user = USERS.get(authorization.removeprefix("Bearer "))
    if user is None:
        raise HTTPException(401)
    return user


CurrentUser = Annotated[User, Depends(user_of)]


async def company_of(user: CurrentUser) -> str:
    return user.company


# Each company has a namespace of its own: whatever a request names, it is looked for there.
Sessions = Annotated[SessionManager, Depends(sessions_of(company_of))]


async def own_chat(chat: Annotated[ActiveSession, Depends(chat_of(company_of))], user: CurrentUser) -> ActiveSession:
    """Return the chat in the path; a colleague's is not there."""
    if chat.session.metadata.properties.get("owner") != user.name:
        raise SessionNotFound(chat.session.id)
    return chat


OwnChat = Annotated[ActiveSession, Depends(own_chat)]
Text = Annotated[str, Body(embed=True, min_length=1)]


@app.get("/chats")
async def list_chats(
    sessions: Sessions, user: CurrentUser, title: str | None = None, cursor: str | None = None
) -> dict[str, Any]:
    """Show a page of the user's chats, those that were active last first, however many there are."""
    page = await sessions.page(
        properties={"owner": user.name}, title=title, roots_only=True, limit=CHATS_A_PAGE, cursor=cursor, last=5
    )
    return {"chats": [shown(head) for head in page], "cursor": page.cursor}


@app.put("/chats/{session_id:path}", status_code=204)
async def start(session_id: str, sessions: Sessions, user: CurrentUser) -> None:
    """Create a chat of the user's, unless it is there."""
    session = await sessions.get_or_create(session_id, last=0, properties={"owner": user.name})
    if session.metadata.properties.get("owner") != user.name:
        raise HTTPException(409, "this id is taken")


@app.post("/messages/{session_id:path}", status_code=201)
async def say(chat: OwnChat, text: Text) -> None:
    """Append what the user says; the first words are the title, until the user gives one."""
    await chat.user(text)
    await chat.assistant(f"You said: {text}")
    if "title" not in chat.session.metadata.properties:
        await chat.set_title(" ".join(text.split()[:4]), by="auto")


@app.put("/titles/{session_id:path}")
async def rename(chat: OwnChat, text: Text) -> dict[str, bool]:
    """Give the chat a title. A rename is no activity: the chat stays where it is in the sidebar."""
    return {"is_set": await chat.set_title(text, by="user")}


@app.delete("/chats/{session_id:path}", status_code=204)
async def delete(chat: OwnChat, sessions: Sessions) -> Response:
    """Delete the chat with the sessions of its sub-agents."""
    await sessions.delete(chat.session, children="cascade")
    return Response(status_code=204)


def shown(head: SessionHead) -> dict[str, Any]:
    newest = chat_messages([] if head.newest_message is None else [head.newest_message])
    preview = str(newest[0]["content"])[:PREVIEW_CHARACTERS] if newest else ""
    is_running = any(run.status == "running" for run in head.unfinished_runs)
    return {"id": head.id, "title": head.title, "preview": preview, "at": head.updated_at, "is_running": is_running}


async def main() -> None:
    async with SessionManager.from_url("memory:", indexed=INDEXED) as sessions:
        app.dependency_overrides[get_sessions] = lambda: sessions  # in place of the lifespan, which no server runs here
        ann, bob, eve = map(client_of, USERS)
        async with ann, bob, eve:
            texts = {"oslo": "Two days in Oslo?", "tax": "My tax return", "go": "Rust or Go?", "cat": "A cat"}
            for name, text in texts.items():
                await ann.put(f"/chats/{name}")
                await ann.post(f"/messages/{name}", json={"text": text})
            await print_pages("Ann sees", ann)
            await ann.post("/messages/oslo", json={"text": "And in winter?"})
            await ann.put("/titles/tax", json={"text": "Taxes 2025"})
            await ann.delete("/chats/go")
            await print_pages("then", ann)
            found = (await ann.get("/chats", params={"title": "TAX"})).json()["chats"]
            print("found:", [chat["title"] for chat in found])
            await print_pages("Bob sees", bob)
            await print_pages("an Ann of another company sees", eve)
            for client in (bob, eve):
                print("they rename it:", (await client.put("/titles/oslo", json={"text": "Mine"})).status_code)


def client_of(key: str) -> AsyncClient:
    headers = {"Authorization": f"Bearer {key}"}
    return AsyncClient(transport=ASGITransport(app), base_url="http://chat", headers=headers)


async def print_pages(who: str, client: AsyncClient) -> None:
    cursor, number = None, 0
    while number == 0 or cursor is not None:
        reply = await client.get("/chats", params={} if cursor is None else {"cursor": cursor})
        page = reply.json()
        number, cursor = number + 1, page["cursor"]
        print(f"{who}, page {number}:", [f"{chat['title']} ({chat['preview']})" for chat in page["chats"]])


if __name__ == "__main__":
    asyncio.run(main())
