"""What a user of OpenAI's client writes: views go in, answers come out, as they are."""

from __future__ import annotations

from openai import AsyncOpenAI

from a2a_session_manager import ActiveRun, ActiveSession, Finding, MessageView, SessionManager


async def chat_completions(client: AsyncOpenAI) -> None:
    async with SessionManager.from_url("memory:") as sessions, sessions.open("t") as chat:
        reply = await client.chat.completions.create(model="gpt-4o", messages=await chat.messages())
        message = reply.choices[0].message
        await chat.append(message)
        await chat.assistant(message.content, model=reply.model, usage=reply.usage, tool_calls=message.tool_calls)
        for call in message.tool_calls or ():
            if call.type == "function":
                await chat.tool(call.function.name, result={"eur": 120}, call_id=call.id)


async def responses(client: AsyncOpenAI, chat: ActiveSession) -> None:
    response = await client.responses.create(model="gpt-4o", input=await chat.messages(format="responses"))
    await chat.append(*response.output)


async def windows(client: AsyncOpenAI, chat: ActiveSession, run: ActiveRun) -> list[Finding]:
    window = await chat.window(max_tokens=1000, model="gpt-4o", format="openai")
    await client.chat.completions.create(model="gpt-4o", messages=window.messages)
    own: MessageView = await run.messages(format="openai")
    roles: list[str] = [message["role"] for message in own]
    return [*window.report, *own.report] if roles else []


async def refused(chat: ActiveSession) -> None:
    # Each ignore is an error itself once the checker no longer complains.
    await chat.assistant("Hi", modle="gpt-4o")  # type: ignore[call-arg]
    await chat.user("Hi", role="system")  # type: ignore[call-arg]
    await chat.messages(format="chatml")  # type: ignore[arg-type]
