"""Removes what is left of sessions that are gone: claims, lines of trees and of the index, keys."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from itertools import islice
from typing import Any, Final

from a2a_session_manager.exceptions import CorruptSession, SessionManagerError
from a2a_session_manager.identifiers import shown
from a2a_session_manager.storage.redis import lost_trees, scripts
from a2a_session_manager.storage.redis.claims import claim_id_of, forbid_call, release_call, root_of_claim
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.heads import creation_of, expires, parent_of
from a2a_session_manager.storage.redis.index import Index
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.replies import hash_of, status_of
from a2a_session_manager.storage.redis.script import Command, ScriptCall
from a2a_session_manager.storage.redis.shards import run_all

_log = logging.getLogger("a2a_session_manager.storage.redis")

_SESSIONS_A_CALL: Final = 100
# A failover may bring back what was removed; not for ever.
_ATTEMPTS: Final = 3
# Begins a task that ends before the store is closed.
Begun = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Reaper:
    """Removes what leads nowhere, and only that: each step looks once more, or compares."""

    def __init__(self, connections: Connections, index: Index, begun: Begun) -> None:
        self._connections = connections
        self._index = index
        self._begun = begun

    async def are_alive(self, sessions: Sequence[SessionKeys]) -> list[bool]:
        """Tell of each session whether it lives, in two round trips at most.

        One that has lost a part counts as alive: it is listed, and its reader is told what is missing.
        """
        lines = await self._lines(sessions)
        alive = [line is not None for line in lines]
        commands: list[Command] = []
        for keys, line in zip(sessions, lines, strict=True):
            if line is None:
                commands += lost_trees.commands(keys)
            elif expires(line) and not keys.is_root:
                # It may be gone while its line is there. Its keys expire together; a root's, with the tree.
                commands += [("EXISTS", keys.head, keys.log, keys.ids)]
        answers = iter(await self._connections.read_many(commands))
        for at, line in enumerate(lines):
            if line is None:
                alive[at] = lost_trees.is_lost(sessions[at], list(islice(answers, lost_trees.COUNT_OF_COMMANDS)))
            elif expires(line) and not sessions[at].is_root:
                alive[at] = bool(next(answers))
        return alive

    async def forget(self, sessions: Sequence[SessionKeys]) -> None:
        """Remove those that are gone from the index; one that lives after all is put back, even when cancelled."""
        await asyncio.shield(self._begun(self._forget(sessions)))

    def forget_later(self, sessions: Sequence[SessionKeys]) -> None:
        """Do as `forget` does, and wait for nothing; what cannot be removed now, listings remove."""
        self._begun(self._forget_if_possible(sessions))

    def look_after(self, sessions: Sequence[SessionKeys]) -> None:
        """Remove, later, those that have expired or were being deleted; see to the others when they end."""
        if sessions:
            self._begun(self._look_after(sessions))

    async def _look_after(self, sessions: Sequence[SessionKeys]) -> None:
        for keys in sessions:
            try:
                await self._look_after_one(keys)
            except CorruptSession:
                _log.warning("session %s has lost a part: it is not removed when it expires", shown(keys.key.id))
                await self._index.look_later(keys, 0)  # whoever reads it is told
            except SessionManagerError as error:
                _log.info("what has expired is removed later: %s", type(error.__cause__ or error).__name__)
                return  # nobody waits for this: whoever makes the next session here is told of the same ones

    async def _look_after_one(self, keys: SessionKeys) -> None:
        # Also where the id has a session again: what was below the former one is not this one's.
        await self.finish_cascades([keys])
        [is_alive] = await self.are_alive([keys])
        if is_alive:
            [deadline] = await self._connections.read_many([("HGET", keys.head, "deadline")])
            await self._index.look_later(keys, int(deadline or 0))
        else:
            await self.clear([keys])

    async def _forget(self, sessions: Sequence[SessionKeys]) -> None:
        gone = await self._gone(sessions)
        await self._index.remove(gone)
        still_gone = await self._gone(gone)
        back = [keys for keys in gone if keys not in still_gone]
        lines = await self._lines(back)
        await self._index.add([(keys, line is None or expires(line)) for keys, line in zip(back, lines, strict=True)])

    async def _forget_if_possible(self, sessions: Sequence[SessionKeys]) -> None:
        try:
            await self._forget(sessions)
        except SessionManagerError as error:
            _log.info("lines of the index that lead nowhere stay: %s", type(error.__cause__ or error).__name__)

    async def clear(self, sessions: Sequence[SessionKeys]) -> None:
        """Remove what is left of sessions that are gone, and at last their lines in the index."""
        await self.finish_cascades(sessions)
        await self.remove_expired(sessions)
        await self._remove_keys([(keys, "") for keys in sessions])
        await self._release_dangling([keys for keys in sessions if not keys.is_root])
        await self.forget(sessions)

    async def remove_expired(self, sessions: Sequence[SessionKeys]) -> None:
        """Take sessions that have expired out of their trees, and give their ids free."""
        below_roots = [keys for keys in sessions if not keys.is_root]
        lines = await self._lines(below_roots)
        expired = [(keys, line) for keys, line in zip(below_roots, lines, strict=True) if line is not None]
        replies = await self._run_all(_burial(keys, parent_of(line)) for keys, line in expired)
        await self._release_all(
            [
                (keys, creation_of(line))
                for (keys, line), reply in zip(expired, replies, strict=True)
                if status_of(reply, keys.key.id) == b"OK"
            ]
        )

    async def forbid(self, keys: SessionKeys, claim_id: str) -> bool:
        """Make sure that a claim never becomes a session; False when it is one already."""
        return status_of(await self._connections.run(forbid_call(keys, claim_id)), keys.key.id) == b"OK"

    async def release(self, keys: SessionKeys, claim: bytes) -> None:
        """Give the id free, if it is still claimed so."""
        await self._run_all([release_call(keys, claim)])

    async def finish_cascades(self, sessions: Sequence[SessionKeys]) -> None:
        """Remove what cascades took along in the trees of `sessions` and have not removed, as when a process died."""
        trees = list({keys.tree: keys for keys in sessions}.values())
        for _ in range(_ATTEMPTS):
            answers = await self._connections.read_many([("HGETALL", keys.gone) for keys in trees])
            taken = [
                (keys.of(name.decode()), creation_id.decode())
                for keys, gone in zip(trees, answers, strict=True)
                for name, creation_id in hash_of(gone).items()
            ]
            if not taken:
                break
            await self.remove_below(taken)

    async def remove_below(self, taken: Sequence[tuple[SessionKeys, str]]) -> None:
        """Remove what is left of sessions that cascades took along, each given with its creation id."""
        for at in range(0, len(taken), _SESSIONS_A_CALL):
            some = taken[at : at + _SESSIONS_A_CALL]
            await self.remove(some)
            # The last step: until then, whoever looks after their tree is told of them.
            await self._remove_keys(some)

    async def remove(self, deleted: Sequence[tuple[SessionKeys, str]]) -> None:
        """Remove what is left of deleted sessions but for their keys, each given with its creation id."""
        await self._release_all(deleted)
        await self.forget([keys for keys, _ in deleted])

    async def _release_all(self, deleted: Sequence[tuple[SessionKeys, str]]) -> None:
        below_roots = [(keys, creation_id) for keys, creation_id in deleted if not keys.is_root]
        commands: list[Command] = []
        for keys, _ in below_roots:
            commands += [("GET", keys.locator), ("HGET", keys.tree, f"n:{keys.key.id}")]
        replies = iter(await self._connections.read_many(commands))
        # A deleted creation id is refused, so nobody makes a session of its claim any more. A failover, though, may
        # have lost the deletion.
        await self._run_all(
            release_call(keys, claim)
            for (keys, creation_id), claim, line in zip(below_roots, replies, replies, strict=False)
            if claim is not None and claim_id_of(claim).partition(".")[0] == creation_id
            if line is None or creation_of(line) != creation_id
        )

    async def _release_dangling(self, sessions: Sequence[SessionKeys]) -> None:
        """Give the ids of sessions that are gone free, where a locator would keep them for ever."""
        commands: list[Command] = []
        for keys in sessions:
            commands += [("GET", keys.locator), ("PTTL", keys.locator)]
        replies = iter(await self._connections.read_many(commands))
        dangling = [
            (keys, claim)
            for keys, claim, remaining in zip(sessions, replies, replies, strict=False)
            if claim is not None and remaining < 0 and root_of_claim(claim) == keys.root_id
        ]
        # Whoever still holds a claim, and would make a session of it, must learn first that it may not.
        answers = await self._run_all(forbid_call(keys, claim_id_of(claim)) for keys, claim in dangling)
        await self._run_all(
            release_call(keys, claim)
            for (keys, claim), answer in zip(dangling, answers, strict=True)
            if status_of(answer, keys.key.id) == b"OK"
        )

    async def _remove_keys(self, dead: Sequence[tuple[SessionKeys, str]]) -> None:
        """Remove the keys of sessions that are gone, and the word that a cascade took these incarnations of them along.

        A root's keys have gone with its tree.
        """
        by_tree: dict[bytes, list[tuple[SessionKeys, str]]] = {}
        for keys, creation_id in dead:
            if not keys.is_root:
                by_tree.setdefault(keys.tree, []).append((keys, creation_id))
        await self._run_all(
            _removal(some[at : at + _SESSIONS_A_CALL])
            for some in by_tree.values()
            for at in range(0, len(some), _SESSIONS_A_CALL)
        )

    async def _gone(self, sessions: Sequence[SessionKeys]) -> list[SessionKeys]:
        alive = await self.are_alive(sessions)
        return [keys for keys, is_alive in zip(sessions, alive, strict=True) if not is_alive]

    async def _lines(self, sessions: Sequence[SessionKeys]) -> list[bytes | None]:
        return await self._connections.read_many([("HGET", keys.tree, f"n:{keys.key.id}") for keys in sessions])

    async def _run_all(self, calls: Iterable[ScriptCall]) -> list[Any]:
        return await run_all(self._connections, list(calls))


def _burial(keys: SessionKeys, parent_id: str) -> ScriptCall:
    parent = keys.of(parent_id)
    touched = (*keys.core, keys.refused, keys.budgets, parent.head, parent.children)
    return ScriptCall(scripts.REMOVE_EXPIRED, touched, [keys.key.id], keys.key.id)


def _removal(dead: Sequence[tuple[SessionKeys, str]]) -> ScriptCall:
    first, _ = dead[0]
    touched = [first.tree, *first.of_root, first.gone, *(key for keys, _ in dead for key in keys.all_of_session)]
    return ScriptCall(
        scripts.REMOVE_KEYS, touched, [value for keys, creation_id in dead for value in (keys.key.id, creation_id)]
    )
