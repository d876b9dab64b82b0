"""Windows: the stretches of time that a limit is for. Days and months are those of a named time zone.

Times are milliseconds since the epoch.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo


class Window(NamedTuple):
    """How long a window is: `unit` is "day" or "month" in `zone`, or "span" of a `length`, from `begin` on."""

    unit: str
    zone: str = ""
    length: int = 0
    begin: int = 0


class Stretch(NamedTuple):
    """One window: from its begin until the begin of the next one."""

    begin: int
    end: int


@lru_cache(maxsize=1_024)
def loaded_zone(name: str) -> ZoneInfo:
    """Return a time zone. The first time, that reads a file, which is for a thread.

    Raises what ZoneInfo raises for a name that is none.
    """
    return ZoneInfo(name)


def stretch_at(window: Window, moment: int) -> Stretch:
    """Return the window that a moment is in."""
    if window.unit == "span":
        begin = moment - (moment - window.begin) % window.length
        return Stretch(begin, begin + window.length)
    zone = loaded_zone(window.zone)
    local = datetime.fromtimestamp(moment / 1000, UTC).astimezone(zone)
    return _stretch_of(window, local.year, local.month, local.day if window.unit == "day" else 1)


@lru_cache(maxsize=256)
def _stretch_of(window: Window, year: int, month: int, day: int) -> Stretch:
    """Return the window that begins on a date. A day has 23 or 25 hours where clocks are changed."""
    zone = loaded_zone(window.zone)
    begin = datetime(year, month, day, tzinfo=zone)
    if window.unit == "day":
        following = datetime.fromordinal(begin.toordinal() + 1).replace(tzinfo=zone)
    else:
        following = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=zone)
    return Stretch(_millis(begin), _millis(following))


def _millis(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
