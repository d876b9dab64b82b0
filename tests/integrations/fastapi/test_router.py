"""The read-only router: what a session holds, in pages, and nothing that writes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from fastapi.routing import APIRoute

from a2a_session_manager import SessionEvent, SessionManager
from a2a_session_manager.integrations.fastapi import etag, router, session_router
from a2a_session_manager.limits import StoreLimits
from tests.integrations.fastapi.app import app
from tests.integrations.fastapi.conftest import client_of


async def read(sessions: SessionManager, path: str) -> Any:
    async with client_of(app, sessions) as client:
        reply = await client.get(path)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_it_only_reads() -> None:
    routes = [route for route in session_router().routes if isinstance(route, APIRoute)]

    assert set().union(*(route.methods or () for route in routes)) == {"GET"}
    assert len(routes) == 7


async def test_a_session_shows_its_head_and_its_newest_events(sessions: SessionManager) -> None:
    async with sessions.open("talk", properties={"owner": "ines"}) as chat:
        await chat.set_state(step=2)
        for number in range(30):
            await chat.user(f"{number}")
        async with chat.run(id="r"):
            pass
        async with client_of(app, sessions) as client:
            reply = await client.get("/sessions/talk?last=3")
        shown = reply.json()

        assert reply.headers["ETag"] == etag(chat.session)
        assert (shown["revision"], shown["last_seq"]) == (chat.session.revision, 30)
        assert (shown["properties"], shown["state"]) == ({"owner": "ines"}, {"step": 2})
        assert [(event["seq"], event["message"]) for event in shown["events"]] == [(28, "27"), (29, "28"), (30, "29")]
        assert [(run["id"], run["status"]) for run in shown["runs"]] == [("r", "completed")]


@pytest.mark.parametrize(("last", "shown"), [("?last=0", 0), ("?last=1", 1), ("", 20), ("?last=500", 30)])
async def test_as_many_of_the_newest_events_are_shown_as_were_asked_for(
    last: str, shown: int, sessions: SessionManager
) -> None:
    await sessions.create("talk")
    await sessions.append("talk", *(SessionEvent(message=number) for number in range(30)))

    assert len((await read(sessions, f"/sessions/talk{last}"))["events"]) == shown


@pytest.mark.parametrize("page_bytes", [1_000_000, 0])
async def test_the_pages_of_events_join_up(
    sessions: SessionManager, monkeypatch: pytest.MonkeyPatch, page_bytes: int
) -> None:
    monkeypatch.setattr(sessions.store, "_limits", StoreLimits(page_bytes=page_bytes))
    await sessions.create("talk")
    await sessions.append("talk", *(SessionEvent(message=number) for number in range(10)))
    await sessions.retract("talk", after=8)
    seen: list[int] = []
    after: int | None = 0
    while after is not None:
        page = await read(sessions, f"/events/talk?after={after}&limit=4")
        assert page_bytes or len(page["events"]) <= 1
        seen += [event["message"] for event in page["events"]]
        after = page["next_after"]

    assert seen == list(range(8))


async def test_the_pages_of_the_listing_join_up(sessions: SessionManager) -> None:
    for number in range(7):
        await sessions.create(f"talk/{number}", parent_id="talk/0" if number == 1 else None)
    await sessions.create("other")
    seen: list[str] = []
    query: str | None = ""
    while query is not None:
        page = await read(sessions, f"/sessions?prefix=talk&limit=3{query}")
        seen += page["session_ids"]
        query = None if page["cursor"] is None else f"&cursor={page['cursor']}"
    roots = await read(sessions, "/sessions?roots_only=true")

    assert sorted(seen) == [f"talk/{number}" for number in range(7)]
    assert len(roots["session_ids"]) == 7


async def test_a_page_of_heads_is_a_sidebar(indexed: SessionManager) -> None:
    for owner, name, said in (
        ("ann", "oslo", "Two days\n in  Oslo?"),
        ("bob", "rome", "x" * 900),
        ("ann", "new", None),
    ):
        async with indexed.open(name, properties={"owner": owner}) as chat:
            await chat.set_title(f"To {name}")
            if said is not None:
                await chat.user(said)
                await chat.tool("search", {"to": name}, result="found")
    await indexed.create("oslo/flights", parent_id="oslo", properties={"owner": "ann"})

    page = await read(indexed, '/heads?properties={"owner": "ann"}&roots_only=true&preview=true&limit=1')
    rest = await read(
        indexed, f'/heads?properties={{"owner": "ann"}}&roots_only=true&preview=true&limit=9&cursor={page["cursor"]}'
    )
    bare = await read(indexed, "/heads?order=created&newest_first=false&title=TO+O")
    [new], [oslo] = page["sessions"], rest["sessions"]

    assert (new["id"], new["preview"], oslo["title"]) == ("new", None, "To oslo")
    assert (oslo["preview"]["role"], oslo["preview"]["text"]) == ("user", "Two days in Oslo?")
    assert (oslo["last_seq"], oslo["usage"]["requests"], oslo["unfinished_runs"]) == (3, 0, [])
    assert [(head["id"], head["preview"]) for head in bare["sessions"]] == [("oslo", None)]
    assert (rest["cursor"], bare["cursor"]) == (None, None)
    assert len((await read(indexed, "/heads?preview=true&title=rome"))["sessions"][0]["preview"]["text"]) == 200
    assert await read(indexed, '/count?properties={"owner": "ann"}') == {"count": 3}
    assert await read(indexed, "/count?roots_only=true") == {"count": 3}


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ('/heads?properties={"team":"x"}', "team"),
        ("/heads?properties=owner", "JSON object"),
        ("/heads?properties=[1]", "JSON object"),
        ('/heads?properties={"owner":null}', "owner"),
        ("/heads?cursor=x", "cursor"),
        ("/heads?order=newest", "order"),
        ("/heads?limit=0", "limit"),
        ("/heads?limit=201", "limit"),
        ('/count?properties={"team":1}', "team"),
        ("/events/talk?since=2026-01-01T00:00:00", "since"),
        ("/events/talk?source=nobody", "source"),
        ("/events/talk?run=", "run"),
    ],
)
async def test_what_cannot_be_asked_for_is_a_problem(indexed: SessionManager, path: str, named: str) -> None:
    await indexed.create("talk")
    async with client_of(app, indexed) as client:
        reply = await client.get(path)

    assert reply.status_code == 422
    assert named in reply.text


async def test_events_are_shown_by_what_they_are(sessions: SessionManager) -> None:
    async with sessions.open("talk") as chat:
        await chat.user("one")
        async with chat.run(id="r") as run:
            await run.tool("search", {"to": "OSL"}, result="found")
            await run.assistant("two")

    async def found(query: str) -> list[int]:
        return [event["seq"] for event in (await read(sessions, f"/events/talk?{query}"))["events"]]

    assert await found("source=user") == [1]
    assert await found("run=r") == [2, 3, 4]
    assert await found("type=tool_call&run=r") == [2]
    assert await found("type=message&limit=1&after=1") == [4]
    assert await found("until=2020-01-01T00:00:00Z") == []
    assert await found("since=2020-01-01T00:00:00%2B02:00") == [1, 2, 3, 4]


async def test_a_tree_is_shown_whole_from_any_of_its_sessions(sessions: SessionManager) -> None:
    await sessions.create("trip")
    await sessions.create("trip/flights", parent_id="trip")
    await sessions.create("trip/flights/check", parent_id="trip/flights")

    assert await read(sessions, "/tree/trip/flights") == {
        "sessions": [
            {"id": "trip", "parent_id": None, "forked_from": None},
            {"id": "trip/flights", "parent_id": "trip", "forked_from": None},
            {"id": "trip/flights/check", "parent_id": "trip/flights", "forked_from": None},
        ]
    }


async def test_a_fork_and_its_place_in_the_tree_say_where_it_begins(sessions: SessionManager) -> None:
    trip = await sessions.create("trip")
    await sessions.append("trip", SessionEvent(message="Oslo?"), SessionEvent(message="Yes."))
    await sessions.fork("trip", at=1, new_id="other")
    point = {"id": "trip", "creation_id": trip.creation_id, "seq": 1}

    assert (await read(sessions, "/sessions/other"))["forked_from"] == point
    assert (await read(sessions, "/tree/trip"))["sessions"][1] == {
        "id": "other",
        "parent_id": "trip",
        "forked_from": point,
    }
    assert [event["message"] for event in (await read(sessions, "/events/other"))["events"]] == ["Oslo?"]


@pytest.mark.parametrize("few", [0, 200])  # more tallies than that are summed in a thread
async def test_usage_is_exact_money_and_tokens_by_model_source_and_run(
    sessions: SessionManager, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(router, "_FEW_TALLIES", few)
    async with sessions.open("trip") as chat, chat.run(id="r") as run:
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "estimated_cost_usd": "0.000000000001"}
        await run.assistant("Hi", model="m", usage=usage)
        async with run.child("flights") as flights:
            await flights.assistant("Hi", model="m", usage=usage)
    own, tree = [await read(sessions, f"/usage/trip{query}") for query in ("", "?tree=true")]

    assert (own["total"]["total_tokens"], tree["total"]["total_tokens"]) == (15, 30)
    assert Decimal(tree["total"]["estimated_cost_usd"]) == Decimal("0.000000000002")
    assert own["by_run"]["r"] == own["by_source"]["llm"] == own["by_model"]["m"] == own["total"]
    assert not own["total"]["is_lower_bound"]


async def test_a_usage_says_that_it_is_a_lower_bound(sessions: SessionManager) -> None:
    async with sessions.open("trip") as chat:
        await chat.assistant("Hi", model="m", usage={})

    assert (await read(sessions, "/usage/trip"))["total"]["is_lower_bound"]


async def test_the_page_of_a_payload_that_is_heavy_comes_from_a_thread(sessions: SessionManager) -> None:
    await sessions.create("talk")
    heavy = ["x" * 1_000 for _ in range(1_000)]
    await sessions.append("talk", SessionEvent(message=heavy))

    assert (await read(sessions, "/events/talk"))["events"][0]["message"] == heavy


async def test_payloads_as_deep_as_a_store_takes_them_are_shown(sessions: SessionManager) -> None:
    deep: Any = 1
    for _ in range(99):
        deep = [deep]
    await sessions.create("talk")
    await sessions.append("talk", SessionEvent(message=deep))

    assert (await read(sessions, "/events/talk"))["events"][0]["message"] == deep


async def test_the_docs_know_what_the_routes_show() -> None:
    paths = app.openapi()["paths"]
    schema = paths["/events/{session_id}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]

    assert schema == {"$ref": "#/components/schemas/EventPage"}
