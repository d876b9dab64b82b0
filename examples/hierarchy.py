"""A conversation with sub-agents: each has a log and totals of its own, and the tree adds them up.

To run: python examples/hierarchy.py
It prints: the tree, who is above the deepest session, the tokens of the root and of the whole tree.
"""

import asyncio

from a2a_session_manager import Session, SessionManager


async def plan(sessions: SessionManager) -> None:
    async with sessions.open("trip") as chat:
        await chat.user("Plan two days in Oslo.")
        async with chat.run(agent="planner") as run:
            # The two agents work at once; their writes never wait for each other's.
            async with asyncio.TaskGroup() as group:
                for agent in ("flights", "hotels"):
                    await sessions.get_or_create(f"trip/{agent}", parent_id=chat.id)
                    group.create_task(search(sessions, agent))
            await run.assistant("Done.", model="gpt-4o", usage={"prompt_tokens": 50, "completion_tokens": 2})


async def search(sessions: SessionManager, agent: str) -> None:
    async with sessions.open(f"trip/{agent}") as chat, chat.run(agent=agent) as run:
        await run.tool(f"search_{agent}", {"city": "Oslo"}, result=[{"eur": 120}])
        await run.assistant("Found one.", model="gpt-4o", usage={"prompt_tokens": 30, "completion_tokens": 3})
        async with run.child(f"trip/{agent}/check", agent="checker") as check:
            await check.assistant("It holds.", model="gpt-4o", usage={"prompt_tokens": 9, "completion_tokens": 4})


async def depth(session: Session) -> int:
    return len(await session.ancestors())


async def main() -> None:
    async with SessionManager.from_url("memory:") as sessions:
        await plan(sessions)
        trip = await sessions.get("trip")
        for session in [trip, *await trip.descendants()]:
            print(f"{'  ' * await depth(session)}{session.id}: {session.last_seq} events")
        check = await sessions.get("trip/hotels/check")
        print("above the check:", [session.id for session in await check.ancestors()])
        own, tree = await sessions.usage("trip"), await sessions.usage("trip", tree=True)
        print(f"tokens: {own.total_tokens} its own, {tree.total_tokens} with all below it")


asyncio.run(main())
