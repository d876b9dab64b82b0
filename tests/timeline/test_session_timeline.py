"""What a page of a timeline holds, of every store: all sessions, events, marks and sums, and no secret."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager import (
    InMemorySessionStore,
    InvalidSessionOperation,
    SessionEvent,
    SessionManager,
    SessionNotFound,
    TokenUsage,
    session_timeline,
)
from tests.stores import OpenStore, open_store
from tests.timeline.trees import KEY, bad, data_of, hostile_tree, marked_tree

__all__ = ["open_store"]


async def page_of(open_store: OpenStore, **options: Any) -> dict[str, Any]:
    async with open_store() as store:
        await marked_tree(SessionManager(store))
    async with open_store() as store:
        return data_of(await session_timeline(SessionManager(store), "trip", **options))


async def test_a_page_holds_the_whole_tree_with_its_marks_and_sums(open_store: OpenStore) -> None:
    data = await page_of(open_store)

    by_id = {session["id"]: session for session in data["sessions"]}
    trip = by_id["trip"]
    assert list(by_id) == ["trip", "flights", "by-train"]
    assert (by_id["flights"]["parent"], by_id["by-train"]["fork"]) == ("trip", {"id": "trip", "seq": 3})
    assert [event["q"] for event in by_id["by-train"]["events"]] == [4, 5]  # what it has inherited is in `trip`
    assert [event["q"] for event in trip["events"] if "r" in event] == [4]
    assert [run["status"] for run in trip["runs"]] == ["completed", "failed"]
    assert trip["runs"][1]["error"] == "the bank does not answer"
    [summary] = [event for event in trip["events"] if "z" in event]
    assert trip["covered"] == [summary["q"], summary["z"]["last"]]
    assert data["spent"]["requests"] == 3
    assert (data["spent"]["unpriced"], by_id["flights"]["spent"]["cost"]) == (1, "0")
    assert "cost" not in by_id["flights"]["events"][-1]["u"]
    assert int(data["spent"]["cost"]) == 2 * int(trip["spent"]["cost"]) > 0


async def test_a_result_names_its_call(open_store: OpenStore) -> None:
    data = await page_of(open_store)

    [call, result, _] = data["sessions"][1]["events"]
    assert [part[0] for part in call["p"]] == ["call"]
    assert result["p"][0][5] == [call["q"], 0]


async def test_secrets_are_left_out_and_counted(open_store: OpenStore) -> None:
    data = await page_of(open_store)

    assert KEY not in str(data)
    assert data["redacted"] == {"API key": 1}
    assert data["sessions"][1]["events"][0]["x"] == 1


async def test_secrets_are_shown_where_that_is_asked_for(open_store: OpenStore) -> None:
    data = await page_of(open_store, redact=False)

    assert KEY in str(data)
    assert data["redacted"] is None


async def test_a_session_alone_comes_without_those_below_it_and_their_cost(open_store: OpenStore) -> None:
    data = await page_of(open_store, alone=True)

    assert [session["id"] for session in data["sessions"]] == ["trip"]
    assert data["spent"]["requests"] == 1


@pytest.mark.parametrize(("last", "left_out"), [(0, 8), (3, 5), (8, 0), (100, 0), (None, 0)])
async def test_a_page_says_how_many_events_are_left_out(last: int | None, left_out: int) -> None:
    sessions = SessionManager()
    await marked_tree(sessions)

    trip = data_of(await session_timeline(sessions, "trip", last=last))["sessions"][0]

    assert trip["earlier"] == left_out
    assert [event["q"] for event in trip["events"]] == list(range(left_out + 1, trip["last"] + 1))


async def test_a_fork_says_which_events_of_its_source_it_hides() -> None:
    sessions = SessionManager()
    async with sessions.open("trip") as chat:
        for number in range(1, 8):
            await chat.user(f"{number}")
        await chat.retract((await chat.events())[1].id)
        plain = await chat.fork(at=1, new_id="plain")
        await plain.user("Anew.")
        branch = await chat.fork(at=5, new_id="branch")
        [own] = await branch.append({"role": "user", "content": "Else."})
        await branch.retract((await branch.events())[1].id, own.id)
        [restored] = await chat.append({"role": "user", "content": "Thanks."})
        await chat.retract(restored.id)

    found = {each["id"]: each for each in data_of(await session_timeline(sessions.store, "trip"))["sessions"]}
    assert {name: each["hides"] for name, each in found.items()} == {"trip": [], "plain": [], "branch": [[2, 3]]}
    newest = data_of(await session_timeline(sessions.store, "trip", last=1))["sessions"]
    assert [each["hides"] for each in newest] == [[], [], [[2, 3]]]
    [alone] = data_of(await session_timeline(sessions.store, "branch"))["sessions"]
    assert (alone["hides"], [event.get("r", 0) for event in alone["events"]]) == ([], [0, 1, 1, 0, 0, 1])


async def test_a_fork_that_is_the_top_shows_what_it_has_inherited() -> None:
    sessions = SessionManager()
    await marked_tree(sessions)

    [fork] = data_of(await session_timeline(sessions.store, "by-train"))["sessions"]

    assert [event["q"] for event in fork["events"]] == [1, 2, 3, 4, 5]
    assert fork["spent"]["requests"] == 1


async def test_what_deleted_sessions_have_spent_is_in_the_sum() -> None:
    sessions = SessionManager()
    await marked_tree(sessions)
    await sessions.delete("flights")

    data = data_of(await session_timeline(sessions, "trip"))

    assert [session["id"] for session in data["sessions"]] == ["trip", "by-train"]
    assert data["spent"]["requests"] == 3


async def test_no_text_ends_the_block_that_it_is_in() -> None:
    sessions = SessionManager()
    await hostile_tree(sessions)

    page = await session_timeline(sessions, bad("id"))

    assert page.isascii()
    assert page.count("<script") == page.count("</script>") == 4  # the data, a long text, the bundle, the page's own
    assert 'onerror="' not in page.replace('\\"', "")
    assert "<img" not in page


async def test_the_policy_lets_the_pages_own_script_and_style_in_and_nothing_else() -> None:
    sessions = SessionManager()
    await sessions.create("empty")

    page = await session_timeline(sessions, "empty")

    policy = re.findall('Content-Security-Policy" content="(.*?)"', page)
    [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    [style] = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digests = {base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in (script, style)}
    assert set(re.findall("'sha256-(.*?)'", policy[0])) == digests
    assert "default-src 'none'" in policy[0]
    assert not re.search("unsafe|connect-src|https?:", policy[0])
    assert not re.search("innerHTML|insertAdjacent|document.write|eval\\(|Function\\(", script)


async def test_long_texts_are_held_once_and_apart() -> None:
    sessions = SessionManager()
    long = "a long text " * 1_000
    await sessions.create("s")
    await sessions.append("s", *(SessionEvent(message=long, metadata={"again": long}) for _ in range(3)))

    page = await session_timeline(sessions, "s")

    assert page.count(long) == 1
    assert data_of(page)["texts"] == [[len(long), long[:600]]]


async def test_a_number_that_browsers_would_round_comes_as_text() -> None:
    sessions = SessionManager()
    await sessions.create("s", state={"large": 2**60, "small": 7})

    assert data_of(await session_timeline(sessions, "s"))["sessions"][0]["state"] == {"large": str(2**60), "small": 7}


async def test_progress_counts_the_events() -> None:
    sessions, counts = SessionManager(), list[int]()
    await marked_tree(sessions)

    await session_timeline(sessions, "trip", progress=counts.append)

    assert counts == [8, 11, 13]


async def test_what_is_not_there_is_not_shown_as_empty() -> None:
    with pytest.raises(SessionNotFound):
        await session_timeline(SessionManager(), "nowhere")


@pytest.mark.parametrize("options", [{"last": -1}, {"last": 1.5}])
async def test_what_cannot_be_meant_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidSessionOperation, match="last="):
        await session_timeline(SessionManager(), "trip", **options)


async def test_an_unknown_usage_is_no_usage_of_nothing() -> None:
    sessions = SessionManager()
    await sessions.create("s")
    await sessions.append("s", SessionEvent(message="Hi", token_usage=TokenUsage(model="gpt-4o", basis="unknown")))

    data = data_of(await session_timeline(sessions, "s"))

    assert data["spent"]["unknown"] == 1
    assert data["sessions"][0]["events"][0]["u"]["basis"] == "unknown"


@pytest.mark.parametrize("top", ["talk", "side", "branch"])
async def test_the_bundle_in_a_page_brings_the_sessions_elsewhere(
    top: str, open_store: OpenStore, tmp_path: Path
) -> None:
    file = tmp_path / "talk.bundle"
    async with open_store() as store:
        sessions = SessionManager(store)
        async with sessions.open("talk") as chat, chat.child("side") as side:
            await chat.user("Hi")
            await side.user("You there?")
            await chat.fork(new_id="branch")
        page = await session_timeline(sessions, top)
        written = [event.id for event in await sessions.events(top)]

    await asyncio.to_thread(file.write_bytes, bundle_of(page))
    elsewhere = SessionManager(InMemorySessionStore())
    await elsewhere.import_bundle(file)
    assert data_of(page)["no_bundle"] is None
    assert [event.id for event in await elsewhere.events(top)] == written


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "secrets were left out of this page"),
        ({"redact": False}, None),
        ({"redact": False, "last": 2}, "not all of the conversation is in this page"),
        ({"redact": False, "alone": True}, "not all of the conversation is in this page"),
        ({"redact": False, "bundle": False}, None),
    ],
)
async def test_a_page_says_why_it_has_no_bundle(options: dict[str, Any], reason: str | None) -> None:
    sessions = SessionManager()
    await marked_tree(sessions)

    page = await session_timeline(sessions, "trip", **options)

    assert data_of(page)["no_bundle"] == reason
    assert ('id="bundle"' in page) == (options == {"redact": False})


async def test_a_secret_that_the_page_does_not_show_is_in_no_bundle_either() -> None:
    sessions = SessionManager()
    await sessions.create("s")
    used = TokenUsage(model="gpt-4o", details={"trace": KEY})
    await sessions.append("s", SessionEvent(message="Hi", token_usage=used))

    page = await session_timeline(sessions, "s")

    assert KEY not in page
    assert data_of(page)["no_bundle"] == "it would hold secrets"


def bundle_of(page: str) -> bytes:
    """Return the bundle that a page holds."""
    [packed] = re.findall('id="bundle">(.*?)</script>', page)
    return gzip.decompress(base64.b64decode(packed))
