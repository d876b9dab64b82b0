"""A copy taken while the store is in use, as the README says: the trees, then the logs, no sidecars."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from a2a_session_manager import FileSessionStore, SessionEvent

SIDECARS = shutil.ignore_patterns("*.ckpt*", "*.idx", "*.ids.*", "new")
SESSIONS = 20


def back_up(source: Path, target: Path) -> None:
    """What the README's commands do."""
    for folder in ("trees", "logs"):
        shutil.copytree(source / "default" / folder, target / "default" / folder, ignore=SIDECARS)
    shutil.copy(source / "format.json", target / "format.json")


async def write(store: FileSessionStore, session_id: str, stop: asyncio.Event) -> None:
    number = 0
    while not stop.is_set():
        number += 1
        await store.append(session_id, SessionEvent(id=f"{session_id}-{number}", message="x" * 2_000))


async def test_a_copy_taken_while_writers_go_on_holds_every_session_up_to_some_commit(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    stop = asyncio.Event()
    async with FileSessionStore(source) as store:
        await store.create("root")
        for number in range(SESSIONS):
            await store.create(f"s{number}", parent_id="root")
        before = {f"s{number}": await store.append(f"s{number}", SessionEvent(message="first")) for number in range(20)}
        writers = [asyncio.create_task(write(store, session_id, stop)) for session_id in before]
        await asyncio.to_thread(back_up, source, target)
        stop.set()
        await asyncio.gather(*writers)

    async with FileSessionStore(target) as copy:
        sessions = [await copy.get(session_id) for session_id in before]
        assert all(session is not None for session in sessions)
        for session in sessions:
            assert session is not None
            numbers = [event.id for event in session.events[1:]]
            assert numbers == [f"{session.id}-{number}" for number in range(1, len(numbers) + 1)]
        assert await copy.children("root") == list(before)
        await copy.append("s0", SessionEvent(message="after the backup"))
