"""What a view of a plain session is made of, read without a script under a compaction that is known from before.

On the server that takes a tenth of what `compacted.lua` does. Plain is a session of which nothing was retracted, and
all of whose keys are in step; whatever is otherwise, and where the compaction is another one, is left to the script.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from a2a_session_manager.storage import ranges
from a2a_session_manager.storage.read_records import LogTail
from a2a_session_manager.storage.records import Range, StoredCompaction
from a2a_session_manager.storage.redis import fast_load
from a2a_session_manager.storage.redis.heads import compactions_in, creation_of, records_of
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.script import Command, PackedCommands, packed

# More may hold up the server: the script reads them step by step.
_MOST_EVENTS: Final = 1_000
_MOST_PINS: Final = 8
_STEP: Final = 64
_SESSIONS_REMEMBERED: Final = 1_024


class KnownCompaction(NamedTuple):
    """The compaction that counted when the session was last read; `field` is what its head said of compactions.

    `behind` is how many of the newest events are read at a time: they begin before its end, as long as few more come.
    """

    field: bytes
    compaction: StoredCompaction
    behind: int

    @property
    def front(self) -> list[Range]:
        """The seqs of what it does not cover, up to its end."""
        first = self.compaction.first
        before = [(1, first - 1)] if first > 1 else []
        return [*before, *self.compaction.pins]


def known_from(field: bytes, length: int) -> KnownCompaction | None:
    """Return the compaction that the head of a plain session of `length` events tells of.

    None where it leaves too much uncovered for one look.
    """
    compaction = compactions_in(field)[0]
    behind = (length - compaction.last) * 5 // 4
    known = KnownCompaction(field, compaction, (behind // _STEP + 1) * _STEP)
    is_small = len(known.front) <= _MOST_PINS and ranges.size(known.front) + known.behind <= _MOST_EVENTS
    return known if is_small else None


@lru_cache(maxsize=_SESSIONS_REMEMBERED)
def packed_commands(keys: SessionKeys, known: KnownCompaction, last: int | None) -> PackedCommands | None:
    """Return what to ask for, packed; None where the script has to be asked.

    No transaction is needed, in this order; see `fast_load.tail_commands`. Events are counted from the end, near which
    they are: servers go through a list from where an index counts from.
    """
    if last is not None and not 0 < last <= _MOST_EVENTS:
        return None
    seq = known.compaction.seq
    reads: list[Command] = [("LRANGE", keys.log, first - 1, final - 1) for first, final in known.front]
    if last is not None:
        reads.append(("LRANGE", keys.log, seq - 1, seq - 1))
    return packed([*fast_load.tail_commands(keys, known.behind if last is None else last), *reads])


def tail_in(keys: SessionKeys, known: KnownCompaction, last: int | None, answers: Sequence[Any]) -> LogTail | None:
    """Return what the view is made of; None where it has to be read by the script. Raises CorruptSession."""
    plain, reads = answers[:5], answers[5:]
    if any(isinstance(answer, Exception) for answer in answers) or not fast_load.is_plain(plain):
        return None
    length, tail, covered = plain[1], plain[2], known.compaction.last
    first = length - len(tail) + 1
    is_whole = len(tail) == min(length, known.behind if last is None else last)
    if plain[4][-1] != known.field or not is_whole or (last is None and first > covered + 1):
        return None
    seq = known.compaction.seq
    places = [each[0] for each in known.front] + ([] if last is None else [seq])
    found: dict[int, bytes] = {}
    for start, entries in zip(places, reads, strict=True):
        found |= dict(enumerate(entries, start))
    skipped = max(covered + 1 - first, 0)
    found |= dict(enumerate(tail[skipped:], first + skipped))
    seqs = sorted(found)
    records = records_of(keys.key, seqs, [found[each] for each in seqs])
    earlier = ranges.size(known.front) + length - covered - len(seqs)
    return LogTail(creation_of(plain[0]), seqs, records, earlier, (), {seq: known.compaction.first}, known.compaction)
