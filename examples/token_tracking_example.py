"""Tokens and money: counted where nobody reported them, reported where a provider did, priced once.

To run: python examples/token_tracking_example.py
It prints: the spend by model and source, of one run, and of the tree, with what has no known price, and how often the
usage of a response came again.
"""

from __future__ import annotations

import asyncio

from a2a_session_manager import EventSource, SessionEvent, SessionManager, warm_up

QUESTION = "Two days in Oslo?"
ANSWER = "Day 1: the museums on Bygdøy. Day 2: the fjord."


async def main() -> None:
    await warm_up(["gpt-4o"])  # otherwise the first count and the first price load them
    async with SessionManager.from_url("memory:") as sessions, sessions.open("oslo-trip") as chat:
        await chat.user(QUESTION)
        # Nobody reported what this request used: count it.
        counted = await SessionEvent.create_with_tokens(
            message=ANSWER, prompt=QUESTION, completion=ANSWER, model="gpt-4o", source=EventSource.LLM
        )
        await chat.append(counted)
        async with chat.run(agent="planner") as run:
            # A provider's own usage object goes in as it is; here it is OpenAI's, with a cached part.
            reported = {
                "prompt_tokens": 1200,
                "completion_tokens": 80,
                "total_tokens": 1280,
                "prompt_tokens_details": {"cached_tokens": 1024},
            }
            await run.assistant("Shorter: museums, fjord.", model="gpt-4o-mini", usage=reported)
            # The same response once more, as logs have it for each block: by its id, it counts once.
            for block in ("Which museums?", "The fjord, too."):
                usage = {"prompt_tokens": 900, "completion_tokens": 30}
                await run.assistant(block, model="gpt-4o-mini", usage=usage, response_id="chatcmpl-9f2")
            async with run.child(agent="critic") as critic:
                usage = {"prompt_tokens": 300, "completion_tokens": 40}
                await critic.assistant("Too short.", model="our-own-model", usage=usage)

        own = await chat.usage()
        for model, tally in sorted(own.usage_by_model.items()):
            print(f"{model}: {tally.total_tokens} tokens, ${tally.estimated_cost_usd:.6f}")
        print(f"by source: { {source: tally.requests for source, tally in own.usage_by_source.items()} }")
        print(f"of the run: {own.by_run[run.id].total_tokens} tokens")
        tree = (await chat.usage(tree=True)).total
        bound = "at least " if tree.is_lower_bound else ""
        print(f"tree: {tree.total_tokens} tokens, {bound}${tree.estimated_cost_usd:.6f}")
        print(f"without a known price: {tree.unpriced_requests} of {tree.requests} requests")
        print(f"usages of a response that had counted: {tree.repeated_requests}")


if __name__ == "__main__":
    asyncio.run(main())
