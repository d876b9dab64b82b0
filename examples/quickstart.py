"""The first example of the README: one conversation, one run, one tool call.

To run: python examples/quickstart.py
It prints: the four messages of the conversation, then how the run ended and what it used.
"""

import asyncio

from a2a_session_manager import SessionManager


async def main() -> None:
    async with SessionManager.from_url("memory:") as sessions, sessions.open("oslo-trip") as chat:
        await chat.user("Two days in Oslo?")
        async with chat.run(agent="planner") as run:
            await run.tool("weather", {"city": "Oslo"}, result={"celsius": 4})
            usage = {"prompt_tokens": 90, "completion_tokens": 12}
            await run.assistant("Day 1: museums. Day 2: the fjord.", model="gpt-4o", usage=usage)
        for message in await chat.messages():
            print(message["role"], "|", message["content"])
        print(run.status, "|", (await chat.usage()).total_tokens, "tokens")


asyncio.run(main())
