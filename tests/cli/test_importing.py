"""`import`: conversations of other programs, in a shell."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.calling import Call

_SAID = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """A file with a conversation."""
    path = tmp_path / "talk.jsonl"
    path.write_text(json.dumps({"id": "trip", "messages": _SAID}) + "\n")
    return path


def test_a_file_is_imported_once_into_a_new_store(called: Call, talk: Path, tmp_path: Path) -> None:
    url = f"file:{tmp_path / 'store'}"
    refused = called(url, "import", str(talk))
    assert (refused.status, "does not exist: check --store, or make it with --new-store\n" in refused.err) == (2, True)
    dry = called(url, "import", str(talk), "--new-store", "--dry-run")
    assert (dry.status, (tmp_path / "store").exists()) == (2, False)

    first = called(url, "import", str(talk), "--new-store")
    assert (first.status, first.err) == (0, "")
    assert first.out.splitlines() == [
        "1 file of openai-chat: 1 session, 2 events",
        "1 session and 2 events are new",
        "events without a time of their own: 2",
    ]
    [again] = called(url, "import", str(talk), "--dry-run", "--json", "--format", "openai-chat").rows
    assert (again["dry_run"], again["new_events"], again["session_ids"]) == (True, 0, ["trip"])
    assert [row["message"] for row in called(url, "show", "trip", "--json").rows[1:]] == _SAID
    assert called(url, "import", str(talk), "--namespace", "acme").status == 0
    assert [row["name"] for row in called(url, "namespaces", "--json").rows] == ["acme"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"foo": 1}', "its format is not recognised: it begins with an object with the keys 'foo'; known are 0.1,"),
        ('{"messages": [', "line 1: the file ends inside a record: it was cut off"),
        ("[" * 99_999, "line 1: a record is nested too deeply"),
    ],
)
def test_what_cannot_be_imported_is_one_line_and_the_status_2(
    called: Call, talk: Path, tmp_path: Path, text: str, said: str
) -> None:
    url = f"file:{tmp_path / 'store'}"
    called(url, "import", str(talk), "--new-store")
    talk.write_text(text)
    answer = called(url, "import", str(talk))

    assert (answer.status, answer.out, len(answer.err.splitlines())) == (2, "", 1)
    assert said in answer.err
    assert "nothing was written" in answer.err
    assert [row["id"] for row in called(url, "ls", "--json").rows] == ["trip"]


@pytest.mark.parametrize("format", [(), ("--format", "bundle"), ("--format", "openai-chat")])
def test_what_can_be_read_once_is_refused_and_not_read(called: Call, tmp_path: Path, format: tuple[str, ...]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, said in ((str(pipe), "is no file that is read twice"), ("-", "standard input is read once")):
        answer = called(f"file:{tmp_path / 'store'}", "import", path, "--new-store", *format)

        assert (answer.status, answer.out, len(answer.err.splitlines())) == (2, "", 1)
        assert said in answer.err


@pytest.mark.parametrize("format", ["openai", "anthropic", "responses", "markdown"])
def test_a_session_is_exported_as_others_take_it(called: Call, talk: Path, tmp_path: Path, format: str) -> None:
    url, path = f"file:{tmp_path / 'store'}", tmp_path / "out"
    called(url, "import", str(talk), "--new-store")
    answer = called(url, "export", "trip", "--format", format, "-o", str(path))

    assert (answer.status, answer.err) == (0, "")
    assert "Hello" in path.read_text()
    refused = called(url, "export", "trip", "--format", format, "--last", "1", "-o", str(tmp_path / "no"))
    assert (refused.status, (tmp_path / "no").exists()) == (2, False)
    assert "leave out --alone and --last" in refused.err
