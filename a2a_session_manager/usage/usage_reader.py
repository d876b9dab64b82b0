"""Counts out of a provider's usage, whatever the case of its names; and what they add up to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from a2a_session_manager.exceptions import InvalidEvent
from a2a_session_manager.identifiers import shown
from a2a_session_manager.models.token_counts import MOST_COUNTED
from a2a_session_manager.serialization.plain_objects import fields_of
from a2a_session_manager.usage.names import Names

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[a-z])(?=[0-9])")


@lru_cache(maxsize=1_024)
def snake(name: str) -> str:
    """Return `promptTokenCount` and `prompt-token-count` as `prompt_token_count`."""
    return _HUMP.sub("_", name).replace("-", "_").lower()


@dataclass
class Counts:
    """One request's inclusive numbers while they are read, and what about them contradicts itself."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    requests: int = 1
    problems: list[str] = field(default_factory=list)

    def check_total(self, given: int | None, *also_right: int) -> None:
        """Note it when the provider's total is neither the sum of the sides nor one of `also_right`."""
        total = self.prompt_tokens + self.completion_tokens
        if given is not None and given not in (total, *also_right):
            self.problems.append(f"the total is {given}, but its parts add up to {total}")

    def fit(self) -> None:
        """Cut every part down to what is left of its whole, and note each cut."""
        self._cut("cache_read_tokens", "prompt_tokens", self.prompt_tokens)
        self._cut("cache_write_tokens", "prompt_tokens", self.prompt_tokens - self.cache_read_tokens)
        self._cut("cache_write_1h_tokens", "cache_write_tokens", self.cache_write_tokens)
        self._cut("input_audio_tokens", "prompt_tokens", self.prompt_tokens)
        self._cut("reasoning_tokens", "completion_tokens", self.completion_tokens)
        self._cut("output_audio_tokens", "completion_tokens", self.completion_tokens)

    def numbers(self) -> dict[str, int]:
        """Return the counts by the names of TokenUsage."""
        return {name: count for name, count in vars(self).items() if name != "problems"}

    def _cut(self, part: str, whole: str, most: int) -> None:
        count = getattr(self, part)
        if count > most:
            self.problems.append(f"{part} is {count}, more than the {most} left of the {whole} it is part of")
            setattr(self, part, most)


class Reader:
    """Reads counts by their snake_case names; dots lead into details. Absent and null are None, never 0."""

    def __init__(self, usage: Mapping[str, Any]) -> None:
        self.keys = frozenset(snake(str(name)) for name in usage)
        self._usage = usage

    def count(self, *paths: str) -> int | None:
        """Return the first count there is. Raises InvalidEvent, naming the field, for what is no count."""
        for path in paths:
            value, spelled = self._at(path)
            if value is not None:
                return _checked(value, spelled)
        return None

    def number(self, *paths: str) -> int:
        """Return the first count there is, 0 when the provider gives none."""
        return self.count(*paths) or 0

    def counts(self, names: Names) -> Counts:
        """Return the counts that `names` leads to. Raises InvalidEvent, too, for details that hold no names."""
        self._check_details(names)
        found: dict[str, Any] = {name: self.number(*paths) for name, paths in names.items()}
        return Counts(**found)

    def among(self, path: str, kind: str, wanted: str, count: str) -> int | None:
        """Return the sum of `count` over the items of a list whose `kind` is `wanted`; None without the list."""
        items, spelled = self._at(path)
        if not isinstance(items, Sequence) or isinstance(items, str):
            return None
        readers = [Reader(item) for item in items if isinstance(item, Mapping)]
        chosen = [one for one in readers if str(one._at(kind)[0]).rpartition(".")[2].lower() == wanted]
        counts = [one._at(count)[0] for one in chosen]
        return sum(_checked(value, f"{spelled}[].{count}") for value in counts if value is not None)

    def has(self, path: str) -> bool:
        """Tell whether there is anything at `path`."""
        return self._at(path)[0] is not None

    def _check_details(self, names: Names) -> None:
        for holder in {path.rpartition(".")[0] for paths in names.values() for path in paths}:
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
