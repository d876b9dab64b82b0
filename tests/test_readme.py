"""The README is code that runs.

A block with `asyncio.run(` is a script and runs in a process of its own. The other Python blocks are one
conversation per `## ` section, with `await` at the top; what their `print` lines show is in their comments.
"""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections import defaultdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import pytest

import a2a_session_manager
from a2a_session_manager import SessionManagerError
from a2a_session_manager.context.findings import FindingCode

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SHOWN = re.compile(r"print\(.*\)  # (.*)$", re.MULTILINE)


def blocks(language: str, text: str = README) -> list[str]:
    return [code for found, code in BLOCK.findall(text) if found == language]


def conversations() -> dict[str, list[str]]:
    """Return the blocks that are no scripts, by section."""
    found: dict[str, list[str]] = defaultdict(list)
    for section in README.split("\n## "):
        for code in blocks("python", section):
            if "asyncio.run(" not in code:
                found[section.partition("\n")[0]].append(code)
    return found


def test_the_first_code_is_on_the_first_screen() -> None:
    lines = README.splitlines()

    assert lines.index("```python") < 15
    assert any("pip install a2a_session_manager" in line for line in lines[:15])


def test_the_first_example_prints_what_is_shown_after_it() -> None:
    script = blocks("python")[0]
    assert "asyncio.run(" in script

    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60, check=True
    )

    assert finished.stdout == blocks("text")[0]


def test_the_first_example_is_the_quickstart() -> None:
    quickstart = (ROOT / "examples" / "quickstart.py").read_text(encoding="utf-8")

    assert quickstart.endswith(blocks("python")[0])
    assert len(blocks("python")[0].split("async def main")[1].splitlines()) <= 15


@pytest.fixture
def own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory for the files that a section writes."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def imported(section: str) -> None:
    """What a section imports is imported before there is a loop, which the first import of a framework would block."""
    for code in conversations()[section]:
        for node in ast.walk(ast.parse(code)):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                names.append(node.module)
            for name in names:
                if find_spec(name.partition(".")[0]) is not None:  # else it is one of the examples
                    import_module(name)


@pytest.mark.parametrize("section", conversations())
async def test_the_blocks_of_a_section_print_what_their_comments_say(
    section: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    own_directory: None,
    imported: None,
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    names: dict[str, Any] = {"__name__": "readme"}
    for code in conversations()[section]:
        compiled = compile(code, f"README.md, {section}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        outcome = eval(compiled, names)
        if inspect.isawaitable(outcome):
            await outcome
        printed = capsys.readouterr().out.splitlines()
        expected = SHOWN.findall(code)
        is_loop = len(printed) > len(expected) == 1  # then one comment shows all its lines

        assert ([", ".join(printed)] if is_loop else printed) == expected


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="here the prompt takes blocks from a terminal, not a pipe")
def test_the_blocks_can_be_pasted_into_the_asyncio_prompt() -> None:
    pasted = "\n".join(conversations()["What you write"])

    finished = subprocess.run(
        [sys.executable, "-m", "asyncio"], input=pasted, capture_output=True, text=True, timeout=60, check=True
    )

    assert "Error" not in finished.stderr.replace("ConnectionError", "")
    assert "failed ConnectionError" in finished.stdout
    assert "Make it three days." in finished.stdout


def test_the_command_for_all_tests_is_the_one_that_ci_runs() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").replace('"$venv"', ".venv")
    replays, tests = blocks("sh")[0].splitlines()

    assert tests.endswith("-m pytest -n auto")
    assert f"{tests} </dev/null" in script.splitlines()
    assert replays.replace("examples/replay.py", "-m pytest -n auto") == tests


def test_every_error_has_its_row() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE))
    errors = {cls.__name__ for cls in SessionManagerError.__subclasses__() if cls.__module__.endswith(".exceptions")}

    assert errors <= rows


def test_every_finding_has_its_row() -> None:
    table = README.partition("| code | what it says of the events in `seqs` |\n")[2].partition("\n\n")[0]
    codes = {code for row in table.splitlines()[1:] for code in re.findall(r"`(\w+)`", row.split("|")[1])}

    assert codes == set(get_args(FindingCode))


def test_the_picture_of_the_package_is_the_package() -> None:
    package = ROOT / "a2a_session_manager"
    there = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in package.iterdir()
        if not path.name.startswith("__") and path.name != "py.typed"
    }
    [picture] = [text for text in blocks("text") if text.startswith("a2a_session_manager/")]

    assert set(re.findall(r"(?<= )\w+(?:/|\.py)(?= )", picture)) == there


def test_every_file_and_name_it_speaks_of_exists() -> None:
    for path in re.findall(r"`(examples/\S+?)`", README):
        assert (ROOT / path).is_file(), path
    names_of_classes = set(re.findall(r"`([A-Z][a-z]+[A-Z]\w+)[`(]", README))

    # The bridges' frameworks need not be installed: what a bridge brings is read and not imported.
    packages = (ROOT / "a2a_session_manager" / "integrations").glob("*/__init__.py")
    of_bridges = {name for path in packages for name in re.findall(r'"(\w+)"', path.read_text(encoding="utf-8"))}

    missing = {name for name in names_of_classes if not hasattr(a2a_session_manager, name)} - of_bridges
    assert missing <= {"StoreContract", "ActiveSession", "ActiveRun", "ClaudeAgentOptions"}  # the last is the SDK's


def test_every_file_that_contributing_names_exists() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    folders = [ROOT / name for name in ("a2a_session_manager", "tests", "examples")]
    there = {f"/{path.relative_to(ROOT).as_posix()}" for folder in folders for path in folder.rglob("*.*")}

    named = set(re.findall(r"[\w/]+\.(?:py|lua)\b", text))

    assert [name for name in sorted(named) if not any(path.endswith(f"/{name}") for path in there)] == []
    assert len(named) > 30
