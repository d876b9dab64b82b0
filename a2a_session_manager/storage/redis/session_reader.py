"""What is read of sessions; long logs come in pages that never hold up the server."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from a2a_session_manager.exceptions import SessionManagerError
from a2a_session_manager.storage import paging
from a2a_session_manager.storage.ranges import merged
from a2a_session_manager.storage.read_records import (
    FoundEvents,
    LoadedSession,
    LogPage,
    StoredRetraction,
)
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.redis import fast_load, read_calls, scripts
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.heads import (
    creation_of,
    events_of,
    head_of,
    hidden_in,
    numbered,
    retraction_of,
)
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.locating import Found, Locator
from a2a_session_manager.storage.redis.replies import Flat, hash_of, pairs, ranges_of
from a2a_session_manager.storage.redis.script import Command, ScriptCall
from a2a_session_manager.storage.redis.tail_reader import TailReader
from a2a_session_manager.storage.redis.tree_reader import StoredTreeReader


class SessionReader:
    """Reads sessions wherever they lie."""

    def __init__(self, connections: Connections, locator: Locator, trees: StoredTreeReader) -> None:
        self._connections = connections
        self._locator = locator
        self._trees = trees
        self._tails = TailReader(connections, locator)

    @property
    def tails(self) -> TailReader:
        """What reads the newest events alone."""
        return self._tails

    async def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> list[LoadedSession | None]:
        """Return heads with their newest events; see `Backend.load`."""
        if len(keys) == 1 and not whole_head and last is not None and last <= fast_load.FEW:
            loaded_fast = await self._loaded_fast(keys[0], last)
            if loaded_fast is not None:
                return [loaded_fast]
        is_fast = last == 0 and not whole_head and len(keys) > 1
        heads = await self._plain_heads(keys) if is_fast else [None] * len(keys)
        others = [key for key, head in zip(keys, heads, strict=True) if head is None]
        call_at = partial(read_calls.load, last=last, whole_head=whole_head)
        answers = iter(await self._locator.ask_many(others, call_at) if others else ())
        loaded: list[LoadedSession | None] = []
        for key, head in zip(keys, heads, strict=True):
            if head is not None:
                loaded.append(head)
                continue
            answer = next(answers)
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

    async def load_until(self, key: SessionKey, *, seq: int | None, last: int) -> LoadedSession | None:
        """Return a head with the newest events up to one; see `Backend.load_until`."""
        call_at = partial(read_calls.load_until, seq=seq, last=last)
        while (found := await self._locator.ask(key, call_at)) is not None:
            loaded = await self.loaded_until(found.keys, found.reply)
            if loaded is not None:
                return loaded
        return None

    async def loaded_until(self, keys: SessionKeys, reply: Flat) -> LoadedSession | None:
        """Return what `load_until.lua` answers; None when the session was deleted between two pages."""
        _, fields, ranges, entries, hidden = reply
        head = await head_of(keys.key, keys.root_id, hash_of(fields), (), ())
        head.hidden[:] = hidden_in(keys.key, hidden)
        parts = ranges_of(ranges)
        all_entries = await self._tails.all_entries(keys, head.creation_id, parts, entries)
        if all_entries is None:
            return None
        return LoadedSession(head, numbered(keys.key, parts, all_entries, head.inherited))

    async def stamps(self, keys: Sequence[SessionKey]) -> list[str | None]:
        """Return what tells each session from what it was before; see `Backend.stamps`."""
        sessions = list(map(self._locator.keys_of, keys))
        commands: list[Command] = []
        for each in sessions:
            commands += [("HGET", each.tree, f"n:{each.key.id}"), ("HMGET", each.head, "creation", "revision", "tag")]
        answers = iter(await self._connections.read_many(commands))
        stamps = [_stamp(line, values) for line, values in zip(answers, answers, strict=True)]
        # Elsewhere, gone, or damaged: the head tells.
        others = [number for number, stamp in enumerate(stamps) if stamp is None]
        loaded = await self.load([keys[number] for number in others], last=0, whole_head=False) if others else []
        for number, one in zip(others, loaded, strict=True):
            if one is not None:
                stamps[number] = f"{one.head.creation_id} {one.head.revision} {one.head.tag}"
        return stamps

    async def load_listed(self, sessions: Sequence[SessionKeys], *, last: int) -> list[LoadedSession | None]:
        """Return sessions where the index says that they lie, in one round trip; None for one that is not there."""
        for keys in sessions:
            self._locator.remember(keys.key, keys.root_id)
        call_at = partial(read_calls.load, last=last, whole_head=False)
        loaded: list[LoadedSession | None] = []
        for answer in await self._locator.ask_at(sessions, list(map(call_at, sessions))):
            if isinstance(answer, SessionManagerError):
                raise answer
            loaded.append(None if answer is None else await self._loaded(answer))
        return loaded

    async def read_log(self, key: SessionKey, *, after: int, limit: int, max_bytes: int) -> LogPage | None:
        """Return a stretch of the log; see `Backend.read_log`."""
        found = await self._locator.ask(
            key, partial(read_calls.read_log, after=after, limit=limit, max_bytes=max_bytes)
        )
        if found is None:
            return None
        _, creation_id, revision, tag, is_last, hidden, retractions, entries, inherited = found.reply
        return LogPage(
            creation_id.decode(),
            revision,
            events_of(key, after + 1, entries, inherited),
            _retractions(key, retractions),
            ranges_of(hidden),
            bool(is_last),
            tag.decode(),
        )

    async def find_events(self, key: SessionKey, event_ids: Sequence[str], *, max_bytes: int) -> FoundEvents | None:
        """Return the events of these ids; see `Backend.find_events`."""
        call_at = partial(read_calls.find_events, event_ids=event_ids, max_bytes=max_bytes)
        found = await self._locator.ask(key, call_at)
        if found is None:
            return None
        _, creation_id, seqs, entries, hidden, inherited = found.reply
        stored = [(event_id, seq) for event_id, seq in zip(event_ids, seqs, strict=True) if seq]
        read = zip(stored, entries, strict=False)  # the first ones, as far as they fit
        events = {event_id: events_of(key, seq, [entry], inherited)[0] for (event_id, seq), entry in read}
        unread = [event_id for event_id, _ in stored[len(entries) :]]
        return FoundEvents(creation_id.decode(), events, unread, merged((seq, seq) for seq in hidden))

    async def sizes(self, keys: Sequence[SessionKey]) -> list[int | None]:
        """Return how many bytes of memory each session takes; None where the server does not tell."""

        def call_at(keys: SessionKeys) -> ScriptCall:
            of_tree = (keys.tree, keys.totals, keys.budgets, keys.refused, keys.gone) if keys.is_root else ()
            return ScriptCall(scripts.SIZES, (*keys.all_of_session, *of_tree), [], keys.key.id)

        found: list[int | None] = []
        for answer in await self._locator.ask_many(keys, call_at):
            if isinstance(answer, SessionManagerError):
                raise answer
            found.append(0 if answer is None else answer.reply[1] if answer.reply[0] == b"OK" else None)
        return found

    async def line(self, key: SessionKey) -> tuple[SessionKeys, bytes | None]:
        """Return where the session lies or lay, and its line in the tree, even when all the rest of it is lost."""
        keys = await self._locator.find(key) or self._locator.keys_of(key)
        [line] = await self._connections.read_many([("HGET", keys.tree, f"n:{key.id}")])
        return keys, line

    async def _plain_heads(self, wanted: Sequence[SessionKey]) -> list[LoadedSession | None]:
        """Return the head of each that is a plain session: a seventh of what the script takes."""
        sessions = list(map(self._locator.keys_of, wanted))
        answers = await self._connections.read_many(fast_load.heads_commands(sessions))
        return await fast_load.parse_heads(sessions, answers)

    async def _loaded_fast(self, key: SessionKey, last: int) -> LoadedSession | None:
        keys = self._locator.keys_of(key)
        answers = await self._connections.read_at_once(fast_load.commands(keys, last))
        return None if answers is None else await fast_load.parse(keys, last, answers)

    async def _loaded(self, found: Found) -> LoadedSession | None:
        """Return what was loaded, with the pages that are missing; None when the session is gone meanwhile."""
        keys = found.keys
        _, fields, ranges, entries, runs, run_counters, children, expiring = found.reply
        head = await head_of(keys.key, keys.root_id, hash_of(fields), runs, run_counters)
        parts = ranges_of(ranges)
        all_entries = await self._tails.all_entries(keys, head.creation_id, parts, entries)
        if all_entries is None:
            return None
        events = paging.taken(numbered(keys.key, parts, all_entries, head.inherited))
        names = [name.decode() for name in children]
        return LoadedSession(head, events, await self._trees.living(keys, names) if expiring else names)


def _stamp(line: bytes | None, values: Sequence[bytes | None]) -> str | None:
    creation, revision, tag = values
    if line is None or creation is None or revision is None or creation.decode() != creation_of(line):
        return None
    return f"{creation.decode()} {revision.decode()} {(tag or b'').decode()}"


def _retractions(key: SessionKey, members: Flat) -> list[StoredRetraction]:
    return [retraction_of(key, int(after_seq), member) for member, after_seq in pairs(members)]
