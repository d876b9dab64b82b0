"""Reading what retractions have left of a log: the right events, and each record once."""

from __future__ import annotations

import asyncio
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager import FileSessionStore
from a2a_session_manager.storage.file import whole_lines
from a2a_session_manager.testing.contract.making import ids, said, several, whole


async def test_a_record_is_read_once_however_many_of_its_events_are_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FileSessionStore(tmp_path) as store:
        await store.create("talk")
        for number in range(3):
            await store.append("talk", *several(200, f"{number}-"))
        await store.retract("talk", *[f"{number}-{n}" for number in range(3) for n in range(1, 200, 2)])
    reads: list[int] = []

    def counted(record: memoryview) -> int:
        reads.append(len(record))
        return zlib.crc32(record)

    monkeypatch.setattr(whole_lines, "crc32", counted)
    async with FileSessionStore(tmp_path) as again:
        tail = await again.read_messages("talk")
        assert len(reads) <= 4  # the creation's is one
        few = await again.read_messages("talk", last=150)
        assert len(reads) <= 6

    assert [each.id for each in tail.messages] == [f"{number}-{n}" for number in range(3) for n in range(2, 201, 2)]
    assert (few.messages, few.earlier_events) == (tail.messages[-150:], 150)


@given(
    st.lists(st.tuples(st.integers(1, 12), st.sampled_from([1, 9_000])), min_size=1, max_size=6),
    st.sets(st.integers(1, 40)),
    st.integers(0, 40),
)
@settings(max_examples=25, deadline=None)
def test_what_retractions_have_left_is_read_whole_and_in_order(
    commits: list[tuple[int, int]], hidden: set[int], last: int
) -> None:
    async def one(directory: Path) -> None:
        async with FileSessionStore(directory) as store:
            await store.create("talk")
            count = 0
            for events, size in commits:
                await store.append("talk", *[said("x" * size, id=f"{count + n}") for n in range(1, events + 1)])
                count += events
            if gone := [f"{seq}" for seq in hidden if seq <= count]:
                await store.retract("talk", *gone)
        left = [f"{seq}" for seq in range(1, count + 1) if seq not in hidden]
        async with FileSessionStore(directory) as again:
            assert ids((await whole(again, "talk")).events) == left
            tail = await again.read_messages("talk", last=last)
        assert [each.id for each in tail.messages] == left[max(len(left) - last, 0) :]

    with TemporaryDirectory() as directory:
        asyncio.run(one(Path(directory) / "sessions"))
