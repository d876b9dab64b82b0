"""Which events a view is made of, by a head's compactions and hidden events: against the slow and obvious way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a2a_session_manager import EventType, InMemorySessionStore, SessionConflict, SessionEvent, SessionManager
from a2a_session_manager.context.compacted import hidden_digest as digest_of_visible
from a2a_session_manager.models.compaction import Compaction, digest
from a2a_session_manager.storage import compactions, ranges
from a2a_session_manager.storage.commit_records import EncodedCommit
from a2a_session_manager.storage.head_codec import decode_head, encode_head
from a2a_session_manager.storage.heads import copied
from a2a_session_manager.storage.read_records import HeadRecord
from a2a_session_manager.storage.records import (
    EncodedCompaction,
    EncodedEvent,
    PlacedSummary,
    SessionKey,
    StoredCompaction,
)
from tests.stores import OpenStore, open_store

__all__ = ["open_store"]

_LAST = 14
seqs = st.integers(1, _LAST)


def head_of(hidden: Iterable[int] = (), last_seq: int = _LAST) -> HeadRecord:
    found = HeadRecord(SessionKey((), "talk"), "creation", None, "talk", 1, 0, 0, last_seq=last_seq)
    found.hidden = ranges.merged((seq, seq) for seq in hidden)
    return found


few = st.integers(1, 10)
bounds_and_pins = st.tuples(few, few, st.sets(few, max_size=3))


@given(
    hidden=st.sets(seqs),
    bounds=st.lists(bounds_and_pins, max_size=3),
    placed=st.none() | seqs,
    last=st.none() | st.integers(0, _LAST),
)
def test_what_is_shown_is_what_is_visible_and_not_covered(
    hidden: set[int], bounds: list[tuple[int, int, set[int]]], placed: int | None, last: int | None
) -> None:
    head = head_of(hidden)
    for seq, (one, other, pins) in enumerate(bounds, 11):
        first, final = sorted((one, other))
        inside = tuple((pin, pin) for pin in sorted(pins) if first <= pin <= final)
        head.compactions.append(StoredCompaction(seq, first, final, inside))
    head.compactions.sort(key=lambda each: (-each.last, -each.seq))
    head.placed = [] if placed is None else [PlacedSummary(placed, 1)]

    found = compactions.shown(head, last)

    valid = [each for each in head.compactions if each.seq not in hidden]
    best = max(valid, key=lambda each: (each.last, each.seq), default=None)
    covered = set[int]()
    if best is not None:
        covered = set(range(best.first, best.last + 1)) - {pin for pin, _ in best.pins}
    end = 0 if best is None else best.last
    visible = [seq for seq in range(1, _LAST + 1) if seq not in hidden | covered]
    newest = [seq for seq in range(1, _LAST + 1) if seq not in hidden][-last:] if last else []
    wanted = {seq for seq in visible if seq <= end or last is None or seq in newest}
    wanted |= {seq for seq in (placed, None if best is None else best.seq) if seq in visible}
    assert found.compaction == best
    assert [seq for first, final in found.ranges for seq in range(first, final + 1)] == sorted(wanted)
    assert found.earlier_events == len(visible) - len(wanted)


@given(st.sets(seqs), seqs, seqs)
def test_the_digest_of_what_is_hidden_is_that_of_what_is_visible(hidden: set[int], one: int, other: int) -> None:
    first, last = sorted((one, other))
    visible = [seq for seq in range(first, last + 1) if seq not in hidden]

    told = compactions.hidden_digest(head_of(hidden).hidden, first, last)

    assert told == digest_of_visible(first, last, visible)
    assert (told == digest([])) == (len(visible) == last - first + 1)


def test_a_commit_ends_what_it_touches_and_adds_what_it_brings() -> None:
    head = head_of()
    head.compactions = [StoredCompaction(12, 3, 9), StoredCompaction(11, 3, 6)]
    made = EncodedCompaction("new", 1, 8, ((2, 2),))
    commit = EncodedCommit(events=[EncodedEvent("new", b"", None, None), EncodedEvent("other", b"", None, None)])
    commit.compactions = [made, EncodedCompaction("other")]

    compactions.apply(head, commit, hidden=[(8, 8)])

    assert head.compactions == [StoredCompaction(11, 3, 6)]  # the new one is touched by its own commit, too
    assert head.placed == [PlacedSummary(14, 8)]
    compactions.apply(head, commit, hidden=[], restored=[(9, 9)])
    assert head.compactions == [StoredCompaction(13, 1, 8, ((2, 2),)), StoredCompaction(11, 3, 6)]
    assert decode_head(encode_head(head), head.key) == head
    copy = copied(head, whole_head=True)
    head.compactions.clear()
    assert len(copy.compactions) == 2


async def test_a_summary_that_is_saved_with_its_session_covers_its_range(open_store: OpenStore) -> None:
    def summary(creation_id: str | None, last: int) -> SessionEvent[Any]:
        told = Compaction(1, last, (), creation_id or "", digest([]))
        return SessionEvent(message="summed up", type=EventType.SUMMARY, metadata=told.as_metadata())

    async with open_store() as store:
        session = await store.create("talk")
        await store.append(session, *(SessionEvent(message=f"said {number}") for number in range(4)))
        session.add_event(summary(session.creation_id, 3))
        await store.save(session)
        await store.append("talk", summary(session.creation_id, 4))  # by its id alone, nobody knows which is meant

    async with open_store() as cold, SessionManager(cold).open("talk") as chat:
        assert [each["content"] for each in await chat.messages()] == ["summed up", "said 3"]


async def test_a_summary_of_what_was_hidden_since_is_refused_in_a_batch_too() -> None:
    store = InMemorySessionStore()
    session = await store.create("talk")
    [event] = await store.append(session, SessionEvent(message="said"))
    told = Compaction(1, 1, (), session.creation_id or "", digest([]))
    await store.retract("talk", event.id)

    with pytest.raises(SessionConflict, match="summarised"):
        await store.append(
            session,
            SessionEvent(message="more"),
            SessionEvent(message="s", type=EventType.SUMMARY, metadata=told.as_metadata()),
        )
    assert len(await store.events("talk", include_retracted=True)) == 1
