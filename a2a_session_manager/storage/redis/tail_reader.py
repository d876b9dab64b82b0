"""The newest events of a session without its head, as prompts need them; long logs come page by page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from a2a_session_manager.storage.ranges import first_seqs, flattened, without_first_seqs
from a2a_session_manager.storage.read_records import LogTail
from a2a_session_manager.storage.records import Range, SessionKey
from a2a_session_manager.storage.redis import fast_compacted, fast_load, read_calls, scripts
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.fast_compacted import KnownCompaction
from a2a_session_manager.storage.redis.forked_log import ForkedLog
from a2a_session_manager.storage.redis.heads import compactions_in, placed_in, records_of
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.locating import Locator
from a2a_session_manager.storage.redis.replies import Flat, pairs, ranges_of, status_of
from a2a_session_manager.storage.redis.script import PackedCommands, ScriptCall, Value
from a2a_session_manager.storage.redis.wire import Sent

_EVENTS_A_PAGE: Final = 10_000
_SESSIONS_REMEMBERED: Final = 1_024

ValueT = TypeVar("ValueT")


class TailReader:
    """Reads what prompts are made of."""

    def __init__(self, connections: Connections, locator: Locator) -> None:
        self._connections = connections
        self._locator = locator
        self._may_ask_sizes = True  # until a user turns out to have no right to
        # The compaction of sessions that have one; None where only the script can read them.
        self._compacted: dict[SessionKeys, KnownCompaction | None] = {}
        self._forks: dict[SessionKeys, ForkedLog] = {}  # what forks have inherited

    async def read_tail(self, key: SessionKey, *, last: int | None) -> LogTail | None:
        """Return the newest visible events; see `Backend.read_tail`."""
        tail = await self._tail_fast(self._locator.keys_of(key), last)
        return tail or await self._tail_by(partial(read_calls.tail, last=last), key)

    async def read_compacted(self, key: SessionKey, *, last: int | None) -> LogTail | None:
        """Return what a view is made of; see `Backend.read_compacted`."""
        keys = self._locator.keys_of(key)
        tail = None
        if keys not in self._compacted:
            tail = await self._tail_fast(keys, last, is_view=True)
        if tail is None and (known := self._compacted.get(keys)) is not None:
            tail = await self._known_tail(keys, known, last)
        return tail or await self._tail_by(partial(read_calls.compacted, last=last), key)

    async def _tail_by(self, call_at: Callable[[SessionKeys], ScriptCall], key: SessionKey) -> LogTail | None:
        """Return what a script reads; None when there is no such session."""
        while (found := await self._locator.ask(key, call_at)) is not None:
            _, creation_id, visible, flat_ranges, entries, *about = found.reply
            ranges = ranges_of(flat_ranges)
            all_entries = await self.all_entries(found.keys, creation_id, ranges, entries)
            if all_entries is None:
                continue  # deleted between two pages; another session may have the id by now
            seqs = [seq for first, final in ranges for seq in range(first, final + 1)]
            records = records_of(key, seqs, all_entries)
            tail = LogTail(creation_id.decode(), seqs, records, visible - len(seqs))
            return self._with_summaries(found.keys, tail, *about)
        return None

    def _with_summaries(
        self, keys: SessionKeys, tail: LogTail, summaries: Flat | bytes, compaction: bytes = b""
    ) -> LogTail:
        """Return a tail with what a script has told of summaries, and of the compaction that counts for a view."""
        if isinstance(summaries, bytes):
            return tail._replace(summaries=dict(placed_in(summaries)))
        if not compaction:
            self._compacted.pop(keys, None)
        elif keys not in self._compacted:
            _remember(self._compacted, keys, None)
        return tail._replace(summaries=dict(pairs(summaries)), compaction=next(iter(compactions_in(compaction)), None))

    async def _known_tail(self, keys: SessionKeys, known: KnownCompaction, last: int | None) -> LogTail | None:
        """Return what a view is made of under the compaction that is known; None where the script has to read it."""
        fork = self._forks.get(keys)
        commands = fast_compacted.packed_commands(keys, known, last, fork)
        answers = None if commands is None else await self._connections.read_in_order(commands)
        if answers is None:
            return None
        tail = fast_compacted.tail_in(keys, known, last, fork, answers)
        if tail is None:  # the next read looks anew
            self._compacted.pop(keys, None)
        return tail

    async def all_entries(
        self, keys: SessionKeys, creation_id: bytes | str, ranges: Sequence[Range], entries: Flat
    ) -> Flat | None:
        """Return the entries of `ranges`, the first of which are `entries`; None when the session is gone."""
        found = list(entries)
        left = without_first_seqs(ranges, len(entries))
        while left:
            page = first_seqs(left, _EVENTS_A_PAGE)
            arguments: list[Value] = [keys.key.id, creation_id, *flattened(page)]
            call = ScriptCall(scripts.EVENTS, [keys.tree, keys.log, keys.head], arguments, keys.key.id)
            reply = await self._connections.run(call)
            if status_of(reply, keys.key.id) != b"OK" or not reply[1]:
                return None
            found += reply[1]
            left = without_first_seqs(left, len(reply[1]))
        return found

    async def _tail_fast(self, keys: SessionKeys, last: int | None, *, is_view: bool = False) -> LogTail | None:
        """Return the newest events of a plain session, read by plain commands; None where the script has to."""
        if not self._may_ask_sizes if last is None else not 0 < last <= fast_load.FEW:
            return None
        fork = self._forks.get(keys)
        answers = await self._connections.read_in_order(fast_load.packed_tail(keys, last, fork))
        if answers is None:
            return None
        is_known = self._knows(keys, fork, answers)
        if is_view and (field := fast_load.compactions_in(answers)):
            fork = self._forks.get(keys)
            is_plain = fast_load.is_plain(answers, fork)
            last_seq = answers[1] + (0 if fork is None else fork.inherited)
            _remember(self._compacted, keys, fast_compacted.known_from(field, last_seq) if is_plain else None)
            return None
        if not is_known:
            return None
        if last is not None:
            return fast_load.tail_in(keys, last, answers, fork)
        self._may_ask_sizes = not isinstance(answers[2], Exception)
        pages = fast_load.log_pages(keys, answers, fork)
        return None if pages is None else await self._log_fast(keys, answers, pages, fork)

    def _knows(self, keys: SessionKeys, fork: ForkedLog | None, answers: Sequence[Any]) -> bool:
        """Tell whether a session is the fork that was known, or none; see to it that the next read knows."""
        field = fast_load.segments_told(answers)
        if field == (b"" if fork is None else fork.field):
            return True
        self._forks.pop(keys, None)
        if field:
            _remember(self._forks, keys, ForkedLog.told_by(keys, field))
        return False

    async def _log_fast(
        self, keys: SessionKeys, answers: Sequence[Any], pages: Sequence[PackedCommands], fork: ForkedLog | None
    ) -> LogTail | None:
        """Return the log that comes in `pages`; None where the script has to read it."""
        log = fast_load.LogInPages(keys, answers, fork)
        sent: Sent | None = None
        try:
            for page, next_page in zip(pages, [*pages[1:], None], strict=True):
                found = await self._connections.read_in_order(page, sent)
                if found is None:
                    return None
                # The server works on it while this page is taken in.
                sent = None if next_page is None else self._connections.send_ahead(next_page)
                log.add(found)
        finally:
            if sent is not None:
                sent.drop()
        return log.tail()


def _remember(known: dict[SessionKeys, ValueT], keys: SessionKeys, value: ValueT) -> None:
    known.pop(keys, None)
    known[keys] = value
    if len(known) > _SESSIONS_REMEMBERED:
        del known[next(iter(known))]
