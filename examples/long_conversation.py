"""A conversation that outgrows its model: a summary takes the place of what was said, and nothing is lost.

To run: python examples/long_conversation.py
It prints: how the prompt grows, and is short again after each summary, that what is said meanwhile is kept, what a
summary stands for, and that undoing it brings back every byte. The summariser is scripted. No network.
"""

import asyncio
from typing import Any

from a2a_session_manager import ActiveSession, CompactionPolicy, MessageView, SessionManager, Summary, count_chat_tokens

MODEL = "gpt-4o"
# Of a model that takes 400 tokens, say: compact at 300, and keep what takes 120.
POLICY = CompactionPolicy(start_at=300, keep=120, minimum_gain=50, model=MODEL)


async def ask_model(messages: list[Any]) -> tuple[str, dict[str, int]]:
    """Answer as a model does that reports its usage."""
    tokens = await count_chat_tokens(messages, MODEL)
    return "Take the tram, and bring a coat for the evening. " * 2, {
        "prompt_tokens": int(tokens),
        "completion_tokens": 22,
    }


async def summarize(messages: MessageView) -> Summary:
    """Ask a model for a summary; this one only counts."""
    asked = [message["content"] for message in messages if message["role"] == "user"]
    text = f"(So far: {len(asked)} questions, from {asked[0]!r} to {asked[-1]!r}; they were told to take the tram.)"
    return Summary(text, usage={"prompt_tokens": 250, "completion_tokens": 30}, model=MODEL)


async def talk(chat: ActiveSession, days: range) -> None:
    for day in days:
        await chat.user(f"What shall we do on day {day}?")
        prompt = await chat.messages()
        answer, usage = await ask_model(prompt)
        await chat.assistant(answer, model=MODEL, usage=usage)
        summary = await chat.maybe_compact(POLICY, summarize)
        told = "" if summary is None else f" -> {len(await chat.messages())} messages"
        print(f"day {day}: {len(prompt)} messages, {usage['prompt_tokens']} tokens{told}")


async def main() -> None:
    async with SessionManager.from_url("memory:") as sessions, sessions.open("trip") as chat:
        await chat.system("You plan trips.")
        await talk(chat, range(1, 13))

        before = await chat.messages()

        async def slow(messages: MessageView) -> Summary:
            await chat.user("And bring my dog!")  # while the summary is written
            return await summarize(messages)

        summary = await chat.compact(slow)
        after = await chat.messages()
        print("\nsaid meanwhile:", after[-1]["content"])
        print("begins with what was there before:", after.extends(before).change)

        stands_for = summary.metadata["compaction"]
        originals = await chat.expand(stands_for["first"], stands_for["last"])
        print("stands for:", stands_for["events"], "messages, the first is", repr(originals[0]["content"]))
        print("in the log:", len(await chat.messages(compacted=False)), "messages, in the prompt:", len(after))

        await chat.retract(summary.id)  # undone: the one before counts again
        undone = await chat.messages()
        print("undone:", list(undone[:-1]) == list(before))

        try:
            await chat.compact(lambda messages: "word " * 5_000)
        except Exception as error:
            print("refused:", error)
        print("spent:", (await chat.usage()).total.requests, "requests, summaries included")


asyncio.run(main())
