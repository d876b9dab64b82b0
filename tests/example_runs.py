"""Examples as a user runs them, and what they leave in a store."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from a2a_session_manager import BaseSessionStore

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


def run_example(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=600, check=False, env=utf8()
    )


def utf8() -> dict[str, str]:
    return {**os.environ, "PYTHONIOENCODING": "utf-8"}


def example(name: str) -> ModuleType:
    """Import an example as a module; as a script it would run."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


replay = example("replay")
custom_store = example("custom_store")


def number(text: str) -> int:
    return int(text.replace(",", ""))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


def sqlite_store(place: Path) -> BaseSessionStore:
    store: BaseSessionStore = custom_store.SqliteSessionStore(place)
    return store
