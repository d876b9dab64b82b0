"""What is no bundle, was cut off, changed or made to harm: one clear line, status 2, and nothing written."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager import InMemorySessionStore, InvalidSessionOperation, SessionManager, StoreLimits
from a2a_session_manager.bundles.bundle_reader import BundleReader
from a2a_session_manager.testing.contract.tree_to_move import make_tree
from tests.cli.calling import Call
from tests.cli.conftest import called as called

Lines = list[bytes]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("bundle") / "good.bundle"

    async def export() -> None:
        store = InMemorySessionStore()
        await make_tree(store)
        await SessionManager(store).export_bundle(path)

    asyncio.run(export())
    return path.read_bytes()


def signed(lines: Lines) -> bytes:
    """Return lines as a bundle whose digests fit: only what they say can be wrong."""
    done: Lines = []
    digest, events = hashlib.sha256(), 0
    for line in lines[:-1]:
        if line.startswith(b'{"session":'):
            digest, events = hashlib.sha256(), 0
        if line.startswith(b'{"end":'):
            end = json.loads(line)["end"]
            line = dumped({"end": {**end, "events": events, "sha256": digest.hexdigest()}})
        digest.update(line)
        events += line.startswith(b'{"event":')
        done.append(line)
    sessions = sum(line.startswith(b'{"session":') for line in done)
    total = sum(line.startswith(b'{"event":') for line in done)
    whole = hashlib.sha256(b"".join(done)).hexdigest()
    manifest = {"sessions": sessions, "events": total, "losses": [], "sha256": whole}
    return b"".join([*done, dumped({"manifest": manifest})])


def dumped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def in_head(lines: Lines, number: int = 0, **fields: Any) -> Lines:
    """Return the lines with other fields in the head of a session."""
    heads = [at for at, line in enumerate(lines) if line.startswith(b'{"session":')]
    head = json.loads(lines[heads[number]])["session"]
    return [*lines[: heads[number]], dumped({"session": {**head, **fields}}), *lines[heads[number] + 1 :]]


def in_event(lines: Lines, old: bytes, new: bytes) -> Lines:
    """Return the lines with something else in the first event that has it."""
    at = next(at for at, line in enumerate(lines) if line.startswith(b'{"event":') and old in line)
    return [*lines[:at], lines[at].replace(old, new), *lines[at + 1 :]]


DEEP = b"[" * 5_000 + b"]" * 5_000
SIGNED: dict[str, tuple[Callable[[Lines], Lines], str]] = {
    "a bomb of nesting in an event": (lambda lines: in_event(lines, b'"message":"e1"', b'"message":' + DEEP), "line "),
    "101 levels": (
        lambda lines: in_event(lines, b'"message":"e1"', b'"message":' + b"[" * 102 + b"]" * 102),
        "levels of nesting",
    ),
    "a bomb of nesting in the head": (lambda lines: [lines[0], b'{"session":' + DEEP + b"}\n", *lines[2:]], "line 2"),
    "NaN": (lambda lines: in_event(lines, b'"message":"e1"', b'"message":NaN'), "not a JSON number"),
    "a tab between values": (
        lambda lines: in_event(lines, b'"message":"e1"', b'"message":\t"e1"'),
        "should begin with",
    ),
    "another version of an event": (lambda lines: in_event(lines, b'"v":1', b'"v":9'), "newer release"),
    "an event with an empty id": (lambda lines: in_event(lines, b'"id":"e1"', b'"id":""'), "damaged"),
    "an event without an id": (lambda lines: in_event(lines, b'"id":"e1",', b""), "without id"),
    "a summary in other bytes": (
        lambda lines: in_event(lines, b'"message":{"role":"user","content":"They spoke."},', b""),
        "a summary in other bytes",
    ),
    "two events of one id": (lambda lines: in_event(lines, b'"id":"e2"', b'"id":"e1"'), "two events of one id"),
    "an inherited event again": (lambda lines: in_event(lines, b'"id":"f1"', b'"id":"e1"'), "two events of one id"),
    "a parent that is not there": (lambda lines: in_head(lines, 1, parent_id="nobody"), "'nobody' does not come"),
    "a session twice": (lambda lines: in_head(lines, 1, id="trip", parent_id=None), "comes twice"),
    "an id that is none": (lambda lines: in_head(lines, 1, id=""), "session id ''"),
    "more events than there are": (lambda lines: in_head(lines, 1, last_seq=10**15), "should begin with"),
    "hidden events that are none": (lambda lines: in_head(lines, 1, hidden=[[1, 99]]), "hidden"),
    "a summary that is none": (lambda lines: in_head(lines, 1, compactions=[[2, 1, 1, []]]), "should be a summary"),
    "a time long ago": (lambda lines: in_head(lines, 1, created_at=-(10**17)), "times"),
    "a field of tomorrow": (lambda lines: in_head(lines, 1, color="red"), "does not know"),
    "a fork of what is not there": (lambda lines: in_head(lines, 2, parts=[["trip", 1, 99]]), "line "),
}


def _refused(call: Call, tmp_path: Path, data: bytes) -> str:
    """Return the error of importing `data`, once it is sure that nothing was written."""
    place, path = tmp_path / "store", tmp_path / "bad.bundle"
    path.write_bytes(data)

    async def begin() -> list[str]:
        async with SessionManager.from_url(f"file:{place}") as sessions:
            await sessions.get_or_create("mine")
            return await sessions.list_sessions()

    assert asyncio.run(begin()) == ["mine"]
    answer = call(f"file:{place}", "import", str(path), "--format", "bundle")

    assert (answer.status, answer.out) == (2, "")
    assert answer.err.count("\n") == 1
    assert asyncio.run(begin()) == ["mine"]
    return answer.err


@pytest.mark.parametrize("what", SIGNED)
async def test_a_bundle_that_says_what_cannot_be_is_refused(what: str, bundle: bytes, tmp_path: Path) -> None:
    change, expected = SIGNED[what]
    lines, path, store = bundle.splitlines(keepends=True), tmp_path / "bad.bundle", InMemorySessionStore()
    assert signed(lines) == bundle
    await asyncio.to_thread(path.write_bytes, signed(change(lines)))

    with pytest.raises(InvalidSessionOperation) as caught:
        await SessionManager(store).import_bundle(path)

    assert expected in str(caught.value)
    assert str(caught.value).endswith("; nothing was written")
    assert await store.list_sessions() == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda data: data.replace(b'"e1"', b'"E1"', 1), "digest of session 'trip' does not fit"),
        (lambda data: data.replace(b'"losses":[]', b'"losses":[],"x":1'), "digest of the whole does not fit"),
        (lambda data: data[: len(data) // 2], "it was cut off"),
        (lambda data: data[:-1], "it was cut off"),
        (lambda data: data[: data.rindex(b'{"manifest"')], "it was cut off"),
        (lambda data: data + b"more", "more comes after the last line"),
        (lambda data: data.replace(b'"version":1', b'"version":2', 1), "bundle of version '2'"),
        (lambda data: b"", "is empty"),
        (lambda data: b'{"messages": []}\n', "no bundle: known are bundles of a2a_session_manager"),
    ],
)
def test_a_bundle_that_is_not_what_was_written_is_refused(
    change: Callable[[bytes], bytes], expected: str, bundle: bytes, called: Call, tmp_path: Path
) -> None:
    assert expected in _refused(called, tmp_path, change(bundle))


def test_a_file_of_no_known_format_is_refused_with_the_known_ones(called: Call, tmp_path: Path) -> None:
    path, place = tmp_path / "what", tmp_path / "store"
    path.write_bytes(b'{"color": "red"}')

    async def begin() -> None:
        async with SessionManager.from_url(f"file:{place}") as sessions:
            await sessions.create("mine")

    asyncio.run(begin())
    answer = called(f"file:{place}", "import", str(path))
    assert answer.status == 2
    assert "'color'" in answer.err
    assert "and bundles of this library" in answer.err


async def test_a_bomb_of_size_is_refused_before_it_is_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.bundle"

    def make() -> None:
        with path.open("wb") as file:
            file.write(b'{"bundle":"a2a_session_manager","version":1}\n{"session":{"id":"')
            file.truncate(10**12)  # without a newline, and without room on disk

    await asyncio.to_thread(make)
    limits = StoreLimits(event_bytes=1_000)
    with pytest.raises(InvalidSessionOperation, match=r"line 2: it has more than 1001000 bytes"):
        await SessionManager(InMemorySessionStore(limits=limits)).import_bundle(path)


async def test_an_event_that_the_store_would_refuse_is_refused_before_anything_is_written(
    bundle: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "a.bundle"
    await asyncio.to_thread(path.write_bytes, bundle)
    store = InMemorySessionStore(limits=StoreLimits(event_bytes=200))
    with pytest.raises(InvalidSessionOperation, match="this store takes 200 an event"):
        await SessionManager(store).import_bundle(path)
    assert await store.list_sessions() == []


def test_a_file_that_changes_between_two_looks_is_noticed(bundle: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.bundle"
    path.write_bytes(bundle)
    reader = BundleReader(path, StoreLimits())
    reader.open()
    list(reader.verify())
    path.write_bytes(bundle.replace(b'"e1"', b'"E1"', 1))
    with pytest.raises(InvalidSessionOperation, match="not what it was"):
        list(reader.events_at(reader.entries["trip"]))
    reader.close()
