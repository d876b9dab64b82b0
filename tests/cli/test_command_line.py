"""Every verb of the command line, as users run it: in a process of its own, on files and on Redis."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

from a2a_session_manager import SessionManager
from a2a_session_manager.__main__ import main
from tests.cli.calling import COMMAND, SECONDS, Answer, Call, call_in_process, call_on_terminal
from tests.redis_servers.server import RedisServer


async def _fill(sessions: SessionManager) -> None:
    async with sessions.open("trip", properties={"title": "To \x1b[31mOslo\u202e"}) as chat:
        await chat.user("Two days in Oslo?")
        async with chat.run(agent="planner") as run:
            await run.tool("search", {"q": "oslo"}, result="rain", call_id="call-1")
            await run.assistant(
                "Oslo\x07 it is", model="gpt-4o", usage={"prompt_tokens": 1000, "completion_tokens": 20}
            )
            async with run.child("trip-hotels") as child:
                await child.assistant("None", model="nobody-knows", usage={"prompt_tokens": 5, "completion_tokens": 1})
                await child.tool("book", {"nights": 2}, call_id="call-2")
    async with sessions.open("paris") as chat:
        await chat.user("Bonjour")
        await chat.assistant("Hello")
        await chat.retract(last=1)


async def _filled(url: str) -> None:
    async with SessionManager.from_url(url) as sessions:
        await _fill(sessions)
        await _fill(sessions.namespace("acme"))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A directory with three sessions, and the same in the namespace `acme`."""
    url = f"file:{tmp_path_factory.mktemp('cli')}/store"
    asyncio.run(_filled(url))
    return url


@pytest.fixture(scope="module", params=["file", "redis"])
def url(request: pytest.FixtureRequest) -> str:
    """The same sessions in a store of each kind that outlives a process."""
    if request.param == "file":
        return str(request.getfixturevalue("files"))
    server: RedisServer = request.getfixturevalue("redis_server")
    url = f"{server.url}?key_prefix=command-line-"
    asyncio.run(_filled(url))
    return url


def test_every_verb_answers_programs_and_people(answer_of: Call, url: str) -> None:
    listed = answer_of(url, "ls", "--json")
    assert {row["id"] for row in listed.rows} == {"trip", "trip-hotels", "paris"}
    trip = next(row for row in listed.rows if row["id"] == "trip")
    assert (trip["title"], trip["last_seq"], trip["parent_id"]) == ("To \x1b[31mOslo\u202e", 4, None)
    assert trip["usage"]["cost_pico_usd"] == 2_700_000_000
    assert trip["usage"]["cost_usd"] == "0.0027"
    assert answer_of(url, "ls", "--json", "--roots", "trip").rows == [trip]
    assert answer_of(url, "ls", "--json", "--title", "oslo").rows == [trip]
    active = [row["updated_at"] for row in listed.rows]
    assert active == sorted(active, reverse=True)
    created = [row["created_at"] for row in answer_of(url, "ls", "--json", "--order", "created").rows]
    assert created == sorted(created, reverse=True)

    head, *events = answer_of(url, "show", "trip", "--json").rows
    assert head == trip
    assert [event["seq"] for event in events] == [1, 2, 3, 4]
    assert events[3]["message"] == "Oslo\x07 it is"
    assert [event["retracted"] for event in answer_of(url, "show", "par", "--retracted", "--json").rows[1:]] == [
        False,
        True,
    ]
    assert [event["seq"] for event in answer_of(url, "tail", "trip", "--last", "2", "--json").rows] == [3, 4]

    root, child = answer_of(url, "tree", "trip-h", "--json").rows
    assert (root["id"], child["id"]) == ("trip", "trip-hotels")
    assert root["tree"]["total_tokens"] == 1026
    assert root["tree"]["is_lower_bound"]
    assert not root["usage"]["is_lower_bound"]

    *models, last = answer_of(url, "usage", "trip", "--tree", "--json").rows
    assert {row["model"]: row["total_tokens"] for row in models} == {"gpt-4o": 1020, "nobody-knows": 6}
    assert last["total"]["unpriced_requests"] == 1

    counted = answer_of(url, "stats", "--json").rows[0]
    assert [counted[name] for name in ("sessions", "roots", "events", "unfinished_runs")] == [3, 2, 8, 0]
    assert counted["usage"]["total_tokens"] == 1026


def test_check_says_what_is_wrong_by_its_status_and_repair_mends_it_in_one_namespace(answer_of: Call, url: str) -> None:
    of_tenant = ("--namespace", "acme")
    found = answer_of(url, "check", "--json", *of_tenant)
    assert (found.status, [(row["id"], row["code"]) for row in found.rows]) == (1, [("trip-hotels", "closed_call")])
    assert len(answer_of(url, "repair", "trip-hotels", "--json", *of_tenant).rows) == 1
    assert answer_of(url, "repair", "trip-hotels", "--json", *of_tenant).rows == []
    assert answer_of(url, "check", *of_tenant) == Answer(0, "", "")
    assert answer_of(url, "check", "trip-hotels").status == 1


def test_a_title_is_given_and_a_weaker_one_leaves_it(called: Call, url: str) -> None:
    of_tenant = ("--namespace", "acme")
    auto = called(url, "title", "paris", "To be", "--by", "auto", "--json", *of_tenant)
    assert auto.rows == [{"id": "paris", "is_set": True, "title": "To be", "title_by": "auto"}]
    assert called(url, "title", "paris", "Paris,\x07 spring", *of_tenant) == Answer(0, "", "")
    weaker = called(url, "title", "paris", "Some talk", "--by", "agent", *of_tenant)
    assert (weaker.status, weaker.out, weaker.err.splitlines()) == (
        1,
        "",
        ["a2a-sessions: the title stays 'Paris,\\x07 spring': it was given by the user"],
    )
    assert called(url, "title", "paris", "Some talk", "--by", "agent", "--json", *of_tenant).rows == [
        {"id": "paris", "is_set": False, "title": "Paris,\x07 spring", "title_by": "user"}
    ]
    listed = {row["id"]: row["title"] for row in called(url, "ls", "--json", *of_tenant).rows}
    assert listed["paris"] == "Paris,\x07 spring"
    assert "title" not in called(url, "show", "paris", "--json").rows[0]["properties"]


@pytest.mark.soak
def test_titles_and_doctor_are_processes_and_a_terminal_has_colours_on_both_stores(url: str) -> None:
    made = call_in_process(url, "title", "trip-hotels", "Rooms", "--by", "agent", "--json")
    assert (made.status, made.err) == (0, "")
    assert made.rows == [{"id": "trip-hotels", "is_set": True, "title": "Rooms", "title_by": "agent"}]
    weaker = call_in_process(url, "title", "trip-hotels", "Some", "--by", "auto", "--json")
    assert (weaker.status, weaker.rows[0]["title"]) == (1, "Rooms")
    told = call_in_process(url, "doctor", "--json")
    assert told.status == (0 if all(row["severity"] == "note" for row in told.rows) else 1)
    assert "\x1b" not in call_in_process(url, "doctor").out
    for verb in (["ls"], ["show", "trip"], ["tree", "trip"], ["stats"], ["usage", "trip"]):
        assert "\x1b[" in call_on_terminal(url, *verb, environment={"TERM": "xterm-256color"}), verb


def test_doctor_names_what_is_wrong_by_its_status_and_damaged_sessions_when_asked(called: Call, tmp_path: Path) -> None:
    path = tmp_path / "store"
    url = f"file:{path}"
    asyncio.run(_filled(url))
    before = called(url, "doctor", "--json")
    assert {row["code"] for row in before.rows} <= {
        "file_system",
        "fleeting_file_system",
        "nearly_full",
    }  # the machine's
    path.chmod(0o755)
    log = next(iter(path.glob("default/logs/*/paris.log")))
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 1
    log.write_bytes(data)

    found = called(url, "doctor", "--json")
    assert (found.status, "permissions" in {row["code"] for row in found.rows}) == (1, True)
    assert "corrupt_session" not in {row["code"] for row in found.rows}
    deep = called(url, "doctor", "--sessions", "--json")
    assert [row["where"] for row in deep.rows if row["code"] == "corrupt_session"] == ["paris"]
    assert set(deep.rows[0]) == {"severity", "code", "where", "text", "remedy"}
    printed = called(url, "doctor", "--sessions", "--namespace", "acme")
    assert "chmod 700" in printed.out
    assert "paris" not in printed.out


def test_doctor_looks_at_redis_as_it_is_set_up(called: Call, redis_server: RedisServer) -> None:
    answer = called(redis_server.url, "doctor", "--json")
    assert {"server"} <= {row["code"] for row in answer.rows}
    assert answer.status == (0 if all(row["severity"] == "note" for row in answer.rows) else 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ["ls"],
        ["show", "trip"],
        *(pytest.param(rest, marks=pytest.mark.soak) for rest in (["tree", "trip"], ["usage", "trip"], ["stats"])),
    ],
    ids=str,
)
def test_a_pipe_gets_neither_colours_nor_control_characters(url: str, arguments: Sequence[str]) -> None:
    answer = call_in_process(url, *arguments)
    assert (answer.status, answer.err) == (0, "")
    assert answer.out.strip()
    assert all(char.isprintable() or char == "\n" for char in answer.out), repr(answer.out)


def test_a_terminal_gets_colours_and_no_control_characters_of_what_is_stored(files: str) -> None:
    shown = call_on_terminal(files, "show", "trip")
    assert "\x1b[" in shown
    assert "To \\x1b[31mOslo\\u202e" in shown
    assert "\x07" not in shown
    assert "\x1b[31m" not in shown.replace("\\x1b[31m", "")


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_tail_follows_until_it_is_interrupted(url: str) -> None:
    with subprocess.Popen(
        [*COMMAND, "tail", "paris", "--follow", "--last", "1", "--json", "--store", url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as call:
        assert call.stdout is not None
        assert json.loads(call.stdout.readline())["message"] == "Bonjour"
        call.send_signal(signal.SIGINT)
        _, errors = call.communicate(timeout=SECONDS)
    assert call.returncode == 130
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "nowhere"], "no session 'nowhere'"),
        (["show", "t"], "several ids begin with 't'"),
        (["repair", "trip-"], "no session 'trip-'"),
        (["title", "trip-", "Trip"], "no session 'trip-'"),
        (["title", "trip", " "], "is no title"),
        (["title", "trip", "Trip", "--by", "boss"], "boss"),
        (["ls", "--cursor", "no cursor"], "cursor"),
        (["ls", "--limit", "0"], "limit"),
        (["ls", "--order", "newest"], "order"),
        (["ls", "trip", "--title", "oslo"], "--title"),
        (["no-such-verb"], "no-such-verb"),
        (["ls", "--limitt", "5"], "--limitt"),
        (["ls", "--limit", "five"], "--limit"),
        (["show"], "ID"),
    ],
)
def test_what_cannot_be_done_is_one_line_on_stderr(
    called: Call, files: str, arguments: Sequence[str], words: str
) -> None:
    answer = called(files, *arguments)
    assert (answer.status, answer.out, len(answer.err.splitlines())) == (2, "", 1)
    assert words in answer.err
    assert "Traceback" not in answer.err


def test_without_a_verb_it_tells_what_there_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["a2a-sessions"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 0
    assert "doctor" in capsys.readouterr().out


@pytest.mark.soak  # it is tried again and again, for some seconds
def test_a_server_that_is_not_there_is_one_line() -> None:
    answer = call_in_process("redis://127.0.0.1:1/0", "ls")
    assert (answer.status, answer.out, len(answer.err.splitlines())) == (2, "", 1)


@pytest.mark.parametrize("wrong", ["fiel:./sessions", "memory:", "file:./not-there", "file:README.md", ""])
def test_a_store_that_cannot_be_meant_is_refused_and_not_made(called: Call, wrong: str) -> None:
    answer = called(wrong, "ls")
    assert (answer.status, answer.out, len(answer.err.splitlines())) == (2, "", 1)
    assert not Path("not-there").exists()


@pytest.mark.parametrize("name", [None, "somebody-else.txt"])
def test_a_directory_that_is_no_store_is_refused_and_not_made_one(
    called: Call, tmp_path: Path, name: str | None
) -> None:
    if name is not None:
        (tmp_path / name).touch()
    before = sorted(tmp_path.iterdir())
    answer = called(f"file:{tmp_path}", "ls")
    assert (answer.status, answer.out, len(answer.err.splitlines())) == (2, "", 1)
    assert "holds no sessions" in answer.err
    assert sorted(tmp_path.iterdir()) == before


def test_ctrl_c_while_the_command_line_is_loaded_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise (KeyboardInterrupt if name == "run" else AttributeError)(name)

    monkeypatch.setitem(sys.modules, "a2a_session_manager.cli.app", Interrupted("a2a_session_manager.cli.app"))
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 130


def test_a_fork_is_shown_with_where_it_begins(called: Call, tmp_path: Path) -> None:
    url = f"file:{tmp_path}/store"

    async def fork() -> None:
        async with SessionManager.from_url(url) as sessions, sessions.open("trip") as chat:
            await chat.user("Oslo?")
            await chat.assistant("Yes.")
            await chat.fork(at=1, new_id="other")

    asyncio.run(fork())

    assert [row["forked_from"] and row["forked_from"]["seq"] for row in called(url, "tree", "trip", "--json").rows] == [
        None,
        1,
    ]
    assert "fork at event 1" in called(url, "tree", "trip").out
    assert "trip at event 1" in called(url, "show", "other").out
    # What it has of its source is counted there.
    assert called(url, "stats", "--json").rows[0]["events"] == 2
