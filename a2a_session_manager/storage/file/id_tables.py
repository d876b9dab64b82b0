"""Tables of id fingerprints: sorted, immutable, 16 bytes an id, on disk and in memory alike.

Each holds the ids of a stretch of the log and where their records lie. A table is merged into the next
older one when that is not at least twice as large, so there are few of them, however long the log.
"""

from __future__ import annotations

import hashlib
import sys
import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, pairwise
from operator import itemgetter
from pathlib import Path

from a2a_session_manager.storage.file.atomic_files import read_regular
from a2a_session_manager.storage.file.descriptors import private_opener

_WORD = 8
_FINGERPRINTS = 1 << 8 * _WORD
_SORTED_AT_ONCE = 2_000


@lru_cache(maxsize=1_024)  # it is asked for when an id comes, and again when a table takes it in
def fingerprint(kind: str, identifier: str) -> int:
    """Return 64 bits that stand for an id of a kind; the record it leads to tells whether it is that id."""
    return int.from_bytes(hashlib.blake2b(f"{kind}{identifier}".encode(), digest_size=_WORD).digest(), "little")


@dataclass(frozen=True, slots=True)
class IdTable:
    """One table: fingerprints in order, the start of the record of each, and the checksum of its file."""

    path: Path
    fingerprints: array[int]
    starts: array[int]
    checksum: int

    @property
    def count(self) -> int:
        return len(self.fingerprints)

    def find(self, wanted: int) -> Sequence[int]:
        """Return where the records lie that may hold the id of this fingerprint."""
        at = bisect_left(self.fingerprints, wanted)
        if at == len(self.fingerprints) or self.fingerprints[at] != wanted:
            return ()  # as for nearly all ids
        return self.starts[at : bisect_right(self.fingerprints, wanted)]

    def entries(self, low: int, high: int) -> Iterable[tuple[int, int]]:
        """Return the pairs whose fingerprints are from `low` up to, but not, `high`."""
        part = slice(bisect_left(self.fingerprints, low), bisect_left(self.fingerprints, high))
        return zip(self.fingerprints[part], self.starts[part], strict=True)


def write_table(path: Path, entries: Iterable[tuple[int, int]], older: Sequence[IdTable]) -> IdTable:
    """Write a table of new (fingerprint, start) pairs and of those of older tables."""
    new = sorted(entries)
    fingerprints, starts = array("Q"), array("Q")
    for low, high in _stretches(len(new) + sum(table.count for table in older)):
        tables = [table.entries(low, high) for table in older]
        fresh = new[bisect_left(new, (low, 0)) : bisect_left(new, (high, 0))]
        merged = sorted(chain(fresh, *tables))
        fingerprints.extend(map(itemgetter(0), merged))
        starts.extend(map(itemgetter(1), merged))
    parts = (little(fingerprints), little(starts))
    write_file(path, *parts)
    return IdTable(path, fingerprints, starts, zlib.crc32(parts[1], zlib.crc32(parts[0])))


def _stretches(count: int) -> Iterator[tuple[int, int]]:
    """Divide all fingerprints into ranges of a few thousand: sorting holds up the loop's thread meanwhile."""
    many = 1 + count // _SORTED_AT_ONCE
    bounds = [number * _FINGERPRINTS // many for number in range(many + 1)]
    return pairwise(bounds)


def write_file(path: Path, *parts: bytes | memoryview) -> None:
    """Write a file in place of what was there, but through no symlink."""
    path.unlink(missing_ok=True)
    with open(path, "xb", opener=private_opener) as file:
        file.writelines(parts)


def read_table(path: Path, count: int, checksum: int) -> IdTable:
    """Return a table that was written. Raises ValueError when it is not whole."""
    data = read_regular(path)
    if len(data) != count * 2 * _WORD or zlib.crc32(data) != checksum:
        raise ValueError(f"{path} is not whole")
    words = memoryview(data)
    return IdTable(path, _from_little(words[: count * _WORD]), _from_little(words[count * _WORD :]), checksum)


def little(words: array[int]) -> memoryview:
    """Return the words as they lie on disk, whatever the machine; they are copied only where they have to be."""
    if sys.byteorder == "big":
        words = array("Q", words)
        words.byteswap()
    return memoryview(words).cast("B")


def _from_little(data: memoryview) -> array[int]:
    words = array("Q")
    words.frombytes(data)
    if sys.byteorder == "big":
        words.byteswap()
    return words
