"""How a run ends is how its block ends: completed, failed, cancelled, or waiting for somebody.

To run: python examples/runs.py
It prints: one line for each run with its status and what ended it, then the run that was resumed, by one at a time.
"""

import asyncio

from a2a_session_manager import ActiveSession, InvalidSessionOperation, RunBusy, SessionManager


async def complete(chat: ActiveSession) -> None:
    async with chat.run(id="completes") as run:
        await run.assistant("Booked.")


async def fail(chat: ActiveSession) -> None:
    try:
        async with chat.run(id="fails"):
            raise ConnectionError("the airline does not answer")
    except ConnectionError:
        pass  # recorded on the run, and still ours to handle


async def run_out_of_time(chat: ActiveSession) -> None:
    try:
        async with asyncio.timeout(0.01), chat.run(id="is-cancelled"):
            await asyncio.sleep(60)
    except TimeoutError:
        pass


async def wait_for_a_person(chat: ActiveSession) -> None:
    async with chat.run(id="waits") as run:
        await run.assistant("May I book for 120 EUR?")
        await run.mark_waiting()


async def resume(chat: ActiveSession) -> None:
    """Go on with a run by its id: later, in another process if the store persists. Of many who do so, one gets it."""
    async with chat.run(id="waits") as run:
        await run.user("Yes.")
        try:
            async with chat.run(id="waits"):
                pass
        except RunBusy as busy:
            print(f"meanwhile: {busy.run_id} is held")
        await run.assistant("Booked.")
    try:
        async with chat.run(id="waits"):
            pass
    except InvalidSessionOperation as refused:
        print("again:", refused)


async def main() -> None:
    async with SessionManager.from_url("memory:") as sessions, sessions.open("trip") as chat:
        for step in (complete, fail, run_out_of_time, wait_for_a_person):
            await step(chat)
        for run in await sessions.runs(chat.id):
            print(f"{run.id}: {run.status}{f' by {run.error_type}' if run.error_type else ''}")
        await resume(chat)
        resumed = (await sessions.runs(chat.id))[-1]
        said = [event.message for event in await chat.events() if event.task_id == resumed.id]
        print(f"{resumed.id}: {resumed.status}, {len(said)} events")


asyncio.run(main())
