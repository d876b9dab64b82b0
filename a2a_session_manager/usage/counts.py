"""Counts: one request's inclusive numbers while they are read, and what about them contradicts itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from a2a_session_manager.pricing.usage_reader import UsageReader
from a2a_session_manager.usage.names import Names


@dataclass
class Counts:
    """The numbers of a TokenUsage, by its names; `problems` says what in the provider's own contradicts itself.

    `context_tokens` is what the last of several model calls in one request left in the context, None for a single one.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    requests: int = 1
    context_tokens: int | None = None
    problems: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, usage: UsageReader, names: Names) -> Counts:
        """Return the counts that `names` leads to. Raises InvalidEvent, too, for details that hold no names."""
        holders, there = names.in_shape(usage.shape)
        usage.check_details(holders)
        found: dict[str, Any] = usage.counts(there)
        return cls(**found)

    @property
    def total(self) -> int:
        """Both sides together."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def caches(self) -> int:
        """What was read from a cache and what was written into it."""
        return self.cache_read_tokens + self.cache_write_tokens

    def check_total(self, given: int | None, *also_right: int) -> None:
        """Note it when the provider's total is neither the sum of the sides nor one of `also_right`."""
        if given is not None and given not in (self.total, *also_right):
            self.problems.append(f"the total is {given}, but its parts add up to {self.total}")

    def fit(self) -> None:
        """Cut every part down to what is left of its whole, and note each cut."""
        if (
            self.cache_read_tokens + self.cache_write_tokens <= self.prompt_tokens >= self.input_audio_tokens
            and self.cache_write_1h_tokens <= self.cache_write_tokens
            and self.reasoning_tokens <= self.completion_tokens >= self.output_audio_tokens
        ):
            return  # nearly all do
        self._cut("cache_read_tokens", "prompt_tokens", self.prompt_tokens)
        self._cut("cache_write_tokens", "prompt_tokens", self.prompt_tokens - self.cache_read_tokens)
        self._cut("cache_write_1h_tokens", "cache_write_tokens", self.cache_write_tokens)
        self._cut("input_audio_tokens", "prompt_tokens", self.prompt_tokens)
        self._cut("reasoning_tokens", "completion_tokens", self.completion_tokens)
        self._cut("output_audio_tokens", "completion_tokens", self.completion_tokens)

    def numbers(self) -> dict[str, int]:
        """Return the counts by the names of TokenUsage."""
        return {name: count for name, count in vars(self).items() if name != "problems" and count is not None}

    def add(self, other: Counts) -> None:
        """Add the counts of `other`, which is a part of the same request."""
        for name in TOKENS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.problems += other.problems

    def _cut(self, part: str, whole: str, most: int) -> None:
        count = getattr(self, part)
        if count > most:
            self.problems.append(f"{part} is {count}, more than the {most} left of the {whole} it is part of")
            setattr(self, part, most)


# What a request adds up of its parts, by name.
TOKENS = tuple(name for name in Counts.__dataclass_fields__ if name.endswith("_tokens") and name != "context_tokens")
