"""Heartbeats: the leases that are open on one event loop, renewed together.

A timer of the loop wakes them, so that nothing is left running that would hold up the loop's end. A heartbeat that
nobody refers to any more is gone, and its lease with it, when that expires.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextvars import Context
from typing import Final
from weakref import WeakSet

from a2a_session_manager.exceptions import SessionManagerError
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.commit_records import LeaseRenewal

_log = logging.getLogger("a2a_session_manager.storage")

# Parts of a lease: when it is renewed, how much earlier if others are just then, when again after a failure.
_EVERY: Final = 1 / 3
_EARLIER: Final = 1 / 10
_AGAIN: Final = 1 / 20
_MOST_AT_ONCE: Final = 500


def heartbeats_of(backend: Backend) -> Heartbeats:
    """Return those of the running loop."""
    loop, by_loop = asyncio.get_running_loop(), backend.heartbeats
    found = by_loop.get(loop) if by_loop is not None else None
    if found is None:
        # What was open on a loop that was closed is nobody's any more.
        others = {each: beats for each, beats in (by_loop or {}).items() if not each.is_closed()}
        found = Heartbeats(backend, loop)
        backend.heartbeats = {**others, loop: found}
    assert isinstance(found, Heartbeats), "they are put there here alone"
    return found


class Heartbeat:
    """Keeps one lease alive until `stop`, or until nobody refers to it."""

    def __init__(self, all_of_loop: Heartbeats, renewal: LeaseRenewal, seconds: float, now: float) -> None:
        self._all_of_loop = all_of_loop
        self.renewal = renewal
        self.seconds = seconds
        self.due = now + seconds * _EVERY
        # After this, no renewal can bring the lease back.
        self.ends = now + seconds
        self.is_lost = False

    def stop(self) -> None:
        """Let the lease be."""
        self._all_of_loop.discard(self)


class Heartbeats:
    """All heartbeats of one loop over one backend."""

    def __init__(self, backend: Backend, loop: asyncio.AbstractEventLoop) -> None:
        self._backend = backend
        self._loop = loop
        self._open: WeakSet[Heartbeat] = WeakSet()
        self._timer: asyncio.TimerHandle | None = None
        self._renewing: asyncio.Task[None] | None = None

    def start(self, renewal: LeaseRenewal, milliseconds: int) -> Heartbeat:
        """Keep a lease alive that was acquired just now."""
        beat = Heartbeat(self, renewal, milliseconds / 1000, self._loop.time())
        self._open.add(beat)
        if self._timer is None or self._timer.when() > beat.due:
            self._wake_at(beat.due)
        return beat

    def discard(self, beat: Heartbeat) -> None:
        """Let a lease be; without any left, nothing is woken any more."""
        self._open.discard(beat)
        if not self._open and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake_at(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._wake, context=Context())

    def _wake(self) -> None:
        self._timer = None
        if self._renewing is None and not self._backend.is_closed:
            now = self._loop.time()
            due = [beat for beat in self._open if beat.due - beat.seconds * _EARLIER <= now]
            if due:
                self._renewing = self._loop.create_task(self._renew(due))
            else:
                self._wake_for_next()

    async def _renew(self, due: Sequence[Heartbeat]) -> None:
        try:
            for start in range(0, len(due), _MOST_AT_ONCE):
                await self._renew_some(due[start : start + _MOST_AT_ONCE])
        finally:
            self._renewing = None
            self._wake_for_next()

    async def _renew_some(self, due: Sequence[Heartbeat]) -> None:
        begun = self._loop.time()
        try:
            answers: Sequence[bool | None] = await self._backend.renew_leases([beat.renewal for beat in due])
        except SessionManagerError as error:
            _log.info("%d leases of runs could not be renewed, and will be tried again: %s", len(due), error)
            answers = [None] * len(due)
        for beat, answer in zip(due, answers, strict=True):
            self._note(beat, answer, begun)

    def _note(self, beat: Heartbeat, answer: bool | None, begun: float) -> None:
        if answer:
            beat.due, beat.ends = begun + beat.seconds * _EVERY, begun + beat.seconds
        elif answer is None and begun < beat.ends:
            beat.due = begun + beat.seconds * _AGAIN
        else:
            beat.is_lost = answer is False  # its next write will be told so by the store
            self._open.discard(beat)

    def _wake_for_next(self) -> None:
        if self._open and not self._backend.is_closed:
            self._wake_at(min(beat.due for beat in self._open))
