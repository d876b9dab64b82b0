"""UsageReader: counts out of a provider's usage, whatever the case of its names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from a2a_session_manager.exceptions import InvalidEvent
from a2a_session_manager.identifiers import shown
from a2a_session_manager.pricing.usage_numbers import MOST_COUNTED
from a2a_session_manager.serialization.plain_objects import fields_of

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[a-z])(?=[0-9])")


@lru_cache(maxsize=1_024)
def snake(name: str) -> str:
    """Return `promptTokenCount` and `prompt-token-count` as `prompt_token_count`."""
    return _HUMP.sub("_", name).replace("-", "_").lower()


class UsageReader:
    """Reads counts out of a usage by paths: snake_case names, with dots that lead into details.

    What is absent or null is None. Raises InvalidEvent, naming the field, where something else than a count stands.

    Attributes:
        keys: the names at the top, null or not.
        read: the paths that were read so far, those in a list with `[]` in the place of the item.
        counted: the counts that were read.
        conflicts: what was found under several names of one count that differ.
    """

    def __init__(self, usage: Mapping[str, Any]) -> None:
        # From the end, here and below, so that the first spelling of a name holds.
        self._top = {snake(str(name)): usage[name] for name in reversed(list(usage))}
        self.keys = self._top.keys()
        self.read: set[str] = set()
        self.counted: set[int] = set()
        self.conflicts: list[str] = []
        self._usage = usage
        self._flat: list[tuple[str, str, Any]] | None = None
        self._leaves: dict[str, tuple[Any, str]] | None = None
        self._shape: tuple[str, ...] | None = None

    # These are made once, when they are asked for; cached_property takes a lock each time.

    @property
    def flat(self) -> list[tuple[str, str, Any]]:
        """What stands in the usage and has no names inside, in its order: its path, as it is spelled, and itself.

        A path may be there twice, spelled in two ways.
        """
        if self._flat is None:
            self._flat = []
            _flatten(self._usage, "", "", self._flat)
        return self._flat

    @property
    def leaves(self) -> Mapping[str, tuple[Any, str]]:
        """The same by its path, with the path as it is spelled, without what is null or empty."""
        if self._leaves is None:
            self._leaves = {path: (value, spelled) for path, spelled, value in reversed(self.flat)}
        return self._leaves

    @property
    def shape(self) -> tuple[str, ...]:
        """The paths of the leaves. Usages come in few shapes: what follows from one is remembered."""
        if self._shape is None:
            self._shape = tuple(self.leaves)
        return self._shape

    def count(self, *paths: str) -> int | None:
        """Return the count at the first of `paths` where one above 0 is, else 0 where any is: a 0 wipes out nothing."""
        leaves = self.leaves
        if len(paths) == 1:  # mostly
            return self._count(*leaves[paths[0]], paths[0]) if paths[0] in leaves else None
        chosen: tuple[int, str] | None = None
        for path in paths:
            if path not in leaves:
                continue
            value, spelled = leaves[path]
            count = self._count(value, spelled, path)
            if chosen is None or not chosen[0]:
                chosen = count, spelled
            elif count and count != chosen[0]:
                self.conflicts.append(f"{chosen[1]} is {chosen[0]}, but {spelled} is {count}")
        return None if chosen is None else chosen[0]

    def count_or_zero(self, *paths: str) -> int:
        """Return what `count` returns, 0 when the provider gives none."""
        return self.count(*paths) or 0

    def counts(self, places: Iterable[tuple[str, tuple[str, ...]]]) -> dict[str, int]:
        """Return the counts at `places`, names with the paths to each, all of which are there: as `count` does."""
        leaves, found = self.leaves, {}
        for name, paths in places:
            value, _ = leaves[paths[0]]
            if len(paths) == 1 and type(value) is int and 0 <= value <= MOST_COUNTED:  # nearly always
                self.read.add(paths[0])
                self.counted.add(value)
                found[name] = value
            else:
                found[name] = self.count_or_zero(*paths)
        return found

    def _count(self, value: Any, spelled: str, path: str) -> int:
        self.read.add(path)
        count = _checked(value, spelled)
        self.counted.add(count)
        return count

    def among(self, path: str, kind: str, wanted: str, count: str) -> int | None:
        """Return the sum of `count` over those items of the list at `path` whose `kind` is `wanted`; None without it.

        So `among("prompt_tokens_details", "modality", "audio", "token_count")` is what Gemini counts as heard.
        """
        items, spelled = self.leaves.get(path, (None, path))
        if not isinstance(items, Sequence) or isinstance(items, str):
            return None
        self.read.add(f"{path}[].{count}")
        readers = [UsageReader(item) for item in items if isinstance(item, Mapping)]
        chosen = [one for one in readers if str(one.value(kind)).rpartition(".")[2].lower() == wanted]
        counts = [one.value(count) for one in chosen]
        return sum(_checked(value, f"{spelled}[].{count}") for value in counts if value is not None)

    def value(self, path: str) -> Any:
        """Return what stands at `path` and has no names inside; None for nothing."""
        return self.leaves.get(path, (None, path))[0]

    def has(self, path: str) -> bool:
        """Tell whether there is anything at `path`; of a large object, no more is looked at."""
        return self.anything(path) is not None

    def anything(self, path: str) -> Any:
        """Return whatever is at `path`, names inside or not; None for nothing."""
        if (value := self._top.get(path)) is not None:
            return value
        first, _, rest = path.partition(".")
        inner = fields_of(self._top.get(first)) if rest and first in self._top else None
        return None if inner is None else UsageReader(inner).anything(rest)

    def check_details(self, holders: Iterable[str]) -> None:
        """Raise InvalidEvent where what should hold names, by one of these paths, is a text, a number or a list."""
        for holder in self.leaves.keys() & holders:
            value, spelled = self.leaves[holder]
            if value:
                raise _not_understood(spelled, value, "counts by their names")


def _flatten(fields: Mapping[str, Any], path: str, spelled: str, flat: list[tuple[str, str, Any]]) -> None:
    for name, value in fields.items():
        kind = type(value)
        if kind is int:  # most are, and to ask whether one has names inside takes long
            flat.append((path + snake(name if type(name) is str else str(name)), f"{spelled}{name}", value))
        elif value is not None:
            inner = fields_of(value)
            here = path + snake(str(name))
            if inner:
                _flatten(inner, f"{here}.", f"{spelled}{name}.", flat)
            elif inner is None:
                flat.append((here, f"{spelled}{name}", value))


def _checked(value: Any, spelled: str) -> int:
    if type(value) is int and 0 <= value <= MOST_COUNTED:  # nearly all
        return value
    count: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        count = value
    elif isinstance(value, float) and value.is_integer():
        count = int(value)
    elif isinstance(value, str) and len(value) < 20 and value.removeprefix("-").isdecimal():
        count = int(value)  # protobuf's JSON writes 64-bit integers as strings
    if count is None or not 0 <= count <= MOST_COUNTED:
        raise _not_understood(spelled, value, "a count of 0 or more, up to a trillion")
    return count


def _not_understood(spelled: str, value: Any, wanted: str) -> InvalidEvent:
    return InvalidEvent(f"usage is not understood: {spelled} is {shown(value)}, not {wanted}", path=f"usage.{spelled}")
