"""Helpers of the contract's tests, which make events and read sessions."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any

from a2a_session_manager.identifiers import new_id
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.storage import BaseSessionStore

Event = SessionEvent[Any]
AnySession = Session[Any]
Take = Callable[[int], Coroutine[Any, Any, list[Event]]]

# Names that a store may not mistake for one another, nor for a path, a key or a pattern.
NASTY = {
    "climbs up": "../x",
    "climbs far up": "../../../../etc/passwd",
    "dot": ".",
    "dots": "..",
    "absolute": "/etc/passwd",
    "backslash": "..\\x",
    "NUL": "a\x00b",
    "NUL alone": "\x00",
    "braces": "{tag}",
    "open brace": "a{",
    "close brace": "}b",
    "colon": "a:b:",
    "percent": "%2e%2e%2f",
    "glob": "*?[a-z]",
    "space": " ",
    "spaces around": " a ",
    "newline": "a\nb",
    "carriage return": "a\r\nb",
    "lower case": "talk",
    "upper case": "TALK",
    "composed": unicodedata.normalize("NFC", "é"),
    "decomposed": unicodedata.normalize("NFD", "é"),
    "letter k": "k",
    "letter K": "K",
    "Kelvin sign": "\u212a",
    "sharp s": "ß",
    "double s": "ss",
    "emoji": "👩‍👩‍👧‍👦",
    "Arabic": "مرحبا",
    "right to left mark": "a\u200fb",
    "device name": "CON",
    "json": '{"id": "x"}',
    "quote": "'; DROP TABLE sessions; --",
    "digits": "0",
    "none": "None",
    "long": "x" * 512,
    "long and wide": "😀" * 512,
    "long twin": "x" * 511 + "y",
}

PATIENCE_SECONDS = 20


def said(message: Any = "hello", *, id: str | None = None, **fields: Any) -> Event:
    """Return an event of the user with `message`."""
    return SessionEvent(id=new_id() if id is None else id, message=message, **{"source": EventSource.USER, **fields})


def several(count: int, prefix: str = "e") -> list[Event]:
    """Return `count` events e1, e2, … whose messages are their ids."""
    return [said(f"{prefix}{number}", id=f"{prefix}{number}") for number in range(1, count + 1)]


def spending(tokens: int, *, id: str | None = None, model: str = "m", **fields: Any) -> Event:
    """Return an event whose request used `tokens` prompt tokens and as many completion tokens."""
    usage = TokenUsage(prompt_tokens=tokens, completion_tokens=tokens, model=model, cost_pico_usd=tokens * 7)
    return said("reply", id=id, token_usage=usage, **{"source": EventSource.LLM, **fields})


def ids(events: Iterable[Event]) -> list[str]:
    return [event.id for event in events]


def messages(events: Iterable[Event]) -> list[Any]:
    return [event.message for event in events]


def seqs(events: Iterable[Event]) -> list[int | None]:
    return [event.seq for event in events]


async def whole(store: BaseSessionStore, session_id: str) -> AnySession:
    """Return the session with all its events; it must exist."""
    session = await store.get(session_id)
    assert session is not None, f"no session {session_id!r}"
    return session


@asynccontextmanager
async def listening(store: BaseSessionStore, session_id: str, *, after: int = 0) -> AsyncIterator[Take]:
    """Follow a session; `await take(n)` returns the next n events, which must come in time."""
    stream = store.follow(session_id, after=after)

    async def take(count: int) -> list[Event]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return [await anext(stream) for _ in range(count)]

    try:
        yield take
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()
