"""Entries of sessions that are active are moved ahead of their commits, at most once in ten seconds.

One server runs the move before the commit, in the same round trip. In a cluster an entry has another slot than its
session: there, a commit waits half a second for it at most, for this is only an order, and the entry follows.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, NamedTuple

from a2a_session_manager.exceptions import SessionManagerError, StoreUnavailable
from a2a_session_manager.storage.commit_records import EncodedCommit, EventsKnown, Receipt
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.entries import TOLERANCE, updated_at_in
from a2a_session_manager.storage.redis.entry_calls import EntryCalls
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.script import ScriptCall

_log = logging.getLogger("a2a_session_manager.storage.redis")

_SESSIONS_REMEMBERED: Final = 100_000
# Readers put an entry back, minutes later, whose commit was never made: until then, what is remembered of it is true.
_REMEMBERED_SECONDS: Final = 60.0
# How long a batch of commits waits for entries on other nodes, and for how long not at all when these did not answer.
_WAIT_SECONDS: Final = 0.5
_PAUSE_SECONDS: Final = 5.0

Begun = Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]]


class EntryMove(NamedTuple):
    """A session whose entry is to be moved, to the time that its activity will have."""

    keys: SessionKeys
    at: int


class Moved(NamedTuple):
    """An entry that was moved: what it was before, and what it is now."""

    keys: SessionKeys
    before: bytes
    after: bytes


class ActivityEntries:
    """Moves entries, and moves them back where no activity came of it."""

    def __init__(self, connections: Connections, calls: EntryCalls, begun: Begun) -> None:
        self._connections = connections
        self._calls = calls
        self._begun = begun
        self._moved: dict[SessionKey, tuple[int, float]] = {}  # to when, and when that was by the monotonic clock
        self._pauses_until = 0.0

    def moves(
        self, sessions: Sequence[SessionKeys], batch: Mapping[SessionKey, Sequence[EncodedCommit]]
    ) -> list[EntryMove]:
        """Return which entries are to be moved before the commits are made."""
        now = time.monotonic()
        moves: list[EntryMove] = []
        for keys in sessions:
            at = max((commit.written_at for commit in batch[keys.key] if is_activity(commit)), default=None)
            if at is None:
                continue
            moved = self._moved.get(keys.key)
            if moved is None or at > moved[0] + TOLERANCE or now > moved[1] + _REMEMBERED_SECONDS:
                moves.append(EntryMove(keys, at))
        return moves

    def calls(self, moves: Sequence[EntryMove]) -> list[ScriptCall]:
        """Return the calls that make the moves; `take` is given their answers."""
        return [self._calls.move(move.keys, move.at) for move in moves]

    def take(self, moves: Sequence[EntryMove], answers: Sequence[Any]) -> list[Moved]:
        """Return what was moved; what was not, is tried again before the session's next commit."""
        moved: list[Moved] = []
        for move, answer in zip(moves, answers, strict=True):
            if isinstance(answer, Exception):
                _log.info("an entry of the index is moved later: %s", type(answer.__cause__ or answer).__name__)
            elif answer[0] == b"OK":
                _, after, before = answer
                moved.append(Moved(move.keys, before, after))
                self.remember(move.keys.key, updated_at_in(after))
            else:
                self.remember(move.keys.key, move.at)  # it is listed elsewhere, or not at all
        return moved

    async def move(self, moves: Sequence[EntryMove]) -> list[Moved]:
        """Move entries on whatever nodes they are; return what was moved in the time that a batch waits for it."""
        made = self._begun(self._move(moves))
        if time.monotonic() >= self._pauses_until:
            done, _ = await asyncio.wait([made], timeout=_WAIT_SECONDS)
            if not done:
                self._pauses_until = time.monotonic() + _PAUSE_SECONDS
        return made.result() if made.done() else []

    async def move_elsewhere(self, moves: Sequence[EntryMove], found: Sequence[SessionKeys]) -> None:
        """Move the entries of sessions that were not where they were thought to be, which their commits have told."""
        there = {keys.key: keys for keys in found}
        others = [
            EntryMove(there[move.keys.key], move.at)
            for move in moves
            if move.keys.key in there and there[move.keys.key].root_id != move.keys.root_id
        ]
        if others:
            await self.move(others)

    async def move_back(self, moved: Sequence[Moved], answers: Mapping[SessionKey, Sequence[Any]]) -> None:
        """Move back the entries of sessions that did not become active, as the answers to their commits tell.

        One that another process has to do with meanwhile stays; readers move it back, much later.
        """
        idle = [each for each in moved if each.before and not _became_active(each, answers[each.keys.key])]
        for each in idle:
            self._moved.pop(each.keys.key, None)
        calls = [self._calls.put_back(each.keys, each.after, each.before) for each in idle]
        for answer in await self._connections.run_many(calls):
            if isinstance(answer, Exception):
                _log.info("an entry of the index is moved back later: %s", type(answer.__cause__ or answer).__name__)

    def remember(self, key: SessionKey, updated_at: int) -> None:
        """Take note of where the session's entry is."""
        self._moved.pop(key, None)
        while len(self._moved) >= _SESSIONS_REMEMBERED:
            del self._moved[next(iter(self._moved))]
        self._moved[key] = updated_at, time.monotonic()

    async def _move(self, moves: Sequence[EntryMove]) -> list[Moved]:
        return self.take(moves, await self._connections.run_many(self.calls(moves)))


def is_activity(commit: EncodedCommit) -> bool:
    """Tell whether the commit will be activity, if it changes anything."""
    return bool(commit.events or commit.state or commit.runs) or commit.changes_hidden


def is_at(updated_at: int, answer: Any) -> bool:
    """Tell whether a session may be where its entry was moved to, as the answer to one of its commits says."""
    if isinstance(answer, Receipt | EventsKnown):
        return answer.updated_at + TOLERANCE >= updated_at
    # Of an outage, nobody knows; all else has changed nothing.
    return isinstance(answer, StoreUnavailable) or not isinstance(answer, SessionManagerError)


def _became_active(moved: Moved, answers: Sequence[Any]) -> bool:
    updated_at = updated_at_in(moved.after)
    return any(is_at(updated_at, answer) for answer in answers)
