"""How much a store takes in one commit, how much it reads at once, and how long it waits."""

from __future__ import annotations

from dataclasses import dataclass

DEEPEST_TREE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLimits:
    """The limits of a store; all sizes are bytes of encoded JSON.

    Attributes:
        event_bytes: the largest event, run, state value or property; a larger one is refused with InvalidEvent.
        commit_events: the most events of one commit; more are refused with InvalidSessionOperation.
        commit_bytes: the largest commit as a whole; a larger one is refused with InvalidSessionOperation.
        page_events: how many events a long read, such as a follower's, loads at once.
        page_bytes: how many bytes of events such a read loads at once; one event is loaded whatever its size.
        inline_bytes: payloads above this are encoded and decoded in a thread, so that the event loop is not held up.
        cancel_seconds: how long a cancelled caller waits for a write that has begun.
    """

    event_bytes: int = 16_000_000
    commit_events: int = 4_096
    commit_bytes: int = 32_000_000
    page_events: int = 500
    page_bytes: int = 1_000_000
    inline_bytes: int = 256_000
    cancel_seconds: float = 5.0


DEFAULT_LIMITS = StoreLimits()
