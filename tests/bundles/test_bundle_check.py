"""Whether an id comes twice in a session, by the hashes of its ids and of those that it inherits."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from a2a_session_manager.bundles.bundle_check import BITS_A_HASH, has_twins


@given(st.lists(st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=20), max_size=3))
def test_a_number_that_comes_twice_is_seen_and_none_that_sets_the_bit_of_another(
    drawn: list[list[tuple[int, bool]]],
) -> None:
    bits = BITS_A_HASH * sum(map(len, drawn)) + 1
    parts = [array("Q", [number + bits * is_other for number, is_other in part]) for part in drawn]

    together = [number for part in parts for number in part]
    assert has_twins(parts) == (len(set(together)) < len(together))
