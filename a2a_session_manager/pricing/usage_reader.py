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
    """

    def __init__(self, usage: Mapping[str, Any]) -> None:
        self.keys = frozenset(snake(str(name)) for name in usage)
        self._usage = usage

    def count(self, *paths: str) -> int | None:
        """Return the count at the first of `paths` where anything is."""
        for path in paths:
            value, spelled = self._at(path)
            if value is not None:
                return _checked(value, spelled)
        return None

    def count_or_zero(self, *paths: str) -> int:
        """Return the count at the first of `paths` where anything is, 0 when the provider gives none."""
        return self.count(*paths) or 0

    def among(self, path: str, kind: str, wanted: str, count: str) -> int | None:
        """Return the sum of `count` over those items of the list at `path` whose `kind` is `wanted`; None without it.

        So `among("prompt_tokens_details", "modality", "audio", "token_count")` is what Gemini counts as heard.
        """
        items, spelled = self._at(path)
        if not isinstance(items, Sequence) or isinstance(items, str):
            return None
        readers = [UsageReader(item) for item in items if isinstance(item, Mapping)]
        chosen = [one for one in readers if str(one._at(kind)[0]).rpartition(".")[2].lower() == wanted]
        counts = [one._at(count)[0] for one in chosen]
        return sum(_checked(value, f"{spelled}[].{count}") for value in counts if value is not None)

    def has(self, path: str) -> bool:
        """Tell whether there is anything at `path`."""
        return self._at(path)[0] is not None

    def check_details(self, paths: Iterable[str]) -> None:
        """Raise InvalidEvent where a path leads into what holds no names, such as a text or a list."""
        for holder in {path.rpartition(".")[0] for path in paths}:
            value, spelled = self._at(holder)
            if value and fields_of(value) is None:
                raise _not_understood(spelled, value, "counts by their names")

    def _at(self, path: str) -> tuple[Any, str]:
        value: Any = self._usage
        spelled = []
        # OpenTelemetry's names have dots of their own.
        for step in [path] if path.startswith("gen_ai.") else path.split("."):
            fields = fields_of(value)
            if fields is None:
                return None, path
            name = next((name for name in fields if snake(str(name)) == step), step)
            spelled.append(str(name))
            value = fields.get(name)
        return value, ".".join(spelled)


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
