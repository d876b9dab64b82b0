"""A pytest plugin (`-p`): Strands' own tests run on StrandsSessionRepository in the place of their own in memory."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager import SessionManager
from a2a_session_manager.integrations.strands import StrandsSessionRepository
from tests.integrations.suites import leave_out, store_urls

_stores = store_urls()
_urls = _stores.__enter__()
_opened: list[StrandsSessionRepository] = []


class Swapped(StrandsSessionRepository):
    """What their tests expect of their MockedSessionRepository: it is made without arguments."""

    def __init__(self) -> None:
        super().__init__(SessionManager.from_url(next(_urls)))
        _opened.append(self)


def pytest_configure() -> None:
    """Make way for their tests, which are a package `tests` as well, and put our class in the place of theirs."""
    for name in [each for each in sys.modules if each.partition(".")[0] == "tests"]:
        del sys.modules[name]
    sys.path.insert(0, str(Path.cwd()))
    theirs: Any = importlib.import_module("tests.fixtures.mock_session_repository")
    theirs.MockedSessionRepository = Swapped


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    leave_out(items)


def pytest_unconfigure() -> None:
    for each in _opened:
        each.close()
    _stores.__exit__(None, None, None)
