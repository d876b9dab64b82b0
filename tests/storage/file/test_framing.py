"""Records in a file: what a killed process leaves is told from what was damaged."""

from __future__ import annotations

import random
import zlib

import pytest

from a2a_session_manager.storage.file.framing import DamagedFrameError, find_frames, framed, read_frames

PAYLOADS = [b'{"r":1}', b'{"r":2}\t{"text":"\xc3\xb8"}', b"{}", b"x" * 300]
WHOLE = b"".join(framed(payload, synced) for payload, synced in zip(PAYLOADS, (None, 0, 4_096, None), strict=True))


def _payloads(data: bytes) -> list[bytes]:
    return [frame.payload for frame in read_frames(data, 0)]


def test_records_come_back_with_their_places_and_with_what_they_say_was_on_disk() -> None:
    frames = read_frames(WHOLE, 100)

    assert [frame.payload for frame in frames] == PAYLOADS
    assert [frame.synced for frame in frames] == [None, 0, 4_096, None]
    assert [frame.start for frame in frames[1:]] == [frame.end for frame in frames[:-1]]
    assert (frames[0].start, frames[-1].end) == (100, 100 + len(WHOLE))


def test_any_prefix_is_whole_records_and_a_torn_tail() -> None:
    ends = [frame.end for frame in read_frames(WHOLE, 0)]

    for size in range(len(WHOLE)):
        assert _payloads(WHOLE[:size]) == PAYLOADS[: sum(end <= size for end in ends)]


def test_any_flipped_bit_is_damage_and_the_records_before_it_are_told() -> None:
    frames = read_frames(WHOLE, 0)

    for at in range(len(WHOLE)):
        before = [frame for frame in frames if frame.end <= at]
        for bit in range(8):
            flipped = WHOLE[:at] + bytes([WHOLE[at] ^ (1 << bit)]) + WHOLE[at + 1 :]
            with pytest.raises(DamagedFrameError) as damaged:
                read_frames(flipped, 0)
            # A newline between two records belongs to both: the damage may show at the end of the first.
            assert damaged.value.frames in (before, before[:-1])
            assert damaged.value.offset == (damaged.value.frames[-1].end if damaged.value.frames else 0)


@pytest.mark.parametrize("filled_with", ["zeros", "garbage", "text"])
def test_an_end_that_was_overwritten_is_no_torn_tail(filled_with: str) -> None:
    source = random.Random(7)

    for start in range(len(WHOLE)):
        size = len(WHOLE) - start
        filling = {
            "zeros": bytes(size),
            "garbage": source.randbytes(size).replace(b"\n", b"x"),
            "text": b"y" * size,
        }[filled_with]
        with pytest.raises(DamagedFrameError):
            read_frames(WHOLE[:start] + filling, 0)


@pytest.mark.parametrize(
    "more", [b"\0", b"\n\0", b"\n\0\0\0\0", b"garbage", b"\n\n", b"\ngarbage", b"\n1234567z", b"\xff"]
)
def test_what_no_writer_appends_is_damage(more: bytes) -> None:
    with pytest.raises(DamagedFrameError) as damaged:
        read_frames(WHOLE + more, 0)

    assert damaged.value.offset == len(WHOLE)
    assert len(damaged.value.frames) == len(PAYLOADS)


def test_records_without_a_length_are_read_as_they_were_written() -> None:
    payload = b'{"r":1,"s":1}\t{}'
    older = b"\n%08x %b\n" % (zlib.crc32(payload), payload)

    assert _payloads(older + WHOLE) == [payload, *PAYLOADS]
    for size in range(1, len(older)):
        assert _payloads(WHOLE + older[:size]) == PAYLOADS
    with pytest.raises(DamagedFrameError):
        read_frames(older[:-1] + b"x", 0)
    with pytest.raises(DamagedFrameError):
        read_frames(older[:20] + b"\0" * 5, 0)


@pytest.mark.parametrize("rest", [b"zz {}", b"2", b"", b"3 {}", b"2@ {}", b"2@zz {}"])
def test_the_right_checksum_over_nonsense_is_damage(rest: bytes) -> None:
    with pytest.raises(DamagedFrameError):
        read_frames(b"\n%08x %b\n" % (zlib.crc32(rest), rest), 0)


def test_whole_records_are_found_after_whatever_was_lost() -> None:
    lost = bytes(5_000) + b'\n{"half'

    assert [frame.payload for frame in find_frames(lost + WHOLE[3:] + lost + WHOLE, 0)] == [*PAYLOADS[1:], *PAYLOADS]
