"""Files that cannot be imported: one clear line that says what and where, and nothing written."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tracemalloc
from pathlib import Path

import pytest

from a2a_session_manager import InMemorySessionStore, InvalidSessionOperation, StoreLimits, import_conversations
from a2a_session_manager.importers import source
from a2a_session_manager.importers.checking import ImportCheck
from tests.importers.conftest import FILES

_USER = '{"role": "user", "content": "Hi"}'
_DEEP = '{"role": "user", "content": ' + '{"a":' * 150 + "1" + "}" * 150 + "}"

BAD: dict[str, tuple[str | bytes, str]] = {
    "an unknown object": ('{"foo": 1, "bar": 2}', "keys 'foo', 'bar'; known are 0.1, chatgpt, claude-code"),
    "a number": ("17", "a JSON value of the type int, 17; known are"),
    "an empty array": ("[]", "begins with an empty array"),
    "an empty file": ("\n", "the file is empty"),
    "no JSON at all": ("Dear diary, …", "line 1: this is no JSON: expecting value"),
    "a line that is none": (f"{_USER}\n{_USER}\nnone\n{_USER}\n", "line 3: this is no JSON"),
    "a line that was cut off": (f"{_USER}\n{_USER[:-9]}", "line 2: the file ends inside a record: it was cut off"),
    "an array that was cut off": (f"[{_USER},\n{_USER}", "line 2: the file ends before its array does"),
    "an array that was cut off inside": (f"[{_USER},\n{_USER[:-4]}", "line 2: the file ends inside a record"),
    "NaN": (f'{_USER}\n{{"role": "user", "content": NaN}}', "line 2: this is no JSON: NaN is no number"),
    "a number of 5,000 digits": (f'{{"role": "user", "n": {"1" * 5000}}}', "this is no JSON: "),
    "a bomb of arrays": ("[[" + "[" * 200_000, "line 1: a record is nested too deeply"),
    "a bomb that was closed": ('{"role": "user", "content": ' + "[" * 99_999 + "]" * 99_999 + "}", "nested too deeply"),
    "nesting that no store takes": (f"{_USER}\n{_DEEP}", "more than 100 levels of nesting"),
    "bytes that are no text": (b'{"role": "user", "content": "\xff"}', "this is no text in UTF-8"),
    "an archive": (b"PK\x03\x04rest", "this is a ZIP archive: unpack it"),
    "compressed": (b"\x1f\x8brest", "this is compressed"),
    "a damaged SQLite file": (b"SQLite format 3\x00" + b"x" * 4_000, "SQLite says that it is damaged"),
    "another program's SQLite file": (b"", "this SQLite file has no sessions of openai-agents: its tables are notes"),
}


@pytest.fixture(params=BAD)
def bad(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    """A file that is not good, and what is said of it."""
    data, text = BAD[request.param]
    path = tmp_path / "bad.jsonl"
    if "another program" in request.param:
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE notes (id INTEGER)")
    else:
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path, text


async def test_a_bad_file_is_refused_in_one_line_with_nothing_written(bad: tuple[Path, str]) -> None:
    path, text = bad
    async with InMemorySessionStore() as store:
        with pytest.raises(InvalidSessionOperation) as refused:
            await import_conversations(store, path)

        said = str(refused.value)
        assert text in said
        assert said.startswith(f"'{path}'")
        assert "nothing was written" in said
        assert "\n" not in said
        assert await store.list_sessions() == []


async def test_a_record_that_is_too_long_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "LONGEST_VALUE", 100_000)
    path = tmp_path / "long.jsonl"
    await asyncio.to_thread(path.write_text, '{"role": "user", "content": "' + "x" * 9_000_000)
    async with InMemorySessionStore() as store:
        with pytest.raises(InvalidSessionOperation, match="line 1: a record is longer than"):
            await import_conversations(store, path)


async def test_an_event_that_is_too_large_for_the_store_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    await asyncio.to_thread(path.write_text, f'{_USER}\n{{"role": "user", "content": "{"x" * 11_000}"}}')
    async with InMemorySessionStore(limits=StoreLimits(event_bytes=10_000)) as store:
        with pytest.raises(InvalidSessionOperation, match="more than 10000"):
            await import_conversations(store, path)
        assert await store.list_sessions() == []


@pytest.mark.parametrize(("place", "text"), [("nowhere", "does not exist"), ("empty", "holds no conversations")])
async def test_a_place_without_conversations_is_named(place: str, text: str, tmp_path: Path) -> None:
    await asyncio.to_thread((tmp_path / "empty").mkdir)
    async with InMemorySessionStore() as store:
        with pytest.raises(InvalidSessionOperation, match=text):
            await import_conversations(store, tmp_path / place)
        with pytest.raises(InvalidSessionOperation, match="format='diary' is unknown: take one of"):
            await import_conversations(store, tmp_path, format="diary")


async def test_one_damaged_file_of_a_directory_keeps_all_others_out_and_an_unknown_one_is_skipped(
    tmp_path: Path,
) -> None:
    def fill(name: str, text: str) -> None:
        (tmp_path / name).write_text(text)

    await asyncio.to_thread(fill, "a.jsonl", _USER)
    await asyncio.to_thread(fill, "b.json", '{"version": 1, "entries": []}')
    async with InMemorySessionStore() as store:
        report = await import_conversations(store, tmp_path)
        assert report.skipped == [str(tmp_path / "b.json")]
        await asyncio.to_thread(fill, "c.jsonl", f"{_USER}\n{_USER[:-5]}")
        await asyncio.to_thread(fill, "0.jsonl", _USER)
        with pytest.raises(InvalidSessionOperation, match=r"c\.jsonl', line 2"):
            await import_conversations(store, tmp_path)
        assert await store.list_sessions() == ["a"]


async def test_what_is_written_to_a_file_meanwhile_is_for_the_next_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "live.jsonl"
    await asyncio.to_thread(path.write_text, f"{_USER}\n" * 3)
    finish = ImportCheck.finish

    def grow() -> None:
        with path.open("a") as file:
            file.write(_USER[:10])

    async def finish_while_it_grows(check: ImportCheck) -> None:
        await asyncio.to_thread(grow)
        await finish(check)

    monkeypatch.setattr(ImportCheck, "finish", finish_while_it_grows)
    async with InMemorySessionStore() as store:
        assert (await import_conversations(store, path)).new_events == 3
        assert len(await store.events("live")) == 3


def test_a_long_file_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    line = json.dumps({"role": "user", "content": "x" * 2_000})
    path.write_text(f"{line}\n" * 4_000)
    found = source.SourceFile.at(path)
    tracemalloc.start()
    count = sum(1 for _ in found.values())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert count == 4_000
    assert peak < 7_000_000 < path.stat().st_size


def test_values_are_the_same_wherever_the_file_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    path = FILES / "chatgpt" / "conversations.json"
    whole = [value.data for value in source.SourceFile.at(path).values()]
    for chunk in (1, 7, 64, 1_000):
        monkeypatch.setattr(source, "_CHUNK", chunk)
        assert [value.data for value in source.SourceFile.at(path).values()] == whole
