"""How many examples property tests draw: few by default, and in the long run, `-m soak`, many."""

from __future__ import annotations

is_long_run = False


def few(number: int, *, of: int) -> int:
    """Return how many examples to draw: `number` by default, and `of` in the long run, which has every property."""
    return of if is_long_run else number
