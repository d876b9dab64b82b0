"""Ids and times that are the same in every run of a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

from a2a_session_manager import identifiers
from a2a_session_manager.models import clock

_EPOCH = datetime.fromtimestamp(0, UTC)
_NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


class SessionClock:
    """A clock for events, runs and sessions that stands still until a test moves it.

    `now` is the time it begins with, which must have a time zone; the start of 2026 in UTC by default.
    """

    def __init__(self, now: datetime = _NEW_YEAR) -> None:
        self.now = now

    def advance(self, **by: float) -> datetime:
        """Move on by the keyword arguments of a timedelta, `by`, such as `minutes=5`; return the new time."""
        self.now += timedelta(**by)
        return self.now

    @contextmanager
    def in_use(self) -> Iterator[SessionClock]:
        """Use this clock in place of the machine's inside a `with` block; a Redis server keeps its own."""
        before, clock.time_ns = clock.time_ns, self._time_ns
        try:
            yield self
        finally:
            clock.time_ns = before

    def _time_ns(self) -> int:
        return (self.now - _EPOCH) // timedelta(microseconds=1) * 1_000


@contextmanager
def ids_numbered(prefix: str = "id") -> Iterator[list[str]]:
    """Make new ids `id-1`, `id-2` … inside a `with` block, `prefix` in front; yield the list of those made so far."""
    made: list[str] = []
    before, identifiers.id_source = identifiers.id_source, _numbered(prefix, made)
    try:
        yield made
    finally:
        identifiers.id_source = before


def _numbered(prefix: str, made: list[str]) -> Callable[[], str]:
    numbers = count(1)

    def next_id() -> str:
        made.append(f"{prefix}-{next(numbers)}")
        return made[-1]

    return next_id
