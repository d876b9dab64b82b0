"""Messages that hold the results of several calls: a compaction covers all of these calls, or none."""

from __future__ import annotations

from typing import Any

import pytest

from a2a_session_manager import InMemorySessionStore, MessageView, SessionManager
from tests.context.examples import function_call, function_response, gemini

Json = dict[str, Any]
ASK = gemini("user", {"text": "What is the weather there? " * 10})
SAY = gemini("model", {"text": "It rains. " * 10})


def with_id(part: Json, call_id: str | None) -> Json:
    """Return a call or a result by an id; without one, it goes by the name of its tool."""
    [(kind, value)] = part.items()
    return part if call_id is None else {kind: {**value, "id": call_id}}


@pytest.mark.parametrize("ids", [("c1", "c2"), ("again", "again"), (None, None)])
async def test_the_results_of_two_runs_in_one_message_are_covered_when_both_calls_are(
    ids: tuple[str | None, str | None],
) -> None:
    one, other = (gemini("model", with_id(function_call(city), key)) for city, key in zip("ab", ids, strict=True))
    given = [with_id(function_response(f"sun in {each}"), key) for each, key in zip("ba", reversed(ids), strict=True)]
    summarised: list[MessageView] = []

    def summarize(view: MessageView) -> str:
        summarised.append(view)
        return "s"

    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        await chat.append(ASK, SAY, ASK)
        async with chat.run(id="b") as later:
            async with chat.run(id="a") as run:
                await run.append(one)
                await later.append(other)
                await later.append(gemini("user", *given))
                await run.append(SAY)
            before = await chat.messages()
            await chat.compact(summarize)
            inside = await chat.messages()
        await chat.compact(summarize)
        after = await chat.messages()

    assert str(list(before)).count("sun in") == 2
    # The exchange of the run that goes on stays, and with it what shares its results.
    assert str(list(inside)).count("sun in") == 2
    assert [message for message in before if "functionC" in str(message) or "functionR" in str(message)] == [
        message for message in inside if "functionC" in str(message) or "functionR" in str(message)
    ]
    assert "sun in" not in str(list(after))
    assert str(list(summarised[-1])).count("sun in") == 2


@pytest.mark.parametrize("keep", [0, 20, 40, 60, 80])
async def test_what_is_kept_keeps_the_calls_that_share_its_results(keep: int) -> None:
    """So on along a row: the first message has the results of two calls, and the next one of two as well."""
    calls = [gemini("model", with_id(function_call(city), city)) for city in "abc"]
    results = {city: with_id(function_response(f"sun in {city}"), city) for city in "abcd"}
    given: list[MessageView] = []

    def summarize(view: MessageView) -> str:
        given.append(view)
        return "s"

    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        await chat.append(ASK, SAY, *calls, gemini("user", results["a"], results["b"]))
        await chat.append(gemini("model", with_id(function_call("d"), "d")))
        await chat.append(gemini("user", results["c"], results["d"]), SAY)
        await chat.compact(summarize, keep=keep)
        shown, told = str(list(await chat.messages())), str(list(given[0]))

    kept = [f"sun in {city}" in shown for city in "abcd"]
    assert [f"sun in {city}" in told for city in "abcd"] == [not each for each in kept]
    assert kept[0] is kept[1]
    assert kept[2] is kept[3]
    assert "no result" not in shown + told


async def test_a_result_inside_the_message_of_its_call_is_shared_with_the_other_call_that_its_message_answers() -> None:
    part = {"type": "tool-weather", "state": "input-available", "input": {}}
    waiting = {"id": "m", "role": "assistant", "parts": [{**part, "toolCallId": each} for each in ("c1", "open")]}
    call = {"type": "tool-call", "toolCallId": "c2", "toolName": "weather", "input": {}}
    result = {"type": "tool-result", "toolName": "weather"}
    results = [{**result, "toolCallId": each, "output": {"type": "text", "value": each * 3}} for each in ("c2", "c1")]
    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        await chat.append(ASK, waiting, {"role": "assistant", "content": [call]}, {"role": "tool", "content": results})
        await chat.append(SAY, ASK, SAY)
        before = await chat.messages()
        await chat.compact(lambda view: "s")
        after = await chat.messages()

    assert [each in str(list(before)) for each in ("c1c1c1", "c2c2c2")] == [True, True]
    assert [each in str(list(after)) for each in ("c1c1c1", "c2c2c2")] == [True, True]
    assert after.report == before.report


async def test_a_thought_stays_until_the_answer_comes_that_it_leads_to() -> None:
    thought = {"id": "r", "role": "reasoning", "content": "Oslo, then."}
    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        await chat.append({"role": "user", "content": "Where to? " * 10})
        async with chat.run(id="a") as run:
            await run.append(thought)
            await chat.append({"id": "m", "role": "assistant", "content": "I do not know. " * 10})
            await chat.compact(lambda view: "s")
            inside = await chat.messages()
            await run.append({"id": "m", "role": "assistant", "content": "To Oslo."})
        after = await chat.messages()

    assert thought not in inside
    assert [each.code for each in inside.report] == ["empty_message"]
    assert [each.get("content") for each in after] == ["s", "Oslo, then.", "To Oslo."]
    assert after.report == ()
