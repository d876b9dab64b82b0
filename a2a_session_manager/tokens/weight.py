"""How much there is to count, so that much of it does not hold up the event loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_heavier_than(value: Any, most: int) -> bool:
    """Return whether `value`, plain data, holds more than about `most` characters; it looks no further than that."""
    weight, rest = 0, [value]
    while rest and weight <= most:
        item = rest.pop()
        weight += 16
        if isinstance(item, str):
            weight += len(item)
        elif isinstance(item, Mapping | list | tuple):
            weight += 16 * len(item)
            if weight <= most:
                rest.extend(item.values() if isinstance(item, Mapping) else item)
    return weight > most
