"""Events that are taken from stretches of a log: those that were written, or none."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager.storage.commit_records import EncodedCommit
from a2a_session_manager.storage.file import record_blocks
from a2a_session_manager.storage.file.commit_lines import encode_line
from a2a_session_manager.storage.file.event_columns import EventColumns
from a2a_session_manager.storage.file.framing import framed
from a2a_session_manager.storage.file.record_blocks import RecordBlocks
from a2a_session_manager.storage.read_records import RecordBlock
from a2a_session_manager.storage.records import EncodedEvent
from tests.draws import few

Framed = Callable[[bytes], bytes]


def _without_length(payload: bytes) -> bytes:
    return b"\n%08x %b\n" % (zlib.crc32(payload), payload)


def _for_disk(payload: bytes) -> bytes:
    return framed(payload, 4_096)


FRAMINGS: list[Framed] = [framed, _for_disk, _without_length]


def _events(first_seq: int, count: int) -> list[EncodedEvent]:
    return [EncodedEvent(f"e{seq}", b'{"n":%d}' % seq, None, None) for seq in range(first_seq, first_seq + count)]


def _record(revision: int, first_seq: int, count: int, in_frame: Framed = framed) -> bytes:
    commit = EncodedCommit(events=_events(first_seq, count), written_at=1, write_id=None if count else "w")
    return in_frame(encode_line(commit, revision, first_seq, commit.events))


def _records(counts: Sequence[int], framings: Sequence[Framed] = (framed,)) -> list[bytes]:
    """Return the records of commits with so many events each, from the seq 1 on."""
    return [
        _record(number + 1, sum(counts[:number]) + 1, count, framings[number % len(framings)])
        for number, count in enumerate(counts)
    ]


def _taken(data: bytes, first: int, last: int) -> tuple[int, EventColumns]:
    found = EventColumns(first, [], [])
    return found.take(data, last), found


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.permutations(FRAMINGS), st.data())
@settings(deadline=None)
def test_of_all_events_those_that_are_wanted_are_taken_with_their_revisions(
    counts: list[int], framings: list[Framed], data: st.DataObject
) -> None:
    last_seq = sum(counts)
    first = data.draw(st.integers(1, last_seq + 1))
    last = data.draw(st.integers(first - 1, last_seq))
    _, found = _taken(b"".join(_records(counts, framings)), first, last)

    revisions = [number for number, count in enumerate(counts, 1) for _ in range(count)]
    assert found.data == [b'{"n":%d}' % seq for seq in range(first, last + 1)]
    assert found.revisions == revisions[first - 1 : last]


def test_what_is_cut_off_anywhere_is_taken_up_to_its_last_whole_record() -> None:
    records = _records([3, 1, 0, 2], FRAMINGS)
    ends = [len(b"".join(records[:count])) for count in range(len(records) + 1)]
    data = b"".join(records)

    for size in range(len(data)):
        taken, found = _taken(data[:size], 1, 6)
        assert taken == max(end for end in ends if end <= size)
        assert len(found.data) == sum([3, 1, 0, 2][: ends.index(taken)])


@pytest.mark.parametrize("in_frame", FRAMINGS)
def test_no_bit_that_is_flipped_changes_an_event_and_what_stands_before_it_is_taken(in_frame: Framed) -> None:
    before, damaged, after = _records([2, 2, 2], [in_frame])

    for at in range(len(damaged)):
        for bit in range(8):
            flipped = damaged[:at] + bytes([damaged[at] ^ (1 << bit)]) + damaged[at + 1 :]
            taken, found = _taken(before + flipped + after, 1, 6)
            assert (taken, found.data) == (len(before), [b'{"n":1}', b'{"n":2}'])
            found = EventColumns(3, [], [])
            with pytest.raises(ValueError, match="no record"):
                found.take(flipped + after, 6)
            assert found.data == []


def test_a_record_whose_length_is_not_its_own_is_none() -> None:
    payload = encode_line(EncodedCommit(events=_events(1, 1), written_at=1), 1, 1, _events(1, 1))
    length = b"%x " % (len(payload) + 1)
    wrong = b"\n%08x %b%b\n" % (zlib.crc32(length + payload), length, payload)

    with pytest.raises(ValueError, match="no record"):
        _taken(wrong, 1, 1)


def test_the_record_of_later_events_is_not_taken_for_the_one_that_comes_next() -> None:
    with pytest.raises(ValueError, match="no record"):
        _taken(_record(3, 11, 2), 10, 12)

    taken, found = _taken(_record(3, 9, 2) + _record(4, 12, 1), 10, 12)
    assert (taken, found.data) == (len(_record(3, 9, 2)), [b'{"n":10}'])


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.permutations(FRAMINGS), st.data())
@settings(deadline=None, max_examples=few(50, of=1_000))
def test_side_by_side_the_same_events_are_taken_and_the_same_damage_ends_them(
    counts: list[int], framings: list[Framed], data: st.DataObject
) -> None:
    last_seq = sum(counts)
    first = data.draw(st.integers(1, last_seq + 1))
    last = data.draw(st.integers(first, last_seq + 1))
    lines = _records(counts, framings)
    records = bytearray(b"".join(lines[data.draw(st.integers(0, len(lines) - 1)) :]))
    for _ in range(data.draw(st.integers(0, 1))):
        records[data.draw(st.integers(0, len(records) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    log = bytes(records[: data.draw(st.integers(0, len(records)) | st.just(len(records)))])
    columns, blocks = EventColumns(first, [], []), RecordBlocks(first)

    assert _outcome(columns.take, log, last) == _outcome(blocks.take, log, last)
    assert (columns.next_seq, columns.data) == (blocks.next_seq, _divided(blocks.blocks))


def test_a_long_stretch_is_taken_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_blocks, "_BLOCK_BYTES", 20)
    blocks = RecordBlocks(1)
    blocks.take(b"".join(_records([2, 2, 2, 2, 1])), 9)

    assert [block.length for block in blocks.blocks] == [4, 4, 1]
    assert _divided(blocks.blocks) == [b'{"n":%d}' % seq for seq in range(1, 10)]


def _outcome(take: Callable[[bytes, int], int], log: bytes, last: int) -> int | str:
    try:
        return take(log, last)
    except ValueError as error:
        return str(error)


def _divided(blocks: Sequence[RecordBlock]) -> list[bytes]:
    events = [(block.length, block.data.split(b"\t")) for block in blocks]
    assert all(count == len(block) for count, block in events)
    return [event for _, block in events for event in block]
