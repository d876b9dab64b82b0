"""Real conversations go to another provider's format and back, at every budget, and are what they were."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import pytest

from a2a_session_manager import ChatMessage, InvalidSessionOperation
from a2a_session_manager.context.conversion import MessageFormat
from a2a_session_manager.context.findings import Finding
from a2a_session_manager.context.view import MessageView
from tests.context.real_conversations import AIRLINE, EXAMPLES, budgets, transcripts
from tests.context.rules import faults
from tests.context.spoken import a_chat

FORMATS: tuple[MessageFormat, ...] = ("anthropic", "responses", "gemini")

formats = pytest.mark.parametrize("format", FORMATS)


@formats
async def test_conversations_come_back_from_another_format(format: MessageFormat) -> None:
    for messages in transcripts(EXAMPLES):
        await check_round_trips(messages, format)


@formats
@pytest.mark.skipif(not AIRLINE.exists(), reason="the larger transcripts are not on this machine")
async def test_many_conversations_do_so_too(format: MessageFormat) -> None:
    for messages in (await asyncio.to_thread(transcripts, AIRLINE))[::10]:
        await check_round_trips(messages, format)


@pytest.mark.soak
@formats
@pytest.mark.skipif(not AIRLINE.exists(), reason="the larger transcripts are not on this machine")
async def test_all_of_them_do_so(format: MessageFormat) -> None:
    for messages in await asyncio.to_thread(transcripts, AIRLINE):
        await check_round_trips(messages, format)


async def check_round_trips(messages: list[ChatMessage], format: MessageFormat) -> None:
    chat = await a_chat(messages)
    whole = normal(await chat.messages(format="openai"))
    for budget in await budgets(messages, 20):
        try:
            there = (await chat.window(max_tokens=budget, model="gpt-4o", format=format)).messages
        except InvalidSessionOperation:
            continue
        assert faults(format, there) == []
        assert all(map(_is_harmless, there.report)), there.report
        check_is_newest(
            normal(await back(there)), whole, is_short="shortened_turn" in {each.code for each in there.report}
        )


async def back(view: MessageView) -> list[ChatMessage]:
    """Return what is read of a view in OpenAI's format, when its messages are stored as they are."""
    system = [] if view.system is None else [{"role": "system", "content": view.system}]
    again = await a_chat([*system, *view])
    return list(await again.messages(format="openai"))


def check_is_newest(found: list[Any], whole: list[Any], *, is_short: bool) -> None:
    """Check that what came back is the end of the conversation, after what the system says at its start."""
    head = sum(1 for _ in takewhile(lambda each: each[0] == "system", whole))
    assert found[:head] == whole[:head]
    first = head + is_short  # of a turn that does not fit, what the user asks is there too
    assert found[first:] == whole[len(whole) - len(found) + first :]


def _is_harmless(finding: Finding) -> bool:
    """Tell whether nothing else was done than what is in the log as well, or no other format can say."""
    lost = set(finding.text.rpartition(": ")[2].split(", "))
    is_for_programs = finding.code == "not_converted" and lost <= {"name", "x_latency_ms", "x_route"}
    return is_for_programs or finding.code in ("opening", "shortened_turn", "empty_message")


def normal(messages: Sequence[ChatMessage]) -> list[Any]:
    """Return what messages say, one thing after the other, without what no other format keeps.

    That is: arguments are the JSON value that their text holds, answers in a row are one, a function call is a call
    whose id is its name, there are no names of speakers, nor of tools at their results, and a developer is the system.
    """
    return [said for message in messages for said in _said(message)]


def _said(message: ChatMessage) -> list[Any]:
    role = {"developer": "system", "function": "tool"}.get(message["role"], message["role"])
    content = message.get("content") or []
    texts = [content] if isinstance(content, str) else [part.get("text", part) for part in content]
    call_id = message.get("tool_call_id", message.get("name")) if role == "tool" else None
    calls = [(each["id"], each["function"]) for each in message.get("tool_calls") or ()]
    if message.get("function_call"):
        calls.append((message["function_call"]["name"], message["function_call"]))
    return [
        *((role, call_id, text) for text in texts),
        *(("call", call_id, each["name"], json.loads(each["arguments"])) for call_id, each in calls),
    ]
