"""`export`: a session in a file, in one of several formats, or nothing at all."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from a2a_session_manager import SessionManager
from tests.cli.calling import Call, call_in_process, call_on_terminal
from tests.timeline.trees import KEY, data_of, marked_tree


@pytest.fixture
async def url(tmp_path: Path) -> str:
    url = f"file:{tmp_path}/sessions"
    async with SessionManager.from_url(url) as sessions:
        await marked_tree(sessions)
    return url


def test_a_page_is_written_whole_and_for_nobody_else(url: str, called: Call, tmp_path: Path) -> None:
    file = tmp_path / "trip.html"
    answer = called(url, "export", "tri", "--format", "html", "-o", str(file))

    page = file.read_text("ascii")
    assert answer.status == 0, answer.err
    assert answer.out == f"wrote {file}, {len(page):,} bytes\n"
    assert answer.err == ""
    assert [session["id"] for session in data_of(page)["sessions"]] == ["trip", "flights", "by-train"]
    assert KEY not in page
    assert file.stat().st_mode & 0o077 == 0
    assert sorted(os.listdir(tmp_path)) == ["sessions", "trip.html"]


def test_options_reach_the_format(url: str, called: Call, tmp_path: Path) -> None:
    file = tmp_path / "trip.html"
    options = ["--alone", "--last", "2", "--no-redact", "--json"]
    [row] = called(url, "export", "flights", "-f", "html", "-o", str(file), *options).rows

    data = data_of(file.read_text("ascii"))
    assert row == {"id": "flights", "format": "html", "file": str(file), "bytes": file.stat().st_size}
    assert (data["sessions"][0]["earlier"], data["redacted"]) == (1, None)


def test_a_pipe_gets_the_page_alone(url: str) -> None:
    answer = call_in_process(url, "export", "trip", "-f", "html")

    assert answer.status == 0
    assert answer.err == ""
    assert answer.out.startswith("<!doctype html>")
    assert answer.out.endswith("</html>\n")


def test_a_terminal_sees_how_far_it_is(url: str, tmp_path: Path) -> None:
    shown = call_on_terminal(url, "export", "trip", "-f", "html", "-o", str(tmp_path / "t.html"))

    assert "wrote " in shown
    assert "events" in shown


def test_a_terminal_gets_no_page(url: str, called: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    answer = called(url, "export", "trip", "-f", "html")

    assert answer.status == 2
    assert "name a file with -o" in answer.err
    assert answer.out == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["trip", "-f", "htm", "-o", "OUT"], "--format 'htm' is unknown: take one of "),
        (["nowhere", "-f", "html", "-o", "OUT"], "'nowhere'"),
        (["trip", "-f", "html", "-o", "FOLDER/nowhere/x.html"], "cannot be written"),
    ],
)
def test_after_an_error_nothing_is_written(
    arguments: list[str], says: str, url: str, called: Call, tmp_path: Path
) -> None:
    file = tmp_path / "trip.html"
    file.write_text("as it was")
    places = [each.replace("OUT", str(file)).replace("FOLDER", str(tmp_path)) for each in arguments]

    answer = called(url, "export", *places)

    assert answer.status == 2
    assert says in answer.err
    assert answer.err.count("\n") == 1
    assert file.read_text() == "as it was"
    assert sorted(os.listdir(tmp_path)) == ["sessions", "trip.html"]
