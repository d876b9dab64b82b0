"""Views are the same from every store, and repairing writes once what they assume, on every store."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import Any

from a2a_session_manager import SessionManager, event_from_message
from a2a_session_manager.context.findings import INTERRUPTED
from tests.context.checked_views import FORMATS, bytes_of, view_of_log
from tests.context.logs import Entry, log_of
from tests.context.makers import MAKERS
from tests.stores import OpenStore, open_store

__all__ = ["open_store"]

USER = {"role": "user", "content": "Oslo?"}
CALL: dict[str, Any] = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "sunny"}


async def test_every_store_gives_the_same_bytes_and_a_cold_one_too(open_store: OpenStore) -> None:
    given = {shape: log_of(Random(shape), [shape]) for shape in MAKERS} | {"mixed": log_of(Random(1), sorted(MAKERS))}
    async with open_store() as store:
        for shape, entries in given.items():
            async with SessionManager(store).open(shape) as chat:
                await chat.append(*(event_from_message(each.message, task_id=each.run_id) for each in entries))

    async with open_store() as cold:
        for shape, entries in given.items():
            async with SessionManager(cold).open(shape) as chat:
                for each in FORMATS:
                    assert bytes_of(await chat.messages(format=each)) == bytes_of(view_of_log(entries, each))


async def test_repairing_twice_and_by_two_at_once_writes_once(open_store: OpenStore) -> None:
    async with open_store() as store, SessionManager(store).open("chat") as chat:
        await chat.append(USER, CALL)
        before = await chat.messages()

        written = await asyncio.gather(chat.repair(), chat.repair())
        again = await chat.repair()

        assert {len(each) for each in written} <= {0, 1}
        assert again == []
        assert len(await chat.messages(repair=False)) == 3
        assert bytes_of(await chat.messages()) == bytes_of(before)
        assert await chat.open_calls() == []


async def test_calls_that_share_an_id_are_repaired_each(open_store: OpenStore) -> None:
    [call] = CALL["tool_calls"]
    both = {**CALL, "tool_calls": [call, {**call, "function": {"name": "tides", "arguments": "{}"}}]}
    async with open_store() as store, SessionManager(store).open("chat") as chat:
        await chat.append(USER, both)

        written = await chat.repair()

        assert [each.message["name"] for each in written] == ["weather", "tides"]
        assert await chat.open_calls() == []


async def test_a_result_that_comes_after_repairing_takes_the_marks_place(open_store: OpenStore) -> None:
    async with open_store() as store, SessionManager(store).open("chat") as chat:
        await chat.append(USER, CALL)
        await chat.repair()
        marked = await chat.messages()
        await chat.append({"role": "user", "content": "Still there?"}, RESULT)

        view = await chat.messages()

        assert INTERRUPTED in json.dumps(marked)
        assert list(view) == [USER, CALL, RESULT, {"role": "user", "content": "Still there?"}]
        assert [each.code for each in view.report] == ["repeated_result", "moved_result"]
        assert view.extends(marked).change == "answer"


def test_two_runs_side_by_side_stay_together() -> None:
    other = json.loads(json.dumps(CALL).replace("c1", "c2"))
    entries = [Entry(USER, None), Entry(CALL, "a"), Entry(other, "b"), Entry({**RESULT, "tool_call_id": "c2"}, "b")]

    view = view_of_log([*entries, Entry(RESULT, "a")])

    assert list(view) == [USER, CALL, RESULT, other, {**RESULT, "tool_call_id": "c2"}]
    assert [(each.code, each.seqs) for each in view.report] == [("moved_result", (5,))]


def test_a_thought_stays_with_the_answer_that_it_led_to() -> None:
    thought = {"type": "reasoning", "id": "rs", "summary": []}
    answer = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Sunny."}]}
    notice = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Bergen, too."}]}

    view = view_of_log([Entry(USER, None), Entry(thought, "a"), Entry(notice, "b"), Entry(answer, "a")])

    assert list(view) == [USER, notice, thought, answer]
    assert [(each.code, each.seqs) for each in view.report] == [("moved_thought", (2,))]
