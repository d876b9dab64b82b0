"""Entries of the index that pages of heads are found by: a session's times, and facets of what it is found by.

`lua/entries.lua` says how they are written. They are derived: a reader looks at each session that one of them leads to.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote

from a2a_session_manager.storage.redis.keys import escaped

# Between pages, an order by activity may be wrong by so many microseconds: an entry is moved when it is that old.
TOLERANCE: Final = 10_000_000
# For so many microseconds, a commit that an entry was moved ahead of may be under way.
_UNDER_WAY: Final = 300_000_000
TIME_DIGITS: Final = 16
_LATEST: Final = 10**TIME_DIGITS - 1
_NAME_BYTES: Final = 4
_VALUE_BYTES: Final = 8
_NAME_END: Final = 7  # where in a facet its property's part ends
# Of a session below a root that is listed among the roots; no property's facet has such a character.
TOP: Final = "=" + 17 * "~"
_FACETS_REMEMBERED: Final = 1_024
# By namespace and shard.
_SHARDS_REMEMBERED: Final = 8_192


class IndexedSession(NamedTuple):
    """What a session is found by: of its head, as it is or is about to be.

    `is_top` tells that it is listed among the roots although it lies below one, as forks of roots do.
    """

    created_at: int
    updated_at: int
    properties: Mapping[str, bytes | None]
    is_top: bool = False

    def facets(self, names: Iterable[str]) -> list[str]:
        """Return what stands for the session's properties of these `names`, and for its place."""
        return ([TOP] if self.is_top else []) + facets_of(self.properties, names)


class Entry(NamedTuple):
    """An entry as it is stored.

    Attributes:
        generation: of the properties that it has facets of; 0 when its session must be looked at.
        updated_at, created_at: microseconds since the epoch, by the clocks of the writers.
        touched_at: when it was moved last by its activity, by the server's clock; 0 for never.
        facets: those of its session, and those that a commit may bring; with when the commit was announced, else 0.
    """

    generation: int
    updated_at: int
    created_at: int
    touched_at: int
    facets: Mapping[str, int]

    @classmethod
    def read(cls, data: bytes) -> Entry:
        """Return the entry that the bytes stand for."""
        generation, updated_at, created_at, touched_at, *facets = data.decode().split(" ")
        pending = (facet.partition("+") for facet in facets)
        return cls(
            int(generation),
            int(updated_at),
            int(created_at),
            int(touched_at),
            {facet: int(since or 0) for facet, _, since in pending},
        )

    @property
    def data(self) -> bytes:
        """The entry as bytes."""
        facets = [f"{facet}+{since}" if since else facet for facet, since in self.facets.items()]
        times = time_text(self.updated_at), time_text(self.created_at)
        return " ".join([str(self.generation), *times, str(self.touched_at), *facets]).encode()

    def committed(self, properties: Mapping[str, bytes | None], names: Iterable[str]) -> Entry:
        """Return the entry after a commit that has set `properties` was made, and no other since it was announced.

        What other commits may still bring stays.
        """
        own = facets_of(properties, names)
        touched = {_part_of(name) for name in names if name in properties}
        kept = {
            facet: since
            for facet, since in self.facets.items()
            if facet not in own and (since or facet[:_NAME_END] not in touched)
        }
        return self._replace(facets={**kept, **dict.fromkeys(own, 0)})

    def looked_at(self, head: IndexedSession, generation: int, names: Iterable[str], now: int) -> Entry:
        """Return what the entry is to be, by its session, which was read after the entry was; `now` is the server's."""
        pending = {facet: since for facet, since in self.facets.items() if since and now - since < _UNDER_WAY}
        facets = {**dict.fromkeys(head.facets(names), 0), **pending}
        updated_at, touched_at = self.updated_at, self.touched_at
        if self.generation == 0:
            updated_at = max(updated_at, head.updated_at)
        elif updated_at > head.updated_at + TOLERANCE and now - touched_at >= _UNDER_WAY:
            updated_at = head.updated_at  # the commit was never made
        elif head.updated_at > updated_at + TOLERANCE:
            updated_at, touched_at = head.updated_at, now
        if self.updated_at == 0:
            touched_at = 0
        return Entry(generation, updated_at, head.created_at, touched_at, facets)


def updated_at_in(data: bytes) -> int:
    """Return when the session was last active, as its entry says."""
    return int(data.split(b" ", 2)[1])


class KnownProperties:
    """Which properties sessions are found by, as far as is known; a shard whose entries have others says so."""

    def __init__(self, indexed: Iterable[str]) -> None:
        """Begin with those that the store was opened with."""
        self.own = names_text(indexed)
        self._latest = self.own
        self._by_shard: dict[bytes, str] = {}

    def text(self, shard: bytes) -> str:
        """Return the properties as the scripts write them."""
        return self._by_shard.get(shard, self._latest)

    def names(self, shard: bytes) -> list[str]:
        """Return the properties."""
        return names_in(self.text(shard))

    def learn(self, shard: bytes, text: bytes) -> None:
        """Take note of what a script has told."""
        told = text.decode()
        if told == self.text(shard):
            return
        if len(self._by_shard) >= _SHARDS_REMEMBERED:
            self._by_shard.clear()
        self._latest = self._by_shard[shard] = told


def names_text(names: Iterable[str]) -> str:
    """Return properties as the scripts write them."""
    return " ".join(sorted(map(escaped, names)))


def names_in(text: str) -> list[str]:
    """Return the properties that the scripts write so."""
    return [unquote(name, errors="surrogatepass") for name in text.split()]


def facets_of(properties: Mapping[str, bytes | None], names: Iterable[str]) -> list[str]:
    """Return a facet for each of the properties that has a value."""
    values = ((name, properties.get(name)) for name in names)
    return [facet(name, value) for name, value in values if value is not None]


@lru_cache(maxsize=_FACETS_REMEMBERED)
def facet(name: str, value: bytes) -> str:
    """Return what stands for a property's value: of another value it is, but for a chance, another one."""
    digest = hashlib.blake2b(value, digest_size=_VALUE_BYTES).digest()
    return _part_of(name) + _text(digest)


def time_text(microseconds: int) -> str:
    """Return a time such that texts of times are ordered as they are."""
    return f"{min(max(microseconds, 0), _LATEST):0{TIME_DIGITS}}"


@lru_cache(maxsize=_FACETS_REMEMBERED)
def _part_of(name: str) -> str:
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=_NAME_BYTES).digest()
    return "=" + _text(digest)


def _text(digest: bytes) -> str:
    return urlsafe_b64encode(digest).decode().rstrip("=")
