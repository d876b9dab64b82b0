"""LangGraphSaver: the published conformance suite, and what it does not ask: size, retries, processes, bad input."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from copy import deepcopy
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, RemoveMessage
from langgraph.checkpoint.base import INTERRUPT, BaseCheckpointSaver, empty_checkpoint  # type: ignore[attr-defined,unused-ignore]
from langgraph.graph import END, START, StateGraph, add_messages
from langgraph.types import Command, interrupt

from a2a_session_manager import CorruptSession, InvalidSessionOperation, SessionEvent, SessionManager
from a2a_session_manager.integrations.langgraph import LangGraphSaver
from a2a_session_manager.storage import InMemorySessionStore
from a2a_session_manager.sync import SyncSessionManager
from tests.integrations.bridging import BAD_IDS, ODD_IDS, Losing, finished, killed_after, sessions
from tests.stores import shared_url, url

__all__ = ["sessions", "shared_url", "url"]


class Talk(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


def said(text: str, number: int) -> AIMessage:
    usage: Any = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    about = {"model_name": "gpt-4o", "model_provider": "openai"}
    return AIMessage(text, id=f"answer-{number}", usage_metadata=usage, response_metadata=about)


def answering(state: Talk) -> dict[str, Any]:
    number = len(state["messages"])
    return {"messages": [said(f"answer {number} ".ljust(200, "y"), number)]}


def talking(saver: Any, node: Any = answering) -> Any:
    builder: Any = StateGraph(Talk)
    builder.add_node("model", node)
    builder.add_edge(START, "model")
    builder.add_edge("model", END)
    return builder.compile(checkpointer=saver)


def config(thread_id: Any = "t", **more: Any) -> Any:
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": "", **more}}


def checkpoint(number: int, **values: Any) -> Any:
    versions = {name: f"{number:032}.{name}" for name in values}
    return {**empty_checkpoint(), "id": f"{number:04}", "channel_values": values, "channel_versions": versions}


async def put(saver: Any, number: int, parent: Any = None, **values: Any) -> Any:
    made = checkpoint(number, **values)
    return await saver.aput(parent or config(), made, {"step": number}, made["channel_versions"])


async def test_the_published_conformance_suite(url: str) -> None:
    conformance = pytest.importorskip("langgraph.checkpoint.conformance")

    @conformance.checkpointer_test(name="ours")
    async def ours() -> AsyncGenerator[BaseCheckpointSaver[str], None]:
        async with SessionManager.from_url(url) as sessions:
            yield LangGraphSaver(sessions)

    report = await conformance.validate(ours)

    failures = [failure for result in report.results.values() for failure in result.failures or []]
    assert (failures, report.conformance_level()) == ([], "FULL")


async def test_a_graph_goes_on_in_another_process_of_the_same_thread(sessions: SessionManager) -> None:
    first = talking(LangGraphSaver(sessions))
    for turn in range(3):
        await first.ainvoke({"messages": [HumanMessage(f"question {turn}", id=f"q{turn}")]}, config())

    cold = talking(LangGraphSaver(sessions))
    state = await cold.ainvoke({"messages": [HumanMessage("more", id="q3")]}, config())

    assert [message.id for message in state["messages"]][-2:] == ["q3", "answer-7"]
    assert len(state["messages"]) == 8
    usage = await sessions.usage(LangGraphSaver(sessions).session_id("t"), tree=True)
    assert (usage.total.requests, usage.total_tokens) == (4, 60)


async def test_a_hundred_turns_of_40_kb_take_less_than_1_mb_and_twice_as_many_twice_that() -> None:
    sizes: list[int] = []
    for turns in (25, 50):
        async with SessionManager(InMemorySessionStore()) as sessions:
            graph = talking(LangGraphSaver(sessions))
            for turn in range(turns):
                await graph.ainvoke({"messages": [HumanMessage(f"{turn}".ljust(200, "x"), id=f"q{turn}")]}, config())
            session_id = LangGraphSaver(sessions).session_id("t")
            sizes.append(sum(len(event.model_dump_json()) for event in await sessions.events(session_id)))

    assert sizes[1] < 500_000  # half of what is allowed, for half of the turns
    assert sizes[1] < 2.1 * sizes[0]


async def test_a_list_may_shrink_change_in_place_and_be_rewritten(sessions: SessionManager) -> None:
    saver = LangGraphSaver(sessions)
    rows: list[Any] = [["a"], {"b": 1}, 1.5, "text", None, AIMessage("x", id="m")]
    parent = await put(saver, 1, rows=list(rows))
    versions = [deepcopy(rows)]
    for value in ([*rows, 7], rows[:2], [*rows[:2], 9], [], ["new"], ["new", "er"], rows):
        if value is rows:
            rows[0].append("changed in place")  # as a node may do to an item that it keeps
        parent = await put(saver, len(versions) + 1, parent, rows=value)
        versions.append(deepcopy(value))

    for reader in (saver, LangGraphSaver(sessions)):
        for number, value in enumerate(versions, 1):
            made = await reader.aget_tuple(config(checkpoint_id=f"{number:04}"))
            assert made is not None
            assert made.checkpoint["channel_values"]["rows"] == value


async def test_two_that_go_on_from_one_checkpoint_both_are_there_whole(sessions: SessionManager) -> None:
    start = await put(LangGraphSaver(sessions), 1, rows=["a"])
    savers = [LangGraphSaver(sessions), LangGraphSaver(sessions)]

    ends = await asyncio.gather(*(put(saver, 2 + at, start, rows=["a", at]) for at, saver in enumerate(savers)))
    last = await asyncio.gather(*(put(saver, 4 + at, ends[at], rows=["a", at, "b"]) for at, saver in enumerate(savers)))

    for at, end in enumerate(last):
        made = await LangGraphSaver(sessions).aget_tuple(end)
        assert made is not None
        assert made.checkpoint["channel_values"] == {"rows": ["a", at, "b"]}
    latest = await savers[0].aget_tuple(config())
    assert latest is not None
    assert latest.config["configurable"]["checkpoint_id"] == "0005"


async def test_a_checkpoint_that_is_put_again_counts_as_it_was_put_last(sessions: SessionManager) -> None:
    saver = LangGraphSaver(sessions)
    for value in (["a"], ["b"], "c", ["a"]):
        named = await put(saver, 1, x=value)
        for reader in (saver, LangGraphSaver(sessions)):
            made = await reader.aget_tuple(named)
            assert made is not None
            assert made.checkpoint["channel_values"] == {"x": value}

    assert len([made async for made in saver.alist(config())]) == 1


async def test_of_writes_the_first_of_a_number_counts_and_of_special_ones_the_last(sessions: SessionManager) -> None:
    saver = LangGraphSaver(sessions)
    named = await put(saver, 1)
    await saver.aput_writes(named, [("x", 1), ("y", 2)], "task", "~1")
    await LangGraphSaver(sessions).aput_writes(named, [("x", 3)], "task", "~1")
    for value in ("a", "b", "a"):
        await LangGraphSaver(sessions).aput_writes(named, [(INTERRUPT, value)], "task", "~1")
    for number in range(40):
        await saver.aput_writes(named, [("z", number)], f"task {number:02}", "~0")

    made = await LangGraphSaver(sessions).aget_tuple(named)
    assert made is not None
    writes = made.pending_writes or []
    assert writes[:40] == [(f"task {number:02}", "z", number) for number in range(40)]
    assert writes[40:] == [("task", INTERRUPT, "a"), ("task", "x", 1), ("task", "y", 2)]


async def test_what_was_pruned_is_gone_and_what_lives_is_whole(sessions: SessionManager) -> None:
    saver = LangGraphSaver(sessions)
    parent = None
    for number in range(1, 6):
        parent = await put(saver, number, parent, rows=list(range(number)), x=number)
    await saver.aprune(["t"])

    for reader in (saver, LangGraphSaver(sessions)):
        [made] = [each async for each in reader.alist(config())]
        assert made.checkpoint["channel_values"] == {"rows": [0, 1, 2, 3, 4], "x": 5}
        assert await reader.aget_tuple(config(checkpoint_id="0002")) is None
    named = await put(saver, 6, parent, rows=[0, 1, 2, 3, 4, 5])
    made_after = await LangGraphSaver(sessions).aget_tuple(named)
    assert made_after is not None
    assert made_after.checkpoint["channel_values"]["rows"] == [0, 1, 2, 3, 4, 5]


async def test_a_lost_reply_doubles_nothing(sessions: SessionManager) -> None:
    losing = Losing(sessions)
    saver = LangGraphSaver(sessions)
    losing.lose(1)
    first = await put(saver, 1, rows=["a"])
    losing.lose(1)
    second = await put(saver, 2, first, rows=["a", said("b", 1)])
    losing.lose(1)
    await saver.aput_writes(second, [("x", 1)], "task")

    events = await sessions.events(saver.session_id("t"))
    assert [event.type for event in events] == [
        "langgraph_value",
        "langgraph_checkpoint",
        "langgraph_value",
        "langgraph_checkpoint",
        "langgraph_usage",
        "langgraph_writes",
    ]
    assert (await sessions.usage(saver.session_id("t"))).total.requests == 1


async def test_a_run_cancelled_in_a_stream_goes_on_from_its_last_step(sessions: SessionManager) -> None:
    begun, is_slow = asyncio.Event(), True

    async def slow(state: Talk) -> dict[str, Any]:
        if is_slow:
            begun.set()
            await asyncio.sleep(60)
        return answering(state)

    graph = talking(LangGraphSaver(sessions), slow)

    async def stream() -> None:
        async for _ in graph.astream({"messages": [HumanMessage("hello", id="q0")]}, config()):
            pass

    streaming = asyncio.create_task(stream())
    await begun.wait()
    streaming.cancel()
    await asyncio.gather(streaming, return_exceptions=True)
    is_slow = False
    state = await talking(LangGraphSaver(sessions), slow).ainvoke(None, config())

    assert [message.id for message in state["messages"]] == ["q0", "answer-1"]
    assert (await sessions.usage(LangGraphSaver(sessions).session_id("t"))).total.requests == 1


async def test_an_interrupt_is_answered_in_another_process_and_steps_back_stay_whole(sessions: SessionManager) -> None:
    def asking(state: Talk) -> dict[str, Any]:
        return {"messages": [AIMessage(f"you said {interrupt('sure?')}", id="a")]}

    await talking(LangGraphSaver(sessions), asking).ainvoke({"messages": [HumanMessage("go", id="q")]}, config())
    graph = talking(LangGraphSaver(sessions), asking)
    state = await graph.ainvoke(Command(resume="yes"), config())
    assert state["messages"][-1].content == "you said yes"

    await graph.aupdate_state(config(), {"messages": [RemoveMessage(id="a")]}, as_node="model")
    history = [[message.id for message in each.values["messages"]] async for each in graph.aget_state_history(config())]
    assert history[:3] == [["q"], ["q", "a"], ["q"]]


def test_blocking_graphs_run_on_a_manager_of_either_kind() -> None:
    with SyncSessionManager.from_url("memory:") as blocking:
        for sessions in (blocking, SessionManager(InMemorySessionStore())):
            saver = LangGraphSaver(sessions)
            graph = talking(saver)
            for turn in range(2):
                state = graph.invoke({"messages": [HumanMessage("hello", id=f"q{turn}")]}, config("u"))
            assert len(state["messages"]) == 4
            assert len(list(saver.list(config("u")))) == 6
            saver.delete_thread("u")
            assert graph.get_state(config("u")).values == {}


def subgraphs(saver: Any) -> Any:
    builder: Any = StateGraph(Talk)
    builder.add_node("inner", talking(True))
    builder.add_edge(START, "inner")
    return builder.compile(checkpointer=saver)


async def test_an_answer_in_a_subgraph_and_the_graph_is_counted_once(sessions: SessionManager) -> None:
    saver = LangGraphSaver(sessions)
    for turn in range(2):
        await subgraphs(saver).ainvoke({"messages": [HumanMessage("hello", id=f"q{turn}")]}, config())

    assert len(await sessions.children(saver.session_id("t"))) == 1
    assert (await sessions.usage(saver.session_id("t"), tree=True)).total.requests == 2


@pytest.mark.parametrize("odd", ODD_IDS)
async def test_odd_ids_stay_apart_and_come_back(odd: str) -> None:
    async with SessionManager.from_url("memory:") as sessions:
        saver = LangGraphSaver(sessions)
        for thread, namespace in ((odd, ""), ("t", odd), (odd, odd)):
            made = checkpoint(1, x=[thread, namespace])
            await saver.aput(config(thread, checkpoint_ns=namespace), made, {}, made["channel_versions"])

        found = {
            (made.config["configurable"]["thread_id"], made.config["configurable"]["checkpoint_ns"])
            async for made in saver.alist(None)
        }
        assert found == {(odd, ""), ("t", odd), (odd, odd)}


@pytest.mark.parametrize("bad", [*BAD_IDS, None])
async def test_bad_input_is_a_value_error_with_ours_inside_and_nothing_is_written(bad: Any) -> None:
    async with SessionManager.from_url("memory:") as sessions:
        saver = LangGraphSaver(sessions)
        wrong: Any
        for wrong in (config(bad), {"configurable": {}}):
            with pytest.raises(ValueError, match=r"id|thread") as caught:
                await put(saver, 1, wrong, x=1)
            assert isinstance(caught.value.__cause__, InvalidSessionOperation)
            with pytest.raises(ValueError, match=r"id|thread"):
                await saver.aget_tuple(wrong)
        with pytest.raises(ValueError, match="no checkpoint"):
            await saver.aput_writes(config(), [("x", 1)], "task")

        assert await sessions.list_sessions() == []


async def test_records_of_a_newer_release_are_refused(sessions: SessionManager) -> None:
    saver = LangGraphSaver(sessions)
    await sessions.create(saver.session_id("t"), state={"langgraph": {"v": 2}})

    with pytest.raises(CorruptSession, match="newer release"):
        await saver.aget_tuple(config())
    with pytest.raises(CorruptSession, match="newer release"):
        await put(saver, 1, x=1)
    assert await sessions.events(saver.session_id("t")) == []


async def test_what_cannot_be_read_any_more_is_an_error_and_all_else_stays_readable(sessions: SessionManager) -> None:
    class Removed:  # a type that a later release has no more, in the bytes of an earlier one
        def loads_typed(self, data: tuple[str, bytes]) -> Any:
            raise TypeError(f"no type {data[0]!r}")

        def dumps_typed(self, value: Any) -> tuple[str, bytes]:
            return "removed", b"x"

    saver = LangGraphSaver(sessions)
    first = await put(saver, 1, rows=["a"])
    second = await put(LangGraphSaver(sessions, serde=Removed()), 2, first, rows=["a"], x=1)
    before = await sessions.events(saver.session_id("t"))

    cold = LangGraphSaver(sessions)
    with pytest.raises(NotImplementedError, match="removed"):  # that of LangGraph's own serializer
        await cold.aget_tuple(second)
    made = await cold.aget_tuple(first)
    assert made is not None
    assert made.checkpoint["channel_values"] == {"rows": ["a"]}
    assert await sessions.events(saver.session_id("t")) == before
    broken = SessionEvent(id="c:0003", message={"v": 1, "id": 3}, type="langgraph_checkpoint")
    await sessions.append(saver.session_id("t"), broken)
    with pytest.raises(CorruptSession, match="none of ours"):
        await cold.aget_tuple(config(checkpoint_id="0003"))


WRITER = """
import sys
from tests.integrations.langgraph.test_saver import HumanMessage, LangGraphSaver, SyncSessionManager, config, talking

url, turns = sys.argv[1], int(sys.argv[2])
with SyncSessionManager.from_url(url) as sessions:
    graph = talking(LangGraphSaver(sessions))
    for _ in range(turns):
        number = len(graph.get_state(config()).values.get("messages", []))
        graph.invoke({"messages": [HumanMessage("hello", id=f"q{number}")]}, config())
        print("turn", number, flush=True)
"""


async def test_a_process_killed_between_turns_is_gone_on_with_by_another(shared_url: str) -> None:
    await asyncio.to_thread(killed_after, WRITER, "turn 2", shared_url, "100")
    await asyncio.to_thread(finished, WRITER, shared_url, "2")

    async with SessionManager.from_url(shared_url) as sessions:
        saver = LangGraphSaver(sessions)
        state = await talking(saver).aget_state(config())
        usage = await sessions.usage(saver.session_id("t"))
    ids = [message.id for message in state.values["messages"]]
    assert len(ids) == len(set(ids))
    answers = [session_id for session_id in ids if session_id.startswith("answer")]
    assert usage.total.requests == len(answers) >= 4


async def test_two_processes_on_one_thread_leave_it_whole(shared_url: str) -> None:
    await asyncio.gather(*(asyncio.to_thread(finished, WRITER, shared_url, "3") for _ in range(2)))

    async with SessionManager.from_url(shared_url) as sessions:
        saver = LangGraphSaver(sessions)
        found = [made async for made in saver.alist(config())]
        latest = await saver.aget_tuple(config())
    assert latest is not None
    assert len(found) == 18  # three steps a turn: the log has those of both, also where they went on from one
    assert latest.config == max(found, key=lambda made: made.checkpoint["id"]).config
