"""Against uvicorn, in a process of its own on loopback: what a cold store holds when clients have come and gone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from importlib.util import find_spec
from typing import Any, NamedTuple

import pytest
from httpx2 import AsyncClient, RemoteProtocolError, Response

from a2a_session_manager import EventSource, FileSessionStore, RunStatus, SessionEvent, SessionManager
from tests.integrations.fastapi.serving import Served

CLIENTS = 200
WAYS = ["short", "own", "plain", *(["native"] if find_spec("fastapi.sse") else [])]
APP = "tests.integrations.fastapi.app:app"
WORDS = [f"word{number}" for number in range(40)]


class Frame(NamedTuple):
    event: str
    data: Any
    id: int | None


async def frames(response: Response) -> AsyncGenerator[Frame, None]:
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if name:
            fields[name] = value
        elif fields:
            yield Frame(fields["event"], json.loads(fields["data"]), int(fields["id"]) if "id" in fields else None)
            fields = {}


async def events_of(served: Served, session_id: str) -> list[SessionEvent[Any]]:
    async with FileSessionStore(served.directory) as cold:
        return await cold.events(session_id)


class Heard(NamedTuple):
    asked: Frame
    text: str
    is_whole: bool


async def ask(
    client: AsyncClient, session_id: str, text: str, *, leave_after: int | None, all_here: asyncio.Barrier
) -> Heard:
    """Ask, and listen to the end or leave after some tokens; nobody leaves before all are listening."""
    heard: list[str] = []
    async with client.stream("POST", f"/answers/{session_id}", json={"text": text}) as response:
        assert response.status_code == 200
        async with aclosing(frames(response)) as coming:
            asked = await anext(coming)
            heard.append((await anext(coming)).data)
            await all_here.wait()
            async for frame in coming:
                if frame.event == "event":
                    assert frame.data["message"] == "".join(heard)
                    return Heard(asked, "".join(heard), True)
                heard.append(frame.data)
                if len(heard) == leave_after:
                    break
    return Heard(asked, "".join(heard), False)


@pytest.mark.parametrize("served", [{"token_seconds": 0.03}], indirect=True)
async def test_of_200_streams_half_cut_off_every_word_is_kept_and_every_answer_once(
    served: Served, client: AsyncClient
) -> None:
    whole = "".join(f"{word} " for word in ["You", "said:", *WORDS, "42"])
    async with client:
        names = [f"chat/{number}" for number in range(CLIENTS)]
        await asyncio.gather(*(client.put(f"/chats/{name}") for name in names))
        all_here = asyncio.Barrier(CLIENTS)
        heard = await asyncio.gather(
            *(
                ask(
                    client,
                    name,
                    f"{' '.join(WORDS)} 42",
                    leave_after=None if number % 2 else 2 + number % 20,
                    all_here=all_here,
                )
                for number, name in enumerate(names)
            )
        )
    await asyncio.to_thread(served.stop)
    assert served.log == ""

    assert sum(each.is_whole for each in heard) == CLIENTS // 2
    async with FileSessionStore(served.directory) as cold:
        for name, each in zip(names, heard, strict=True):
            asked, answer = await cold.events(name)
            [run] = await cold.runs(name)
            assert (asked.source, asked.message, asked.seq) == (
                EventSource.USER,
                f"{' '.join(WORDS)} 42",
                each.asked.id,
            )
            assert answer.source is EventSource.LLM
            if each.is_whole:
                assert (answer.message, answer.metadata) == (whole, {})
                assert run.status is RunStatus.COMPLETED
            else:
                assert answer.message.startswith(each.text)
                assert whole.startswith(answer.message)
                assert len(answer.message) < len(whole)
                assert answer.metadata["interrupted"] is True
                assert run.status is RunStatus.CANCELLED


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("served", [{"app": APP, "token_seconds": 0.02}], indirect=True)
async def test_every_way_to_stream_keeps_what_the_model_had_said(way: str, served: Served, client: AsyncClient) -> None:
    async with FileSessionStore(served.directory) as store:
        await store.create("talk")
    async with client, client.stream("POST", f"/{way}/talk") as response:
        heard = [frame.data async for frame in first(5, frames(response))]
    await asyncio.to_thread(served.stop)
    assert served.log == ""

    asked, answer = await events_of(served, "talk")
    assert asked.message == "Go on."
    assert answer.message.startswith("".join(heard))
    assert answer.metadata["interrupted"] is True


async def first(count: int, coming: AsyncIterator[Frame]) -> AsyncIterator[Frame]:
    async for frame in coming:
        yield frame
        count -= 1
        if not count:
            return


@pytest.mark.parametrize("served", [{"app": APP, "token_seconds": 0.1, "shutdown_seconds": 1}], indirect=True)
async def test_a_server_that_is_told_to_stop_keeps_the_answers_it_cuts_off(served: Served, client: AsyncClient) -> None:
    names = [f"talk-{number}" for number in range(20)]
    async with FileSessionStore(served.directory) as store:
        for name in names:
            await store.create(name)
    all_here = asyncio.Barrier(len(names) + 1)

    async def listen(name: str) -> None:
        async with client.stream("POST", f"/own/{name}") as response, aclosing(frames(response)) as coming:
            await anext(coming)
            await all_here.wait()
            with suppress(RemoteProtocolError):  # cut off in the middle
                async for _ in coming:
                    pass

    async def stop() -> None:
        await all_here.wait()
        await asyncio.to_thread(served.stop)

    async with client:
        await asyncio.gather(stop(), *map(listen, names))

    for name in names:
        async with FileSessionStore(served.directory) as cold:
            asked, answer = await cold.events(name)
            [run] = await cold.runs(name)
        assert (asked.message, answer.metadata) == ("Go on.", {"interrupted": True})
        assert run.status is RunStatus.CANCELLED


async def test_two_tabs_write_to_one_session_and_both_land_in_order(served: Served, client: AsyncClient) -> None:
    async with client:
        await client.put("/chats/talk")

        async def tab(name: str) -> None:
            for number in range(20):
                await client.post("/messages/talk", json={"text": f"{name} {number}"})

        await asyncio.gather(tab("left"), tab("right"))
    await asyncio.to_thread(served.stop)

    said = [event.message["content"] for event in await events_of(served, "talk")]
    for name in ("left", "right"):
        assert [text for text in said if text.startswith(name)] == [f"{name} {number}" for number in range(20)]
    assert len(said) == 40


async def test_of_two_tabs_with_the_same_etag_exactly_one_gets_a_409_that_says_what_it_missed(
    served: Served, client: AsyncClient
) -> None:
    async with client:
        await client.put("/chats/talk")
        for round_ in range(20):
            seen = await client.get("/read/sessions/talk")
            replies = await asyncio.gather(
                *(
                    client.post(
                        "/messages/talk", json={"text": f"{tab} {round_}"}, headers={"If-Match": seen.headers["ETag"]}
                    )
                    for tab in ("left", "right")
                )
            )
            kept, refused = sorted(replies, key=lambda reply: reply.status_code)

            assert (kept.status_code, refused.status_code) == (201, 409)
            assert refused.json()["missed_seqs"] == [kept.json()["seq"]] == [round_ + 1]
    await asyncio.to_thread(served.stop)
    assert len(await events_of(served, "talk")) == 20


async def test_a_stream_that_was_cut_off_goes_on_after_the_last_event_id(served: Served, client: AsyncClient) -> None:
    async with client:
        await client.put("/chats/talk")
        seen: list[Frame] = []

        async def follow(until: int) -> None:
            """Read as a browser does: a few events, a lost connection, and again from the last id."""
            while not seen or (seen[-1].id or 0) < until:
                headers = {"Last-Event-ID": str(seen[-1].id)} if seen else {}
                async with client.stream("GET", "/events/talk", headers=headers) as response:
                    seen.extend([frame async for frame in first(7, frames(response))])

        async def say() -> None:
            for number in range(70):
                await client.post("/messages/talk", json={"text": f"{number}"})

        await asyncio.gather(follow(70), say())

    assert [frame.id for frame in seen] == list(range(1, 71))
    assert [frame.data["message"]["content"] for frame in seen] == [f"{number}" for number in range(70)]


async def test_an_interrupted_answer_is_what_follows_the_question(served: Served, client: AsyncClient) -> None:
    async with client:
        await client.put("/chats/talk")
        async with client.stream("POST", "/answers/talk", json={"text": " ".join(WORDS * 50)}) as response:
            [asked, token] = [frame async for frame in first(2, frames(response))]
        headers = {"Last-Event-ID": str(asked.id)}
        async with client.stream("GET", "/events/talk", headers=headers) as response:
            [answer] = [frame async for frame in first(1, frames(response))]

    assert (asked.event, asked.id, token.event, token.id) == ("event", 1, "token", None)
    assert answer.id == 2
    assert answer.data["message"].startswith(token.data)
    assert answer.data["metadata"]["interrupted"] is True


async def test_a_follower_hears_that_the_session_was_deleted_and_then_gets_a_404(
    served: Served, client: AsyncClient
) -> None:
    async with client:
        await client.put("/chats/talk")
        async with client.stream("GET", "/events/talk") as response:
            async with SessionManager(FileSessionStore(served.directory)) as sessions:
                await sessions.delete("talk")
                await sessions.store.aclose()
            last = [frame async for frame in frames(response)][-1]
        again = await client.get("/events/talk")

    assert (last.event, last.data["status"], again.status_code) == ("problem", 404, 404)
