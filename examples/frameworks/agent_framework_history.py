"""A recipe for agent-framework: its history in a session of ours, as a `HistoryProvider` of 20 lines.

To run: python examples/frameworks/agent_framework_history.py   (pip install agent-framework-core)
It prints: what a scripted model answers, the last time in a second process, and what the requests used.
"""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from agent_framework import Agent, AgentSession, BaseChatClient, ChatResponse, HistoryProvider, Message, UsageDetails

from a2a_session_manager import EventSource, SessionEvent, SessionManager, SessionNotFound, usage_from


class SessionHistory(HistoryProvider):
    """Keeps the messages of each `AgentSession` in the session of ours that has its id."""

    def __init__(self, sessions: SessionManager) -> None:
        super().__init__("a2a_session_manager")
        self._sessions = sessions

    async def get_messages(self, session_id: str | None, **options: Any) -> list[Message]:
        try:
            events = await self._sessions.events(session_id or "default", type="agent_framework")
        except SessionNotFound:
            return []
        return [Message.from_dict(event.message) for event in events]

    async def save_messages(self, session_id: str | None, messages: Sequence[Message], **options: Any) -> None:
        session = await self._sessions.get_or_create(session_id or "default", last=0)
        await self._sessions.append(session, *(_stored(message) for message in messages))


def _stored(message: Message) -> SessionEvent[Any]:
    source = EventSource.USER if message.role == "user" else EventSource.LLM
    return SessionEvent(message=message.to_dict(), source=source, type="agent_framework")


class ScriptedClient(BaseChatClient):
    """Answers from a script, as a model would, with what it used."""

    def _inner_get_response(
        self, *, messages: Sequence[Message], stream: bool, options: Mapping[str, Any], **more: Any
    ) -> Awaitable[ChatResponse]:
        async def answer() -> ChatResponse:
            asked = sum(message.role == "user" for message in messages)
            usage = UsageDetails(input_token_count=10, output_token_count=5, total_token_count=15)
            return ChatResponse(messages=[Message("assistant", [f"You asked {asked} times."])], usage_details=usage)

        return answer()


async def ask(url: str, *questions: str) -> None:
    async with SessionManager.from_url(url) as sessions:
        history = SessionHistory(sessions)
        agent = Agent(ScriptedClient(), name="planner", context_providers=[history])
        session = AgentSession(session_id="oslo-trip")
        for question in questions:
            reply = await agent.run(question, session=session)
            # The messages do not say what they used: it is an event of its own, which no history returns.
            used = SessionEvent(type="usage", token_usage=usage_from(reply.usage_details or {}))
            await sessions.append("oslo-trip", used)
            print(reply.text, flush=True)
        if len(questions) == 1:
            usage = await sessions.usage("oslo-trip")
            print(f"{usage.total.requests} requests, {usage.total_tokens} tokens")


if sys.argv[1:]:
    asyncio.run(ask(sys.argv[1], "And in winter?"))
else:
    with tempfile.TemporaryDirectory() as directory:
        place = f"file:{directory}/sessions"
        asyncio.run(ask(place, "Two days in Oslo?", "And in summer?"))
        subprocess.run([sys.executable, __file__, place], check=True)
