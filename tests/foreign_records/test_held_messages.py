"""Records of other programs' files: `append` takes each, and gives back what was said in it."""

from __future__ import annotations

from typing import Any

import pytest

from a2a_session_manager import InvalidEvent, SessionManager
from a2a_session_manager.foreign_records.recognition import messages_in

ASKED = {"role": "user", "content": "Weather?"}
ANSWERED = {"role": "assistant", "content": "4 degrees"}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"at": "Oslo"}'}}
USAGE = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "gpt-4o",
    "choices": [{"index": 0, "message": ANSWERED, "finish_reason": "stop"}],
    "usage": USAGE,
}


def _node(id: str, parent: str | None, role: str, content: dict[str, Any], **more: Any) -> dict[str, Any]:
    author = {"role": role, "name": more.pop("name", None)}
    return {
        "id": id,
        "parent": parent,
        "children": more.pop("children", []),
        "message": {"id": id, "author": author, "content": content, **more},
    }


def _text(*parts: Any) -> dict[str, Any]:
    return {
        "content_type": "text" if all(isinstance(part, str) for part in parts) else "multimodal_text",
        "parts": [*parts],
    }


CHATGPT = {
    "title": "Sums",
    "current_node": "n5",
    "mapping": {
        "n0": {"id": "n0", "message": None, "parent": None, "children": ["n1"]},
        "n1": _node(
            "n1",
            "n0",
            "user",
            _text("Sum?", {"content_type": "image_asset_pointer", "asset_pointer": "sediment://1"}),
            children=["n2", "n9"],
        ),
        "n2": _node("n2", "n1", "assistant", {"content_type": "thoughts", "thoughts": []}, children=["n3"]),
        "n3": _node(
            "n3", "n2", "assistant", {"content_type": "code", "text": "1+1"}, recipient="python", children=["n4"]
        ),
        "n4": _node(
            "n4", "n3", "tool", {"content_type": "execution_output", "text": "2"}, name="python", children=["n5"]
        ),
        "n5": _node("n5", "n4", "assistant", _text("Two."), recipient="all", metadata={"model_slug": "gpt-5"}),
        "n9": _node("n9", "n1", "assistant", _text("Another branch.")),
    },
}

RECORDS: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "a line of fine-tuning": ({"messages": [ASKED, ANSWERED], "tools": []}, [ASKED, ANSWERED]),
    "a request of a batch": (
        {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": [ASKED]}},
        [ASKED],
    ),
    "a result of a batch": ({"custom_id": "1", "response": {"status_code": 200, "body": COMPLETION}}, [ANSWERED]),
    "a stored completion": (COMPLETION, [ANSWERED]),
    "a stored response": (
        {"object": "response", "id": "resp_1", "input": "Weather?", "output": [{"type": "reasoning", "summary": []}]},
        [{"type": "message", "role": "user", "content": "Weather?"}, {"type": "reasoning", "summary": []}],
    ),
    "a list of items": (
        {"object": "list", "data": [{"type": "function_call_output", "call_id": "c1", "output": "4"}]},
        [{"type": "function_call_output", "call_id": "c1", "output": "4"}],
    ),
    "a conversation of ChatGPT": (
        CHATGPT,
        [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Sum?"},
                    {"type": "image_url", "image_url": {"url": "sediment://1"}},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "n3", "type": "function", "function": {"name": "python", "arguments": '{"input": "1+1"}'}}
                ],
            },
            {"role": "tool", "tool_call_id": "n3", "content": "2"},
            {"role": "assistant", "content": "Two."},
        ],
    ),
    "a line of Claude Code": (
        {
            "type": "assistant",
            "uuid": "u",
            "message": {"role": "assistant", "id": "msg_1", "content": [], "model": "m"},
        },
        [{"role": "assistant", "content": []}],
    ),
    "a line of Codex": (
        {
            "type": "response_item",
            "payload": {"type": "function_call", "call_id": "c", "name": "sh", "arguments": "{}"},
        },
        [{"type": "function_call", "call_id": "c", "name": "sh", "arguments": "{}"}],
    ),
    "an event of ADK": (
        {"author": "weather", "invocationId": "i", "content": {"parts": [{"text": "4 degrees"}]}},
        [{"role": "model", "parts": [{"text": "4 degrees"}]}],
    ),
    "text of AG-UI": (
        {"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": "4 deg"},
        [{"role": "assistant", "content": "4 deg"}],
    ),
    "a task of A2A": (
        {
            "id": "t",
            "contextId": "c",
            "status": {
                "state": "TASK_STATE_COMPLETED",
                "message": {"role": "ROLE_AGENT", "messageId": "m2", "parts": [{"text": "Done"}]},
            },
            "history": [{"role": "ROLE_USER", "messageId": "m1", "parts": [{"text": "Weather?"}]}],
            "artifacts": [{"artifactId": "a1", "parts": [{"text": "4 degrees"}]}],
        },
        [
            {"role": "ROLE_USER", "messageId": "m1", "parts": [{"text": "Weather?"}]},
            {"kind": "message", "role": "agent", "messageId": "a1", "parts": [{"text": "4 degrees"}]},
            {"role": "ROLE_AGENT", "messageId": "m2", "parts": [{"text": "Done"}]},
        ],
    ),
    "a run of LangSmith": (
        {
            "run_type": "llm",
            "inputs": {"messages": [[ASKED]]},
            "outputs": {"generations": [[{"message": {"lc": 1, "id": ["AIMessage"], "kwargs": {"content": "4"}}}]]},
        },
        [ASKED, {"lc": 1, "id": ["AIMessage"], "kwargs": {"content": "4"}}],
    ),
    "a generation of Langfuse": (
        {"type": "GENERATION", "input": {"messages": [ASKED]}, "output": "4 degrees"},
        [ASKED, ANSWERED],
    ),
    "an entry of ShareGPT": (
        {
            "system": "Be brief.",
            "images": ["oslo.png"],
            "conversations": [
                {"from": "human", "value": "<image>Weather?"},
                {"from": "function_call", "value": '{"name": "weather", "arguments": {"at": "Oslo"}}'},
                {"from": "observation", "value": "4"},
                {"from": "gpt", "value": "4 degrees"},
                {"from": "critic", "value": "True."},
            ],
        },
        [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": "oslo.png"}},
                    {"type": "text", "text": "Weather?"},
                ],
            },
            {"role": "assistant", "content": None, "tool_calls": [{**CALL, "id": "call_1_0"}]},
            {"role": "tool", "tool_call_id": "call_1_0", "content": "4"},
            ANSWERED,
            {"role": "critic", "content": "True."},
        ],
    ),
}


@pytest.mark.parametrize("name", RECORDS)
async def test_a_record_is_appended_as_the_messages_in_it(name: str) -> None:
    record, said = RECORDS[name]
    async with SessionManager.from_url("memory:") as sessions, sessions.open("s") as chat:
        events = await chat.append(record, id="e")

        assert [event.message for event in events] == said
        assert [event.id for event in events] == ["e", *(f"e:{n}" for n in range(2, len(said) + 1))]
        assert list(await chat.messages(repair=False)) == said


async def test_the_usage_of_a_record_is_that_of_its_answer() -> None:
    async with SessionManager.from_url("memory:") as sessions, sessions.open("s") as chat:
        await chat.append({"custom_id": "1", "response": {"status_code": 200, "body": COMPLETION}})
        await chat.append(
            {
                "type": "GENERATION",
                "model": "gpt-4o",
                "input": "?",
                "output": "!",
                "usageDetails": {"input": 7, "output": 1},
            }
        )
        total = (await chat.usage()).usage_by_model["gpt-4o"]

    assert (total.prompt_tokens, total.completion_tokens, total.requests) == (17, 3, 2)


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"messages": "no list"},
        {"mapping": {"n": 1}},
        {"type": "response_item"},
        {"conversations": [{}]},
        {"id": "t", "status": {}},
    ],
)
async def test_a_record_that_nobody_knows_is_refused_as_before(record: dict[str, Any]) -> None:
    assert messages_in(record) == []
    async with SessionManager.from_url("memory:") as sessions, sessions.open("s") as chat:
        with pytest.raises(InvalidEvent, match="needs a role"):
            await chat.append(record)


def test_a_tree_that_goes_in_a_circle_ends() -> None:
    mapping = {"a": _node("a", "b", "user", _text("?")), "b": _node("b", "a", "assistant", _text("!"))}

    assert len(messages_in({"mapping": mapping, "current_node": "a"})) == 2
