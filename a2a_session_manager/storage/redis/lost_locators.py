"""Locators that were lost: the index tells where their sessions lie, and they are put back."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.identifiers import shown
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.redis.claims import claim_call, claim_of, root_of_claim, touch_locator
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.heads import creation_of, expires
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.replies import lost
from a2a_session_manager.storage.redis.script import Command
from a2a_session_manager.storage.redis.shards import run_all

_log = logging.getLogger("a2a_session_manager.storage.redis")


class Stray(NamedTuple):
    """The keys of a session whose locator was lost; the index told of it, and the locator was put back."""

    keys: SessionKeys


Whereabouts = SessionKeys | Stray | CorruptSession


class LostLocators:
    """Looks where the index lists an id that has no locator."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def repair(self, keys: SessionKeys, listed: Sequence[SessionKeys]) -> None:
        """Put back the locator of an id that will be created, if it is lost and leads to another tree.

        `listed`: below which roots the index lists the id. Raises CorruptSession if that tree is lost, too.
        """
        others = [each for each in listed if each.root_id != keys.root_id]
        if not others or (await self._connections.read_many([("GET", keys.locator)]))[0] is not None:
            return
        found = await self.strays(others)
        if isinstance(stray := found.get(keys.key), CorruptSession):
            raise stray

    async def strays(self, listed: Iterable[SessionKeys]) -> dict[SessionKey, Whereabouts]:
        """Return which of `listed`, sessions without a locator, are there; their locators are put back."""
        sessions = list(listed)
        commands: list[Command] = []
        for keys in sessions:
            commands += [
                ("HGET", keys.tree, f"n:{keys.key.id}"),
                ("HGET", keys.head, "deadline"),
                ("EXISTS", keys.head, keys.log, keys.ids),
                ("EXISTS", keys.tree),
                ("EXISTS", *keys.of_root),
                ("GET", keys.locator),  # after the line: a session that was created a moment ago has both
            ]
        replies = iter(await self._connections.read_many(commands))
        found: dict[SessionKey, Whereabouts] = {}
        for keys, line, deadline, remains, has_tree, has_root, claim in zip(sessions, *[replies] * 6, strict=False):
            if line is not None and claim is not None:
                found[keys.key] = keys.in_tree(root_of_claim(claim))
            elif line is not None and (remains or not expires(line)):  # or else it has expired, and its locator, too
                _log.warning("the locator of session %s was lost: it is made anew", shown(keys.key.id))
                found[keys.key] = Stray(keys)
                await self._put_back(keys, creation_of(line), int(deadline or 0) if expires(line) else 0)
            elif has_root and not has_tree:
                found.setdefault(keys.key, lost(keys.key.id, "tree"))
        return found

    async def _put_back(self, keys: SessionKeys, creation_id: str, deadline: int) -> None:
        calls = [claim_call(keys.in_tree(keys.key.id), claim_of(creation_id, keys.root_id))]
        if deadline:
            calls.append(touch_locator(keys, deadline, is_new=True))
        await run_all(self._connections, calls)
