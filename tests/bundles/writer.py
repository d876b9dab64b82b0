"""A process that writes to the session `busy` until it is killed: `writer URL NAME`."""

from __future__ import annotations

import asyncio
import sys

from a2a_session_manager import SessionManager
from tests.bundles.mover import write


async def main(url: str, name: str) -> None:
    async with SessionManager.from_url(url) as sessions:
        await write(sessions, name)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
