"""The rows of the memory store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from a2a_session_manager.storage import InMemorySessionStore
from a2a_session_manager.storage.base import BaseSessionStore
from benchmarks import scenarios
from benchmarks.payloads import chat_messages
from benchmarks.scenarios import Case

CASES = [
    *(
        Case(f"memory/append/{size}", 2.0, partial(scenarios.append_against_encode, message=message))
        for size, message in chat_messages().items()
    ),
    Case("memory/append/by length", 1.2, scenarios.append_by_length),
    Case("memory/append again/by length", None, scenarios.repeat_by_length),
    Case("memory/pop/by length", None, scenarios.pop_by_length),
    Case("memory/tail/by length", None, scenarios.tail_by_length),
    Case("memory/load", 1.5, scenarios.load_against_decode),
    Case("memory/lateness/load", 10.0, scenarios.lateness_of_load),
    Case("memory/lateness/load, gc frozen", 10.0, scenarios.lateness_of_load_frozen),
    Case("memory/lateness/commit", None, scenarios.lateness_of_commit),
    Case("memory/lateness/big text", None, scenarios.lateness_of_big_text),
    Case("memory/lateness/big table", None, scenarios.lateness_of_big_table),
]


@asynccontextmanager
async def open_store() -> AsyncIterator[BaseSessionStore]:
    """Yield an empty store."""
    async with InMemorySessionStore() as store:
        yield store
