"""Chats that real conversations and small examples are said in, and budgets for windows of them."""

from __future__ import annotations

from collections.abc import Sequence

from a2a_session_manager import (
    ActiveSession,
    ChatMessage,
    count_chat_tokens,
)
from a2a_session_manager.storage import InMemorySessionStore

MODEL = "gpt-4o"
SYSTEM = {"role": "system", "content": "You plan trips."}


def said(count: int, *, first: int = 0) -> list[ChatMessage]:
    roles = ("user", "assistant")
    return [{"role": roles[at % 2], "content": f"message {at}"} for at in range(first, first + count)]


def call(call_id: str, size: int = 1) -> list[ChatMessage]:
    function = {"name": "search", "arguments": "{}"}
    calls = [{"id": call_id, "type": "function", "function": function}]
    return [
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": call_id, "content": "found " * size},
    ]


async def tokens(messages: Sequence[ChatMessage], model: str = MODEL) -> int:
    return int(await count_chat_tokens(messages, model))


async def a_chat(messages: Sequence[ChatMessage]) -> ActiveSession:
    store = InMemorySessionStore()
    chat = ActiveSession(store, await store.create("chat"))
    for start in range(0, len(messages), 1_000):
        await chat.append(*messages[start : start + 1_000])
    return chat
