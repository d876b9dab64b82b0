"""Sessions as other programs take them: what goes out comes in again, and what a format cannot hold is told."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager import (
    InMemorySessionStore,
    InvalidSessionOperation,
    SessionEvent,
    SessionManager,
    SessionNotFound,
    export_conversation,
    import_conversations,
)
from tests.stores import OpenStore, open_store

__all__ = ["open_store"]  # a fixture

_PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


async def _talk(sessions: SessionManager, id: str) -> None:
    async with sessions.open(id) as chat:
        await chat.system("Be brief.")
        await chat.user([{"type": "text", "text": "Weather?"}, _PICTURE])
        await chat.tool("weather", {"at": "Oslo"}, result="```\n4\n```", call_id="call-1")
        await chat.append(SessionEvent(message={"beams": 7}, type="opaque"))
        await chat.assistant("4 degrees", model="gpt-4o", usage={"prompt_tokens": 1_000, "completion_tokens": 20})
        await chat.user("Never mind")
        await chat.retract(last=1)
        await chat.assistant("Bye \ud83d", id="last")


async def test_messages_go_out_as_providers_take_them(open_store: OpenStore) -> None:
    async with open_store() as store:
        await _talk(SessionManager(store), "trip")
        openai = await export_conversation(store, "trip")
        anthropic = await export_conversation(store, "trip", format="anthropic")
        responses = await export_conversation(store, "trip", format="responses")

    said = json.loads(openai.text)["messages"]
    assert [message["role"] for message in said] == ["system", "user", "assistant", "tool", "assistant", "assistant"]
    assert said[1]["content"][1] == _PICTURE
    asked = json.loads(anthropic.text)
    assert (asked["system"], asked["messages"][0]["role"]) == ("Be brief.", "user")
    assert asked["messages"][0]["content"][1]["source"]["media_type"] == "image/png"
    items = json.loads(responses.text)["input"]
    assert [item.get("type") for item in items if "call_id" in item] == ["function_call", "function_call_output"]
    assert all(text.endswith("\n") and text.count("\n") == 1 for text in (openai.text, anthropic.text, responses.text))


@pytest.mark.parametrize("format", ["openai", "responses"])
async def test_what_goes_out_comes_in_again(format: Any, tmp_path: Path) -> None:
    path = tmp_path / "trip.jsonl"
    async with SessionManager.from_url("memory:") as sessions:
        await _talk(sessions, "trip")
        text = (await export_conversation(sessions, "trip", format=format)).text
        await asyncio.to_thread(path.write_text, text)
        [brought] = (await import_conversations(sessions, path, namespace="again")).session_ids
        again = await export_conversation(sessions.namespace("again"), brought, format=format)

        assert again.text == text


async def test_markdown_is_for_people(open_store: OpenStore) -> None:
    async with open_store() as store:
        sessions = SessionManager(store)
        await _talk(sessions, "trip")
        await sessions.set_title("trip", "To\nOslo", by="user")
        text, findings = await export_conversation(store, "trip", format="markdown")

    head, *sections = text.split("\n## ")
    assert head.startswith("# To Oslo\n\n- id: `trip`\n- from ")
    assert "1,020 tokens in 1 request, $0.0027" in head
    assert [section.partition(" ")[0] for section in sections] == [
        "System",
        "User",
        "Assistant",
        "Tool",
        "Assistant",
        "Assistant",
    ]
    assert "*image*: `28 characters" not in text
    assert '**calls `weather`**\n\n```json\n{\n  "at": "Oslo"\n}\n```' in sections[2]
    assert "````\n```\n4\n```\n````" in sections[3]  # the fence is longer than any inside
    assert sections[4].splitlines()[0].endswith(", gpt-4o")
    assert "Never mind" not in text
    assert sections[5].endswith("Bye \ufffd\n\n*1 record that says nothing was left out.*\n")
    assert [(finding.code, finding.seqs) for finding in findings] == [("not_converted", (5,))]


async def test_no_command_to_a_terminal_comes_out_as_markdown_wherever_it_stood() -> None:
    bad = "\x1b[7m\x0b"
    async with SessionManager.from_url("memory:") as sessions, sessions.open(f"s{bad}") as chat:
        await chat.set_title(f"Trip{bad}")
        await chat.user(f"Hi{bad}")
        await chat.assistant(f"Hello{bad}", model=f"m{bad}", usage={"prompt_tokens": 1, "completion_tokens": 1})
        await chat.tool(f"search{bad}", {f"q{bad}": bad}, result=bad)
        await chat.append({"role": f"narrator{bad}", "content": bad})
        text = (await export_conversation(sessions, chat.id, format="markdown")).text

    assert not {"\x1b", "\x0b"} & set(text)
    assert text.count("\ufffd") >= 10


async def test_what_a_format_cannot_hold_is_told() -> None:
    async with InMemorySessionStore() as store:
        async with SessionManager(store).open("s") as chat:
            await chat.user("Hi")
            thought = {"type": "thinking", "thinking": "Hm", "signature": "x"}
            await chat.append({"role": "assistant", "content": [thought, {"type": "text", "text": "Hello"}]})
            await chat.tool("search", {"q": 1}, call_id="open")
        exported = await export_conversation(store, "s", format="openai")

    assert [finding.code for finding in exported.findings] == ["not_converted", "closed_call"]


async def test_a_compacted_conversation_goes_out_as_it_was_said() -> None:
    async with SessionManager.from_url("memory:") as sessions, sessions.open("s") as chat:
        for number in range(4):
            await chat.user(f"Question {number} " + "x" * 200)
            await chat.assistant(f"Answer {number}")
        await chat.compact(lambda messages: "All was said.")
        exported = await export_conversation(sessions, "s")

        assert "Question 0" in exported.text
        assert "All was said." not in exported.text


async def test_wrong_names_are_refused() -> None:
    async with SessionManager.from_url("memory:") as sessions:
        with pytest.raises(SessionNotFound):
            await export_conversation(sessions, "nobody")
        with pytest.raises(SessionNotFound):
            await export_conversation(sessions, "nobody", format="markdown")
        with pytest.raises(InvalidSessionOperation, match="take one of openai, anthropic, responses, markdown"):
            await export_conversation(sessions, "nobody", format="pdf")  # type: ignore[arg-type]
