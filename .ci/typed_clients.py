"""What users of other official clients write; `.ci/types` reads it with pyright, it is never run."""

from __future__ import annotations

from anthropic import AsyncAnthropic
from google.genai import Client
from google.genai.types import GenerateContentConfig

from a2a_session_manager import ActiveSession


async def messages_of_anthropic(client: AsyncAnthropic, chat: ActiveSession) -> None:
    view = await chat.messages(format="anthropic", max_tokens=1000)
    message = await client.messages.create(model="m", max_tokens=9, messages=view, system=view.system or "")
    await chat.append(message)
    await chat.assistant(message.content, model=message.model, usage=message.usage)


async def contents_of_gemini(client: Client, chat: ActiveSession) -> None:
    view = await chat.messages(format="gemini")
    config = GenerateContentConfig(system_instruction=view.system)
    answer = await client.aio.models.generate_content(model="m", contents=view, config=config)
    await chat.append(*(candidate.content for candidate in answer.candidates or ()))
