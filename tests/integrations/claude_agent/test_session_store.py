"""ClaudeSessionStore beyond the SDK's own suite: retries, processes, usage, bad input."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from claude_agent_sdk import ClaudeSDKError, fold_session_summary
from claude_agent_sdk.testing import run_session_store_conformance

from a2a_session_manager import CorruptSession, InvalidSessionOperation, SessionManager, StoreUnavailable
from a2a_session_manager.integrations.claude_agent import ClaudeSessionStore
from a2a_session_manager.sync import SyncSessionManager
from tests.integrations.bridging import BAD_IDS, ODD_IDS, Losing, finished, killed_after, sessions
from tests.stores import shared_url, url

__all__ = ["sessions", "shared_url", "url"]

KEY: Any = {"project_key": "-home-ann", "session_id": "5f0c"}
SUB: Any = {**KEY, "subpath": "subagents/agent-1"}


def at(**fields: Any) -> Any:
    return {**KEY, **fields}


def line(number: int, **fields: Any) -> Any:
    return {"type": "user", "uuid": f"u{number}", "message": {"content": f"line {number}"}, **fields}


def answer(number: int, *, id: str, output: int, **fields: Any) -> Any:
    usage = {"input_tokens": 100, "output_tokens": output}
    message = {"id": id, "model": "claude-sonnet-4-5", "role": "assistant", "content": [], "usage": usage}
    return {"type": "assistant", "uuid": f"a{number}", "message": message, **fields}


async def uuids(store: ClaudeSessionStore, key: Any = KEY) -> list[str]:
    return [entry.get("uuid", "") for entry in await store.load(key) or []]


async def test_the_sdks_conformance_suite(url: str) -> None:
    opened: list[SessionManager] = []

    async def fresh() -> ClaudeSessionStore:
        opened.append(SessionManager.from_url(url))
        return ClaudeSessionStore(opened[-1].namespace(f"n{len(opened)}"))

    await run_session_store_conformance(fresh)

    for each in opened:
        await each.aclose()


def test_the_sdks_conformance_suite_under_trio() -> None:
    trio = pytest.importorskip("trio")
    with SyncSessionManager.from_url("memory:") as sessions:
        number = iter(range(1_000))
        trio.run(run_session_store_conformance, lambda: ClaudeSessionStore(sessions.namespace(f"n{next(number)}")))


async def test_an_entry_is_stored_once_by_its_uuid_and_the_first_counts(sessions: SessionManager) -> None:
    store = ClaudeSessionStore(sessions)
    await store.append(KEY, [line(1), line(2)])
    before = await store.list_session_summaries(KEY["project_key"])

    await store.append(KEY, [line(1), line(2, customTitle="late")])
    assert await store.list_session_summaries(KEY["project_key"]) == before
    tag: Any = {"type": "tag", "tag": "x"}
    await store.append(KEY, [line(2), line(3), line(3), tag, tag])

    assert await uuids(store) == ["u1", "u2", "u3", "", ""]


async def test_a_lost_reply_doubles_nothing_also_without_a_uuid(sessions: SessionManager) -> None:
    losing = Losing(sessions)
    store = ClaudeSessionStore(sessions)
    batch = [line(1), {"type": "tag", "tag": "x"}]
    causes: list[Any] = []

    for key in (KEY, SUB):
        for replies in (1, 2, 3):
            losing.lose(replies)
            for _ in range(3):  # as the SDK does
                try:
                    await store.append(key, batch)
                    break
                except ClaudeSDKError as error:
                    causes.append(type(error.__cause__))
            losing.lose(0)
            assert [entry["type"] for entry in await store.load(key) or []] == ["user", *["tag"] * replies]
    assert set(causes) == {StoreUnavailable}


async def test_a_cancelled_append_is_whole_or_absent_and_its_retry_adds_nothing(sessions: SessionManager) -> None:
    store = ClaudeSessionStore(sessions)
    batch = [line(1), {"type": "tag", "tag": "x"}]
    for turns in range(6):
        appending = asyncio.create_task(store.append(at(session_id=f"s{turns}"), batch))
        for _ in range(turns):
            await asyncio.sleep(0)
        appending.cancel()
        await asyncio.gather(appending, return_exceptions=True)
        if appending.cancelled():
            await store.append(at(session_id=f"s{turns}"), batch)
        assert await store.load(at(session_id=f"s{turns}")) == batch


async def test_the_lines_of_one_response_are_counted_once_and_sub_agents_in_the_tree(sessions: SessionManager) -> None:
    store = ClaudeSessionStore(sessions)
    await store.append(KEY, [line(1), answer(1, id="m1", output=1), answer(2, id="m1", output=40)])
    await store.append(SUB, [answer(3, id="m2", output=7)])
    await store.append(KEY, [answer(2, id="m1", output=40), answer(4, id="m1", output=2)])
    await store.append(KEY, [answer(5, id="m9", output=9, forkedFrom={"sessionId": "x"})])

    session_id = store.session_id("-home-ann", "5f0c")
    own, tree = await sessions.usage(session_id), await sessions.usage(session_id, tree=True)
    assert (own.total.requests, own.total_prompt_tokens, own.total_completion_tokens) == (1, 100, 40)
    assert (tree.total.requests, tree.total_prompt_tokens, tree.total_completion_tokens) == (2, 200, 47)
    assert tree.total_estimated_cost_usd


async def test_a_sub_agent_may_come_before_its_main_transcript_which_is_not_listed_until_then(
    sessions: SessionManager,
) -> None:
    store = ClaudeSessionStore(sessions)
    await store.append(SUB, [line(1)])

    assert await store.list_sessions(KEY["project_key"]) == []
    assert await store.load(KEY) is None
    await store.append(KEY, [line(2)])
    assert [each["session_id"] for each in await store.list_sessions(KEY["project_key"])] == ["5f0c"]
    assert await store.list_subkeys(KEY) == ["subagents/agent-1"]


async def test_writers_at_once_lose_nothing_and_the_summary_knows_all(sessions: SessionManager) -> None:
    stores = [ClaudeSessionStore(sessions) for _ in range(3)]
    batches = [[line(10 * turn + each)] for turn in range(4) for each in range(3)]
    await asyncio.gather(*(stores[at % 3].append(KEY, batch) for at, batch in enumerate(batches)))

    assert sorted(await uuids(stores[0])) == sorted(batch[0]["uuid"] for batch in batches)
    [summary] = await stores[1].list_session_summaries(KEY["project_key"])
    assert summary["data"]["first_prompt"].startswith("line ")


async def test_a_summary_goes_on_from_that_of_another_writer(sessions: SessionManager) -> None:
    one, two = ClaudeSessionStore(sessions), ClaudeSessionStore(sessions)
    title: Any = {"type": "custom-title", "customTitle": "Oslo"}
    await one.append(KEY, [line(1)])
    await two.append(KEY, [title])
    await one.append(KEY, [line(2, gitBranch="main")])
    await two.append(KEY, [line(3), line(2)])

    [summary] = await ClaudeSessionStore(sessions).list_session_summaries(KEY["project_key"])
    expected = None
    for entry in await one.load(KEY) or []:
        expected = fold_session_summary(expected, KEY, [entry])
    assert expected is not None
    assert summary["data"] == expected["data"]
    assert "Oslo" in str(summary["data"])


@pytest.mark.parametrize("odd", ODD_IDS)
async def test_odd_ids_stay_apart_and_come_back(odd: str) -> None:
    async with SessionManager.from_url("memory:") as sessions:
        store = ClaudeSessionStore(sessions)
        for name in ("project_key", "session_id"):
            await store.append(at(**{name: odd}), [line(1)])
        await store.append(at(subpath=odd), [line(2)])

        assert [each["session_id"] for each in await store.list_sessions(odd)] == ["5f0c"]
        assert [each["session_id"] for each in await store.list_sessions("-home-ann")] == [odd]
        assert await store.list_subkeys(KEY) == [odd]
        assert await store.load(KEY) is None


@pytest.mark.parametrize("bad", [*BAD_IDS, None])
async def test_bad_keys_are_the_sdks_errors_with_ours_inside(bad: Any) -> None:
    async with SessionManager.from_url("memory:") as sessions:
        store = ClaudeSessionStore(sessions)
        for name in ("project_key", "session_id"):
            with pytest.raises(ValueError, match=r"key|id") as caught:
                await store.append(at(**{name: bad}), [line(1)])
            assert isinstance(caught.value.__cause__, InvalidSessionOperation)
        for entry in (["no object"], {"type": "x", "uuid": "u", "deep": float("nan")}):
            with pytest.raises(ValueError, match=r"entry|NaN|nan"):
                await store.append(KEY, [line(1), entry])  # type: ignore[list-item,unused-ignore]

        assert await sessions.list_sessions() == []


async def test_a_record_of_a_newer_release_is_refused_and_nothing_written(sessions: SessionManager) -> None:
    store = ClaudeSessionStore(sessions)
    session_id = store.session_id("-home-ann", "5f0c")
    await sessions.create(session_id, state={"claude_agent": {"v": 2, "rows": []}})

    with pytest.raises(ClaudeSDKError, match="newer release") as caught:
        await store.append(KEY, [line(1)])
    assert isinstance(caught.value.__cause__, CorruptSession)
    with pytest.raises(ClaudeSDKError, match="newer release"):
        await store.list_sessions("-home-ann")
    assert await sessions.events(session_id) == []


async def test_a_line_that_the_sdk_cannot_read_comes_back_as_it_is_and_the_others_are_shown(
    sessions: SessionManager,
) -> None:
    store = ClaudeSessionStore(sessions)
    odd: list[Any] = [
        {"type": "user", "uuid": "o1", "message": 7},
        {"type": ["assistant"], "uuid": "o2", "timestamp": "no time", "message": {"usage": "much", "content": None}},
        {"uuid": {"deep": 1}},
        {"type": "assistant", "uuid": "o3", "message": {"id": 4, "model": None, "usage": {"input_tokens": "many"}}},
    ]
    await store.append(KEY, [line(1), *odd, answer(1, id="m1", output=1)])

    assert await ClaudeSessionStore(sessions).load(KEY) == [line(1), *odd, answer(1, id="m1", output=1)]
    assert (await sessions.usage(store.session_id("-home-ann", "5f0c"))).total_completion_tokens == 1


WRITER = """
import asyncio, sys
from a2a_session_manager import SessionManager
from a2a_session_manager.integrations.claude_agent import ClaudeSessionStore

async def main(url, name, turns):
    async with SessionManager.from_url(url) as sessions:
        store = ClaudeSessionStore(sessions)
        for turn in range(turns):
            entries = [{"type": "user", "uuid": f"{name} {turn} {each}", "n": turn} for each in range(3)]
            await store.append({"project_key": "-home-ann", "session_id": "5f0c"}, entries)
            print("turn", turn, flush=True)

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


async def test_two_processes_on_one_transcript_keep_all_and_the_order_of_each(shared_url: str) -> None:
    await asyncio.gather(*(asyncio.to_thread(finished, WRITER, shared_url, name, "5") for name in ("a", "b")))

    async with SessionManager.from_url(shared_url) as sessions:
        found = await uuids(ClaudeSessionStore(sessions))
    for name in ("a", "b"):
        assert [each for each in found if each.startswith(name)] == [
            f"{name} {t} {e}" for t in range(5) for e in range(3)
        ]
    assert len(found) == 30


async def test_a_process_killed_between_turns_is_gone_on_with_by_another(shared_url: str) -> None:
    await asyncio.to_thread(killed_after, WRITER, "turn 2", shared_url, "a", "100")
    assert "turn 4" in await asyncio.to_thread(finished, WRITER, shared_url, "a", "5")

    async with SessionManager.from_url(shared_url) as sessions:
        found = await uuids(ClaudeSessionStore(sessions))
    assert found[:15] == [f"a {turn} {each}" for turn in range(5) for each in range(3)]
    assert len(found) == len(set(found))
    assert len(found) % 3 == 0
