"""The verbs over a whole namespace: which ones there are, what has been idle, the index, and Ctrl-C in the middle."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from unittest.mock import patch
from uuid import uuid4

import pytest
from rich.console import Console

from a2a_session_manager import SessionManager
from a2a_session_manager.cli.quantities import age_in, size_in
from a2a_session_manager.cli.writing import table
from a2a_session_manager.models import clock
from tests.cli.calling import COMMAND, SECONDS, Answer, Call, call_in_process, call_on_terminal
from tests.redis_servers.server import RedisServer

AGES = {"new": 1, "old": 100, "older": 400}


async def _filled(url: str) -> None:
    """Make a chat of each age, the old one with a child, and one chat in each of three namespaces."""
    async with SessionManager.from_url(url) as sessions:
        for name, days in AGES.items():
            then = (datetime.now(UTC) - timedelta(days=days)).timestamp()
            with patch.object(clock, "time_ns", lambda then=then: int(then * 1e9)):
                async with sessions.open(
                    name, properties={"owner": "ann", "title": f"A {name} talk", "n": days}
                ) as chat:
                    await chat.user("hello")
                    if name == "old":
                        await sessions.create("old/child", parent_id="old")
        acme = sessions.namespace("acme")
        for each in (acme, acme.namespace("eu/1"), sessions.namespace("b")):
            await each.create("talk")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with these sessions, which no test changes."""
    path = tmp_path_factory.mktemp("retention") / "store"
    asyncio.run(_filled(f"file:{path}"))
    return path


@pytest.fixture(scope="module", params=["file", "redis"])
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same sessions in a store of each kind that outlives a process, which no test changes."""
    return _store(request, tmp_path_factory)


@pytest.fixture(params=["file", "redis"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same in one that its test may change."""
    return _store(request, tmp_path_factory)


def _store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"file:{tmp_path_factory.mktemp('retention')}/store"
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        url = f"{server.url}?key_prefix={uuid4().hex[:12]}:"
    asyncio.run(_filled(url))
    return url


def ids(answer: Answer) -> list[str]:
    return [row["id"] for row in answer.rows]


def test_what_was_idle_is_told_first_and_removed_when_asked(answer_of: Call, url: str) -> None:
    limits = ("prune", "--older-than", "90d")
    told = answer_of(url, *limits, "--json")
    *branches, total = told.rows
    assert [(row["id"], row["session_ids"], row["reason"]) for row in branches] == [
        ("older", ["older"], "older_than"),
        ("old", ["old", "old/child"], "older_than"),
    ]
    assert (total["dry_run"], total["removed"], total["sessions"], total["kept"]) == (True, 2, 3, 1)
    assert total["bytes"] == sum(row["bytes"] for row in branches) > 500
    printed = answer_of(url, *limits)
    assert "3 sessions would be removed" in printed.out
    assert "A older talk" in printed.out
    assert len(ids(answer_of(url, "ls", "--json"))) == 4

    removed = answer_of(url, *limits, "--remove")
    assert (removed.status, removed.err) == (0, "")
    assert "3 sessions were removed" in removed.out
    assert "1 tree stays" in removed.out
    assert ids(answer_of(url, "ls", "--json")) == ["new"]
    assert ids(answer_of(url, "ls", "--json", "--namespace", "acme")) == ["talk"]


def test_limits_can_be_joined(called: Call, kept: str) -> None:
    def pruned(*limits: str) -> list[str]:
        return ids(Answer(0, "\n".join(called(kept, "prune", "--json", *limits).out.splitlines()[:-1]), ""))

    assert pruned("--keep-last", "1") == ["older", "old"]
    assert pruned("--keep-last", "2", "--older-than", "1h") == ["older"]
    assert pruned("--max-bytes", "0") == ["older", "old", "new"]
    assert pruned("--max-bytes", "1GB") == []
    assert pruned("--older-than", "90d", "--property", "owner=bob") == []
    assert pruned("--older-than", "90d", "--property", "owner=ann", "-p", "n:=400") == ["older"]


def test_namespaces_are_printed_as_they_are_asked_for(answer_of: Call, kept: str) -> None:
    assert answer_of(kept, "namespaces").out == "acme\nb\n"
    every = answer_of(kept, "namespaces", "--all", "--json").rows
    assert [row["namespace"] for row in every] == ["acme", "acme/eu%2F1", "b"]
    assert [row["name"] for row in answer_of(kept, "namespaces", "-n", "acme", "--json").rows] == ["eu/1"]
    for row in every:
        assert ids(answer_of(kept, "ls", "--json", "--namespace", row["namespace"])) == ["talk"]


def test_ls_pages_by_activity_creation_and_properties(called: Call, kept: str) -> None:
    assert ids(called(kept, "ls", "--json", "--roots")) == ["new", "old", "older"]
    assert ids(called(kept, "ls", "--json", "--roots", "--oldest-first")) == ["older", "old", "new"]
    first = called(kept, "ls", "--json", "--roots", "--limit", "2")
    cursor = first.err.split("'")[1]
    assert ids(first) == ["new", "old"]
    assert ids(called(kept, "ls", "--json", "--roots", "--limit", "2", "--cursor", cursor)) == ["older"]
    by_owner = ("ls", "--json", "--indexed", "owner", "--indexed", "n")
    assert sorted(ids(called(kept, *by_owner, "--property", "owner=ann"))) == ["new", "old", "older"]
    assert ids(called(kept, *by_owner, "--property", "owner=ann", "--property", "n:=100")) == ["old"]
    wrong = called(kept, "ls", "--oldest-first", "--roots", "--limit", "2", "--cursor", cursor)
    assert (wrong.status, wrong.out, len(wrong.err.splitlines())) == (2, "", 1)
    assert "of another query" in wrong.err


def test_the_index_is_made_anew(called: Call, url: str) -> None:
    made = called(url, "check", "--index", "--json")
    assert (made.status, made.err) == (0, "")
    assert made.rows[0]["sessions"] in (None, 4)
    assert called(url, "check", "--index").status == 0
    assert ids(called(url, "ls", "--json", "--roots")) == ["new", "old", "older"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["prune"], "--older-than, --keep-last or --max-bytes"),
        (["prune", "--older-than", "soon"], "'soon' is no age"),
        (["prune", "--older-than", "-5d"], "is no age"),
        (["prune", "--max-bytes", "much"], "'much' is no size"),
        (["prune", "--keep-last", "1", "--branches"], "older_than"),
        (["prune", "--keep-last", "0", "--property", "owner"], "is no property"),
        (["prune", "--keep-last", "0", "--property", "n:=x"], "no JSON value"),
        (["prune", "--keep-last", "0", "--property", "n:=[1]"], "cannot be looked for"),
        (["ls", "--property", "owner=ann"], "--indexed"),
        (["ls", "--indexed", "n", "--property", "owner=ann"], "'owner'"),
        (["ls", "--namespace", "acme//eu"], "empty name"),
        (["ls", "--cursor", "nonsense"], "cursor"),
        (["check", "--index", "new"], "leave out the ids"),
        (["check", "nowhere"], "no session 'nowhere'"),
        (["repair", "nowhere", "--cut-damaged-tail"], "no session 'nowhere'"),
        (["tail", "nowhere"], "no session 'nowhere'"),
        (["tree", "nowhere"], "no session 'nowhere'"),
        (["usage", "nowhere"], "no session 'nowhere'"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_is_one_line_on_stderr_and_nothing_is_written(
    called: Call, files: Path, arguments: Sequence[str], words: str
) -> None:
    before = {each: each.stat().st_mtime_ns for each in files.rglob("*")}
    answer = called(f"file:{files}", *arguments)
    assert (answer.status, answer.out, len(answer.err.splitlines())) == (2, "", 1)
    assert words in answer.err
    assert {each: each.stat().st_mtime_ns for each in files.rglob("*")} == before


@pytest.mark.parametrize(
    "verb", [["prune", "--keep-last", "0", "--remove"], ["namespaces"], ["check", "--index"]], ids=str
)
@pytest.mark.parametrize("wrong", ["fiel:./sessions", "redis:/localhost", "file:README.md", "file:./not-there"])
def test_a_wrong_store_is_refused_by_every_verb(called: Call, verb: Sequence[str], wrong: str) -> None:
    answer = called(wrong, *verb)
    assert (answer.status, answer.out, len(answer.err.splitlines())) == (2, "", 1)
    assert not Path("not-there").exists()


def test_a_damaged_end_is_cut_when_asked_and_a_damaged_session_stays(called: Call, tmp_path: Path) -> None:
    path = tmp_path / "store"
    url = f"file:{path}"
    asyncio.run(_filled(url))
    log = next(path.glob("default/logs/*/older.log"))
    data = bytearray(log.read_bytes())
    data[-20] ^= 1
    log.write_bytes(data + b"\n")
    assert [row["code"] for row in called(url, "check", "--json").rows] == ["damaged"]

    pruned = called(url, "prune", "--older-than", "90d", "--remove")
    assert "older stays: it is damaged" in pruned.err
    assert list(path.glob("default/logs/*/older.log")) == [log]
    cut = called(url, "repair", "older", "--cut-damaged-tail")
    assert cut.status == 0
    assert "damaged bytes were moved" in cut.err
    assert called(url, "check").status == 0


def test_a_terminal_gets_colours_and_progress_and_a_pipe_neither(files: Path) -> None:
    url = f"file:{files}"
    terminal = {"TERM": "xterm-256color", "COLUMNS": "100"}
    shown = call_on_terminal(url, "prune", "--older-than", "90d", environment=terminal)
    assert "sessions looked at" in shown
    assert "\x1b[1m" in shown
    piped = call_in_process(url, "prune", "--older-than", "90d")
    assert (piped.status, piped.err) == (0, "")
    assert "\x1b" not in piped.out


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_session_is_one_line_however_narrow_the_terminal(width: int) -> None:
    rows = [
        ("trip", "A very long title, which no terminal of eighty columns has room for in one line", "4", "8 hours ago")
    ]
    out = Console(width=width, file=StringIO())
    out.print(table(("ID", "TITLE", "EVENTS", "ACTIVE"), rows, right=frozenset((2,)), cut=1))
    assert isinstance(out.file, StringIO)
    lines = out.file.getvalue().splitlines()
    assert len(lines) == 2
    assert all(len(line) <= width for line in lines)
    assert lines[1].split()[0] == "trip"
    assert lines[1].rstrip().endswith("8 hours ago")


@pytest.mark.parametrize(("width", "is_whole"), [(80, False), pytest.param(120, True, marks=pytest.mark.soak)])
def test_a_narrow_terminal_has_room_for_titles(tmp_path: Path, width: int, is_whole: bool) -> None:
    url = f"file:{tmp_path}/store"

    async def make() -> str:
        async with SessionManager.from_url(url) as sessions:
            return (await sessions.create(properties={"title": "Two days in Oslo, with hotels"})).id

    made = asyncio.run(make())
    terminal = {"TERM": "xterm-256color", "COLUMNS": str(width)}
    shown = call_on_terminal(url, "ls", environment=terminal)

    assert "Two days in Oslo, with hotels" in shown
    assert (made in shown, f"{made[:8]}…" in shown) == (is_whole, not is_whole)
    assert made in call_in_process(url, "ls").out


@pytest.mark.parametrize("shell", ["bash", *(pytest.param(each, marks=pytest.mark.soak) for each in ("zsh", "fish"))])
def test_a_shell_completes_verbs_options_ids_and_namespaces(files: Path, shell: str) -> None:
    url = f"file:{files}"
    assert {"old", "old/child", "older"} <= _completed(shell, "show ol", url)
    assert _completed(shell, "ls --namespace acme/", url) == {"acme/eu%2F1"}
    if shell != "bash":
        assert "prune" in _completed(shell, "pr", url)
        assert "--older-than" in _completed(shell, "prune --ol", url)
        assert "old" not in _completed(shell, "show ol", "file:./not-there")


def _completed(shell: str, typed: str, url: str) -> set[str]:
    """Return what a shell is told that may stand at the end of a line."""
    words = f"a2a-sessions {typed}"
    environment = {
        "_A2A_SESSIONS_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_ARGS": words,
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
        "A2A_SESSIONS_URL": url,
    }
    code = "import sys; sys.argv = ['a2a-sessions']; from a2a_session_manager.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.stderr == ""
    found = done.stdout.replace("_arguments '*: :((", "").replace("))'", "").splitlines()
    return {line.strip().strip('"').split('":"')[0].split("\t")[0] for line in found}


async def _make_many(url: str) -> None:
    async with SessionManager.from_url(url) as sessions:
        await asyncio.gather(*(sessions.create(f"talk{number}", properties={"n": number}) for number in range(400)))


@pytest.mark.soak
@pytest.mark.usefixtures("heeds_ctrl_c")
def test_ctrl_c_while_pruning_leaves_every_session_whole(tmp_path: Path) -> None:
    many = tmp_path / "store"
    url = f"file:{many}"
    asyncio.run(_make_many(url))
    with subprocess.Popen(
        [*COMMAND, "prune", "--older-than", "0", "--remove", "--store", url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as call:
        while call.poll() is None and len(list(many.glob("default/logs/*/*.log"))) > 390:
            pass
        call.send_signal(signal.SIGINT)
        _, errors = call.communicate(timeout=SECONDS)
    assert call.returncode in (0, 130)  # it may have been quicker
    assert b"Traceback" not in errors
    answer = call_in_process(url, "doctor", "--sessions", "--json")
    assert {row["code"] for row in answer.rows} <= {"file_system", "fleeting_file_system", "nearly_full"}
    left = call_in_process(url, "ls", "--json", "--limit", "1000")
    assert len(left.rows) == len(list(many.glob("default/logs/*/*.log")))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90d", 7_776_000), ("1.5h", 5_400), ("30 M", 1_800), ("45s", 45), ("7", 7), ("2w", 1_209_600)],
)
def test_ages_have_units(text: str, seconds: int) -> None:
    assert age_in(text).total_seconds() == seconds


@pytest.mark.parametrize(("text", "size"), [("5GB", 5 * 10**9), ("2GiB", 2**31), ("500 mb", 5 * 10**8), ("17", 17)])
def test_sizes_have_units(text: str, size: int) -> None:
    assert size_in(text) == size
