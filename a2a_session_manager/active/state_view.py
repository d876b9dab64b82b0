"""StateView: a session's state as it was, to read alone; each value is copied when it is read, not before."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Final

_AS_THEY_ARE: Final = frozenset({str, int, float, bool, type(None)})


class StateView(Mapping[str, Any]):
    """The keys as they were when this was made; reading one costs what its value takes.

    A value that is read is the caller's own: changing it changes neither the session nor what is read next.
    """

    __slots__ = ("_values",)

    def __init__(self, state: Mapping[str, Any]) -> None:
        # Writes through the session put new values in place of old ones, so the old ones need no copy yet.
        self._values = dict(state)

    def __getitem__(self, key: str) -> Any:
        return _copied(self._values[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __eq__(self, other: object) -> bool:
        return self._values == (other._values if isinstance(other, StateView) else other)

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return {**self, **other}

    def __ror__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return {**other, **self}

    def __repr__(self) -> str:
        return f"StateView({self._values!r})"


def _copied(value: Any) -> Any:
    """Return a copy of a JSON value in a fraction of what `deepcopy` takes; of any other value, a deep copy."""
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is dict:
        return {key: each if type(each) in _AS_THEY_ARE else _copied(each) for key, each in value.items()}
    if kind is list:
        return [each if type(each) in _AS_THEY_ARE else _copied(each) for each in value]
    return copy.deepcopy(value)
