"""How much a store takes at once, and how long it waits."""

from __future__ import annotations

from dataclasses import dataclass

DEEPEST_TREE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLimits:
    """Bytes as encoded. What is over `event_bytes`, `commit_events` or `commit_bytes` is refused.

    Attributes:
        page_events: a read that goes on for long, such as a follower's, asks for so many events at once, and
        page_bytes: for so many bytes of them; at least one event comes always.
        inline_bytes: payloads above this are encoded and decoded in a thread.
        cancel_seconds: how long a cancelled caller waits for the end of a write that has begun.
    """

    event_bytes: int = 16_000_000
    commit_events: int = 4_096
    commit_bytes: int = 32_000_000
    page_events: int = 500
    page_bytes: int = 1_000_000
    inline_bytes: int = 256_000
    cancel_seconds: float = 5.0


DEFAULT_LIMITS = StoreLimits()
