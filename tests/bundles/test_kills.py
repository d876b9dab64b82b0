"""Moves by processes that are killed in the middle of a write, and done again: as if they had run once."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import pytest

from a2a_session_manager import SessionManager
from a2a_session_manager.bundles.sources import base_store
from a2a_session_manager.testing.contract.moving import check_moment
from a2a_session_manager.testing.contract.tree_to_move import make_tree
from tests.draws import few
from tests.redis_servers.server import RedisServer

ROOT = Path(__file__).parents[2]
Move = Callable[[str, str, str, int], int]


@pytest.fixture(scope="module")
def mover() -> Iterator[Move]:
    """Moves in a process of its own, and returns its exit status."""
    command = [sys.executable, "-m", "tests.bundles.mover"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def move(verb: str, source: str, target: str, kill_at: int) -> int:
            assert process.stdin is not None
            assert process.stdout is not None
            asked = {"verb": verb, "source": source, "target": target, "kill_at": kill_at}
            process.stdin.write(f"{json.dumps(asked)}\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield move
        process.stdin.close()


@pytest.fixture(params=["file", pytest.param("redis", marks=pytest.mark.soak)])
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Return a new store's URL each time."""

    def new_url() -> str:
        if request.param == "file":
            return f"file:{tmp_path / uuid4().hex}"
        server: RedisServer = request.getfixturevalue("redis_server")
        return f"{server.url}?key_prefix=test-{uuid4().hex}:"

    return new_url


async def _fill(url: str) -> None:
    async with SessionManager.from_url(url) as sessions:
        await make_tree(base_store(sessions.store))


async def _bundle(url: str, *, without_owner: bool = False, **ids: str) -> bytes:
    file = BytesIO()
    async with SessionManager.from_url(url) as sessions:
        if without_owner:
            await sessions.unset_properties("trip", "owner")
        await sessions.export_bundle(file, *ids.values())
    return file.getvalue()


def _killed_often(mover: Move, verb: str, source: str, target: str) -> int:
    """Do a move that is killed in its second write, and again in the next one's, until one comes to its end."""
    kills, kill_at = 0, 2
    while (status := mover(verb, source, target, kill_at)) != 0:
        assert status == -signal.SIGKILL
        kills += 1
        # By default it is killed a few times; in the long run at every write.
        kill_at = few(3 + kills * 3, of=2)
    return kills


# A claim makes all writes of an import and a copy, and deletes; it is killed by default.
@pytest.mark.parametrize(
    "verb", ["claim", *(pytest.param(verb, marks=pytest.mark.soak) for verb in ("import", "copy"))]
)
def test_a_move_that_is_killed_and_done_again_is_as_if_it_had_run_once(
    verb: str, urls: Callable[[], str], mover: Move, tmp_path: Path
) -> None:
    source, target = urls(), urls()
    asyncio.run(_fill(source))
    expected = asyncio.run(_bundle(source))
    path = tmp_path / "a.bundle"
    path.write_bytes(expected)

    kills = _killed_often(mover, verb, str(path) if verb == "import" else source, target)

    assert kills >= 2
    assert asyncio.run(_bundle(target, without_owner=verb == "claim")) == expected
    if verb == "claim":

        async def left() -> list[str]:
            async with SessionManager.from_url(source) as sessions:
                return await sessions.list_sessions()

        assert asyncio.run(left()) == []


def test_a_salvage_that_is_killed_and_done_again_is_as_if_it_had_run_once(mover: Move, tmp_path: Path) -> None:
    place = tmp_path / "store"
    asyncio.run(_fill(f"file:{place}"))
    [log] = place.glob("**/trip.log")
    data = bytearray(log.read_bytes())
    data[data.index(b'"id":"late5"') + 7] ^= 1
    log.write_bytes(data)

    async def once() -> None:
        async with SessionManager.from_url(f"file:{place}") as sessions:
            report = await sessions.salvage("trip", new_id="at once")
            assert report.events == 11  # the commit of late1 to late5 is damaged

    asyncio.run(once())
    _killed_often(mover, "salvage", f"file:{place}", f"file:{place}")

    both = [asyncio.run(_bundle(f"file:{place}", id=each)) for each in ("at once", "saved")]
    assert both[0].replace(b"at once", b"saved").count(b"\n") == both[1].count(b"\n")
    events = [[line for line in each.splitlines() if b'"event"' in line] for each in both]
    assert events[0] == events[1]
    assert log.read_bytes() == bytes(data)


@pytest.mark.soak
def test_copies_that_are_killed_while_four_processes_write_have_the_session_as_it_was_at_one_moment(
    urls: Callable[[], str], mover: Move
) -> None:
    source, target = urls(), urls()

    async def begin() -> None:
        async with SessionManager.from_url(source) as sessions:
            await sessions.create("busy")

    asyncio.run(begin())
    writers = [
        subprocess.Popen([sys.executable, "-m", "tests.bundles.writer", source, name], cwd=ROOT) for name in "abcd"
    ]
    try:
        for _ in range(5):
            target = urls()
            kill_at = 2
            while mover("copy", source, target, kill_at) != 0:
                kill_at += 3
            data = asyncio.run(_bundle(target))
            check_moment([json.loads(line) for line in data.splitlines()])
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
