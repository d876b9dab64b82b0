"""Move conversations between stores: from files to another store and back, to their owner, and out of a damaged file.

To run: python examples/move_between_stores.py [URL of the other store, such as redis://localhost:6379/0]
It prints: what was copied, that both ends have the same bytes, whose the session is in the end, and what was saved of a
damaged one.
"""

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from a2a_session_manager import SessionManager


async def talk(sessions: SessionManager) -> None:
    """Have a conversation with a sub-agent, and a branch of it."""
    async with sessions.open("trip", properties={"title": "Two days in Oslo"}) as chat:
        await chat.user("Two days in Oslo?")
        async with chat.run(agent="planner") as run, run.child("trip/flights", agent="flights") as flights:
            await flights.tool("search", {"to": "OSL"}, result={"eur": 120})
        await chat.assistant("Fly on Monday.", model="gpt-4o", usage={"prompt_tokens": 30, "completion_tokens": 5})
        await chat.user("Not on a Monday, please.", id="wish")
        await sessions.retract("trip", "wish")
        await chat.fork(new_id="trip-2")


async def main(other_url: str) -> None:
    with TemporaryDirectory() as directory:
        place = Path(directory)
        async with (
            SessionManager.from_url(f"file:{place / 'first'}") as first,
            SessionManager.from_url(other_url) as elsewhere,
            SessionManager.from_url(f"file:{place / 'second'}") as second,
        ):
            other = elsewhere.namespace("moving")
            await talk(first)
            for source, target in ((first, other), (other, second)):
                report = await source.copy(target)
                print(f"copied: {', '.join(each.id for each in report.sessions)}; lost: {len(report.losses)}")
            before = await first.export_bundle(place / "before.bundle")
            after = await second.export_bundle(place / "after.bundle")
            print("the same bytes:", before.sha256 == after.sha256)
            again = await second.import_bundle(place / "before.bundle")
            print("imported again:", again.written, "written")

            await second.claim("trip", "ann", into=second.namespace("ann"))
            hers = second.namespace("ann")
            print(
                "of",
                (await hers.get("trip", last=0)).metadata.get_property("owner"),
                sorted(await hers.list_sessions()),
            )
            print("left behind:", await second.list_sessions())
            await other.delete("trip", children="cascade")

            [log] = (place / "first").glob("**/trip.log")
            damage(log)
            saved = await first.salvage("trip", new_id="saved")
            print(f"saved: {saved.events} events; lost: {saved.losses[0].code}")


def damage(log: Path) -> None:
    """Change a byte in the middle of the third message, as a bad disk might."""
    data = bytearray(log.read_bytes())
    data[data.index(b"Not on a Monday")] ^= 1
    log.write_bytes(data)


if __name__ == "__main__":
    asyncio.run(main(*(sys.argv[1:] or ["memory:"])))
