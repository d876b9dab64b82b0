"""Forks in files: processes that make one at once, what they count of a response, and formats, old, newer and none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage.file import FileSessionStore, index, sidecars
from a2a_session_manager.storage.file.creation_records import creation_fields, creation_from, fork_fields
from a2a_session_manager.storage.file.framing import framed, read_frames
from a2a_session_manager.storage.file.stored_shapes import NONSENSE
from a2a_session_manager.testing.contract.counting_once import reply
from a2a_session_manager.testing.contract.making import said
from tests.storage.file.forked import LARGE, check, grow, texts
from tests.storage.file.processes.common import covered_bytes, file_of, write_checkpoints_every
from tests.storage.file.remotes import Remote, many_remotes


@pytest.fixture
def four_remotes(tmp_path: Path) -> Iterator[list[Remote]]:
    with many_remotes(tmp_path, 4) as made:
        yield made


async def test_processes_that_fork_one_session_at_one_point_with_one_id_make_one_fork(
    tmp_path: Path, four_remotes: list[Remote]
) -> None:
    async with FileSessionStore(tmp_path) as store:
        await store.create("root")
        await grow(store, "root", texts(1, 6))
        for number in range(3):
            name = f"fork {number}"
            made = await asyncio.gather(*(remote.do("fork", "root", 4, name) for remote in four_remotes))
            assert len(set(made)) == 1, made
            await check(store, name, texts(1, 4))
            asked = [
                asyncio.to_thread(remote.ask, "fork", "root", at, f"one of {number}")
                for at, remote in enumerate(four_remotes, 1)
            ]
            refused = [each["error"] for each in await asyncio.gather(*asked) if "error" in each]
            assert refused == ["SessionAlreadyExists"] * 3

    async with FileSessionStore(tmp_path) as cold:
        assert sorted(await cold.forks("root")) == sorted([*texts(0, 2, "fork "), *texts(0, 2, "one of ")])


# --- responses that were counted ---


async def _make_counted(store: FileSessionStore) -> list[int]:
    """Record usages of one response among much else; return the tokens that are counted of it after each event."""
    counted, most = [], 0
    await store.create("root")
    for number, tokens in enumerate((0, 5, 0, 7, 8, 0, 9, 10, 6, 12, 0)):
        most = max(most, tokens)
        event = reply("msg", tokens) if tokens else said(LARGE, id=f"e{number}")
        await store.append("root", event)
        counted.append(most)
    await store.append("root", reply("msg", 13), reply("msg", 14), said(id="last"))
    return [*counted, 13, 14, 14]


async def _check_counted(directory: Path, counted: Sequence[int], name: str) -> None:
    async with FileSessionStore(directory) as cold:
        for at, tokens in enumerate(counted, 1):
            fork = f"{name} {at}"
            await cold.fork("root", at=at, new_id=fork)
            await cold.fork(fork, new_id=f"{fork} again")
            for each in (fork, f"{fork} again"):
                await cold.append(each, reply("msg", 20), reply("msg", 15), reply("other", 1))
                total = (await cold.usage(each)).total
                assert total.prompt_tokens == 20 - tokens + 1, (each, total)
                assert total.requests == (1 if tokens else 2), each
                assert total.repeated_requests == (2 if tokens else 1), each
        assert (await cold.usage("root")).total.prompt_tokens == 14


@pytest.mark.parametrize("checkpoints", [500, 1_200, 100_000])
async def test_a_fork_counts_of_a_response_what_exceeds_what_was_counted_up_to_its_border(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoints: int
) -> None:
    write_checkpoints_every(monkeypatch, checkpoints)
    async with FileSessionStore(tmp_path) as store:
        counted = await _make_counted(store)

    await _check_counted(tmp_path, counted, "f")


async def test_tables_of_an_earlier_release_which_name_the_newest_usage_alone_mislead_no_fork(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoints_every(monkeypatch, 2_000)
    with monkeypatch.context() as patch:
        recent_ids = index.LogIndex._recent_ids

        def newest_alone(self: index.LogIndex, covered_seqs: int) -> Iterator[tuple[int, int]]:
            self._recent_responses = {name: usages[-1:] for name, usages in self._recent_responses.items()}
            return recent_ids(self, covered_seqs)

        patch.setattr(index.LogIndex, "_recent_ids", newest_alone)
        patch.setattr(sidecars, "_EVERY", None)
        async with FileSessionStore(tmp_path) as store:
            counted = await _make_counted(store)
    assert await asyncio.to_thread(covered_bytes, tmp_path, "root") > 0

    await _check_counted(tmp_path, counted, "f")


# --- what older and newer releases read ---


async def test_only_what_tells_of_a_fork_names_the_newer_format(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as store:
        await store.create("root", change=SessionChange(events=[said(id="e1")]))
        await store.create("child", parent_id="root")
        await store.fork("root", new_id="fork")

    def versions(path: Path) -> list[int | None]:
        return [json.loads(frame.payload.partition(b"\t")[0]).get("v") for frame in read_frames(path.read_bytes(), 0)]

    found = {name: await asyncio.to_thread(versions, file_of(tmp_path, name)) for name in ("root", "child", "fork")}
    assert found == {"root": [1], "child": [1], "fork": [2]}
    assert await asyncio.to_thread(versions, file_of(tmp_path, "root", ".tree")) == [1, None, 2]


@pytest.mark.parametrize("suffix", [".log", ".tree"])
async def test_a_format_newer_than_that_of_forks_is_refused(tmp_path: Path, suffix: str) -> None:
    async with FileSessionStore(tmp_path) as store:
        await store.create("root", change=SessionChange(events=[said(id="e1")]))
        await store.fork("root", new_id="fork")
    path = file_of(tmp_path, "fork" if suffix == ".log" else "root", suffix)
    frames = read_frames(await asyncio.to_thread(path.read_bytes), 0)
    newer = b"".join(framed(frame.payload.replace(b'"v":2', b'"v":4')) for frame in frames)
    await asyncio.to_thread(path.write_bytes, newer)

    async with FileSessionStore(tmp_path) as store:
        with pytest.raises(CorruptSession, match="format 4 by a newer release: upgrade"):
            await store.get("fork")


FORK = {
    "from": ["root", "c", 4],
    "segments": [["root", "c", 1, 4, 0, 7]],
    "hidden": [],
    "compactions": [],
    "placed": [],
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"from": ["root", "c"]},
        {"from": ["root", "c", "4"]},
        {"from": ["root", "c", 5]},
        {"segments": []},
        {"segments": [["other", "c", 1, 4, 0, 7]]},
        {"segments": [["root", "c", 2, 4, 0, 7]]},
        {"segments": [["root", "c", 1, 3, 0, 7]]},
        {"segments": [["root", "c", 1, 4, -1, 7]]},
        {"segments": [["root", "c", 1, 4, 0, 1 << 32]]},
        {"segments": [["root", "c", 1, 4, 0]]},
        {"segments": [["top", "c", 1, 2, 0, 7], ["root", "c", 3, 4, 0, 7]]},
        {"hidden": [[1, 5]]},
        {"compactions": [[5, 1, 2, []]]},
        {"compactions": [[4, 1, 3, [[4, 4]]]]},
        {"placed": [[4, 5]]},
        {"more": 1},
    ],
)
def test_nonsense_for_a_fork_is_refused(wrong: dict[str, Any]) -> None:
    fields = ["", "fork", "d", 1, "root", "root", "c", 2, None]
    creation = creation_from(fields, FORK)
    assert (creation_fields(creation), json.loads(json.dumps(fork_fields(creation)))) == (fields, FORK)

    with pytest.raises(NONSENSE):
        creation_from(fields, FORK | wrong)
