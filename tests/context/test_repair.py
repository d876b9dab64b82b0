"""`check` says what a view does to a session, and `repair` writes once what it assumes."""

from __future__ import annotations

import pytest

from a2a_session_manager import InMemorySessionStore, SessionManager
from a2a_session_manager.context.conversion import MessageFormat
from a2a_session_manager.context.findings import Finding
from tests.context.examples import ASK, INTERRUPTION, SAY, STOP, call, result, uses


async def test_check_finds_nothing_in_a_sound_conversation() -> None:
    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        await chat.append(ASK, call("c1"), result("c1"), SAY)

        assert await chat.check() == []


async def test_check_finds_what_a_view_does_and_runs_that_have_not_ended() -> None:
    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        await chat.append(ASK)
        async with chat.run(id="r1") as run:
            await run.append(call("c1"))

            assert await chat.check() == [
                Finding("closed_call", (2,), "event 2 makes the call 'weather' (c1), which has no result"),
                Finding("unfinished_run", (2,), "run 'r1' is running: it has not ended"),
            ]

        assert [each.code for each in await chat.check()] == ["closed_call"]


async def test_check_finds_a_run_that_has_written_nothing() -> None:
    async with SessionManager(InMemorySessionStore()).open("chat") as chat, chat.run(id="r1"):
        assert await chat.check() == [Finding("unfinished_run", (), "run 'r1' is running: it has not ended")]


async def test_an_open_call_is_told_with_its_event() -> None:
    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        events = await chat.append(ASK, call("c1"))

        (found,) = await chat.open_calls()

        assert (found.call_id, found.name, found.arguments) == ("c1", "weather", '{"city": "Oslo"}')
        assert (found.seq, found.event_id, found.run_id) == (2, events[1].id, None)


async def test_repair_writes_what_the_view_assumes_and_once() -> None:
    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        await chat.append(ASK, call("c1"))
        assumed = await chat.messages()

        written = await chat.repair()

        assert [each.message for each in written] == [INTERRUPTION]
        assert [each.metadata for each in written] == [{"repair": "interrupted"}]
        assert await chat.messages() == assumed == [ASK, call("c1"), INTERRUPTION]
        assert (await chat.repair(), await chat.open_calls(), await chat.check()) == ([], [], [])


async def test_a_result_that_comes_after_repair_takes_its_place() -> None:
    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        await chat.append(ASK, call("c1"))
        await chat.repair()

        await chat.append(STOP, result("c1"))

        assert await chat.messages() == [ASK, call("c1"), result("c1"), STOP]


async def test_repair_writes_a_result_in_the_format_of_its_call() -> None:
    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        await chat.append(ASK, uses("a"))

        (written,) = await chat.repair()

        assert written.message["content"][0]["type"] == "tool_result"


@pytest.mark.parametrize("format", [None, "openai", "anthropic", "gemini", "responses"])
async def test_repair_changes_no_view(format: MessageFormat | None) -> None:
    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        await chat.append(ASK, call("c1", "c2"), result("c2"), SAY)
        before = await chat.messages(format=format)

        await chat.repair()

        assert await chat.messages(format=format) == before


@pytest.mark.parametrize("result_of_call", [{"tool_name": "weather"}, {"tool_call_id": "weather"}])
async def test_a_call_without_an_id_is_repaired_once_and_its_result_may_still_come(
    result_of_call: dict[str, str],
) -> None:
    function = {"name": "weather", "arguments": {"city": "Oslo"}}
    made = {"role": "assistant", "content": "", "tool_calls": [{"function": function}]}
    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        await chat.append(ASK, made)

        await chat.repair()

        assert (await chat.repair(), await chat.open_calls(), await chat.check()) == ([], [], [])

        rain = {"role": "tool", **result_of_call, "content": "rain"}
        await chat.append(STOP, rain)

        assert await chat.messages() == [ASK, made, rain, STOP]
