"""Arithmetic on seqs: sorted, merged, disjoint (first, last) ranges, both ends inclusive."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from a2a_session_manager.storage.records import Range


def merged(ranges: Iterable[Range]) -> list[Range]:
    """Return `ranges` sorted, with those that overlap or touch joined to one."""
    result: list[Range] = []
    for first, last in sorted(ranges):
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(last, result[-1][1]))
        else:
            result.append((first, last))
    return result


def in_json(text: str) -> tuple[Range, ...]:
    """Return the ranges that JSON has written as pairs of numbers."""
    return tuple((first, last) for first, last in json.loads(text))


def add(ranges: list[Range], new: Iterable[Range]) -> None:
    """Put `new` into `ranges` (merged), in place; each joins those that it overlaps or touches. O(log n) each."""
    for first, last in new:
        start = bisect_left(ranges, first - 1, key=_last)
        end = bisect_right(ranges, last + 1, lo=start, key=_first)
        if start < end:
            first, last = min(first, ranges[start][0]), max(last, ranges[end - 1][1])
        ranges[start:end] = [(first, last)]


def remove(ranges: list[Range], gone: Iterable[Range]) -> None:
    """Take `gone` out of `ranges` (merged), in place."""
    ranges[:] = subtract(ranges, merged(gone))


def size(ranges: Iterable[Range]) -> int:
    """Return how many seqs `ranges` (merged) hold."""
    return sum(last - first + 1 for first, last in ranges)


def contains(ranges: Sequence[Range], seq: int) -> bool:
    """Tell whether one of `ranges` holds `seq`; O(log n)."""
    at = bisect_right(ranges, seq, key=_first) - 1
    return at >= 0 and seq <= ranges[at][1]


def after_hidden(ranges: Sequence[Range], seq: int) -> int:
    """Return the last seq of the hidden range that begins right after `seq`, or `seq` when there is none."""
    at = bisect_right(ranges, seq + 1, key=_first) - 1
    return max(seq, ranges[at][1]) if at >= 0 else seq


def subtract(ranges: Sequence[Range], hidden: Sequence[Range]) -> list[Range]:
    """Return the parts of `ranges` (merged) that are not in `hidden`."""
    return [gap for first, last in ranges for gap in gaps(first, last, hidden)]


def common(ranges: Sequence[Range], others: Sequence[Range]) -> list[Range]:
    """Return the parts of `ranges` that are in `others` (both merged), too."""
    return subtract(ranges, subtract(ranges, others))


def divided(ranges: Sequence[Range], seq: int) -> tuple[Sequence[Range], Sequence[Range]]:
    """Return the parts of `ranges` (merged) up to `seq`, and those above it."""
    if seq == 0:
        return (), ranges
    upto = [(first, min(last, seq)) for first, last in ranges if first <= seq]
    return upto, [(max(first, seq + 1), last) for first, last in ranges if last > seq]


def gaps(first: int, last: int, hidden: Sequence[Range]) -> list[Range]:
    """Return the ranges between `first` and `last` that are not in `hidden`, oldest first."""
    result = []
    start = max(bisect_right(hidden, first, key=_first) - 1, 0)
    end = bisect_right(hidden, last, lo=start, key=_first)
    for hidden_first, hidden_last in hidden[start:end]:
        if first < hidden_first:
            result.append((first, hidden_first - 1))
        first = max(first, hidden_last + 1)
    if first <= last:
        result.append((first, last))
    return result


def visible_tail(last_seq: int, count: int, hidden: Sequence[Range]) -> list[Range]:
    """Return the ranges of the last `count` seqs up to `last_seq` that are not in `hidden`, oldest first.

    It takes time by the hidden ranges that it passes, not by `count`. What is hidden above `last_seq` changes nothing.
    """
    result: list[Range] = []
    end = last_seq
    for hidden_first, hidden_last in reversed(hidden):
        if count <= 0:
            break
        count -= _take(hidden_last + 1, end, count, result)
        end = min(end, hidden_first - 1)
    if count > 0:
        _take(1, end, count, result)
    return result[::-1]


def flattened(ranges: Iterable[Range]) -> list[int]:
    """Return the first and the last seq of each range, all in one list."""
    return [bound for each in ranges for bound in each]


def first_seqs(ranges: Iterable[Range], count: int) -> list[Range]:
    """Return the ranges of the first `count` seqs of `ranges`."""
    result: list[Range] = []
    for first, last in ranges:
        if count <= 0:
            break
        taken = min(count, last - first + 1)
        result.append((first, first + taken - 1))
        count -= taken
    return result


def without_first_seqs(ranges: Iterable[Range], count: int) -> list[Range]:
    """Return `ranges` without their first `count` seqs."""
    left: list[Range] = []
    for first, last in ranges:
        taken = min(count, last - first + 1)
        count -= taken
        if first + taken <= last:
            left.append((first + taken, last))
    return left


def _take(first: int, last: int, count: int, result: list[Range]) -> int:
    taken = min(count, last - first + 1)
    if taken > 0:
        result.append((last - taken + 1, last))
    return max(taken, 0)


def _first(each: Range) -> int:
    return each[0]


def _last(each: Range) -> int:
    return each[1]
