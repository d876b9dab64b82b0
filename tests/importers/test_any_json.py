"""Whatever a file holds where a format has something else: it is imported, or refused by name; it never breaks."""

from __future__ import annotations

import asyncio
import copy
import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager import InMemorySessionStore, InvalidSessionOperation, import_conversations
from a2a_session_manager.importers.recognition import FORMATS
from a2a_session_manager.importers.source import SourceFile
from tests.draws import few
from tests.importers.conftest import FILES, WRITTEN_AT

_ODD: Final[st.SearchStrategy[Any]] = st.sampled_from(
    [None, True, 0, -1.5, 10**30, "", "x", "\ud800", "9999-99-99", [], [1], [[]], {}, {"type": 1}, {"a": {"b": [{}]}}]
)
_PLACES: Final = {
    name: [
        value.data
        for path in sorted((FILES / name).rglob("*.json*"))
        if "expected" not in path.name
        for value in SourceFile.at(path).values()
    ]
    for name in FORMATS
    if name != "openai-agents"
}


def _spots(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return found + [spot for key, inner in items for spot in _spots(inner, (*path, key))]


@st.composite
def _spoilt(draw: st.DrawFn, name: str) -> list[Any]:
    """Draw the records of a format, with other things in the place of some of their parts."""
    records = copy.deepcopy(_PLACES[name])
    for _ in range(draw(st.integers(1, 3))):
        record = draw(st.integers(0, len(records) - 1))
        spots = _spots(records[record])
        if not spots:
            continue
        *path, last = draw(st.sampled_from(spots))
        at = records[record]
        for step in path:
            at = at[step]
        if draw(st.booleans()) or not isinstance(at, dict):
            at[last] = copy.deepcopy(draw(_ODD))  # what is put there may be spoilt, too
        else:
            del at[last]
    return records


@pytest.mark.parametrize("name", _PLACES)
@settings(deadline=None, max_examples=few(2, of=150))
@given(st.data())
def test_any_json_in_a_record_is_imported_or_refused(name: str, data: st.DataObject) -> None:
    records = data.draw(_spoilt(name))
    with TemporaryDirectory() as directory:
        path = Path(directory, "records.jsonl")
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        os.utime(path, (WRITTEN_AT, WRITTEN_AT))
        asyncio.run(_import(path, name))


async def _import(path: Path, name: str) -> None:
    async with InMemorySessionStore() as store:
        told = None
        try:
            report = await import_conversations(store, path, format=name)
        except InvalidSessionOperation as refused:
            told = str(refused)
        if told is not None:
            assert "nothing was written" in told
            assert await store.list_sessions() == []
            return
        again = await import_conversations(store, path, format=name)

        assert (again.new_events, again.new_sessions) == (0, 0)
        assert set(report.session_ids) <= set(await store.list_sessions())
