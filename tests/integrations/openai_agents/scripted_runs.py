"""Items of the framework, models that say what a test says, and a session on each store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from agents import function_tool

from a2a_session_manager import (
    BaseSessionStore,
    FileSessionStore,
    InMemorySessionStore,
    SessionManager,
)
from a2a_session_manager.integrations.openai_agents import AgentsSession
from a2a_session_manager.testing import blocking_calls_refused

USER: Any = {"role": "user", "content": "Hello"}
ANSWER: Any = {
    "id": "msg_1",
    "content": [{"annotations": [], "text": "Hi", "type": "output_text", "logprobs": []}],
    "role": "assistant",
    "status": "completed",
    "type": "message",
}
CALL: Any = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "search", "arguments": "{}"}
RESULT: Any = {"type": "function_call_output", "call_id": "call_1", "output": "120"}
SEARCH: Any = {
    "type": "web_search_call",
    "id": "ws_1",
    "status": "completed",
    "action": {"type": "search", "query": "x"},
}


@pytest.fixture(autouse=True)
def no_blocking_calls() -> Iterator[None]:
    with blocking_calls_refused() as guard:
        # It looks up redis-py's version, as no real client does.
        for function in guard.functions.values():
            function.can_block_in("fakeredis/_clients/_setup.py", {"_client_lib_version"})
        yield


@pytest.fixture(params=["memory", "file", "redis"])
async def sessions(
    request: pytest.FixtureRequest, tmp_path: Path, redis_session_store: BaseSessionStore
) -> AsyncIterator[SessionManager]:
    makers: dict[str, Callable[[], BaseSessionStore]] = {
        "memory": InMemorySessionStore,
        "file": lambda: FileSessionStore(tmp_path / "sessions"),
        "redis": lambda: redis_session_store,
    }
    async with makers[request.param]() as store:
        yield SessionManager(store)


@pytest.fixture
def session(sessions: SessionManager) -> AgentsSession:
    return AgentsSession("trip", sessions)


@function_tool
def price(to: str) -> str:
    """Return what a flight costs."""
    return f"{to}: 120 EUR"
