"""The rows of the file store, against plain files that are given the same bytes without any promise."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import aiofiles
import aiofiles.os

from a2a_session_manager.storage.file import Durability, FileSessionStore
from a2a_session_manager.storage.store import BaseSessionStore
from benchmarks import (
    budgets,
    compacting,
    following,
    forking,
    large_commits,
    leases,
    moving,
    paging,
    scenarios,
    spending,
)
from benchmarks.least import grouped_file
from benchmarks.measure import Result, Sample, compared, outpaced
from benchmarks.payloads import Message, chat_messages, short_message
from benchmarks.scenarios import (
    Append,
    Case,
    Scenario,
    Sizes,
    an_event,
    at_least,
    at_most,
    encoded,
    encoding,
    grown,
    in_turn,
    together,
)

_COLD_TURNS = 3


async def append_against_hop(store: BaseSessionStore, sizes: Sizes, *, directory: Path, message: Message) -> Result:
    """Appending one by one against encoding the event and one executor hop that writes its bytes."""
    record = await _record(directory, message)
    session_id = await grown(store, 10)
    with _plain_file(directory, 0) as file:

        async def hop(place: int) -> None:
            await _write(file, record)

        async def encode_and_hop(place: int) -> None:
            await _write(file, encoded(message))

        async def append(place: int) -> None:
            await store.append(session_id, an_event(message))

        strategies = {
            "encode and hop": in_turn(encode_and_hop, sizes.operations),
            "hop": in_turn(hop, sizes.operations),
            "encode alone": encoding(message, sizes.operations),
            "append": in_turn(append, sizes.operations),
        }
        return await compared(strategies, turns=sizes.turns, is_watched=True)


async def together_against_aiofiles(
    store: BaseSessionStore, sizes: Sizes, *, directory: Path, is_apart: bool
) -> Result:
    """Many tasks at once, on one session or each on its own, against encoding, opening, writing, closing per append."""

    async def plain(place: int) -> None:
        data = encoded(short_message())
        async with aiofiles.open(_plain_path(directory, place), "ab") as file:
            await file.write(data)

    with grouped_file(directory / "grouped") as grouped:

        async def least(place: int) -> None:
            await grouped.append(encoded(short_message()))

        shown = {"least": together(least, sizes)}
        return await _together_against(plain, store, sizes, is_apart=is_apart, shown=shown)


async def together_against_synced(store: BaseSessionStore, sizes: Sizes, *, directory: Path, is_apart: bool) -> Result:
    """The same against encoding and one executor hop with a write and its fdatasync per append."""
    with ExitStack() as stack:
        files = [stack.enter_context(_plain_file(directory, place)) for place in range(sizes.tasks)]

        async def plain(place: int) -> None:
            await _write_synced(files[place], encoded(short_message()))

        return await _together_against(plain, store, sizes, is_apart=is_apart, shown={})


async def cold_open(store: BaseSessionStore, sizes: Sizes, *, directory: Path, has_checkpoint: bool) -> Result:
    """The last 20 events of the longest session, read by a store just opened, against those of a session of 100."""
    lengths = (100, sizes.lengths[-1])
    session_ids = [await grown(store, length) for length in lengths]
    if not has_checkpoint:
        for checkpoint in _sessions(directory).rglob("*.ckpt"):
            checkpoint.unlink()

    def opening(session_id: str) -> Sample:
        async def sample() -> float:
            start = time.perf_counter()
            async with FileSessionStore(_sessions(directory)) as cold:
                assert await cold.get(session_id, last=20) is not None
            return time.perf_counter() - start

        return sample

    strategies = {
        f"at {length:,}": opening(session_id) for length, session_id in zip(lengths, session_ids, strict=True)
    }
    # Without a checkpoint, each turn takes seconds.
    turns = sizes.turns if has_checkpoint else min(sizes.turns, _COLD_TURNS)
    return await compared(strategies, turns=turns, is_watched=True)


async def _together_against(
    plain: Append, store: BaseSessionStore, sizes: Sizes, *, is_apart: bool, shown: Mapping[str, Sample]
) -> Result:
    message = short_message()
    session_ids = [await grown(store, 10) for _ in range(sizes.tasks if is_apart else 1)]

    async def append(place: int) -> None:
        await store.append(session_ids[place], an_event(message))

    strategies = {
        "plain": together(plain, sizes, is_apart=is_apart),
        "encode alone": encoding(message, sizes.operations),
        **shown,
        "append": together(append, sizes, is_apart=is_apart),
    }
    return await outpaced(strategies, turns=sizes.turns)


async def _record(directory: Path, message: Message) -> bytes:
    """Return the bytes that the store writes for one event."""
    async with FileSessionStore(directory / "one record") as store:
        await store.append((await store.create()).id, an_event(message))
    (log,) = (directory / "one record").rglob("*.log")
    data = log.read_bytes()
    # Each record begins and ends with a newline.
    return data[data.rindex(b"\n\n") + 1 :]


@contextmanager
def _plain_file(directory: Path, place: int) -> Iterator[int]:
    file = os.open(_plain_path(directory, place), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        yield file
    finally:
        os.close(file)


def _plain_path(directory: Path, place: int) -> Path:
    return directory / f"plain-{place}"


def _sessions(directory: Path) -> Path:
    return directory / "sessions"


@aiofiles.os.wrap
def _write(file: int, record: bytes) -> None:
    os.write(file, record)


@aiofiles.os.wrap
def _write_synced(file: int, record: bytes) -> None:
    os.write(file, record)
    os.fdatasync(file)


async def _on_store(scenario: Scenario, sizes: Sizes) -> Result:
    with TemporaryDirectory() as directory:
        async with FileSessionStore(directory) as store:
            return await scenario(store, sizes)


async def _finding(scenario: Scenario, sizes: Sizes) -> Result:
    """Fill a row on a store that finds sessions by their owners."""
    with TemporaryDirectory() as directory:
        async with FileSessionStore(directory, indexed=paging.INDEXED) as store:
            return await scenario(store, sizes)


async def _on_two(scenario: Callable[..., Awaitable[Result]], sizes: Sizes) -> Result:
    """Fill a row that compares a store that finds nothing by properties with one that does."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        async with (
            FileSessionStore(directory / "plain") as plain,
            FileSessionStore(directory / "indexed", indexed=paging.INDEXED) as indexed,
        ):
            return await scenario(plain, indexed, sizes)


async def _beside_store(
    scenario: Callable[..., Awaitable[Result]], sizes: Sizes, *, durability: Durability = "process"
) -> Result:
    """Fill the row of a scenario that has files of its own, on the file system that the store is on."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        async with FileSessionStore(_sessions(directory), durability=durability) as store:
            return await scenario(store, sizes, directory=directory)


async def _reopened(scenario: Callable[..., Awaitable[Result]], sizes: Sizes) -> Result:
    """Fill the row of a scenario that also opens the store anew."""
    with TemporaryDirectory() as directory:
        async with FileSessionStore(directory) as store:
            return await scenario(store, sizes, cold_store=partial(FileSessionStore, directory))


_watched = partial(partial, is_watched=True)
_on_disk = partial(_beside_store, durability="disk")

CASES = [
    *(
        Case(
            f"file/append/{size}",
            at_most(2.0),
            partial(_beside_store, partial(append_against_hop, message=message)),
        )
        for size, message in chat_messages().items()
    ),
    Case("file/chat.user", at_most(1.35), partial(_on_store, scenarios.user_against_append)),
    Case("file/prompt/compacted", at_most(1.5), partial(_on_store, compacting.prompt_against_tail)),
    Case("file/append/compacted", at_most(1.05), partial(_on_store, compacting.commit_against_plain)),
    Case("file/append/by length", at_most(1.2), partial(_on_store, _watched(scenarios.append_by_length))),
    Case("file/append again/by length", at_most(1.2), partial(_on_store, _watched(scenarios.repeat_by_length))),
    Case("file/tail/by length", at_most(1.2), partial(_on_store, _watched(scenarios.tail_by_length))),
    Case("file/tail/of 20", at_most(1.5), partial(_on_store, scenarios.tail_against_whole)),
    Case(
        "file/64 tasks/one session",
        at_least(4.0),
        partial(_beside_store, partial(together_against_aiofiles, is_apart=False)),
    ),
    Case(
        "file/64 tasks/64 sessions",
        at_least(2.5),
        partial(_beside_store, partial(together_against_aiofiles, is_apart=True)),
    ),
    Case(
        "file/64 tasks, disk/one session",
        at_least(3.0),
        partial(_on_disk, partial(together_against_synced, is_apart=False)),
    ),
    Case(
        "file/64 tasks, disk/64 sessions",
        None,
        partial(_on_disk, partial(together_against_synced, is_apart=True)),
    ),
    Case("file/cold open", None, partial(_beside_store, partial(cold_open, has_checkpoint=True))),
    Case("file/cold open, no checkpoint", None, partial(_beside_store, partial(cold_open, has_checkpoint=False))),
    Case("file/append/priced usage", at_most(1.3), partial(_on_store, spending.append_with_usage)),
    Case("file/usage/by length", None, partial(_on_store, spending.usage_by_length)),
    Case("file/usage/by tree", None, partial(_on_store, spending.usage_by_tree)),
    Case("file/load", None, partial(_on_store, scenarios.load_against_decode)),
    Case("file/large commits/load", at_most(1.3), partial(_on_store, large_commits.load_by_commit_size)),
    Case("file/large commits/again", at_most(3.0), partial(_reopened, large_commits.again_against_first)),
    Case("file/large commits/retract", at_most(3.0), partial(_reopened, large_commits.retract_against_first)),
    Case("file/followers/processor", at_most(3.0), partial(_on_store, following.processor_of_idle_followers)),
    Case("file/followers/append", at_most(1.1), partial(_on_store, following.append_beside_idle_followers)),
    Case("file/bundle/export", at_most(1.2), moving.export_memory),
    Case("file/bundle/import", at_most(1.2), moving.import_memory),
    Case("file/forks/fork", at_most(3.0), partial(_on_store, forking.fork_against_append)),
    Case("file/forks/fork by length", at_most(1.2), partial(_on_store, forking.fork_by_length)),
    Case("file/forks/messages of 20", at_most(1.3), partial(_on_store, partial(forking.messages_of_fork, length=20))),
    Case(
        "file/forks/messages of 1,000",
        at_most(1.3),
        partial(_on_store, partial(forking.messages_of_fork, length=1_000)),
    ),
    Case("file/leases/append", at_most(1.1), partial(_on_store, leases.append_in_a_held_run)),
    Case("file/leases/heartbeats", at_most(2.0), partial(_on_store, leases.processor_of_heartbeats)),
    Case("file/budgets/hold and settle", at_most(2.0), partial(_on_store, budgets.hold_and_settle)),
    Case("file/budgets/large tree", at_most(15_000), partial(_on_store, budgets.admission_in_a_large_tree)),
    Case("file/budgets/append without", at_most(1.05), partial(_on_two, budgets.append_without_budgets)),
    Case("file/page/newest", at_most(5), partial(_finding, partial(paging.page_by_number, ask=paging.newest))),
    Case(
        "file/page/by owner",
        at_most(5),
        partial(_finding, partial(paging.page_by_number, ask=paging.newest_of_an_owner)),
    ),
    Case("file/page/in time", at_most(20_000), partial(_finding, partial(paging.page_in_time, ask=paging.newest))),
    Case("file/append/indexed", at_most(1.1), partial(_on_two, paging.append_to_indexed)),
    Case("file/create/indexed", at_most(1.3), partial(_on_two, paging.create_indexed)),
    Case("file/lateness/load", None, partial(_on_store, scenarios.lateness_of_load)),
    Case("file/lateness/commit", None, partial(_on_store, scenarios.lateness_of_commit)),
]
