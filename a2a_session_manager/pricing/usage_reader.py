"""UsageReader: counts out of a provider's usage, whatever the case of its names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
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
        self._top = {snake(str(name)): value for name, value in list(usage.items())[::-1]}
        self.keys = self._top.keys()
        self.read: set[str] = set()
        self.counted: set[int] = set()
        self.conflicts: list[str] = []
        self._usage = usage

    @cached_property
    def leaves(self) -> Mapping[str, tuple[Any, str]]:
        """What stands in the usage and has no names inside: by its path, with the path as it is spelled."""
        return dict(_leaves(self._usage, "", ""))

    def count(self, *paths: str) -> int | None:
        """Return the count at the first of `paths` where one above 0 is, else 0 where any is: a 0 wipes out nothing."""
        chosen: tuple[int, str] | None = None
        leaves = self.leaves
        for path in paths:
            if path not in leaves:
                continue
            self.read.add(path)
            value, spelled = leaves[path]
            count = _checked(value, spelled)
            self.counted.add(count)
            if chosen is None or not chosen[0]:
                chosen = count, spelled
            elif count and count != chosen[0]:
                self.conflicts.append(f"{chosen[1]} is {chosen[0]}, but {spelled} is {count}")
        return None if chosen is None else chosen[0]

    def count_or_zero(self, *paths: str) -> int:
        """Return what `count` returns, 0 when the provider gives none."""
        return self.count(*paths) or 0

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


def _leaves(fields: Mapping[str, Any], path: str, spelled: str) -> Iterator[tuple[str, tuple[Any, str]]]:
    for name, value in list(fields.items())[::-1]:
        here = f"{path}{snake(str(name))}"
        inner = fields_of(value)
        if inner:
            yield from _leaves(inner, f"{here}.", f"{spelled}{name}.")
        elif value is not None and inner is None:
            yield here, (value, f"{spelled}{name}")


def _checked(value: Any, spelled: str) -> int:
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
