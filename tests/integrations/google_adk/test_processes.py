"""ADKSessionService under two processes on one session, and under a run that is cancelled in its stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from google.adk.agents.llm_agent import LlmAgent
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_request import LlmRequest
from google.adk.models.llm_response import LlmResponse
from google.adk.runners import Runner
from google.genai import types

from a2a_session_manager import SessionManager
from a2a_session_manager.integrations.google_adk import ADKSessionService
from tests.integrations.bridging import finished
from tests.stores import OpenStore, open_store, shared_url

__all__ = ["open_store", "shared_url"]

ANN: dict[str, Any] = {"app_name": "app", "user_id": "ann", "session_id": "s"}

WRITER = """
import asyncio, sys
from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.events.event import Event
from google.adk.events.event_actions import EventActions
from google.genai import types
from a2a_session_manager import SessionManager
from a2a_session_manager.integrations.google_adk import ADKSessionService

async def main(url, name, turns):
    names = {"app_name": "app", "user_id": "ann", "session_id": "s"}
    async with SessionManager.from_url(url) as sessions:
        service = ADKSessionService(sessions)
        try:
            await service.create_session(**names)
        except AlreadyExistsError:
            pass
        session = await service.get_session(**names)
        for turn in range(turns):
            delta = {f"app:{name}{turn}": turn, f"user:{name}{turn}": turn, f"{name}{turn}": turn}
            usage = types.GenerateContentResponseUsageMetadata(
                prompt_token_count=9, candidates_token_count=1, total_token_count=10
            )
            event = Event(
                author="agent", id=f"{name} {turn}", usage_metadata=usage, actions=EventActions(state_delta=delta)
            )
            await service.append_event(session, event)

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


async def test_two_processes_on_one_session_keep_all_and_the_order_of_each(shared_url: str) -> None:
    await asyncio.gather(*(asyncio.to_thread(finished, WRITER, shared_url, name, "10") for name in ("a", "b")))

    async with SessionManager.from_url(shared_url) as sessions:
        session = await ADKSessionService(sessions).get_session(**ANN)
        usage = await sessions.usage("session/app/ann/s")
    assert session is not None
    ids = [event.id for event in session.events]
    for name in ("a", "b"):
        assert [each for each in ids if each.startswith(name)] == [f"{name} {turn}" for turn in range(10)]
    assert len(ids) == usage.total.requests == 20
    assert len(session.state) == 60


class Scripted(BaseLlm):
    """Answers in two pieces; one that `stalls` is stopped between them."""

    stalls: bool = False
    begun: Any = None

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        yield LlmResponse(content=content("half an "), partial=True)
        if self.stalls:
            self.begun.set()
            await asyncio.Event().wait()
        usage = types.GenerateContentResponseUsageMetadata(
            prompt_token_count=9, candidates_token_count=1, total_token_count=10
        )
        yield LlmResponse(content=content("half an answer"), usage_metadata=usage)


def content(text: str, role: str = "model") -> types.Content:
    return types.Content(role=role, parts=[types.Part(text=text)])


async def asked(service: ADKSessionService, question: str, **model: Any) -> None:
    agent = LlmAgent(name="planner", model=Scripted(model="scripted", **model))
    runner = Runner(app_name="app", agent=agent, session_service=service)
    async for _ in runner.run_async(user_id="ann", session_id="s", new_message=content(question, "user")):
        pass


async def test_a_run_cancelled_in_the_middle_of_a_stream_keeps_what_was_whole_and_its_turn_is_made_again(
    open_store: OpenStore,
) -> None:
    begun = asyncio.Event()
    async with open_store() as store:
        service = ADKSessionService(SessionManager(store))
        await service.create_session(**ANN)
        await asked(service, "one")
        asking = asyncio.create_task(asked(service, "two", stalls=True, begun=begun))
        await begun.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert asking.cancelled()

    async with open_store() as store:
        service = ADKSessionService(SessionManager(store))
        session = await service.get_session(**ANN)
        assert session is not None
        assert texts(session.events) == ["one", "half an answer", "two"]
        await asked(service, "two again")
        session = await service.get_session(**ANN)
        usage = await SessionManager(store).usage("session/app/ann/s")
    assert session is not None
    assert texts(session.events) == ["one", "half an answer", "two", "two again", "half an answer"]
    assert usage.total.requests == 2


def texts(events: Any) -> list[str]:
    return [event.content.parts[0].text for event in events]
