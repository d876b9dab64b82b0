"""The rows of views: what it costs that a model is given valid messages, on the memory store."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from a2a_session_manager import ActiveSession, SessionManager
from a2a_session_manager.storage import InMemorySessionStore
from benchmarks.measure import Result, Sample, compared
from benchmarks.payloads import chat_exchanges
from benchmarks.scenarios import Case, Sizes, at_most

_MODEL = "gpt-4o"
_BUDGET = 8_000
_WINDOW_OF = 1_000


async def window_against_tail(sizes: Sizes) -> Result:
    """A window of 8,000 tokens out of 1,000 messages against reading as many messages as are in it, uncounted."""
    async with InMemorySessionStore() as store, SessionManager(store).open("chat") as chat:
        await _grow(chat, min(_WINDOW_OF, sizes.loaded))
        count = len((await chat.window(max_tokens=_BUDGET, model=_MODEL)).messages)
        reads: dict[str, Callable[[], Awaitable[Any]]] = {
            "tail": partial(store.read_messages, "chat", last=count),
            "window": partial(chat.window, max_tokens=_BUDGET, model=_MODEL),
        }
        operations = max(sizes.operations // 10, 1)
        return await compared({name: _reading(read, operations) for name, read in reads.items()}, turns=sizes.turns)


async def view_against_log(sizes: Sizes) -> Result:
    """`messages()` of a long conversation against the same messages without repair."""
    async with InMemorySessionStore() as store, SessionManager(store).open("chat") as chat:
        await _grow(chat, sizes.loaded)
        reads: dict[str, Callable[[], Awaitable[Any]]] = {
            "unrepaired": partial(chat.messages, repair=False),
            "view": chat.messages,
        }
        return await compared({name: _reading(read, 1) for name, read in reads.items()}, turns=sizes.turns)


async def _grow(chat: ActiveSession, length: int) -> None:
    for exchange in chat_exchanges(length):
        await chat.append(*exchange)


def _reading(read: Callable[[], Awaitable[Any]], operations: int) -> Sample:
    async def sample() -> float:
        start = time.perf_counter()
        for _ in range(operations):
            await read()
        return (time.perf_counter() - start) / operations

    return sample


CASES = [
    Case("memory/window/8,000 of 1,000", at_most(3.0), window_against_tail),
    Case("memory/view/10,000", at_most(1.3), view_against_log),
]
