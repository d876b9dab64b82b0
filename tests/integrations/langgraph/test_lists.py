"""Lists of messages: what changed in place is stored anew, and what looks as it did is not encoded again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from a2a_session_manager import CorruptSession, SessionEvent, SessionManager
from a2a_session_manager.integrations.langgraph import LangGraphSaver
from tests.integrations.bridging import sessions
from tests.integrations.langgraph.test_saver import checkpoint, config, put, talking
from tests.stores import shared_url, url

__all__ = ["sessions", "shared_url", "url"]


def kept(message: Any, value: Any) -> None:
    message.additional_kwargs["kept"] = value


CHANGES: dict[str, Callable[[Any], None]] = {
    "content": lambda message: setattr(message, "content", "other"),
    "parts": lambda message: setattr(message, "content", [{"type": "text", "text": "one"}]),
    "a field": lambda message: setattr(message, "name", "ann"),
    "an id": lambda message: setattr(message, "id", None),
    "true": lambda message: kept(message, True),
    "a float": lambda message: kept(message, 1.0),
    "bytes": lambda message: kept(message, b"1"),
    "deep": lambda message: message.additional_kwargs["deep"][0].update(at=2),
    "a key that is a number": lambda message: message.additional_kwargs.update({1: "x"}),
    "more": lambda message: setattr(message, "unheard", 1),  # messages take any field
    "a large number": lambda message: kept(message, 2**70),
    "a surrogate": lambda message: setattr(message, "content", "\ud800"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", [AIMessage, HumanMessage])
async def test_a_message_that_changed_in_place_is_stored_as_it_is_then(change: str, kind: type[BaseMessage]) -> None:
    async with SessionManager.from_url("memory:") as sessions:
        saver = LangGraphSaver(sessions)
        messages: list[Any] = [
            HumanMessage("first", id="h"),
            kind("one", id="m", additional_kwargs={"kept": 1, "deep": [{"at": 1}]}),
        ]
        first = await put(saver, 1, messages=messages)
        CHANGES[change](messages[1])
        try:
            expected = JsonPlusSerializer().loads_typed(JsonPlusSerializer().dumps_typed(messages))
        except Exception as error:
            with pytest.raises(type(error)):
                await put(saver, 2, first, messages=messages)
            return
        second = await put(saver, 2, first, messages=messages)

        made = await LangGraphSaver(sessions).aget_tuple(second)
        assert made is not None
        found = made.checkpoint["channel_values"]["messages"]
        assert repr(found) == repr(expected)
        before = await LangGraphSaver(sessions).aget_tuple(first)
        assert before is not None
        assert before.checkpoint["channel_values"]["messages"][1].content == "one"


async def test_a_tool_message_with_an_object_is_left_to_the_serializer() -> None:
    async with SessionManager.from_url("memory:") as sessions:
        saver = LangGraphSaver(sessions)
        message = ToolMessage("found", tool_call_id="c", artifact={1, 2})
        first = await put(saver, 1, messages=[message])
        message.artifact.add(3)
        second = await put(saver, 2, first, messages=[message])

        made = await LangGraphSaver(sessions).aget_tuple(second)
        assert made is not None
        assert made.checkpoint["channel_values"]["messages"][0].artifact == {1, 2, 3}


async def test_a_turn_of_a_long_conversation_encodes_what_is_new_in_it(
    sessions: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumps, encoded = JsonPlusSerializer.dumps_typed, 0

    def counted(serde: JsonPlusSerializer, value: Any) -> tuple[str, bytes]:
        nonlocal encoded
        encoded += 1
        return dumps(serde, value)

    graph = talking(LangGraphSaver(sessions))
    for turn in range(20):
        await graph.ainvoke({"messages": [HumanMessage("hello", id=f"q{turn}")]}, config())
    monkeypatch.setattr(JsonPlusSerializer, "dumps_typed", counted)
    state = await graph.ainvoke({"messages": [HumanMessage("hello", id="last")]}, config())

    assert len(state["messages"]) == 42
    assert encoded <= 12


@pytest.mark.parametrize(
    ("id", "type", "message"),
    [
        ("c:0002", "langgraph_checkpoint", {"v": 2, "rows": []}),
        ("w:0001#0", "langgraph_writes", {"v": 2, "task": "t"}),
    ],
)
async def test_a_record_of_a_newer_release_is_refused_and_nothing_is_written(
    id: str, type: str, message: Any, sessions: SessionManager
) -> None:
    saver = LangGraphSaver(sessions)
    await put(saver, 1, rows=["a"])
    await sessions.append(saver.session_id("t"), SessionEvent(id=id, type=type, message=message))
    before = await sessions.events(saver.session_id("t"))

    with pytest.raises(CorruptSession, match="newer release"):
        await LangGraphSaver(sessions).aget_tuple(config(checkpoint_id=id[2:6]))
    assert await sessions.events(saver.session_id("t")) == before


@pytest.mark.parametrize("comes_back", [False, True])
@pytest.mark.parametrize("is_known", [False, True])
async def test_a_thread_that_is_gone_in_the_middle_of_a_run_is_stored_whole_again(
    comes_back: bool, is_known: bool, sessions: SessionManager
) -> None:
    saver = LangGraphSaver(sessions)
    first = await put(saver, 1, rows=["a"], x=1)
    if not is_known:
        saver = LangGraphSaver(sessions)
        assert await saver.aget_tuple(first)
    await sessions.delete(saver.session_id("t"))  # by another process, or it has expired
    if comes_back:
        other = LangGraphSaver(sessions)
        await put(other, 9, await put(other, 8, rows=["other"]), rows=["other"])
    made = checkpoint(2, rows=["a", "b"], x=1)
    second = await saver.aput(first, made, {"step": 2}, {"rows": made["channel_versions"]["rows"]})

    found = await LangGraphSaver(sessions).aget_tuple(second)
    assert found is not None
    assert found.checkpoint["channel_values"] == {"rows": ["a", "b"], "x": 1}


@pytest.mark.parametrize("channel", ["rows", "x"])
async def test_a_thread_that_goes_between_two_reads_of_a_put_is_stored_whole_again(
    channel: str, sessions: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"rows": ["a"], "x": 1}
    first = await put(LangGraphSaver(sessions), 1, **{channel: values[channel]})
    saver = LangGraphSaver(sessions)
    reads = saver._threads.log.reads
    refs_of = reads.refs_of

    async def then_gone(*asked: Any) -> Any:
        found = await refs_of(*asked)
        if found:
            await sessions.delete(saver.session_id("t"))
        return found

    monkeypatch.setattr(reads, "refs_of", then_gone)
    made = checkpoint(2, y=2, **{channel: values[channel]})
    second = await saver.aput(first, made, {"step": 2}, {"y": made["channel_versions"]["y"]})

    found = await LangGraphSaver(sessions).aget_tuple(second)
    assert found is not None
    assert found.checkpoint["channel_values"] == {"y": 2, channel: values[channel]}


@pytest.mark.parametrize("is_pruned", [False, True])
@pytest.mark.parametrize("number", [1, 8])
async def test_a_thread_of_the_same_revision_that_another_process_made_anew_is_not_taken_for_the_old_one(
    number: int, is_pruned: bool, shared_url: str
) -> None:
    async with SessionManager.from_url(shared_url) as sessions, SessionManager.from_url(shared_url) as others:
        saver, other = LangGraphSaver(sessions), LangGraphSaver(others)
        first = await put(saver, 2, await put(saver, 1, rows=["a"], x=1), rows=["a", "b"], x=1)
        if is_pruned:  # after which the saver remembers lists, but no revision
            await saver.aprune(["t"])
        before = await sessions.get(saver.session_id("t"))
        await other.adelete_thread("t")
        await put(other, number + 1, await put(other, number, rows=["A"], x=1), rows=["A", "B"], x=1)
        if is_pruned:
            await other.aprune(["t"])
        assert (await others.get(saver.session_id("t"))).revision == before.revision

        made = checkpoint(number + 2, rows=["a", "b", "c"], x=1)
        third = await saver.aput(first, made, {"step": 3}, {"rows": made["channel_versions"]["rows"]})
        await saver.aput_writes(third, [("rows", "d")], "task")

    async with SessionManager.from_url(shared_url) as cold:
        found = await LangGraphSaver(cold).aget_tuple(config())
        assert found is not None
        assert found.checkpoint["channel_values"] == {"rows": ["a", "b", "c"], "x": 1}
        assert found.pending_writes == [("task", "rows", "d")]
        older = await LangGraphSaver(cold).aget_tuple(config(checkpoint_id=f"{number + 1:04}"))
        assert older is not None
        assert older.checkpoint["channel_values"] == {"rows": ["A", "B"], "x": 1}


async def test_what_a_saver_remembers_of_a_session_holds_none_of_its_events(sessions: SessionManager) -> None:
    saver = LangGraphSaver(sessions)
    at = await put(saver, 1, rows=["a"])
    await saver.aput_writes(at, [("rows", "b")], "task")
    await put(saver, 2, at, rows=["a", "b"])

    heads = saver._threads.log._remembered.heads
    assert [head.session.events for head in heads.values()] == [[]]
    assert [head.session.revision for head in heads.values()] == [3]
