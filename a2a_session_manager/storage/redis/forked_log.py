"""The log of a fork that was read before, so that plain commands can read it: what it has inherited never changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.script import Command, Value
from a2a_session_manager.storage.redis.segments import segments_in


class StoredPart(NamedTuple):
    """Events in a row, by their seqs, in the log that holds them, whose first entry is of the event after `base`."""

    first: int
    last: int
    log: bytes
    base: int = 0

    @property
    def command(self) -> Command:
        """What reads them."""
        return ("LRANGE", self.log, self.first - self.base - 1, self.last - self.base - 1)

    @property
    def length(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, eq=False, slots=True)
class ForkedLog:
    """Where the events lie that a fork has inherited; `field` is what its head says of that.

    Each is equal to itself alone, so that nothing is compared where one is looked for.
    """

    field: bytes
    inherited: int
    segments: tuple[StoredPart, ...]
    check: Command

    @classmethod
    def told_by(cls, keys: SessionKeys, field: bytes) -> ForkedLog:
        """Return the log of the fork whose head has this field. Raises ValueError."""
        segments = segments_in(field, keys.root_id)
        sources = [keys.of(segment.session_id) for segment in segments]
        found = [
            StoredPart(segment.first_seq, segment.last_seq, source.log, segment.first_seq - 1)
            for segment, source in zip(segments, sources, strict=True)
        ]
        # Each key that is there counts.
        keys_needed: list[Value] = [key for source in sources for key in (source.log, source.ids)]
        check = ("EXISTS", *keys_needed)
        return cls(field, segments[-1].last_seq, tuple(found), check)

    def is_whole(self, answer: object) -> bool:
        """Tell from the answer to `check` whether all that the fork is made of is there."""
        return answer == 2 * len(self.segments)

    def parts(self, first: int, last: int) -> list[StoredPart]:
        """Return where the events from `first` to `last` lie, as far as they are inherited, oldest first."""
        return [
            each._replace(first=max(each.first, first), last=min(each.last, last))
            for each in self.segments
            if each.first <= last and each.last >= first
        ]


def parts_of(keys: SessionKeys, fork: ForkedLog | None, first: int, last: int) -> list[StoredPart]:
    """Return where the events from `first` to `last` lie, oldest first; `fork` is None for what is none."""
    inherited = 0 if fork is None else fork.inherited
    found = [] if fork is None else fork.parts(first, last)
    return found if last <= inherited else [*found, StoredPart(max(first, inherited + 1), last, keys.log, inherited)]


def entries_in(parts: Sequence[StoredPart], answers: Sequence[Sequence[bytes]]) -> dict[int, bytes] | None:
    """Return entries by their seqs, of which each answer has those of one part; None where one is not whole."""
    found: dict[int, bytes] = {}
    for part, entries in zip(parts, answers, strict=True):
        if len(entries) != part.length:
            return None
        found |= dict(enumerate(entries, part.first))
    return found
