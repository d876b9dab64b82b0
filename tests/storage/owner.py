"""A process that resumes the runs "r" of many sessions, and writes for those that it got.

Usage: owner.py URL NAME LEASE PREFIX COUNT. It does what each line of its input says, and answers with a line:
`resume POLICY` with the numbers of the sessions whose runs it has got, `write` with those whose write has landed.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

from a2a_session_manager import ActiveRun, LeaseLost, RunBusy, SessionManager, TokenUsage
from a2a_session_manager.models.lease import checked_busy

USAGE = TokenUsage(prompt_tokens=1, model="m", cost_pico_usd=7)


class Owner:
    def __init__(self, sessions: SessionManager, name: str, lease: float) -> None:
        self._sessions = sessions
        self._name = name
        self._lease = lease
        self._runs: dict[str, ActiveRun] = {}

    async def resume(self, session_id: str, policy: str) -> None:
        async with self._sessions.open(session_id) as chat:
            run = chat.run(id="r", lease=self._lease, busy=checked_busy(policy))
            with suppress(RunBusy):
                self._runs[session_id] = await run.__aenter__()

    async def write(self, session_id: str) -> str | None:
        run = self._runs.pop(session_id)
        try:
            await run.assistant(self._name, usage=USAGE, id=f"{session_id} {self._name}")
            await run.mark_waiting()
        except LeaseLost:
            return None
        return session_id

    async def obey(self, line: str, session_ids: list[str]) -> list[str]:
        verb, *policy = line.split()
        if verb == "resume":
            wanted = [session_id for session_id in session_ids if session_id not in self._runs]
            await asyncio.gather(*(self.resume(session_id, *policy) for session_id in wanted))
            return [session_id for session_id in wanted if session_id in self._runs]
        landed = await asyncio.gather(*map(self.write, list(self._runs)))
        return [session_id for session_id in landed if session_id is not None]


async def main() -> None:
    url, name, lease, prefix, count = sys.argv[1:]
    session_ids = [f"{prefix}{number}" for number in range(int(count))]
    async with SessionManager.from_url(url) as sessions:
        owner = Owner(sessions, name, float(lease))
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(*await owner.obey(line, session_ids), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
