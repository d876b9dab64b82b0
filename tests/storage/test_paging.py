"""Pages of children and of the log."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager import InvalidSessionOperation
from a2a_session_manager.storage import paging
from a2a_session_manager.storage.read_records import StoredEvent, StoredRetraction


@given(st.lists(st.integers(0, 9), max_size=6).map(sorted), st.integers(1, 4), st.integers(0, 10))
@settings(deadline=None)
def test_pages_of_the_log_show_every_retraction_once(places: list[int], size: int, last_seq: int) -> None:
    placed = [StoredRetraction(n, min(place, last_seq), ((1, 1),)) for n, place in enumerate(places)]
    shown: list[StoredRetraction] = []
    after = 0

    while True:
        page = [StoredEvent(seq, 1, b"") for seq in range(after + 1, min(after + size, last_seq) + 1)]
        is_last = after + len(page) >= last_seq
        shown += paging.retractions_of_page(placed, after, page, is_last=is_last)
        if is_last:
            break
        after = page[-1].seq

    assert shown == placed


@pytest.mark.parametrize(("cursor", "ordinal"), [(None, 0), ("0", 0), ("7", 7)])
def test_a_cursor_names_an_ordinal(cursor: str | None, ordinal: int) -> None:
    assert paging.ordinal_of(cursor) == ordinal


@pytest.mark.parametrize("cursor", ["", "-1", "x", "1.5", " 1", "²"])
def test_a_cursor_that_no_page_gave_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidSessionOperation, match="start again without it"):
        paging.ordinal_of(cursor)


def test_events_that_are_taken_one_by_one_are_let_go() -> None:
    class Held:
        """A stand-in that can be watched."""

    held = [Held() for _ in range(3)]
    watched = [weakref.ref(each) for each in held]
    events: Iterator[Any] = paging.taken(cast("list[StoredEvent]", list(held)))

    next(events)
    held.clear()
    next(events)

    assert [each() is None for each in watched] == [True, True, False]
