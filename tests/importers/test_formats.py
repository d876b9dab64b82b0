"""Each format's files become the sessions, events, times, roles and totals that are written beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from a2a_session_manager import InMemorySessionStore, import_conversations
from a2a_session_manager.importers.recognition import FORMATS
from tests.importers.conftest import FILES, Case, cases_of
from tests.importers.summary import summary_of
from tests.stores import OpenStore, open_store

__all__ = ["open_store"]  # a fixture

_COUNTS = ("untimed", "repeated", "forks", "children", "notes")


def test_each_format_has_at_least_three_files() -> None:
    assert {path.name for path in FILES.iterdir()} == set(FORMATS)
    assert all(len(list(path.glob("*.expected.json"))) >= 3 for path in FILES.iterdir())


@pytest.fixture(params=FORMATS)
def cases(request: pytest.FixtureRequest, files: Path) -> list[Case]:
    """The files of one format."""
    return cases_of(files / request.param)


async def test_files_become_what_is_written_beside_them(cases: list[Case]) -> None:
    async with InMemorySessionStore() as store:
        for path, wanted in cases:
            report = await import_conversations(store, path, namespace=path.name)
            sessions = await summary_of(store.namespace(path.name))

            assert sessions == wanted["sessions"]
            counted = {"formats": dict(report.formats), "opaque": dict(report.opaque)}
            counted |= {name: getattr(report, name) for name in _COUNTS}
            assert {name: value for name, value in counted.items() if value} == wanted["report"]
            own = sum(len(session["events"]) for session in sessions.values())
            assert (report.events, report.new_events) == (own, own)


@pytest.mark.parametrize("cases", ["chatgpt", "claude-code", "a2a"], indirect=True)  # forks, children, and runs
async def test_every_store_keeps_what_is_imported_and_a_second_import_changes_nothing(
    cases: list[Case], open_store: OpenStore
) -> None:
    async with open_store() as store:
        for path, _ in cases:
            await import_conversations(store, path, namespace=path.name)
    async with open_store() as cold:
        for path, wanted in cases:
            view = cold.namespace(path.name)
            heads = {session_id: await view.get(session_id) for session_id in await view.list_sessions()}
            again = await import_conversations(view, path)

            assert (again.new_events, again.new_sessions) == (0, 0)
            assert await summary_of(view) == wanted["sessions"]
            assert {session_id: await view.get(session_id) for session_id in heads} == heads


async def test_a_format_that_is_named_is_read_as_one_that_is_recognised(cases: list[Case]) -> None:
    async with InMemorySessionStore() as store:
        for path, wanted in cases:
            [name] = wanted["report"]["formats"]
            await import_conversations(store, path, format=name, namespace=path.name)

            assert await summary_of(store.namespace(path.name)) == wanted["sessions"]
