"""Deletes a session and all below it, in a process of its own that may be killed. Usage: deleter.py URL SESSION.

It prints that it is ready, and begins when it gets a line on stdin.
"""

from __future__ import annotations

import asyncio
import sys

from a2a_session_manager.storage import store_from_url


async def main() -> None:
    url, session_id = sys.argv[1:]
    async with store_from_url(url) as store:
        assert await store.get(session_id) is not None
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        await store.delete(session_id, children="cascade")
        print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
