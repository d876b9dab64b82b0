"""Ids as file names: reversible, inside the directory, apart on every file system."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a2a_session_manager.storage.file import FileSessionStore
from a2a_session_manager.storage.file.names import file_name, identifier_of, shard_of
from a2a_session_manager.testing.contract.making import said

IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=512)
NASTY = [
    "../../etc/passwd",
    "/",
    "..",
    ".",
    "a\0b",
    "con",
    "Chat",
    "chat",
    "CHAT",
    "caf\u00e9",
    "cafe\u0301",
    "a%2fb",
    "a/b",
    "~" + "0" * 64,
    "a.log",
    "a.ids.1",
    "new line\n",
    "{a}:b",
    "日本語",
]


@given(IDS)
def test_a_file_name_brings_its_id_back_or_is_a_hash(identifier: str) -> None:
    name = file_name(identifier)

    assert identifier_of(name) == (None if name.startswith("~") else identifier)
    assert name.startswith("~") == (len(name.encode()) == 65 and len(identifier.encode()) > 65)


@given(IDS)
def test_a_file_name_is_short_plain_and_lower_case(identifier: str) -> None:
    name = file_name(identifier)

    assert name == name.lower()
    assert len(name) <= 200
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-%~")


@given(IDS, IDS)
def test_two_ids_have_two_names_also_where_case_does_not_count(one: str, other: str) -> None:
    assert (file_name(one).lower() == file_name(other).lower()) == (one == other)


@given(st.text(max_size=300))
def test_any_name_at_all_is_an_id_or_none(name: str) -> None:
    identifier_of(name)


@given(IDS)
def test_a_shard_is_two_hex_digits(identifier: str) -> None:
    assert int(shard_of(file_name(identifier)), 16) in range(256)


async def test_ids_that_look_alike_or_lead_out_are_sessions_of_their_own(tmp_path: Path) -> None:
    long_ids = ["x" * 512, "x" * 511 + "y", "é" * 512]
    async with FileSessionStore(tmp_path / "sessions") as store:
        for session_id in [*NASTY, *long_ids]:
            await store.create(session_id)
            await store.append(session_id, said(session_id, id=session_id))

    async with FileSessionStore(tmp_path / "sessions") as cold:
        assert sorted(await cold.list_sessions()) == sorted([*NASTY, *long_ids])
        for session_id in [*NASTY, *long_ids]:
            assert [event.message for event in await cold.events(session_id)] == [session_id]


@pytest.mark.parametrize("namespace", ["../up", "a/b", "Default", "default", "@x"])
async def test_a_namespace_stays_inside_and_apart(tmp_path: Path, namespace: str) -> None:
    async with FileSessionStore(tmp_path / "sessions") as store:
        view = store.namespace(namespace)
        await view.create("chat")

        assert await view.list_sessions() == ["chat"]
        assert await store.list_sessions() == []
    async with FileSessionStore(tmp_path / "sessions") as cold:
        assert await cold.get("chat") is None
        assert await cold.namespace(namespace).get("chat") is not None
