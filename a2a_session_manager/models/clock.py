"""The one place where the library looks at a clock. Times inform; they never order anything."""

from __future__ import annotations

import time
from datetime import UTC, datetime

# Looked up at each call: tests put a clock of theirs here.
time_ns = time.time_ns


def now_micros() -> int:
    """Return the current time in microseconds since the epoch."""
    return time_ns() // 1_000


def utc_now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.fromtimestamp(time_ns() / 1e9, UTC)
