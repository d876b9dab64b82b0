"""Bad input over HTTP: never a 500, and a refused request has stored nothing."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NamedTuple

from httpx2 import AsyncClient

from a2a_session_manager import FileSessionStore, SessionEvent
from tests.integrations.fastapi.serving import ADMIN_TOKEN, Served

TALK = b"/messages/talk"
JSON = {"Content-Type": "application/json"}
HUGE = 17_000_000


class Sent(NamedTuple):
    """A request as bytes: clients tidy up paths and headers before they send them."""

    method: bytes
    path: bytes
    body: bytes = b""
    headers: dict[str, str] = JSON


def text(value: Any, **more: Any) -> bytes:
    return json.dumps({"text": value, **more}).encode()


def guarded(tag: str) -> Sent:
    return Sent(b"POST", TALK, text("Hi"), {**JSON, "If-Match": tag})


def read(path: bytes, **headers: str) -> Sent:
    return Sent(b"GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})


WRONG_TYPES = {
    "no body": Sent(b"POST", TALK),
    "no JSON": Sent(b"POST", TALK, b"{"),
    "not UTF-8": Sent(b"POST", TALK, b'{"text": "\xff"}'),
    "a list": Sent(b"POST", TALK, b"[]"),
    "a number": Sent(b"POST", TALK, text(1)),
    "null": Sent(b"POST", TALK, text(None)),
    "an empty text": Sent(b"POST", TALK, text("")),
    "NaN": Sent(b"POST", TALK, b'{"text": NaN}'),
    "infinity": Sent(b"POST", TALK, b'{"text": 1e999}'),
    "a huge number": Sent(b"POST", TALK, b'{"text": ' + b"9" * 5000 + b"}"),
    "deep nesting": Sent(b"POST", TALK, b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "a lone surrogate": Sent(b"POST", TALK, b'{"text": "\\ud800"}'),
    "a lone surrogate as a key": Sent(b"POST", TALK, b'{"\\ud800": 1}'),
    "an empty id": Sent(b"POST", TALK, text("Hi", id="")),
    "a long id": Sent(b"POST", TALK, text("Hi", id="x" * 600)),
    "a lone surrogate as id": Sent(b"POST", TALK, b'{"text": "Hi", "id": "\\ud800"}'),
    "a number as id": Sent(b"POST", TALK, text("Hi", id=7)),
}
STALE_OR_GARBLED_TAGS = {
    tag: guarded(tag)
    for tag in (
        '"x"',
        "x",
        '"',
        ",",
        '"' + "0" * 32 + '.1"',
        '"' + "0" * 32 + f'.{"9" * 18}"',
        '"' + "0" * 32 + f'.{"9" * 5000}"',
        '"' + "0" * 32 + '.-1"',
        'W/"x.1"',
        '"a.1", x',
        "é",
    )
}
UNKNOWN_SESSIONS = {
    path: Sent(b"POST", b"/messages/" + path, text("Hi"))
    for path in [
        *(b"nobody", b"Talk", b"talk/", b"talk%20", b"talk%2f", b"talk%00", b"{talk}", b"a//b", b"x" * 512, b"x" * 600),
        *(b"..", b"%2e%2e", b"../talk", b"%2e%2e%2ftalk", b"%00", b"%25", b"%ff", b"%ED%A0%80", b"%F0%9F%98%80"),
    ]
}
LIMITS = {
    path: read(path)
    for path in (
        b"/read/events/talk?limit=-1",
        b"/read/events/talk?limit=0",
        b"/read/events/talk?limit=501",
        b"/read/events/talk?limit=x",
        b"/read/events/talk?after=-1",
        b"/read/events/talk?after=" + b"9" * 30,
        b"/read/events/talk?after=" + b"9" * 5000,
        b"/read/sessions/talk?last=-1",
        b"/read/sessions/talk?last=501",
        b"/read/sessions?limit=-1",
        b"/read/sessions?cursor=x",
        b"/read/sessions?cursor=%00",
        b"/read/sessions?limit=0",
        b"/read/sessions?roots_only=perhaps",
        b"/read/heads?cursor=x",
        b"/read/heads?cursor=%00",
        b"/read/heads?limit=0",
        b"/read/heads?order=newest",
        b"/read/heads?properties=x",
        b"/read/heads?properties=" + b"%5B" * 5000,
        b"/read/heads?properties=%7B%22owner%22%3A1%7D",
        b"/read/heads?properties=%7B%22%5Cud800%22%3A1%7D",
        b"/read/count?properties=%ff",
        b"/read/events/talk?since=x",
        b"/read/events/talk?until=2026-01-01T00:00:00",
        b"/read/events/talk?source=nobody",
        b"/read/usage/talk?tree=perhaps",
        b"/read/sessions/" + b"x" * 600,
        b"/read/events/nobody",
        b"/read/tree/nobody",
        b"/read/tree/",
        b"/read/usage/nobody?tree=true",
        b"/events/talk?after=-1",
        b"/events/talk?after=99",
        b"/events/nobody",
    )
}
RESUMPTIONS = {
    value: read(b"/events/talk", Last_Event_ID=value) for value in ("-1", "x", "1.5", "99", "9" * 30, "0x1", "é", "²")
}
TOO_LARGE = {"a body over the limit of an event": Sent(b"POST", TALK, text("x" * HUGE))}
UNREADABLE_IDS = {"an id of 600 characters": Sent(b"PUT", b"/chats/" + b"x" * 600), "no id": Sent(b"PUT", b"/chats/")}


async def status_of(served: Served, sent: Sent) -> tuple[int, bytes]:
    """Send the request as it is, and return the status and what came with it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    headers = {
        "Host": "test",
        "Authorization": f"Bearer {ADMIN_TOKEN}",
        "Connection": "close",
        "Content-Length": str(len(sent.body)),
        **sent.headers,
    }
    lines = [f"{name}: {value}".encode() for name, value in headers.items()]
    writer.write(b"\r\n".join([sent.method + b" " + sent.path + b" HTTP/1.1", *lines, b"", sent.body]))
    status = int((await reader.readline()).split()[1])
    rest = await reader.read()
    writer.close()
    await writer.wait_closed()
    return status, rest


async def test_the_admin_router_refuses_everybody_else(served: Served) -> None:
    for view in (b"sessions", b"sessions/talk", b"events/talk", b"tree/talk", b"usage/talk"):
        for token in ("", "Bearer ", "Bearer of-the-others", "Bearer é"):
            assert (await status_of(served, read(b"/read/" + view, Authorization=token)))[0] == 401


async def stored(served: Served) -> dict[str, list[SessionEvent[Any]]]:
    async with FileSessionStore(served.directory) as cold:
        return {name: await cold.events(name) for name in await cold.list_sessions()}


REFUSALS: list[tuple[dict[Any, Sent], set[int]]] = [
    (WRONG_TYPES, {400, 422}),
    (STALE_OR_GARBLED_TAGS, {409, 422}),
    (UNKNOWN_SESSIONS, {404, 422}),
    (LIMITS, {404, 422}),
    (RESUMPTIONS, {422}),
    (TOO_LARGE, {413}),
    (UNREADABLE_IDS, {422}),
]


async def test_bad_input_is_refused_and_nothing_of_it_is_stored(served: Served, client: AsyncClient) -> None:
    async with client:
        await client.put("/chats/talk")
        await client.post("/messages/talk", json={"text": "Hello"})
    before = await stored(served)

    for requests, refusals in REFUSALS:
        found = {name: await status_of(served, sent) for name, sent in requests.items()}
        assert {name: status for name, (status, _) in found.items() if status not in refusals} == {}
    assert await stored(served) == before
    await asyncio.to_thread(served.stop)
    assert served.log == ""


NASTY_BUT_FINE = {
    b"../../etc/passwd": "../../etc/passwd",
    b"%2e%2e%2f%2e%2e%2fetc": "../../etc",
    b"..": "..",
    b"%00": "\0",
    b"a%2fb": "a/b",
    b"a//b/": "a//b/",
    b"%7Bbraces%7D:colon": "{braces}:colon",
    b"%F0%9F%98%80": "😀",
    b"x" * 512: "x" * 512,
    b"100%25": "100%",
    b"a%3Fb%23c": "a?b#c",
}


async def test_nasty_ids_are_ids_like_any_other(served: Served) -> None:
    for path, name in NASTY_BUT_FINE.items():
        assert (await status_of(served, Sent(b"PUT", b"/chats/" + path)))[0] == 204
        assert (await status_of(served, Sent(b"POST", b"/messages/" + path, text(name))))[0] == 201
        for view in (b"sessions", b"events", b"tree", b"usage"):
            assert (await status_of(served, read(b"/read/" + view + b"/" + path)))[0] == 200, (view, path)
    await asyncio.to_thread(served.stop)

    kept = await stored(served)
    assert {name: [event.message["content"] for event in events] for name, events in kept.items()} == {
        name: [name] for name in NASTY_BUT_FINE.values()
    }
