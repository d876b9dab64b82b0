"""A fixture for the tests of the Strands bridge: repositories and storages over a store of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest

from a2a_session_manager import InMemorySessionStore, SessionManager
from a2a_session_manager.integrations.strands.owned_loop import OverALoop
from a2a_session_manager.sync import LoopThread
from tests.stores import url_of

OpenedT = TypeVar("OpenedT", bound=OverALoop)


class Opened(Protocol):
    """Opens a bridge of this class, over a namespace of the store; opened again, a cold one over the same data."""

    def __call__(self, bridge: type[OpenedT], **options: Any) -> AbstractContextManager[OpenedT]: ...


class _OwnStore:
    """Opens a bridge over a store of its own each time, and closes both."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self, bridge: type[Any], **options: Any) -> Any:
        return bridge.from_url(self._url, **options)


@pytest.fixture(params=["memory", "file", "redis"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    """A function that opens a bridge over data of this test's own."""
    if request.param == "memory":
        sessions = SessionManager(InMemorySessionStore()).namespace("acme").namespace("strands")
        with LoopThread() as loop:
            yield lambda bridge, **options: bridge(sessions, loop=loop, **options)
        return
    yield _OwnStore(url_of(request.param, request, tmp_path))
