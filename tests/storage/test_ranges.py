"""Arithmetic on ranges, against plain sets of integers."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager.storage import ranges
from a2a_session_manager.storage.records import Range

seqs = st.integers(1, 40)
any_ranges = st.lists(st.tuples(seqs, seqs).map(lambda ends: (min(ends), max(ends))), max_size=8)
hidden_ranges = any_ranges.map(ranges.merged)


def numbers(of: list[Range] | tuple[Range, ...]) -> set[int]:
    return {seq for first, last in of for seq in range(first, last + 1)}


def is_canonical(of: list[Range]) -> bool:
    """Sorted, disjoint, not even touching, none empty."""
    apart = all(left[1] + 1 < right[0] for left, right in pairwise(of))
    return apart and all(first <= last for first, last in of)


@given(any_ranges)
@settings(deadline=None)
def test_merging_keeps_every_number_and_nothing_else(given_ranges: list[Range]) -> None:
    merged = ranges.merged(given_ranges)

    assert numbers(merged) == numbers(given_ranges)
    assert is_canonical(merged)


@given(hidden_ranges, any_ranges)
@settings(deadline=None)
def test_adding_is_merging_in_place(hidden: list[Range], new: list[Range]) -> None:
    expected = ranges.merged([*hidden, *new])

    ranges.add(hidden, new)

    assert hidden == expected


@given(hidden_ranges, any_ranges)
@settings(deadline=None)
def test_removing_is_set_difference_in_place_and_common_is_set_intersection(
    hidden: list[Range], other: list[Range]
) -> None:
    before, others = numbers(hidden), ranges.merged(other)
    common = ranges.common(hidden, others)

    ranges.remove(hidden, other)

    assert numbers(hidden) == before - numbers(other)
    assert numbers(common) == before & numbers(other)
    assert is_canonical(hidden)
    assert is_canonical(common)


def test_ranges_that_touch_become_one() -> None:
    assert ranges.merged([(3, 4), (1, 2), (6, 7)]) == [(1, 4), (6, 7)]


@given(hidden_ranges, st.integers(0, 42))
@settings(deadline=None)
def test_contains_is_membership(hidden: list[Range], seq: int) -> None:
    assert ranges.contains(hidden, seq) is (seq in numbers(hidden))


@given(hidden_ranges, hidden_ranges)
@settings(deadline=None)
def test_subtract_is_set_difference(wanted: list[Range], hidden: list[Range]) -> None:
    left = ranges.subtract(wanted, hidden)

    assert numbers(left) == numbers(wanted) - numbers(hidden)
    assert is_canonical(left)


@given(st.tuples(seqs, seqs), hidden_ranges)
@settings(deadline=None)
def test_gaps_are_what_is_visible_between_two_seqs(ends: tuple[int, int], hidden: list[Range]) -> None:
    first, last = min(ends), max(ends)

    found = ranges.gaps(first, last, hidden)

    assert numbers(found) == set(range(first, last + 1)) - numbers(hidden)
    assert is_canonical(found)


@given(st.integers(0, 40), st.integers(0, 45), hidden_ranges)
@settings(deadline=None)
def test_the_visible_tail_is_the_last_so_many_that_are_not_hidden(
    last_seq: int, count: int, hidden: list[Range]
) -> None:
    visible = sorted(set(range(1, last_seq + 1)) - numbers(hidden))

    tail = ranges.visible_tail(last_seq, count, hidden)

    assert sorted(numbers(tail)) == visible[len(visible) - min(count, len(visible)) :]
    assert is_canonical(tail)


def test_a_tail_in_front_of_a_long_hidden_stretch_is_one_range() -> None:
    assert ranges.visible_tail(1_000_000, 2, [(11, 1_000_000)]) == [(9, 10)]


def test_what_is_hidden_above_the_last_seq_changes_nothing() -> None:
    assert ranges.visible_tail(1, 16, [(5, 5), (10, 13)]) == [(1, 1)]
    assert ranges.visible_tail(6, 2, [(3, 9)]) == [(1, 2)]
