"""Times as foreign files write them; where one is missing, the one before stands in for it, and is marked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

_YEARS: Final = range(1700, 2250)
# What is larger counts milliseconds: as seconds, it would be in the year 5138.
_MOST_SECONDS: Final = 100_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(NamedTuple):
    """A time, and whether the file itself says it."""

    time: datetime
    is_known: bool


class Clock:
    """Gives each record its time: its own, or else the newest of those before it, or at first the file's."""

    def __init__(self, start: datetime) -> None:
        self._newest = start
        self._is_told = False

    def at(self, value: Any) -> Moment:
        """Return the time of a record that says `value`."""
        time = time_of(value)
        if time is None:
            return Moment(self._newest, False)
        self._newest = max(time, self._newest) if self._is_told else time
        self._is_told = True
        return Moment(time, True)


def time_of(value: Any) -> datetime | None:
    """Return a time in UTC that is written in ISO's form, in seconds or in milliseconds since 1970; None for none.

    One without a zone is in UTC.
    """
    try:
        if isinstance(value, str):
            text = value.strip()
            time = _from_text(text)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            seconds = value / 1000 if abs(value) >= _MOST_SECONDS else value
            time = _EPOCH + timedelta(microseconds=round(seconds * 1_000_000))
        elif isinstance(value, datetime):
            time = value
        else:
            return None
        time = (time.replace(tzinfo=UTC) if time.tzinfo is None else time).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return time if time.year in _YEARS else None


def _from_text(text: str) -> datetime:
    if text.replace(".", "", 1).isdigit():
        found = time_of(float(text))
        if found is None:
            raise ValueError(text)
        return found
    return datetime.fromisoformat(text)
