"""Processes compact one session at once, append, retract and restore in it, and are killed: nothing is ever lost."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from a2a_session_manager import ActiveSession, SessionManager
from a2a_session_manager.context.view import MessageView
from a2a_session_manager.models.compaction import Compaction, compaction_in
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.storage import store_from_url
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.store import BaseSessionStore
from tests.context.rules import faults
from tests.storage.compactor import TURN_EVENTS, summarize
from tests.stores import url_of

ROOT = Path(__file__).parents[2]
NAMES = ("a", "b", "c")


@pytest.fixture(params=["file", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_of(request.param, request, tmp_path)


class _Crowd:
    """Processes that work until all is done; some are killed now and then, and go on."""

    def __init__(self, url: str, acks: Path, turns: int, compactions: int, kills: int) -> None:
        acks.touch()
        self._random = Random(turns)
        self._arguments = (str(turns), str(compactions), str(acks))
        self._url = url
        self._acks = acks
        self._kills = kills
        self.running = {name: self._start(name) for name in NAMES}

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.storage.compactor", self._url, name, *self._arguments]
        return subprocess.Popen(command, cwd=ROOT)

    def tend(self) -> None:
        for name, process in list(self.running.items()):
            if process.poll() is not None:
                assert process.returncode == 0
                del self.running[name]
            elif self._kills and self._random.random() < 0.3 and self._acks.stat().st_size:
                self._kills -= 1
                process.kill()
                process.wait()
                self.running[name] = self._start(name)


async def check_crowd(crowd: _Crowd, url: str) -> None:
    """Look at each step while a crowd works."""
    async with SessionManager.from_url(url) as sessions, sessions.open("talk") as chat:
        while crowd.running:
            await asyncio.sleep(0.1)
            await check_view(chat)
            await asyncio.to_thread(crowd.tend)


def check(url: str, acks: Path, *, turns: int, compactions: int, kills: int) -> None:
    asyncio.run(begin(url))
    asyncio.run(check_crowd(_Crowd(url, acks, turns, compactions, kills), url))
    asyncio.run(compact_once_more(url))
    done = {line for line in acks.read_text().splitlines() if "compacted" not in line}
    asyncio.run(check_result(url, done, turns))


async def begin(url: str) -> None:
    async with SessionManager.from_url(url) as sessions, sessions.open("talk") as chat:
        await chat.system("You know the weather.")


async def compact_once_more(url: str) -> None:
    """Leave a compaction that counts: by chance, the crowd's last retraction has ended all of its own."""
    async with SessionManager.from_url(url) as sessions, sessions.open("talk") as chat:
        assert any(event.type == EventType.SUMMARY for event in await chat.events(include_retracted=True))
        # There is something to gain, also where the crowd's last compaction counts and covers all that it said.
        await chat.user("And now?")
        await chat.assistant("It rains. " * 3)
        await chat.compact(summarize)


async def check_view(chat: ActiveSession) -> MessageView:
    view = await chat.messages(format="openai")
    assert faults("openai", view) == []
    assert view[0]["role"] == "system"
    return view


async def check_result(url: str, done: set[str], turns: int) -> None:
    async with store_from_url(url) as cold, SessionManager(cold).open("talk") as chat:
        log = await cold.events("talk", include_retracted=True)
        ids = [event.id for event in log]
        assert len(set(ids)) == len(ids)
        said = [f"{name} {number} {part}" for name in NAMES for number in range(turns) for part in range(TURN_EVENTS)]
        assert set(said) <= set(ids)
        assert done == set(said)

        valid = await compactions_that_count(cold)
        assert valid
        while valid:
            view = await check_view(chat)
            assert view.compaction == valid[-1][0]
            assert shown(view, valid[-1][1], await chat.messages(compacted=False))
            await chat.retract(log[valid.pop()[0] - 1].id)
        last = await check_view(chat)
        assert (last.compaction, bytes_of(last)) == (
            None,
            bytes_of(await chat.messages(format="openai", compacted=False)),
        )


def shown(view: MessageView, told: Compaction, whole: MessageView) -> bool:
    """Tell whether what comes after a compaction is what the whole log has there."""
    after = [seq for seq in dict.fromkeys(whole.seqs) if seq > told.last]
    return [seq for seq in dict.fromkeys(view.seqs) if seq > told.last and seq != view.compaction] == after


def bytes_of(view: MessageView) -> str:
    return json.dumps(list(view))


async def compactions_that_count(store: BaseSessionStore) -> list[tuple[int, Compaction]]:
    """Return those that nothing has ended, the furthest one last, by the log and what it tells of hidden events."""
    page = await store._open_backend.read_log(SessionKey((), "talk"), after=0, limit=2**31, max_bytes=2**40)
    assert page is not None
    assert page.is_last
    events = await store.events("talk", include_retracted=True)
    revisions = {event.seq: event.revision for event in page.events}
    valid: list[tuple[int, Compaction]] = []
    for event in events:
        told = compaction_in(event.type, event.metadata) if event.type == EventType.SUMMARY else None
        if told is None or event.seq is None or event.retracted:
            continue
        later = [each for each in page.retractions if each.revision >= revisions[event.seq]]
        touched = [(first, last) for each in later for first, last in (*each.hidden, *each.restored)]
        if not any(first <= told.last and last >= told.first for first, last in touched):
            valid.append((event.seq, told))
    return sorted(valid, key=lambda each: (each[1].last, each[0]))


def test_processes_that_compact_and_are_killed_lose_nothing(url: str, tmp_path: Path) -> None:
    check(url, tmp_path / "acks", turns=12, compactions=4, kills=3)


@pytest.mark.soak
def test_a_thousand_turns_compacted_thirty_times_by_three_that_are_killed(url: str, tmp_path: Path) -> None:
    check(url, tmp_path / "acks", turns=334, compactions=10, kills=60)
