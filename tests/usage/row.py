"""Row: one usage of a provider, and what it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Row:
    """A provider's usage as its JSON has it; `extractor` is (provider, flavor, wrapping) of genai-prices' own.

    `unread` are the paths that are flagged; `is_inconsistent` tells whether the numbers contradict each other.
    """

    name: str
    usage: dict[str, Any]
    counts: dict[str, int]
    provider: str | None = None
    extractor: tuple[str, str, tuple[str, ...]] | None = None
    model: str = "gpt-4o"
    is_object_too: bool = field(default=True)
    unread: tuple[str, ...] = ()
    is_inconsistent: bool = False


def counts(prompt: int, completion: int, **parts: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, **parts}
