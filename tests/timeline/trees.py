"""Trees of sessions for tests of the timeline: one with all that a page marks, a large one, and a hostile one."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from a2a_session_manager import EventSource, SessionEvent, SessionManager, SessionRun, TokenUsage
from a2a_session_manager.context.summaries import Summary

KEY = "sk-proj-0123456789abcdefghij"
START = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
HOSTILE = "</script><img src=x onerror=\"window.pwned='%s'\"><!--<script>"


def data_of(page: str) -> dict[str, Any]:
    """Return what a page holds."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def usage(model: str = "gpt-4o") -> TokenUsage:
    return TokenUsage(prompt_tokens=1_000, completion_tokens=100, model=model)


async def marked_tree(sessions: SessionManager) -> None:
    """Make a tree with a child, a fork, a retraction, a compaction, a failed run, and a request of unknown cost."""
    async with sessions.open("trip", properties={"title": "Oslo", "agent": "concierge"}) as chat:
        await chat.system("You plan trips.")
        await chat.user("Two days in Oslo?")
        async with chat.run(id="planning", agent="planner") as run:
            async with run.child("flights", agent="flights") as flights:
                await flights.tool("search", {"to": "OSL", "api_key": KEY}, result={"found": "needle in a child"})
                await flights.assistant("SK400.", model="our-own-model", usage=usage("our-own-model"))
            await run.assistant("Day 1: museums.", model="gpt-4o", usage=usage())
        [typo] = await chat.append({"role": "user", "content": "Book the hostle."})
        await chat.retract(typo.id)
        branch = await chat.fork(new_id="by-train")
        await branch.user("And by train?")
        await branch.assistant("11 hours.", model="gpt-4o", usage=usage())
        with suppress(ConnectionError):
            async with chat.run(id="booking", agent="booker") as run:
                await run.user("Book it.")
                await run.assistant("I try.")
                raise ConnectionError("the bank does not answer")
        await chat.compact(_summary, keep=1)
        await chat.user("Thanks.")


async def _summary(messages: Any, **_: Any) -> Summary:
    return Summary("They go to Oslo.")


async def large_tree(sessions: SessionManager, *, events: int, children: int) -> None:
    """Make a root with half of the events, and children below it that share the other half."""
    await sessions.create("large", properties={"title": "Large"})
    await _append(sessions, "large", _exchanges(events // 2))
    for number in range(children):
        await sessions.create(f"child-{number}", parent_id="large" if number % 3 else _parent(number))
        await _append(sessions, f"child-{number}", _exchanges(events // 2 // children))


def _parent(number: int) -> str:
    return f"child-{number - 1}" if number else "large"


async def _append(sessions: SessionManager, session_id: str, events: list[SessionEvent[Any]]) -> None:
    for start in range(0, len(events), 2_000):
        await sessions.append(session_id, *events[start : start + 2_000])


def _exchanges(events: int) -> list[SessionEvent[Any]]:
    made: list[SessionEvent[Any]] = []
    for number in range(events // 4):
        at = START + timedelta(seconds=7 * number)
        function = {"name": "look_up", "arguments": json.dumps({"n": number})}
        call = {"id": f"c{number}", "type": "function", "function": function}
        asked = {"role": "user", "content": f"Question {number}"}
        calling = {"role": "assistant", "content": None, "tool_calls": [call]}
        result = {"role": "tool", "tool_call_id": f"c{number}", "content": "result " * (number % 400)}
        answer = {"role": "assistant", "content": f"Answer {number}. " * 20}
        made += [
            SessionEvent(message=asked, source=EventSource.USER, timestamp=at),
            SessionEvent(message=calling, timestamp=at, token_usage=usage()),
            SessionEvent(message=result, timestamp=at),
            SessionEvent(message=answer, timestamp=at),
        ]
    return made


def bad(field: str) -> str:
    """Return a text that would run as a script, if the page took it for anything but text."""
    return HOSTILE % field


async def hostile_tree(sessions: SessionManager) -> None:
    """Make a tree whose every text, key and name tries to be more than text."""
    about = {"title": bad("title"), "agent": bad("agent"), bad("key"): {"__proto__": bad("nested"), "$": 3}}
    await sessions.create(bad("id"), properties=about, state={bad("state"): [bad("value")], "$0": {"$": 1}})
    call = {"id": bad("call"), "type": "function", "function": {"name": bad("tool"), "arguments": bad("arguments")}}
    tools = {"tools": [{"name": bad("definition")}], bad("metadata"): bad("metadata value")}
    used = TokenUsage(prompt_tokens=1, completion_tokens=1, model=bad("model"), provider=bad("provider"))
    run = SessionRun(id=bad("run"), agent=bad("run agent"), metadata={"why": bad("run metadata")})
    run.mark_running()
    run.mark_failed(bad("error"), error_type=bad("error type"))
    session = await sessions.get(bad("id"), last=0)
    session.runs.append(run)
    await sessions.save(session)
    answer: dict[str, Any] = {"role": "assistant", "content": bad("content"), "tool_calls": [call]}
    await sessions.append(
        bad("id"),
        SessionEvent(id=bad("event id"), message=bad("text"), type=bad("type"), metadata=tools),
        SessionEvent(message=answer, token_usage=used, task_id=bad("run"), metadata={"error_type": bad("error_type")}),
        SessionEvent(message={"role": "tool", "tool_call_id": bad("call"), "content": bad("result")}),
        SessionEvent(message={"role": bad("role"), "content": bad("role content"), "name": bad("name")}),
        SessionEvent(message={"role": "user", "content": "long " * 2_000 + bad("long")}, source=EventSource.USER),
        SessionEvent(message="half a pair: \ud83d", source=EventSource.USER),
        SessionEvent(message=_picture(), source=EventSource.USER),
    )
    await sessions.create(bad("child"), parent_id=bad("id"), properties={"title": bad("child title")})
    await sessions.append(bad("child"), SessionEvent(message=bad("child text"), source=EventSource.USER))


def _picture() -> dict[str, Any]:
    url = {"url": f"data:image/svg+xml,{bad('svg')}"}
    remote = {"url": f"https://example.invalid/{bad('url')}"}
    parts = [{"type": "image_url", "image_url": url}, {"type": "image_url", "image_url": remote}]
    return {"role": "user", "content": parts}
