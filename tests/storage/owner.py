"""A process that resumes the runs "r" of many sessions, and writes for those that it got.

Usage: owner.py URL NAME LEASE PREFIX COUNT. It does what each line of its input says, and answers with a line:
`resume POLICY` with the sessions whose runs it has got, `write` with those whose write has landed. At `stop` it stops,
until somebody lets it go on.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress

from a2a_session_manager import ActiveRun, BaseSessionStore, LeaseLost, RunBusy, SessionManager, TokenUsage
from a2a_session_manager.models.lease import checked_busy
from a2a_session_manager.storage.heartbeats import heartbeats_of

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

    async def stop(self) -> None:
        """Stop, as by Ctrl-Z, between two renewals: a stopped process would hold the lock of a file that it writes."""
        store = self._sessions.store
        assert isinstance(store, BaseSessionStore)
        while (renewing := heartbeats_of(store._open_backend)._renewing) is not None:
            await renewing
        os.kill(os.getpid(), signal.SIGSTOP)

    async def obey(self, line: str, session_ids: list[str]) -> list[str]:
        verb, *policy = line.split()
        if verb == "resume":
            wanted = [session_id for session_id in session_ids if session_id not in self._runs]
            await asyncio.gather(*(self.resume(session_id, *policy) for session_id in wanted))
            return [session_id for session_id in wanted if session_id in self._runs]
        if verb == "stop":
            await self.stop()
            return []
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
