"""Where a session lies: in a tree of its own, or in that of the root its locator names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from a2a_session_manager.exceptions import CorruptSession, SessionManagerError
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.redis import lost_trees
from a2a_session_manager.storage.redis.claims import root_of_claim
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.index_lines import IndexLines
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.lost_locators import LostLocators, Stray, Whereabouts
from a2a_session_manager.storage.redis.replies import Flat, lost, mended, status_of
from a2a_session_manager.storage.redis.script import Command, ScriptCall

_ROOTS_REMEMBERED: Final = 100_000
_SESSIONS_REMEMBERED: Final = 4_096
# A session may be deleted and created elsewhere while it is looked for; not for ever.
_LOOKUPS: Final = 3


class Found(NamedTuple):
    """A session's keys, and what the script answered there."""

    keys: SessionKeys
    reply: Flat


Answer = Found | SessionManagerError | None
CallAt = Callable[[SessionKeys], ScriptCall]


class Locator:
    """Finds sessions; it remembers the roots of those below one, and takes any other id for a root."""

    def __init__(self, connections: Connections, prefix: str, lines: IndexLines) -> None:
        self._connections = connections
        self._index_lines = lines
        self._lost_locators = LostLocators(connections)
        self._roots: dict[SessionKey, str] = {}

        @lru_cache(maxsize=_SESSIONS_REMEMBERED)
        def keys_in(key: SessionKey, root_id: str) -> SessionKeys:
            """Return the keys that the session has in the tree of `root_id`."""
            return SessionKeys(prefix, key, root_id)

        self.keys_in = keys_in

    def keys_of(self, key: SessionKey) -> SessionKeys:
        """Return the keys of the session, where it lies as far as is known."""
        return self.keys_in(key, self._roots.get(key, key.id))

    def remember(self, key: SessionKey, root_id: str) -> None:
        """Look for the session in the tree of `root_id` first from now on."""
        self._roots.pop(key, None)
        if root_id != key.id:
            while len(self._roots) >= _ROOTS_REMEMBERED:
                del self._roots[next(iter(self._roots))]
            self._roots[key] = root_id

    def forget(self, key: SessionKey) -> None:
        """Take the id for a root's from now on."""
        self._roots.pop(key, None)

    async def find(self, key: SessionKey) -> SessionKeys | None:
        """Return the keys of a session that its own tree, its locator or the index tells of."""
        [found] = await self._located([key])
        if isinstance(found, CorruptSession):
            raise found
        return found.keys if isinstance(found, Stray) else found

    async def repair(self, keys: SessionKeys, listed: Sequence[SessionKeys]) -> None:
        """Put back the locator of an id that will be created, if it is lost; see `LostLocators.repair`."""
        await self._lost_locators.repair(keys, listed)

    async def refuse_lost_tree(self, keys: SessionKeys) -> None:
        """Raise CorruptSession when the session's tree is missing while its root or the session itself is there."""
        if lost_trees.is_lost(keys, await self._connections.read_many(lost_trees.commands(keys))):
            raise lost(keys.key.id, "tree")

    async def ask(self, key: SessionKey, call_at: CallAt) -> Found | None:
        """Run a script where the session lies; None when there is no such session."""
        [answer] = await self.ask_many([key], call_at)
        if isinstance(answer, SessionManagerError):
            raise answer
        return answer

    async def ask_many(self, wanted: Sequence[SessionKey], call_at: CallAt) -> list[Answer]:
        """Run a script for each session, all in one round trip, and once more for those that lie elsewhere.

        A script that finds no session answers NOSESSION. Damage and outage are answers, too. A locator that was
        lost is put back, and the reader is told so, once.
        """
        sessions = [self.keys_of(key) for key in wanted]
        replies = await self._connections.run_many(list(map(call_at, sessions)))
        return await self.follow(sessions, call_at, replies)

    async def ask_at(self, sessions: Sequence[SessionKeys], calls: Sequence[ScriptCall]) -> list[Answer]:
        """Run a script for each session where it is thought to lie, in one round trip, and nowhere else."""
        return [
            _answer(keys, reply) for keys, reply in zip(sessions, await self._connections.run_many(calls), strict=True)
        ]

    async def follow(
        self,
        sessions: Sequence[SessionKeys],
        call_at: CallAt,
        replies: Sequence[Any],
        *,
        is_write: bool = False,
    ) -> list[Answer]:
        """Return the answers in `replies`; what found no session is asked again wherever that lies.

        A write, which may hold what a model has said, goes on where a reader is told of a locator that was lost. It
        is not waited for where a cluster is moving its slot: SlotMoving is its answer then.
        """
        answers = [_answer(keys, reply) for keys, reply in zip(sessions, replies, strict=True)]
        at = dict(enumerate(sessions))
        for lookup in range(1, _LOOKUPS + 1):
            at = {index: keys for index, keys in at.items() if answers[index] is None}
            if at:
                at = await self._look_again(at, answers, is_write=is_write)
            if not at or lookup == _LOOKUPS:
                break
            calls = list(map(call_at, at.values()))
            replies = await self._connections.run_many(calls, skips_moving=is_write)
            for (index, keys), reply in zip(at.items(), replies, strict=True):
                answers[index] = _answer(keys, reply)
        return answers

    async def _look_again(
        self, not_found: Mapping[int, SessionKeys], answers: list[Answer], *, is_write: bool
    ) -> dict[int, SessionKeys]:
        """Return, by their index, the sessions that lie elsewhere than was thought; put errors among the answers."""
        elsewhere: dict[int, SessionKeys] = {}
        located = await self._located([keys.key for keys in not_found.values()])
        for (index, keys), found in zip(not_found.items(), located, strict=True):
            there = found.keys if isinstance(found, Stray) else found
            if isinstance(there, SessionKeys) and there.root_id != keys.root_id:
                self.remember(there.key, there.root_id)
                if isinstance(found, Stray) and not is_write:
                    answers[index] = mended(keys.key.id)
                else:
                    elsewhere[index] = there
                continue
            self.forget(keys.key)
            if isinstance(found, CorruptSession):
                answers[index] = found
            elif not keys.is_root:
                try:
                    await self.refuse_lost_tree(keys)
                except CorruptSession as error:
                    answers[index] = error
        return elsewhere

    async def _located(self, wanted: Sequence[SessionKey]) -> list[Whereabouts | None]:
        """Return where sessions lie, by their own trees and locators, and by the index where locators are lost."""
        commands: list[Command] = []
        for key in wanted:
            own = self.keys_in(key, key.id)
            commands += [
                ("GET", own.locator),
                ("HEXISTS", own.tree, f"n:{key.id}"),
                ("EXISTS", *own.of_root),
                *self._index_lines.commands_below_roots(key),
            ]
        replies = iter(await self._connections.read_many(commands))
        located: list[Whereabouts | None] = []
        listed: list[SessionKeys] = []
        for key, claim, is_root, remains, *below in zip(wanted, *[replies] * 5, strict=False):
            if is_root:
                located.append(self.keys_in(key, key.id))
            elif remains:
                located.append(lost(key.id, "tree"))
            elif claim is not None:
                located.append(self.keys_in(key, root_of_claim(claim)))
            else:
                located.append(None)
                listed += await self._index_lines.listed_below_roots(key, below)
        strays = await self._lost_locators.strays(listed) if listed else {}
        return [strays.get(key) if found is None else found for key, found in zip(wanted, located, strict=True)]


def _answer(keys: SessionKeys, reply: Any) -> Answer:
    if isinstance(reply, SessionManagerError):
        return reply
    if isinstance(reply, bytes):  # the short form of a good answer
        return Found(keys, reply)
    try:
        return None if status_of(reply, keys.key.id) == b"NOSESSION" else Found(keys, reply)
    except CorruptSession as error:
        return error
