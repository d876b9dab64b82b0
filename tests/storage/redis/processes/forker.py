"""A process that forks a session under ids that others fork it under, too: `python -m … URL SESSION_ID POINT COUNT`.

For each id it prints the creation id of the fork of event 4, and then that of its fork of POINT, "taken" where another
process has another one under that id.
"""

from __future__ import annotations

import asyncio
import sys

from a2a_session_manager import SessionAlreadyExists
from a2a_session_manager.storage import store_from_url


async def main(url: str, session_id: str, point: int, count: int) -> None:
    async with store_from_url(url) as store:
        for number in range(count):
            made = await store.fork(session_id, at=4, new_id=f"fork {number}")
            try:
                other = (await store.fork(session_id, at=point, new_id=f"one of {number}")).creation_id
            except SessionAlreadyExists:
                other = "taken"
            print(made.creation_id, other, flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
