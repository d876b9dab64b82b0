"""A process that forks sessions of one tree and works in them: `forker URL NAME STEPS ACKS LIFE`.

Each step has names of its own, made of the process's and its number, so that whoever goes on for one that was killed
repeats its last step. What an event says names the session that it was appended to. Of a tenth of the writes the reply
is lost. With a LIFE above 0, forks expire when nothing was written to them for so many seconds. With STEPS "same", it
forks one session under ids that others take as well.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from time import monotonic, time_ns
from typing import Any, TypeVar

from a2a_session_manager import (
    EventSource,
    Session,
    SessionAlreadyExists,
    SessionConflict,
    SessionEvent,
    SessionManager,
    SessionNotFound,
    StoreUnavailable,
    TokenUsage,
)
from a2a_session_manager.context.view import MessageView
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.url import store_from_url
from a2a_session_manager.testing.contract.lossy import LossyBackend

SOURCE, POINT, SAME_FORKS = "talk", 10, 10
# By their numbers: the source hides them before anybody forks it.
HIDDEN = (3, 4)
# How much of its life a session has left at least after a write: a deadline moves when less is left.
SURELY_LEFT = 0.9
LOSSES, TRIES = 0.1, 20

ResultT = TypeVar("ResultT")


def event_of(event_id: str, session_id: str, number: int = 0) -> SessionEvent[Any]:
    """Return an event that has spent one token, of a response that nobody else has a usage of."""
    usage = TokenUsage(prompt_tokens=1, model="m", response_id=f"response of {event_id}")
    role, source = ("user", EventSource.USER) if number % 2 else ("assistant", EventSource.LLM)
    message = {"role": role, "content": said_in(session_id)}
    return SessionEvent(id=event_id, message=message, source=source, token_usage=usage)


def said_in(session_id: str) -> str:
    """Return what is said in a session, and in no other one."""
    return f"Said in {session_id}. " * 3


def in_short(session_id: str) -> str:
    """Return what a compaction of a session puts in the place of what was said."""
    return f"In short, {session_id}."


class Forker:
    """Makes forks of any session of the tree, and works in its own; `acks` has what it has finished."""

    def __init__(
        self, store: BaseSessionStore, name: str, acks: Path, chance: Random, *, life: float | None = None
    ) -> None:
        self._lossy = LossyBackend(store._open_backend)
        self._sessions = SessionManager(BaseSessionStore(self._lossy))
        self._name = name
        self._acks = acks
        self._chance = chance
        self._life = life
        self._written_at: float | None = None  # when the last write to the fork of this step was begun

    async def take_steps(self, steps: int) -> None:
        told = await asyncio.to_thread(self._told)
        own = [ack["fork"] for ack in told if ack.get("name") == self._name and "fork" in ack]
        gone = {ack["deletes"] for ack in told if "deletes" in ack}
        for fork_id in [each for step in range(steps) if (each := f"{self._name}-{step}") not in own]:
            await self._tell({"name": self._name, "begins": fork_id})
            ack = {"name": self._name, **await self._step_or_expiry(fork_id)}
            await self._tell(ack)
            own.append(fork_id)
            left = [each for each in own if each not in gone]
            if left and self._chance.random() < 0.2:
                await self._delete(self._chance.choice(left), gone)

    async def _step_or_expiry(self, fork_id: str) -> dict[str, Any]:
        """Take a step; what expired in the middle of it did so in its time."""
        try:
            return await self._step(fork_id)
        except SessionNotFound:
            if self._life is None:
                raise
            lived = None if self._written_at is None else monotonic() - self._written_at
            assert lived is None or lived > SURELY_LEFT * self._life, f"{fork_id} went after {lived} s"
            return {"fork": fork_id, "expired": True, "events": []}

    async def _step(self, fork_id: str) -> dict[str, Any]:
        self._written_at = None
        source, fork, born = await self._forked(fork_id)
        written = [await self._append_own(fork_id, f"{fork_id} {number}", number) for number in range(3)]
        late: list[SessionEvent[Any]] = []
        with suppress(SessionNotFound):  # deleted by its owner
            if self._chance.random() < 0.5:
                late = await self._surely(partial(self._append, source, f"{fork_id} late", 1))
        work = [self._hide, self._show, self._compact]
        for each in self._chance.choices(work, k=self._chance.randrange(4)):
            with suppress(InvalidSessionOperation):  # nothing to hide or to show any more, or to gain
                await self._surely(partial(each, fork_id))
        return {
            "fork": fork_id,
            "from": fork.forked_from,
            "events": [[event.id, fork_id] for events in written for event in events]
            + [[event.id, source] for event in late],
            "hidden": await self._hidden(fork_id),
            **born,
        }

    async def _forked(self, fork_id: str) -> tuple[str, Session[Any], dict[str, Any]]:
        """Fork a session; return which one, the fork, and what of it both have hidden, where that is sure."""
        while True:
            source = self._chance.choice([node.id for node in await self._sessions.tree(SOURCE)])
            # The point was hidden meanwhile, or the source deleted; or it shows nothing.
            with suppress(InvalidSessionOperation, SessionNotFound, IndexError):
                revision = (await self._sessions.get(source, last=0)).revision
                log = await self._sessions.store.events(source, include_retracted=True)
                at = self._chance.choice([event.seq or 0 for event in log if not event.retracted])
                is_made = await self._sessions.store.get(fork_id, last=0) is not None
                begun = monotonic()
                try:
                    fork = await self._surely(partial(self._sessions.fork, source, at=at, new_id=fork_id))
                except SessionAlreadyExists:  # by the one that was killed, of another source or point
                    fork = await self._sessions.get(fork_id, last=0)
                    assert fork.forked_from is not None
                    return fork.forked_from.id, fork, {}
                if is_made:  # by the one that was killed
                    return source, fork, {}
                self._written_at = begun
                now = await self._sessions.store.get(source, last=0)
                if now is None or now.revision != revision:  # what it has hidden when it was forked is not sure
                    return source, fork, {}
                born = {"source hid": [event.id for event in log[:at] if event.retracted]}
                return source, fork, {**born, "born with": await self._hidden(fork_id)}

    async def _hidden(self, session_id: str) -> list[str]:
        log = await self._sessions.store.events(session_id, include_retracted=True)
        return [event.id for event in log if event.retracted]

    async def _append(self, session_id: str, event_id: str, number: int) -> list[SessionEvent[Any]]:
        return await self._sessions.append(session_id, event_of(event_id, session_id, number))

    async def _hide(self, fork_id: str) -> None:
        number = self._chance.randint(1, 4)
        await self._sessions.retract(fork_id, last=number, write_id=f"{fork_id} hid {number}")

    async def _show(self, fork_id: str) -> None:
        hidden = await self._hidden(fork_id)
        if hidden:
            await self._sessions.restore(fork_id, *self._chance.sample(hidden, min(len(hidden), 2)))

    async def _compact(self, fork_id: str) -> None:
        def summarize(view: MessageView) -> str:
            return in_short(fork_id)

        async with self._sessions.open(fork_id) as chat:
            with suppress(SessionConflict):
                await chat.compact(summarize, keep=1, minimum_gain=0)

    async def _delete(self, fork_id: str, gone: set[str]) -> None:
        """Delete one of its own as it was read, with what it has spent told before; not one that has forks."""
        found = await self._sessions.store.get(fork_id, last=0)
        if found is None:
            return
        try:
            spent = (await self._sessions.usage(fork_id)).total.prompt_tokens
        except SessionNotFound:
            assert self._life is not None, "nobody else deletes it"
            return
        again = await self._sessions.store.get(fork_id, last=0)
        if again is None or again.revision != found.revision:
            return
        await self._tell({"deletes": fork_id, "spent": spent, "creation": found.creation_id})
        with suppress(InvalidSessionOperation, SessionConflict, SessionNotFound):
            await self._surely(partial(self._sessions.delete, found, expected_revision=found.revision))
            gone.add(fork_id)

    async def _append_own(self, fork_id: str, event_id: str, number: int) -> list[SessionEvent[Any]]:
        begun = monotonic()
        written = await self._surely(partial(self._append, fork_id, event_id, number))
        if self._written_at is not None:  # else the one that was killed may have written it
            self._written_at = begun
        return written

    async def _surely(self, work: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Do it again where the reply was lost."""
        for _ in range(TRIES):
            self._lossy.replies_to_lose = int(self._chance.random() < LOSSES)
            try:
                return await work()
            except StoreUnavailable as error:
                if "the reply was lost" not in str(error):
                    raise
        raise AssertionError("all replies were lost")

    def _told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._acks.read_text().splitlines()]

    async def _tell(self, ack: dict[str, Any]) -> None:
        line = f"{json.dumps(ack)}\n"

        def write() -> None:
            with self._acks.open("a") as file:
                file.write(line)

        await asyncio.to_thread(write)


async def fork_the_same(sessions: SessionManager) -> list[str | None]:
    return [
        (await sessions.fork(SOURCE, at=POINT, new_id=f"same-{number}")).creation_id for number in range(SAME_FORKS)
    ]


async def main(url: str, name: str, steps: str, acks: str, life: str) -> None:
    async with store_from_url(url) as store:
        if steps == "same":
            print(json.dumps(await fork_the_same(SessionManager(store))))
        else:
            chance = Random(f"{name} {time_ns()}")
            await Forker(store, name, Path(acks), chance, life=float(life) or None).take_steps(int(steps))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
