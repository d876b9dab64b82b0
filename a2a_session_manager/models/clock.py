"""The one place where the library reads a clock. Times are for information; nothing is ordered by them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

# It is looked up at each call, because tests put a clock of their own here.
time_ns = time.time_ns

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def now_micros() -> int:
    """Return the current time in microseconds since the epoch."""
    return time_ns() // 1_000


def utc_now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.fromtimestamp(time_ns() / 1e9, UTC)


def moment(micros: int) -> datetime:
    """Return microseconds since the epoch as an aware time."""
    return _EPOCH + micros * _MICROSECOND  # which takes a third of making such a timedelta


def micros(when: datetime) -> int:
    """Return an aware time as microseconds since the epoch."""
    return (when - _EPOCH) // _MICROSECOND
