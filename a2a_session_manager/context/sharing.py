"""Objects that stand in several places of what was said: each place gets one of its own."""

from __future__ import annotations

from typing import Any, Final

# From a message over the list of its parts and an object in one down to the items of a list there.
_LEVELS: Final = 5
_CONTAINERS: Final = frozenset({dict, list})


class Apart:
    """Takes messages apart that share objects, as a list may that was made in this process.

    What becomes of a part of a message goes by which object it was read from: of two that are one, one would be lost.
    """

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def of(self, message: dict[str, Any]) -> dict[str, Any]:
        """Return a message with no object that it, or one before it, has already; mostly that is itself."""
        found = _objects_in(message)
        if not found:  # a text, which has no parts
            return message
        ids = set(map(id, found))
        if len(ids) == len(found) and ids.isdisjoint(self._seen):
            self._seen |= ids
            return message
        copy: dict[str, Any] = _copy(message, _LEVELS)
        return copy


def _objects_in(message: dict[str, Any]) -> list[Any]:
    inside: list[Any] = [each for each in message.values() if type(each) in _CONTAINERS]
    found = inside
    for _ in range(_LEVELS - 1):
        if not inside:
            break
        held = inside
        inside = []
        for each in held:
            values = each.values() if type(each) is dict else each
            inside += [value for value in values if type(value) in _CONTAINERS]
        found = found + inside
    return found


def _copy(value: Any, levels: int) -> Any:
    if not levels or type(value) not in _CONTAINERS:
        return value
    if type(value) is dict:
        return {key: _copy(each, levels - 1) for key, each in value.items()}
    return [_copy(each, levels - 1) for each in value]
