"""Names of namespaces, listed beside the index of sessions: a line is written with each creation in its namespace.

Like a line of the index, it is written before the session is there and looked for afterwards; one whose namespace holds
no session any more is passed over and removed. Earlier releases wrote none: a store of theirs is looked through once.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final
from urllib.parse import unquote

from a2a_session_manager.exceptions import CorruptSession, StoreFull
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.storage.read_records import NamespacePage
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.errors import outage, translated
from a2a_session_manager.storage.redis.keys import (
    complete_key,
    escaped,
    names_entries,
    names_key,
    shard_with_marks,
)
from a2a_session_manager.storage.redis.listing import Listing
from a2a_session_manager.storage.redis.script import Call, PlainCall
from a2a_session_manager.storage.redis.shards import FOR_EVER, is_doubtful, listing, run_all, unlisting

_AT_ONCE: Final = 50
_KEYS_A_SCAN: Final = 1_000


class NamespaceListing:
    """Lists the namespaces that hold sessions, level by level."""

    def __init__(
        self,
        connections: Connections,
        prefix: str,
        sessions: Listing,
        begun: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._connections = connections
        self._prefix = prefix
        self._sessions = sessions
        self._begun = begun

    async def page(self, namespace: Namespace, *, cursor: str | None, limit: int) -> NamespacePage:
        """Return up to `limit` names directly below `namespace`; see `Backend.list_namespaces`."""
        found: list[bytes] = []
        after, is_all = cursor, False
        while not is_all and len(found) <= limit:
            wanted = min(limit + 1 - len(found), _AT_ONCE)
            members = await self._members(namespace, after, wanted)
            is_all = len(members) < wanted
            after = members[-1].decode() if members else after
            found += await self._living(namespace, members)
        page = found[:limit]
        return NamespacePage(
            [unquote(member.decode()) for member in page], page[-1].decode() if len(found) > limit else None
        )

    async def rebuild(self, namespace: Namespace = ()) -> None:
        """List all namespaces anew, from the keys of the index, of which the list of `namespace` may be lost.

        It is a SCAN of every primary, in steps that hold up nobody. Cut off, it is begun again by whoever asks next,
        and what was listed by then stays.
        """
        lifetimes = await self._lifetimes()
        entries = {
            entry: lifetime
            for namespace, lifetime in lifetimes.items()
            for entry in names_entries(self._prefix, namespace)
        }
        calls: list[Call] = [listing(self._prefix, *entry, lifetime) for entry, lifetime in entries.items()]
        shards = {shard for shard, _ in entries} | {names_key(self._prefix, namespace)}
        calls += [listing(self._prefix, shard, b"", FOR_EVER, is_whole=True) for shard in shards]
        await run_all(self._connections, calls)
        await run_all(self._connections, [PlainCall(("SET", complete_key(self._prefix), "1"))])

    async def _members(self, namespace: Namespace, after: str | None, limit: int) -> list[bytes]:
        """Return lines of a namespace, once they are known to be whole."""
        key = names_key(self._prefix, namespace)
        lowest = "-" if after is None else b"(" + after.encode()
        commands: list[tuple[bytes | str | int, ...]] = [
            ("EXISTS", complete_key(self._prefix)),
            ("EXISTS", *shard_with_marks(self._prefix, key)),
            ("ZRANGEBYLEX", key, lowest, "+", "LIMIT", 0, limit),
        ]
        is_complete, parts, members = await self._connections.read_many(commands)
        if not is_complete or is_doubtful(parts):
            await self.rebuild(namespace)
            _, _, members = await self._connections.read_many(commands)
        return list(members)

    async def _living(self, namespace: Namespace, members: Sequence[bytes]) -> list[bytes]:
        inner = [(*namespace, unquote(member.decode())) for member in members]
        alive = await asyncio.gather(*map(self._holds_sessions, inner))
        gone = [each for each, is_alive in zip(inner, alive, strict=True) if not is_alive]
        if gone:
            with suppress(StoreFull):  # listing is reading; the next one removes them
                await asyncio.shield(self._begun(self._forget(gone)))
        return [member for member, is_alive in zip(members, alive, strict=True) if is_alive]

    async def _holds_sessions(self, namespace: Namespace) -> bool:
        try:
            page = await self._sessions.page(namespace, prefix="", cursor=None, limit=1, roots_only=False)
        except CorruptSession:
            return True  # damage is not absence
        return bool(page.session_ids or (await self.page(namespace, cursor=None, limit=1)).names)

    async def _forget(self, namespaces: Sequence[Namespace]) -> None:
        """List namespaces no more; one that holds a session by now is put back."""
        for namespace in namespaces:
            *_, (key, member) = names_entries(self._prefix, namespace)
            await run_all(self._connections, [unlisting(self._prefix, key, [member])])
            if await self._holds_sessions(namespace):
                await run_all(self._connections, [listing(self._prefix, key, member, FOR_EVER)])

    async def _lifetimes(self) -> dict[Namespace, str]:
        """Return the namespaces whose roots are listed, each with how long they are to stay listed."""
        found = {key: namespace async for key in self._scanned() if (namespace := self._namespace_of(key))}
        remaining = await self._connections.read_many([("PTTL", key) for key in found])
        lifetimes: dict[Namespace, int] = {}
        for namespace, milliseconds in zip(found.values(), remaining, strict=True):
            longest = lifetimes.get(namespace, 0)
            lifetimes[namespace] = -1 if -1 in (longest, milliseconds) else max(longest, milliseconds, 1)
        return {name: FOR_EVER if left == -1 else str(left) for name, left in lifetimes.items()}

    def _namespace_of(self, key: bytes) -> Namespace | None:
        shape = rf"{re.escape(self._prefix)}index:([^:]+):roots:\d\d"
        match = re.fullmatch(shape, key.decode(errors="replace"))
        if match is None:
            return None
        namespace = tuple(map(unquote, match[1].split("/")))
        return namespace if "/".join(map(escaped, namespace)) == match[1] else None

    async def _scanned(self) -> AsyncIterator[bytes]:
        client: Any = await self._connections.client()
        pattern = re.sub(r"([*?\[\]\\])", r"\\\1", self._prefix) + "index:*:roots:*"
        try:
            async for key in client.scan_iter(match=pattern, count=_KEYS_A_SCAN):
                yield key.encode() if isinstance(key, str) else key
        except Exception as error:
            raise translated(outage(error)) from error
