"""Sub-agents in parallel processes spend from one budget, and stop when it has no room for another request.

To run: python examples/budget.py

It prints: how many requests each of two sub-agents made before there was no room, 10 together; that 10,000 of
10,000 tokens are spent and nothing is held; and that a run which is refused waits, and goes on once there is more.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile

from a2a_session_manager import BudgetExceeded, SessionManager

AGENTS = ("flights", "hotels")
# What a request uses here; a budget of dollars is set by usd=, and asked by spend("0.025").
USAGE = {"prompt_tokens": 900, "completion_tokens": 100}


async def ask_until_there_is_no_room(url: str, agent: str) -> None:
    """Be one of the sub-agents, in a process of its own."""
    requests = 0
    async with SessionManager.from_url(url) as sessions, sessions.open(f"trip/{agent}", parent_id="trip") as chat:
        try:
            while True:
                async with chat.spend(tokens=1_000) as hold:
                    hold.sent()
                    await asyncio.sleep(0.01)  # the request
                    await chat.assistant(f"Answer {requests}", usage=USAGE)
                requests += 1
        except BudgetExceeded:
            print(f"{agent}: {requests} requests, then no room", flush=True)


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"file:{folder}/sessions"
        async with SessionManager.from_url(url) as sessions, sessions.open("trip") as chat:
            await sessions.set_budget("trip", tokens=10_000)
            processes = [await asyncio.create_subprocess_exec(sys.executable, __file__, url, agent) for agent in AGENTS]
            for process in processes:
                await process.wait()
            budget = await sessions.budget("trip")
            held = "nothing is" if not budget.holds else f"{len(budget.holds)} requests are"
            shown = f"{budget.spent.tokens} of {budget.limit.tokens} tokens in {budget.spent.requests} requests"
            print(f"spent: {shown}, and {held} held")
            run = chat.run(id="report")
            try:
                async with run, run.spend(tokens=1_000):
                    pass
            except BudgetExceeded:
                print("the report waits for more:", run.status)
            await sessions.raise_budget("trip", tokens=20_000)
            async with chat.run(id="report") as run, run.spend(tokens=1_000):
                await run.assistant("Day 1: …", usage=USAGE)
            print("after the budget was raised:", run.status)


if __name__ == "__main__":
    asyncio.run(main() if len(sys.argv) == 1 else ask_until_there_is_no_room(*sys.argv[1:]))
