"""A pytest plugin (`-p`): the SDK's own tests run on ClaudeSessionStore wherever they make an InMemorySessionStore."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import claude_agent_sdk
import pytest
from claude_agent_sdk._internal import session_store

from a2a_session_manager import SessionManager
from a2a_session_manager.integrations.claude_agent import ClaudeSessionStore
from tests.integrations.suites import ENGINE, leave_out, store_urls

_stores = store_urls()
_urls = _stores.__enter__()


class Swapped(ClaudeSessionStore):
    """What their tests expect of an InMemorySessionStore: plain helpers that look into it."""

    def __init__(self) -> None:
        self.url = next(_urls)
        super().__init__(SessionManager.from_url(self.url))
        self._mtimes: dict[str, int] = {}  # tests set them

    async def list_sessions(self, project_key: str) -> Any:
        return [self._timed(project_key, each) for each in await super().list_sessions(project_key)]

    async def list_session_summaries(self, project_key: str) -> Any:
        return [self._timed(project_key, each) for each in await super().list_session_summaries(project_key)]

    def _timed(self, project_key: str, found: Any) -> Any:
        return {**found, "mtime": self._mtimes.get(f"{project_key}/{found['session_id']}", found["mtime"])}

    def get_entries(self, key: Any) -> list[Any]:
        return self.look(lambda store: store.load(key)) or []

    @property
    def size(self) -> int:
        async def count(store: ClaudeSessionStore) -> int:
            roots = [each async for each in store._sessions.iter_sessions(roots_only=True)]
            return len(roots)

        return int(self.look(count))

    def clear(self) -> None:
        async def delete_all(store: ClaudeSessionStore) -> None:
            for root in [each async for each in store._sessions.iter_sessions(roots_only=True)]:
                await store._sessions.delete(root, children="cascade")

        self.look(delete_all)

    def look(self, question: Any) -> Any:
        """Return the answer, of a cold store where there is one."""
        if ENGINE != "memory":
            return self._elsewhere(question)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self._loop.run(question(self))
        return _driven(question(self))  # a store in memory never waits

    def _elsewhere(self, question: Any) -> Any:
        async def ask() -> Any:
            async with SessionManager.from_url(self.url) as cold:
                return await question(ClaudeSessionStore(cold))

        with ThreadPoolExecutor(1) as threads:
            return threads.submit(asyncio.run, ask()).result()


def _driven(work: Coroutine[Any, Any, Any]) -> Any:
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


for module in (session_store, claude_agent_sdk):
    module.InMemorySessionStore = Swapped  # type: ignore[attr-defined,misc,assignment,unused-ignore]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    leave_out(items)


def pytest_unconfigure() -> None:
    _stores.__exit__(None, None, None)
