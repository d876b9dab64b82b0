"""Compaction: what the event of a summary says of the events that it stands for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from a2a_session_manager.models.event_type import EventType

# The key in a SUMMARY's metadata under which all this stands.
KEY: Final = "compaction"
# Lua counts exactly up to 2^53, and not every server for tests has SHA-1 for its scripts.
_FACTOR: Final = 1_000_003
_PRIMES: Final = (2_147_483_647, 2_147_483_629)


class Compaction(NamedTuple):
    """What a summary stands for: the events `first` to `last`, but for those in `pins`, which are shown as they are.

    Args:
        first, last: seqs; `pins` are ranges of them.
        session: the creation id of the session that is meant: elsewhere, the same seqs are other events.
        hidden: the `digest` of what was hidden in the range when it was summarised.
        events: how many visible events it stands for.
        generation: 1 where it was made of the events themselves, 2 and more where it was made of another summary.
        method: how it was made, in one word of whoever made it.
    """

    first: int
    last: int
    pins: tuple[tuple[int, int], ...]
    session: str
    hidden: str
    events: int = 0
    generation: int = 1
    method: str = "summary"

    def as_metadata(self) -> dict[str, Any]:
        """Return it as an event's metadata."""
        return {KEY: {**self._asdict(), "pins": [list(pin) for pin in self.pins]}}


def compaction_in(kind: EventType | str, metadata: Mapping[str, Any]) -> Compaction | None:
    """Return what an event of this type and metadata stands for; None where it says nothing of that."""
    told = metadata.get(KEY) if kind == EventType.SUMMARY else None
    if not isinstance(told, Mapping) or not told.keys() <= _FIELDS:
        return None
    try:
        return _checked(Compaction(**{**told, "pins": tuple(map(_range, told["pins"]))}))
    except (KeyError, TypeError, ValueError):
        return None


def digest(ranges: Iterable[tuple[int, int]]) -> str:
    """Return a text that is equal for equal ranges, and hardly ever for others; Redis makes the same one."""
    sums = [0] * len(_PRIMES)
    for each in ranges:
        for bound in each:
            sums = [(sum_ * _FACTOR + bound % prime) % prime for sum_, prime in zip(sums, _PRIMES, strict=True)]
    return ".".join(map(str, sums))


_FIELDS: Final = frozenset(Compaction._fields)


def _checked(found: Compaction) -> Compaction:
    numbers = (found.first, found.last, found.events, found.generation)
    before = found.first - 1
    if any(type(each) is not int or each < 0 for each in numbers) or not 0 < found.first <= found.last:
        raise ValueError("no range")
    if not all(type(text) is str for text in (found.session, found.hidden, found.method)):
        raise ValueError("no text")
    for first, last in found.pins:
        if not before < first <= last <= found.last:
            raise ValueError("a pin that is in no order, or outside")
        before = last
    return found


def _range(pin: Any) -> tuple[int, int]:
    first, last = pin
    if type(first) is not int or type(last) is not int:
        raise ValueError("no range")
    return first, last
