"""One HTML file that shows a whole tree of agents: what was said, what it cost, and what went wrong.

To run: python examples/timeline.py
It prints: how large the page is, and what is not in it. It writes the page to a temporary folder; with
`--out trip.html`, to that file, to be opened in a browser.
"""

import argparse
import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path

from a2a_session_manager import SessionManager, session_timeline

SPENT = {"prompt_tokens": 1530, "completion_tokens": 122, "prompt_tokens_details": {"cached_tokens": 1024}}


async def plan_a_trip(sessions: SessionManager) -> None:
    """Stand in for three agents: one asks another one, one fails, and the user tries another way."""
    async with sessions.open("oslo-trip", properties={"agent": "concierge", "owner": "ann"}) as chat:
        await chat.set_title("Two days in Oslo")
        await chat.system("You plan trips. Ask before you book anything.")
        await chat.user("Two days in Oslo with the kids? We like museums, boats and good bread.")
        async with chat.run(id="planning", agent="planner") as run:
            async with run.child("flights", agent="flights") as flights:
                key = "sk-proj-0123456789abcdefghij"  # it will not be in the page
                await flights.user("Flights to Oslo on 4 December, for four.")
                offers = {"offers": [{"flight": f"SK{400 + n}", "eur": 99 + n} for n in range(90)]}
                await flights.tool("search_flights", {"to": "OSL", "api_key": key}, result=offers)
                await flights.assistant("SK400 at 99 € each, direct.", model="our-own-model", usage=SPENT)
            await run.tool("search_hotels", {"city": "Oslo"}, result={"hotels": [{"name": "Grünerløkka", "eur": 118}]})
            await run.assistant(
                "Day 1: the ferry to Bygdøy, the Fram museum.\nDay 2: MUNCH.", model="gpt-4o", usage=SPENT
            )
        [typo] = await chat.append({"role": "user", "content": "Book the hostle."})
        await chat.retract(typo.id)
        branch = await chat.fork(new_id="by-train")
        await branch.user("And by night train from Copenhagen?")
        await branch.assistant("11 hours, 290 € for four.", model="gpt-4o", usage=SPENT)
        await chat.user("Book the hotel.")
        with suppress(ConnectionError):
            async with chat.run(id="booking", agent="booker") as run:
                call = {"id": "call-1", "type": "tool_use", "name": "book_hotel", "input": {"nights": 2}}
                await run.append({"role": "assistant", "content": [{"type": "text", "text": "I book it."}, call]})
                answer = {"type": "tool_result", "tool_use_id": "call-1", "content": "card declined", "is_error": True}
                await run.append({"role": "user", "content": [answer]})
                raise ConnectionError("the bank does not answer")


async def main(out: Path) -> None:
    async with SessionManager.from_url("memory:") as sessions:
        await plan_a_trip(sessions)
        page = await session_timeline(sessions, "oslo-trip")
        await asyncio.to_thread(out.write_text, page)
        print(f"{await sessions.count()} sessions in one file of about {round(len(page), -5) // 1000} kB")
        print(f"the key is in it: {'sk-proj-0123' in page}")
        print(f"what it loads: {page.count(' src=') + page.count('@import')} files")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args().out
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(chosen or Path(folder) / "trip.html"))
