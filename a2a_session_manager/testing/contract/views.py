"""Views: what a model is given is the same from every store, and repairing writes once what views assume."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final, get_args

import pytest

from a2a_session_manager.context.conversion import MessageFormat
from a2a_session_manager.context.findings import INTERRUPTED
from a2a_session_manager.context.messages import event_from_message
from a2a_session_manager.context.prompt import prompt_of, said_in, view_of
from a2a_session_manager.context.view import MessageView
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.event_message import MessageColumns, MessageTail, message_of
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import ids, said, spending, whole

ChatMessage = dict[str, Any]


def _call(call_id: str, tool: str = "weather") -> ChatMessage:
    function = {"name": tool, "arguments": '{"in": 3}'}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": call_id, "type": "function", "function": function}],
    }


def _result(call_id: str, content: str) -> ChatMessage:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def _closed(call_id: str) -> ChatMessage:
    return {**_result(call_id, INTERRUPTED), "name": "weather"}


def _user(content: str) -> ChatMessage:
    return {"role": "user", "content": content}


SYSTEM: Final = {"role": "system", "content": "Be brief."}
# By run: two count their calls from the same number, and somebody writes in between.
LOG: Final[list[tuple[str | None, ChatMessage]]] = [
    (None, SYSTEM),
    (None, _user("Oslo?")),
    ("a", _call("c1", "sun")),
    ("b", _call("c1", "rain")),
    (None, _user("And Bergen?")),
    ("b", _result("c1", "much")),
    ("a", _result("c1", "some")),
    ("a", _result("c1", "some")),
    ("b", _call("c2")),
]
VIEW: Final = [LOG[seq - 1][1] for seq in (1, 2, 3, 7, 4, 6, 5, 9)] + [_closed("c2")]


def _view_of_log(format: MessageFormat | None) -> MessageView:
    """Return the view of LOG without any store."""
    events = [event_from_message(message, task_id=run_id) for run_id, message in LOG]
    columns = MessageColumns.of(message_of(event)._replace(seq=seq) for seq, event in enumerate(events, 1))
    return view_of(prompt_of(said_in(columns), format), format, "talk")


def _shown(view: MessageView) -> tuple[Any, ...]:
    """Return all that a view says; JSON text tells the order of keys, too."""
    return json.dumps([view.system, *view]), view.seqs, view.report, view.session_id, view.prefix_digest


class ViewsContract(ContractBase):
    async def test_what_several_wrote_at_once_comes_back_as_a_model_takes_it(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        other = await reopen()
        async with (
            SessionManager(store).open("talk") as chat,
            SessionManager(other).open("talk") as elsewhere,
            chat.run(id="a") as a,
            elsewhere.run(id="b") as b,
        ):
            for run_id, message in LOG:
                await {None: elsewhere, "a": a, "b": b}[run_id].append(message)
            await chat.append(said("see there", type=EventType.REFERENCE), said("never mind", id="hidden"))
            await chat.retract("hidden")
            found = await chat.check()

        assert [json.dumps(each) for each in await chat.messages()] == [json.dumps(each) for each in VIEW]
        assert [(each.code, each.seqs) for each in found] == [
            *((each.code, each.seqs) for each in _view_of_log(None).report),
            ("unfinished_run", (8,)),
            ("unfinished_run", (9,)),
        ]
        async with SessionManager(await reopen()).open("talk") as cold:
            for wanted in (None, *get_args(MessageFormat)):
                for each in (chat, cold):
                    assert _shown(await each.messages(format=wanted)) == _shown(_view_of_log(wanted))
            assert list(await cold.messages(repair=False)) == [message for _, message in LOG]
            assert list(await cold.run(id="a").messages()) == [LOG[2][1], LOG[6][1]]
            assert list(await cold.run(id="b").messages()) == [LOG[3][1], LOG[5][1], LOG[8][1], VIEW[-1]]
            assert [(each.call_id, each.seq, each.run_id) for each in await cold.open_calls()] == [("c2", 9, "b")]

    async def test_repairing_writes_once_what_views_assume(self, store: BaseSessionStore, reopen: Reopen) -> None:
        other = await reopen()
        async with SessionManager(store).open("talk") as chat, SessionManager(other).open("talk") as elsewhere:
            await chat.append(_user("Oslo?"))
            async with chat.run(id="r") as run:
                await run.append(_call("c1"), _call("c2"))
            assumed = await chat.messages()

            at_once = await asyncio.gather(*(each.repair() for each in (chat, elsewhere) * 4))
            again = [*await chat.repair(), *await elsewhere.repair()]

            assert again == []
            assert await chat.open_calls() == []
            assert [each.code for each in await chat.check()] == ["moved_result"]
            assert list(await elsewhere.messages()) == list(assumed)
            log = (await whole(await reopen(), "talk")).events
            assert [event.message for event in log[3:]] == [_closed("c1"), _closed("c2")]
            for event in log[3:]:
                assert (event.type, event.task_id, event.metadata) == (
                    EventType.TOOL_RESULT,
                    "r",
                    {"repair": "interrupted"},
                )
            assert {tuple(ids(each)) for each in at_once} <= {(), tuple(ids(log[3:]))}

            await chat.retract(log[4].id)
            [anew] = await elsewhere.repair()
            assert (anew.message, anew.retracted) == (log[4].message, False)
            assert await chat.open_calls() == []

            await elsewhere.append(_user("Still there?"), _result("c1", "sun"))
            view = await chat.messages()
            assert [each["content"] for each in view] == ["Oslo?", None, "sun", None, INTERRUPTED, "Still there?"]
            assert [each.code for each in view.report] == ["repeated_result", "moved_result"]

    async def test_a_result_that_comes_while_repairing_is_the_only_one(
        self, store: BaseSessionStore, reopen: Reopen, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other, read_messages = await reopen(), store.read_messages
        results = [said(_result("c2", "sun"), id="late")]

        async def read_and_be_late(session: Any, *, last: int | None = None, **how: bool) -> MessageTail:
            found = await read_messages(session, last=last, **how)
            if results:
                await other.append("talk", results.pop(), said("Still there?"))
            return found

        async with SessionManager(store).open("talk") as chat:
            await chat.append(_user("Oslo?"), _call("c1"), _call("c2"))
            await chat.open_calls()
            await other.append("talk", said(_result("c1", "rain")))
            monkeypatch.setattr(store, "read_messages", read_and_be_late)
            written = await chat.repair()

            view = await chat.messages()

        assert written == []
        assert [each["content"] for each in view] == ["Oslo?", None, "rain", None, "sun", "Still there?"]
        assert len(await other.events("talk")) == 6

    async def test_a_tool_answers_the_open_call_of_its_own_run(self, store: BaseSessionStore, reopen: Reopen) -> None:
        other = await reopen()
        async with (
            SessionManager(store).open("talk") as chat,
            SessionManager(other).open("talk") as elsewhere,
            chat.run(id="a") as a,
            elsewhere.run(id="b") as b,
        ):
            await chat.user("Oslo?")
            await a.append(_call("c1", "one"), spending(2))
            await b.append(_call("c1", "two"), spending(3))

            mine = await a.tool("one", result="first", call_id="c1")
            theirs = await b.tool("two", result="second", call_id="c1")
            anew = await a.tool("one", {"in": 3}, result="third", call_id="c1")

            assert [len(each) for each in (mine, theirs, anew)] == [1, 1, 2]
            assert await chat.open_calls() == []

        async with SessionManager(await reopen()).open("talk") as cold:
            spent = [(await cold.run(id=each).usage()).prompt_tokens for each in ("a", "b", "c")]
            answers = [
                [each["content"] for each in await cold.run(id=each).messages() if each["role"] == "tool"]
                for each in ("a", "b", "c")
            ]
        assert spent == [2, 3, 0]
        assert answers == [["first", "third"], ["second"], []]

    async def test_a_window_gives_a_result_to_the_call_of_its_run_wherever_that_is(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        first, second, result = _call("c1", "sun"), _call("c1", "rain"), _result("c1", "some")
        async with SessionManager(store).open("talk") as chat, chat.run(id="a") as a, chat.run(id="b") as b:
            await chat.append(SYSTEM, _user("Oslo?"))
            await a.append(first)
            for turn in range(40):
                await chat.append(_user(f"{turn} " * 10))
            await b.append(second)
            await a.append(result)
            await chat.append(_user("Well?"))

        async with SessionManager(await reopen()).open("talk") as cold:
            window = await cold.window(max_tokens=200)
            whole = await cold.messages()

            closed = {**_closed("c1"), "name": "rain"}
            assert list(window.messages[-3:]) == [second, closed, _user("Well?")]
            assert list(window.messages) == [SYSTEM, *whole[1 - len(window.messages) :]]
            assert list(whole[1:4]) == [_user("Oslo?"), first, result]

    async def test_a_window_is_of_whole_turns_and_within_its_budget(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        async with SessionManager(store).open("talk") as chat:
            await chat.append(SYSTEM)
            for turn in range(20):
                await chat.append(_user(f"{turn} " * 30), _call("c1"), _result("c1", "sun " * 30))

        async with SessionManager(await reopen()).open("talk") as cold:
            everything = await cold.window()
            for budget in (200, 500, 1_000):
                window = await cold.window(max_tokens=budget)
                kept = len(window.messages) - 1

                assert kept
                assert kept % 3 == 0
                assert list(window.messages) == [SYSTEM, *everything.messages[-kept:]]
                assert window.token_count.tokens <= budget
                assert window.left_out_events == 60 - kept
                assert list(await cold.messages(max_tokens=budget)) == list(window.messages)
            with pytest.raises(InvalidSessionOperation):
                await cold.window(max_tokens=10)
        assert (len(everything.messages), everything.left_out_events) == (61, 0)
