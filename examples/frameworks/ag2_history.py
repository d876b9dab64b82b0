"""A recipe for ag2: its history in a session of ours, as a `Storage` of 30 lines, and on in another process.

To run: python examples/frameworks/ag2_history.py   (pip install ag2)
It prints: what a scripted model answers and how many events there are, the last time in a second process; the usage.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any
from uuid import UUID

from ag2 import Agent, MemoryStream
from ag2.events import BaseEvent, ModelMessage, ModelResponse, Usage
from ag2.streams.redis.serializer import Serializer, deserialize, serialize
from ag2.testing import TestConfig

from a2a_session_manager import SessionChange, SessionEvent, SessionManager, SessionNotFound, usage_from
from a2a_session_manager.models.change import Retraction

TRIP = UUID("6f0e0f7e-0000-4000-8000-000000000001")


class SessionStorage:
    """The `Storage` of ag2: each stream is a session, and each event an event of it."""

    def __init__(self, sessions: SessionManager) -> None:
        self._sessions = sessions

    async def save_event(self, event: BaseEvent, context: Any) -> None:
        session = await self._sessions.get_or_create(str(context.stream.id), last=0)
        await self._sessions.append(session, _stored(event))

    async def get_history(self, stream_id: Any) -> Iterable[BaseEvent]:
        try:
            events = await self._sessions.events(str(stream_id))
        except SessionNotFound:
            return []
        return [deserialize(json.dumps(event.message).encode(), Serializer.JSON) for event in events]

    async def set_history(self, stream_id: Any, events: Iterable[BaseEvent]) -> None:
        session = await self._sessions.get_or_create(str(stream_id), last=0)
        change = SessionChange(retraction=Retraction(after=0), events=[_stored(event) for event in events])
        await self._sessions.commit(session, change)

    async def drop_history(self, stream_id: Any) -> None:
        await self._sessions.delete(str(stream_id))


def _stored(event: BaseEvent) -> SessionEvent[Any]:
    usage = None
    if isinstance(event, ModelResponse) and event.usage:
        counts = {name: int(count) for name, count in asdict(event.usage).items() if count is not None}
        usage = usage_from(counts, model=event.model, response_id=event.response_id)
    return SessionEvent(message=json.loads(serialize(event, Serializer.JSON)), type="ag2", token_usage=usage)


async def ask(url: str, *questions: str) -> None:
    async with SessionManager.from_url(url) as sessions:
        stream = MemoryStream(SessionStorage(sessions), id=TRIP)
        for question in questions:
            answer = ModelResponse(ModelMessage(f"An answer to: {question}"), usage=Usage(10, 5, 15))
            reply = await Agent("planner", config=TestConfig(answer)).ask(question, stream=stream)
            print(f"{reply.body} ({len(await sessions.events(str(TRIP)))} events)", flush=True)
        if len(questions) == 1:
            usage = await sessions.usage(str(TRIP))
            print(f"{usage.total.requests} requests, {usage.total_tokens} tokens")


if sys.argv[1:]:
    asyncio.run(ask(sys.argv[1], "And in winter?"))
else:
    with tempfile.TemporaryDirectory() as directory:
        place = f"file:{directory}/sessions"
        asyncio.run(ask(place, "Two days in Oslo?", "And in summer?"))
        subprocess.run([sys.executable, __file__, place], check=True)
