"""What clients and servers really write, and providers refuse when it is sent back, is given as they take it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from a2a_session_manager import InMemorySessionStore, SessionManager
from a2a_session_manager.context.conversion import MessageFormat
from a2a_session_manager.context.view import MessageView

ASKED = {"role": "user", "content": "q"}
NEXT = {"role": "user", "content": "x"}
INVOCATION = {"type": "tool-weather", "toolCallId": "k2", "state": "input-available", "input": {"c": 1}}


async def view(*messages: dict[str, Any], format: MessageFormat | None = None) -> MessageView:
    """Return the view of a session that has these messages."""
    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        await chat.append(*messages)
        return await chat.messages(format=format)


def call(**keys: Any) -> dict[str, Any]:
    """Return an answer that makes one call, with these keys instead of the usual ones."""
    function = {"name": "f", "arguments": keys.pop("arguments", "{}")}
    made = {"id": "c1", "type": "function", "function": function, **keys}
    return {"role": "assistant", "content": None, "tool_calls": [{k: v for k, v in made.items() if v is not None}]}


def result(content: Any = "r", **keys: Any) -> dict[str, Any]:
    return {"role": "tool", "content": content, **(keys or {"tool_call_id": "c1"})}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"role": "assistant", "content": "a", "tool_calls": None}, {"role": "assistant", "content": "a"}),
        ({"role": "assistant", "content": "a", "tool_calls": []}, {"role": "assistant", "content": "a"}),
        ({"role": "user", "content": ["a"]}, {"role": "user", "content": [{"type": "text", "text": "a"}]}),
        ({"role": "user", "content": 3}, {"role": "user", "content": "3"}),
    ],
)
async def test_what_openai_refuses_is_written_as_it_takes_it(given: dict[str, Any], sent: dict[str, Any]) -> None:
    assert await view(ASKED, given, format="openai") == [ASKED, sent]
    assert await view(ASKED, given) == [ASKED, given]  # as it is stored


@pytest.mark.parametrize(("content", "sent"), [(None, ""), ([], ""), (7, "7"), ({"a": 1}, '{"a": 1}')])
async def test_a_result_of_any_json_is_text_to_openai(content: Any, sent: str) -> None:
    assert (await view(ASKED, call(), result(content), NEXT, format="openai"))[2]["content"] == sent


@pytest.mark.parametrize(("arguments", "sent"), [({"a": 1}, '{"a": 1}'), (None, "{}")])
async def test_arguments_are_text_to_openai(arguments: Any, sent: str) -> None:
    made = (await view(ASKED, call(arguments=arguments), result(), format="openai"))[1]["tool_calls"]
    assert made[0]["function"]["arguments"] == sent


@pytest.mark.parametrize(("arguments", "sent"), [("", {}), ('{"a": NaN}', {"input": '{"a": NaN}'})])
async def test_arguments_are_an_object_of_json_to_anthropic(arguments: str, sent: Any) -> None:
    found = (await view(ASKED, call(arguments=arguments), result(), format="anthropic"))[1]["content"][0]["input"]
    assert found == sent
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    "system",
    [
        {"role": "system", "parts": [{"type": "text", "content": "sys"}]},
        {"kind": "request", "parts": [{"part_kind": "system-prompt", "content": "sys"}]},
    ],
)
async def test_the_system_of_other_formats_is_text_beside_anthropics_messages(system: dict[str, Any]) -> None:
    assert (await view(system, NEXT, format="anthropic")).system == "sys"


@pytest.mark.parametrize("format", ["anthropic", None])
async def test_results_come_before_what_their_message_says_beside_them(format: MessageFormat | None) -> None:
    use = {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]}
    told, answer = {"type": "text", "text": "first"}, {"type": "tool_result", "tool_use_id": "t1", "content": "r"}
    found = await view(ASKED, use, {"role": "user", "content": [told, answer]}, format=format)
    assert found[2]["content"] == [answer, told]
    assert [finding.code for finding in found.report] == ["moved_result"]


@pytest.mark.parametrize("empty", [{"role": "model"}, {"role": "model", "parts": None}, {"role": "assistant"}])
async def test_an_answer_without_content_says_nothing(empty: dict[str, Any]) -> None:
    found = await view(ASKED, empty, NEXT)
    assert found == [ASKED, NEXT]
    assert [finding.code for finding in found.report] == ["empty_message"]


async def test_what_a_model_said_as_sound_goes_back_by_its_id_and_elsewhere_as_text() -> None:
    sound = {"id": "audio_1", "transcript": "hi", "data": "AAAA", "expires_at": 1}
    spoken = {"role": "assistant", "content": None, "audio": sound}
    assert (await view(ASKED, spoken, NEXT, format="openai"))[1]["audio"] == {"id": "audio_1"}
    assert (await view(ASKED, spoken, NEXT, format="anthropic"))[1] == {"role": "assistant", "content": "hi"}


@pytest.mark.parametrize(
    "part",
    [
        {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}},
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
    ],
)
async def test_a_file_that_openai_cannot_reach_is_reported(part: dict[str, Any]) -> None:
    said = {"role": "user", "content": [part, {"type": "text", "text": "read"}]}
    found = await view(said, format="openai")
    assert found == [{"role": "user", "content": "read"}]
    assert [finding.code for finding in found.report] == ["not_converted"]


async def test_a_compaction_of_openais_is_not_one_of_anthropics() -> None:
    compaction = {"type": "compaction", "encrypted_content": "E", "id": "cmp"}
    found = await view(ASKED, compaction, {"role": "assistant", "content": "a"}, NEXT, format="anthropic")
    assert "compaction" not in json.dumps(found)
    assert [finding.code for finding in found.report] == ["not_converted"]


@pytest.mark.parametrize(
    ("made", "answer"),
    [
        (call(id=5), result(tool_call_id=5)),
        (call(id=None), result(role="tool")),
        (call(id=None), result(tool_name="f")),
        (call(id=None), result(tool_call_id="f")),
    ],
)
async def test_calls_that_are_numbered_or_have_no_id_keep_their_results(
    made: dict[str, Any], answer: dict[str, Any]
) -> None:
    found = await view(ASKED, made, answer, NEXT, format="openai")
    [sent] = found[1]["tool_calls"]
    assert found[2]["content"] == "r"
    assert isinstance(sent["id"], str)
    assert found[2]["tool_call_id"] == sent["id"]
    assert not found.report


@pytest.mark.parametrize(
    "made",
    [
        call(id=5),
        call(id=None),
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "assistant", "parts": [{"type": "tool_call", "id": None, "name": "f", "arguments": {}}]},
        {"id": "1", "role": "assistant", "parts": [INVOCATION]},
    ],
)
async def test_what_repairing_writes_answers_the_call(made: dict[str, Any]) -> None:
    async with SessionManager(InMemorySessionStore()).open("chat") as chat:
        await chat.append(ASKED, made, NEXT)
        assumed = await chat.messages()
        assert [len(await chat.repair()), len(await chat.repair())] == [1, 0]
        assert not await chat.open_calls()
        assert await chat.messages() == assumed


async def test_as_many_calls_as_one_likes_have_ids_of_their_own_in_no_time() -> None:
    calls = [{"functionCall": {"name": "f", "args": {"i": i}}} for i in range(2_000)]
    answers = [{"functionResponse": {"name": "f", "response": {"i": i}}} for i in range(2_000)]
    found = await view(ASKED, {"role": "model", "parts": calls}, {"role": "user", "parts": answers}, format="openai")
    ids = [each["id"] for each in found[1]["tool_calls"]]
    assert len(set(ids)) == 2_000
    assert [each["tool_call_id"] for each in found[2:]] == ids
