"""An agent of Google's ADK that keeps its session in a store of ours, and goes on in another process.

To run: python examples/frameworks/adk_sessions.py
It prints: what a scripted model answers, the last time in a second process, the state, and what the requests used.
"""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator
from typing import Any

from google.adk.agents import LlmAgent
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_response import LlmResponse
from google.adk.runners import Runner
from google.genai import types

from a2a_session_manager import SessionManager
from a2a_session_manager.integrations.google_adk import ADKSessionService

TRIP: dict[str, Any] = {"user_id": "ann", "session_id": "oslo-trip"}


class ScriptedModel(BaseLlm):
    """Answers from a script, as a model would, with what it used."""

    model: str = "gemini-2.5-flash"

    async def generate_content_async(self, llm_request: Any, stream: bool = False) -> AsyncGenerator[LlmResponse, None]:
        asked = sum(content.role == "user" for content in llm_request.contents)
        yield LlmResponse(
            content=types.Content(role="model", parts=[types.Part(text=f"You asked {asked} times.")]),
            model_version=self.model,
            usage_metadata=types.GenerateContentResponseUsageMetadata(
                prompt_token_count=10, candidates_token_count=5, total_token_count=15
            ),
        )


async def ask(url: str, *questions: str) -> None:
    async with SessionManager.from_url(url) as sessions:
        service = ADKSessionService(sessions)
        agent = LlmAgent(name="planner", model=ScriptedModel(), output_key="user:last_answer")
        runner = Runner(app_name="travel", agent=agent, session_service=service, auto_create_session=True)
        for question in questions:
            said = types.Content(role="user", parts=[types.Part(text=question)])
            async for event in runner.run_async(**TRIP, new_message=said):
                if event.content and event.content.parts and event.is_final_response():
                    print(event.content.parts[0].text, flush=True)
        if len(questions) == 1:
            print("user state:", await service.get_user_state(app_name="travel", user_id="ann"))
            [session] = await sessions.list_sessions("session/travel/ann/")
            usage = await sessions.usage(session)
            print(f"{usage.total.requests} requests, {usage.total_tokens} tokens")


if sys.argv[1:]:
    asyncio.run(ask(sys.argv[1], "And in winter?"))
else:
    with tempfile.TemporaryDirectory() as directory:
        place = f"file:{directory}/sessions"
        asyncio.run(ask(place, "Two days in Oslo?", "And in summer?"))
        subprocess.run([sys.executable, __file__, place], check=True)
