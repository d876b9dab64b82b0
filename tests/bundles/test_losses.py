"""What does not come along is said; what is flattened was spent elsewhere; a damaged middle is left out."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from a2a_session_manager import InMemorySessionStore, SessionManager
from a2a_session_manager.testing.contract.making import ids, spending
from a2a_session_manager.testing.contract.tree_to_move import bundle_of, make_tree
from tests.draws import few
from tests.redis_servers.server import RedisServer

AIRLINE = Path(__file__).parents[3] / "shared" / "data" / "airline_transcripts.jsonl"


async def test_a_fork_that_is_moved_alone_takes_its_events_along_and_was_paid_for_in_its_source() -> None:
    here, there = InMemorySessionStore(), InMemorySessionStore()
    await make_tree(here)

    report = await SessionManager(here).copy(there, "again")

    assert [(loss.session_id, loss.code) for loss in report.losses] == [("again", "flattened")]
    assert [each.id for each in report.sessions] == ["again", "again again"]
    for session_id in ("again", "again again"):
        assert ids(await there.events(session_id)) == ids(await here.events(session_id))
        assert (await there.usage(session_id)) == (await here.usage(session_id))
        async with SessionManager(here).open(session_id) as one, SessionManager(there).open(session_id) as other:
            assert list(await one.messages()) == list(await other.messages())
    assert await there.tree("again") == [("again", None), ("again again", "again")]
    both = [(await bundle_of(here, "again")).splitlines(), (await bundle_of(there)).splitlines()]
    assert both[0][:-1] == both[1][:-1]


async def test_a_child_is_a_root_where_its_parent_is_not_and_what_deleted_sessions_spent_stays_behind() -> None:
    here, there = InMemorySessionStore(), InMemorySessionStore()
    await make_tree(here)
    await here.create("gone", parent_id="trip")
    await here.append("gone", spending(5))
    await here.delete("gone")

    child = await SessionManager(here).copy(there, "trip/flights")
    tree = await SessionManager(here).export_bundle(_Nowhere(), "trip")

    assert [(loss.code, loss.text) for loss in child.losses] == [
        ("parent", "its parent 'trip' stays behind: it is a root")
    ]
    assert (await there.tree("trip/flights")) == [("trip/flights", None)]
    [loss] = tree.losses
    assert (loss.session_id, loss.code) == ("trip", "deleted_spend")
    assert loss.text.startswith("1 requests of deleted sessions")


async def test_budgets_stay_where_they_are() -> None:
    here, there = SessionManager(InMemorySessionStore()), SessionManager(InMemorySessionStore())
    await here.create("talk")
    await here.create("kid", parent_id="talk")
    await here.set_budget("kid", "daily", tokens=100)

    report = await here.copy(there)

    assert [(loss.session_id, loss.code, loss.text) for loss in report.losses] == [
        ("kid", "budgets", "its budgets stay behind: 'daily'")
    ]
    assert await there.budgets("kid") == []


async def test_the_middle_of_a_damaged_log_ends_what_is_saved_of_it() -> None:
    store = InMemorySessionStore()
    await make_tree(store)
    backend: Any = store._open_backend
    stored = backend._sessions[store._key("trip")]
    stored.log[6] = stored.log[6][:-9]

    report = await SessionManager(store).salvage("trip", new_id="saved")

    assert [(each.new_id, each.events) for each in report.sessions] == [("saved", 6)]
    assert report.losses[0].text == f"{len(stored.log) - 6} of {len(stored.log)} events, from 7 on"
    assert ids(await store.events("saved")) == ["{}", "e1", "e3", "u2"]
    assert (await store.usage("saved")).total.requests == 1  # what was hidden was spent, and u2 is of one response
    fork = await SessionManager(store).salvage("again", new_id="saved fork")
    assert fork.sessions[0].events == 6
    assert (await store.usage("saved fork")).total.requests == 0


class _Nowhere:
    def write(self, data: bytes) -> None:
        """Take it."""


def _transcripts() -> list[tuple[str, list[Any]]]:
    if AIRLINE.exists():
        rows = [json.loads(line) for line in AIRLINE.read_text(encoding="utf-8").splitlines()]
        return [(row["id"], row["messages"]) for row in rows]
    words = ("Ü", "\u200f", "🛫", "{}", "a\tb")
    return [
        (f"talk-{number}", [{"role": "user", "content": f"{word} {turn}"} for turn, word in enumerate(words * 3)])
        for number in range(20)
    ]


async def test_transcripts_that_went_from_files_to_redis_and_back_are_the_same_bundle(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    transcripts = await asyncio.to_thread(_transcripts)
    urls = [f"file:{tmp_path / 'a'}", f"{redis_server.url}?key_prefix={tmp_path.name}:", f"file:{tmp_path / 'b'}"]
    managers = [SessionManager.from_url(url) for url in urls]
    first, middle, last = managers
    for session_id, messages in transcripts[:: 1 if len(transcripts) < 50 else few(4, of=1)]:
        async with first.open(session_id) as chat:
            await chat.append(*messages)

    for source, target in ((first, middle), (middle, last)):
        assert (await source.copy(target)).losses == []

    found = [await each.export_bundle(_Nowhere()) for each in managers]
    assert found[0] == found[1] == found[2]
    for each in managers:
        await each.aclose()
