"""Runs the frameworks' own tests, from their sdists, on each store: `python own_suites.py DIRECTORY`."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.redis_servers.server import RedisServer  # noqa: E402  found by the line above

# By sdist: the plugin that puts our stores in the place of theirs, and the files of tests with pytest's options.
SUITES = {
    "claude-agent-sdk": (
        "tests.integrations.claude_agent.swapped",
        [
            "tests/test_session_store_conformance.py",
            "tests/test_session_helpers_store.py",
            "tests/test_session_resume.py",
            "tests/test_session_import.py",
            "tests/test_transcript_mirror.py",
            "tests/test_session_summary.py",
        ],
    ),
    "strands-agents": (
        "tests.integrations.strands.swapped",
        # Their conftest is for tests of AWS services, whose mocks it imports.
        ["--noconftest", "tests/strands/session/test_repository_session_manager.py"],
    ),
}


def unpacked(package: str, workspace: Path) -> Path:
    """Download the sdist of the installed version, and return where it was unpacked."""
    pinned = f"{package}=={version(package)}"
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", pinned]
    subprocess.run([*command, "-d", str(workspace)], check=True)
    [archive] = workspace.glob(f"{package.replace('-', '_')}-*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(workspace, filter="data")
    return archive.with_name(archive.name.removesuffix(".tar.gz"))


def run(plugin: str, files: list[str], directory: Path, store: str) -> None:
    """Run test files of a framework on a store; `-P` because theirs are a package `tests` as well."""
    print(f"{directory.name} on {store}", flush=True)
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-rs", "-p", plugin, "-c", "pyproject.toml", *files]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "BRIDGES_STORE": store}
    subprocess.run(command, cwd=directory, env=environment, check=True, stdin=subprocess.DEVNULL)


def main() -> None:
    workspace = Path(sys.argv[1])
    (workspace / "redis").mkdir()
    with RedisServer(workspace / "redis", ("save", '""')) as server:
        for package, (plugin, files) in SUITES.items():
            directory = unpacked(package, workspace)
            for store in ("memory", "file", server.url):
                run(plugin, files, directory, store)


if __name__ == "__main__":
    main()
