"""What is read of sessions and trees; long logs come in pages that never hold up the server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from operator import itemgetter
from typing import Final

from a2a_session_manager.exceptions import SessionManagerError
from a2a_session_manager.models.token_tally import COUNTERS
from a2a_session_manager.protocols import SessionPage
from a2a_session_manager.storage import paging
from a2a_session_manager.storage.heads import BOUNDED_RUNS
from a2a_session_manager.storage.ranges import first_seqs, flattened, without_first_seqs
from a2a_session_manager.storage.records import (
    LoadedSession,
    LogPage,
    Range,
    SessionKey,
    StoredEvent,
    StoredRetraction,
    TreeNode,
    TreeTotals,
)
from a2a_session_manager.storage.redis import fast_load, scripts
from a2a_session_manager.storage.redis.commits import Flat, pairs, ranges_of
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.heads import (
    events_of,
    expires,
    head_of,
    numbered,
    ordinal_of,
    parent_of,
    retraction_of,
    totals_of,
)
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.locating import Found, Locator
from a2a_session_manager.storage.redis.reaper import Reaper
from a2a_session_manager.storage.redis.script import ScriptCall, Value

_COUNTER_NAMES: Final = " ".join(COUNTERS)
_EVENTS_A_PAGE: Final = 500
_NODES_A_PIPELINE: Final = 1_000


class Reader:
    """Reads sessions wherever they lie."""

    def __init__(self, connections: Connections, locator: Locator, reaper: Reaper) -> None:
        self._connections = connections
        self._locator = locator
        self._reaper = reaper

    async def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> list[LoadedSession | None]:
        """Return heads with their newest events; see `Backend.load`."""
        if len(keys) == 1 and not whole_head and last is not None and last <= fast_load.FEW:
            glanced = await self._glanced(keys[0], last)
            if glanced is not None:
                return [glanced]
        call_at = partial(_load_call, last=last, whole_head=whole_head)
        answers = await self._locator.ask_many(keys, [call_at] * len(keys))
        loaded: list[LoadedSession | None] = []
        for key, answer in zip(keys, answers, strict=True):
            if isinstance(answer, SessionManagerError):
                raise answer
            while answer is not None:
                one = await self._loaded(answer)
                if one is not None:
                    loaded.append(one)
                    break
                # Deleted between two pages; another session may have the id by now.
                answer = await self._locator.ask(key, call_at)
            else:
                loaded.append(None)
        return loaded

    async def read_log(self, key: SessionKey, *, after: int, limit: int, max_bytes: int) -> LogPage | None:
        """Return a stretch of the log; see `Backend.read_log`."""
        found = await self._locator.ask(key, partial(_read_log_call, after=after, limit=limit, max_bytes=max_bytes))
        if found is None:
            return None
        _, creation_id, revision, tag, is_last, hidden, retractions, entries = found.reply
        return LogPage(
            creation_id.decode(),
            revision,
            list(events_of(key, after + 1, entries)),
            _retractions(key, retractions),
            ranges_of(hidden),
            bool(is_last),
            tag.decode(),
        )

    async def children(self, key: SessionKey, *, after: int, limit: int) -> SessionPage | None:
        """Return a page of children behind the ordinal `after`; see `Backend.children`."""

        def call_at(place: SessionKeys) -> ScriptCall:
            arguments: list[Value] = [key.id, int(place.is_root), after, limit + 1]
            return ScriptCall(scripts.CHILDREN, (*place.core, place.children), arguments, key.id)

        found = await self._locator.ask(key, call_at)
        if found is None:
            return None
        _, page, may_expire = found.reply
        rows = [(name.decode(), int(ordinal)) for name, ordinal in pairs(page)]
        cursor = str(rows[limit - 1][1]) if len(rows) > limit else None
        names = [name for name, _ in rows[:limit]]
        return SessionPage(await self._living(found.place, names) if may_expire else names, cursor)

    async def living_children(self, place: SessionKeys) -> list[str]:
        """Return the children that have not expired, and bury the others."""
        names = await self._connections.read_many([("ZRANGE", place.children, 0, -1)])
        return await self._living(place, [name.decode() for name in names[0]])

    async def tree(self, key: SessionKey) -> list[TreeNode] | None:
        """Return the whole tree in creation order; see `Backend.tree`."""

        def call_at(place: SessionKeys) -> ScriptCall:
            return ScriptCall(scripts.TREE, place.core, [key.id, int(place.is_root)], key.id)

        found = await self._locator.ask(key, call_at)
        return None if found is None else await self._nodes(found)

    async def tree_totals(self, key: SessionKey) -> TreeTotals | None:
        """Return what a root's tree has spent; see `Backend.tree_totals`."""
        # A session below a root has no tree of its own id, and needs no second look.
        place = self._locator.place_in(key, key.id)
        [answer] = await self._locator.ask_at(
            [place], [ScriptCall(scripts.TOTALS, (*place.core, place.totals), [key.id], key.id)]
        )
        if isinstance(answer, SessionManagerError):
            raise answer
        if answer is None:
            return None
        _, creation_id, totals = answer.reply
        return TreeTotals(creation_id.decode(), await totals_of(key, totals))

    async def line(self, key: SessionKey) -> tuple[SessionKeys, bytes | None]:
        """Return where the session lies or lay, and its line in the tree, even when all the rest of it is lost."""
        place = await self._locator.find(key) or self._locator.place(key)
        [line] = await self._connections.read_many([("HGET", place.tree, f"n:{key.id}")])
        return place, line

    async def _glanced(self, key: SessionKey, last: int) -> LoadedSession | None:
        place = self._locator.place(key)
        answers = await self._connections.read_at_once(fast_load.questions(place, last))
        return None if answers is None else await fast_load.seen(place, last, answers)

    async def _loaded(self, found: Found) -> LoadedSession | None:
        """Return what was loaded, with the pages that are missing; None when the session is gone meanwhile."""
        place = found.place
        _, fields, ranges, entries, runs, run_counters, children, expiring = found.reply
        head = await head_of(place.key, place.root_id, fields, runs, run_counters)
        events = await self._all_events(place, head.creation_id, ranges_of(ranges), entries)
        if events is None:
            return None
        names = [name.decode() for name in children]
        return LoadedSession(head, paging.taken(events), await self._living(place, names) if expiring else names)

    async def _all_events(
        self, place: SessionKeys, creation_id: bytes | str, ranges: Sequence[Range], entries: Flat
    ) -> Sequence[StoredEvent] | None:
        """Return the events of `ranges`, the first of which are `entries`; None when the session is gone."""
        events = list(numbered(place.key, ranges, entries))
        left = without_first_seqs(ranges, len(entries))
        while left:
            page = first_seqs(left, _EVENTS_A_PAGE)
            arguments: list[Value] = [place.key.id, creation_id, *flattened(page)]
            call = ScriptCall(scripts.EVENTS, [place.tree, place.log], arguments, place.key.id)
            reply = await self._connections.run(call)
            if reply[0] != b"OK" or not reply[1]:
                return None
            events += numbered(place.key, left, reply[1])
            left = without_first_seqs(left, len(reply[1]))
        return events

    async def _living(self, place: SessionKeys, names: Sequence[str]) -> list[str]:
        """Return those of `names`, of sessions in the same tree, that have not expired, and bury the others."""
        places = [place.beside(name) for name in names]
        living: list[str] = []
        for at in range(0, len(places), _NODES_A_PIPELINE):
            some = places[at : at + _NODES_A_PIPELINE]
            alive = dict(zip(some, await self._reaper.are_alive(some), strict=True))
            living += [each.key.id for each, is_alive in alive.items() if is_alive]
            await self._reaper.remove_expired([each for each, is_alive in alive.items() if not is_alive])
        return living

    async def _nodes(self, found: Found) -> list[TreeNode]:
        place = found.place
        rows: list[tuple[int, TreeNode]] = []
        may_expire = False
        for number, (name, line) in enumerate(pairs(found.reply[1])):
            if number % _NODES_A_PIPELINE == 0:
                await asyncio.sleep(0)
            if name.startswith(b"n:"):
                may_expire = may_expire or expires(line)
                node = TreeNode(name[2:].decode(), parent_of(line) or None)
                rows.append((ordinal_of(line), node))
        nodes = [node for _, node in sorted(rows, key=itemgetter(0))]
        if may_expire:
            living = set(await self._living(place, [node.id for node in nodes]))
            nodes = [node for node in nodes if node.id in living]
        for node in nodes:
            self._locator.remember_root(SessionKey(place.key.namespace, node.id), place.root_id)
        return nodes


def _load_call(place: SessionKeys, *, last: int | None, whole_head: bool) -> ScriptCall:
    keys = (*place.core, place.hidden, place.runs, place.unfinished, place.children, place.retractions)
    count = -1 if last is None else last
    arguments: list[Value] = [place.key.id, int(place.is_root), count, int(whole_head), _COUNTER_NAMES, BOUNDED_RUNS]
    return ScriptCall(scripts.LOAD, keys, arguments, place.key.id)


def _read_log_call(place: SessionKeys, *, after: int, limit: int, max_bytes: int) -> ScriptCall:
    keys = (*place.core, place.hidden, place.retractions)
    arguments: list[Value] = [place.key.id, int(place.is_root), after, limit, max_bytes]
    return ScriptCall(scripts.READ_LOG, keys, arguments, place.key.id)


def _retractions(key: SessionKey, members: Flat) -> list[StoredRetraction]:
    return [retraction_of(key, int(after_seq), member) for member, after_seq in pairs(members)]
