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
from a2a_session_manager.storage.redis.forked_log import ForkedLog, StoredPart, entries_in, parts_of
from a2a_session_manager.storage.redis.heads import compactions_in, creation_of, records_of
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.script import PackedCommands, packed

# More may hold up the server: the script reads them step by step.
_MOST_EVENTS: Final = 1_000
_MOST_PINS: Final = 8
_STEP: Final = 64
_SESSIONS_REMEMBERED: Final = 1_024


class KnownCompaction(NamedTuple):
    """The compaction that counted when the session was last read; `field` is what its head said of compactions.

    `tail_size` is how many of the newest events are read at a time; they begin before its end while few more come.
    """

    field: bytes
    compaction: StoredCompaction
    tail_size: int

    @property
    def front(self) -> list[Range]:
        """The seqs of what it does not cover, up to its end."""
        first = self.compaction.first
        before = [(1, first - 1)] if first > 1 else []
        return [*before, *self.compaction.pins]


def known_from(field: bytes, last_seq: int) -> KnownCompaction | None:
    """Return the compaction that the head of a plain session of `last_seq` events tells of.

    None where it leaves too much uncovered for one look.
    """
    compaction = compactions_in(field)[0]
    tail_size = (last_seq - compaction.last) * 5 // 4
    known = KnownCompaction(field, compaction, (tail_size // _STEP + 1) * _STEP)
    is_small = len(known.front) <= _MOST_PINS and ranges.size(known.front) + known.tail_size <= _MOST_EVENTS
    return known if is_small else None


@lru_cache(maxsize=_SESSIONS_REMEMBERED)
def packed_commands(
    keys: SessionKeys, known: KnownCompaction, last: int | None, fork: ForkedLog | None
) -> PackedCommands | None:
    """Return what to ask for, packed; None where the script has to be asked.

    No transaction is needed, in this order; see `fast_load.tail_commands`. Events are counted from the end, near which
    they are: servers go through a list from where an index counts from.
    """
    if last is not None and not 0 < last <= _MOST_EVENTS:
        return None
    check = [] if fork is None else [fork.check]
    reads = [each.command for each in _reads(keys, known, last, fork)]
    return packed([*fast_load.tail_commands(keys, known.tail_size if last is None else last), *check, *reads])


def tail_in(
    keys: SessionKeys, known: KnownCompaction, last: int | None, fork: ForkedLog | None, answers: Sequence[Any]
) -> LogTail | None:
    """Return what the view is made of; None where it has to be read by the script. Raises CorruptSession."""
    plain = answers[: 5 if fork is None else 6]
    if any(isinstance(answer, Exception) for answer in answers) or not fast_load.is_plain(plain, fork):
        return None
    length, tail, covered, inherited = plain[1], plain[2], known.compaction.last, 0 if fork is None else fork.inherited
    last_seq = inherited + length
    first = last_seq - len(tail) + 1
    is_whole = len(tail) == min(length, known.tail_size if last is None else last)
    is_whole = is_whole and (last is not None or first <= max(covered, inherited) + 1)
    found = entries_in(_reads(keys, known, last, fork), answers[len(plain) :])
    if fast_load.compactions_in(plain) != known.field or not is_whole or found is None:
        return None
    seq = known.compaction.seq
    if inherited and last is not None:  # before, nobody knew how much of it would be wanted
        low = last_seq - last
        found = {each: entry for each, entry in found.items() if each <= covered or each > low or each == seq}
    skipped = max(covered + 1 - first, 0)
    found |= dict(enumerate(tail[skipped:], first + skipped))
    seqs = sorted(found)
    records = records_of(keys.key, seqs, [found[each] for each in seqs])
    earlier = ranges.size(known.front) + last_seq - covered - len(seqs)
    return LogTail(creation_of(plain[0]), seqs, records, earlier, (), {seq: known.compaction.first}, known.compaction)


def _reads(keys: SessionKeys, known: KnownCompaction, last: int | None, fork: ForkedLog | None) -> list[StoredPart]:
    """Return what is read beside the newest events of the session's own log: what a view begins with.

    Of a fork, these are also the events after the compaction that it has inherited.
    """
    compaction = known.compaction
    wanted = list(known.front)
    if last is not None:
        wanted.append((compaction.seq, compaction.seq))
    found = [each for first, final in wanted for each in parts_of(keys, fork, first, final)]
    if fork is not None:
        low = max(compaction.last, 0 if last is None else fork.inherited - last) + 1
        found += fork.parts(low, fork.inherited)
    return found
