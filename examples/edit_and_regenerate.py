"""Edit a message and have it answered anew: the first answer stays, and one may go back and forth between the two.

To run: python examples/edit_and_regenerate.py
It prints: both branches as a model is given them, where each begins, what each has cost, and what is left when one is
deleted.
"""

import asyncio
from typing import Any

from a2a_session_manager import ActiveSession, SessionManager


async def answer(chat: ActiveSession) -> None:
    """Stand in for a model: it says how it was asked."""
    prompt = await chat.messages()
    usage = {"prompt_tokens": 10 * len(prompt), "completion_tokens": 5}
    await chat.assistant(f"An answer to: {prompt[-1]['content']}", model="gpt-4o", usage=usage)


async def edited(chat: ActiveSession, seq: int, text: str, *, new_id: str) -> ActiveSession:
    """Say something else in the place of the user's message `seq`, in a branch of its own."""
    branch = await chat.fork(at=seq - 1, new_id=new_id)  # the last event that both share
    await branch.user(text)
    await answer(branch)
    return branch


def last_words(messages: Any) -> list[str]:
    return [message["content"] for message in messages[-2:]]


async def main() -> None:
    async with SessionManager.from_url("memory:") as sessions, sessions.open("oslo-trip") as chat:
        await chat.system("You plan trips.")
        await chat.user("Two days in Oslo?")
        await answer(chat)
        asked = await chat.user("And in winter?")
        await answer(chat)

        branch = await edited(chat, asked.seq or 0, "And in summer?", new_id="oslo-trip-2")
        for each in (chat, branch):
            print(f"{each.id}: {last_words(await each.messages())}")

        # A sidebar needs no more than this to offer a switch between the branches of a message.
        for node in await sessions.tree("oslo-trip"):
            if node.forked_from is not None:
                print(f"{node.id} goes on from event {node.forked_from.seq} of {node.forked_from.id}")
        for each in (chat, branch):
            print(f"{each.id} used {(await each.usage()).total_tokens} tokens")
        print(f"both used {(await chat.usage(tree=True)).total_tokens} tokens")

        await sessions.delete(branch.id)
        print(f"left: {await sessions.list_sessions()}, {len(await chat.messages())} messages")


asyncio.run(main())
