"""A process whose hold expires while it is stopped: `python -m tests.storage.stopped_spender URL SESSION HOLD EXPIRES`.

It asks for `HELD` tokens, says that the request went out, and waits for a line, as for an answer of its provider. Then
it appends the usage, which is more than was held.
"""

from __future__ import annotations

import asyncio
import sys

from a2a_session_manager import SessionManager

HELD = 30
SPENT = 42


async def spend(url: str, session_id: str, hold_id: str, expires: float) -> None:
    async with (
        SessionManager.from_url(url) as sessions,
        sessions.open(session_id) as chat,
        chat.spend(tokens=HELD, id=hold_id, expires=expires) as hold,
    ):
        hold.sent()
        print("sent", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        await chat.assistant("Hello", model="m", usage={"prompt_tokens": SPENT - 10, "completion_tokens": 10})


if __name__ == "__main__":
    asyncio.run(spend(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])))
