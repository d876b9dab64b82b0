"""What a model is given is valid, though the log is not: someone writes while a tool runs, and a call is cut off.

To run: python examples/valid_prompts.py
It prints: what a prompt is made of and why, what check() finds and repair() writes, then the same conversation as the
clients of Anthropic and Gemini take it. No network.
"""

import asyncio
import json
from typing import Any

from a2a_session_manager import ActiveSession, SessionManager


def call(name: str, call_id: str, **arguments: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"id": call_id, "type": "function", "function": function}


async def talk(chat: ActiveSession) -> None:
    await chat.system("You plan trips.")
    await chat.user("Two days in Oslo?")
    async with chat.run(agent="planner") as run:
        await run.assistant(None, tool_calls=[call("weather", "call-1", city="Oslo")])
        await chat.user("And bring my dog!")  # while the tool runs
        await run.tool("weather", result={"celsius": 4}, call_id="call-1")
        await run.assistant("Take a coat, for both of you.")
    await chat.user("Book a hotel.")
    await chat.assistant(None, tool_calls=[call("book", "call-2", hotel="Grand")])  # and here the process was killed
    await chat.user("Did it work?")


def show(title: str, messages: list[Any]) -> None:
    print(f"\n{title}")
    for message in messages:
        print("  ", json.dumps(message, ensure_ascii=False))


async def main() -> None:
    async with SessionManager.from_url("memory:") as sessions, sessions.open("trip") as chat:
        await talk(chat)

        print("in the log:", *[message["role"] for message in await chat.messages(repair=False)])
        prompt = await chat.messages()
        print("in a prompt:", *[message["role"] for message in prompt])
        for finding in prompt.report:
            print(f"{finding.code}: {finding.text}")

        print("open:", [(open_call.name, open_call.call_id) for open_call in await chat.open_calls()])
        print("check:", [(finding.code, finding.seqs) for finding in await chat.check()])
        [written] = await chat.repair()
        print("repair:", written.message["content"])
        print("open:", await chat.open_calls(), "| again:", await chat.repair())

        again = await chat.messages()
        print("the repaired prompt is the same:", again == prompt)
        await chat.assistant("No, I was interrupted. Shall I try again?")
        print("the next one begins with it:", bool((await chat.messages()).extends(again)))

        await chat.retract(after=7, write_id="take it back")
        print("taken back:", (await chat.messages())[-1]["content"])
        restored = await chat.restore(write_id="take it back")
        print("restored:", len(restored), "events, the newest says", (await chat.messages())[-1]["content"])

        anthropic = await chat.messages(format="anthropic")
        print("\nsystem for Anthropic:", anthropic.system)
        show("messages for Anthropic", anthropic)
        show("contents for Gemini", await chat.messages(format="gemini"))


asyncio.run(main())
