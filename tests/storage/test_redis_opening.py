"""Opening a Redis store on an event loop that has not seen the package yet."""

from __future__ import annotations

import subprocess
import sys

_OPENS = """
import asyncio
from a2a_session_manager import SessionManager
from a2a_session_manager.testing import blocking_calls_refused

async def main():
    async with SessionManager.from_url("redis://127.0.0.1:1"):
        pass

with blocking_calls_refused():
    asyncio.run(main())
"""


def test_the_first_store_of_a_process_may_be_opened_on_its_event_loop() -> None:
    opened = subprocess.run([sys.executable, "-c", _OPENS], capture_output=True, text=True, check=False)

    assert opened.returncode == 0, opened.stderr
