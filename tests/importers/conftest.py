"""The files to import, as they were written to on one day."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

FILES = Path(__file__).parent / "files"
# 2026-06-01 in UTC: what has no time of its own gets that of its file.
WRITTEN_AT = 1_780_272_000
EXPECTED = ".expected.json"


class Case(NamedTuple):
    """A file or directory, and what an import of it tells and stores."""

    path: Path
    wanted: dict[str, Any]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files by hand, SQLite's made of their scripts."""
    copy = tmp_path_factory.mktemp("imported") / "files"
    shutil.copytree(FILES, copy, ignore=shutil.ignore_patterns(f"*{EXPECTED}"))
    for script in copy.rglob("*.sql"):
        with closing(sqlite3.connect(script.with_suffix(".db"))) as database:
            database.executescript(script.read_text())
        script.unlink()
    for path in copy.rglob("*"):
        os.utime(path, (WRITTEN_AT, WRITTEN_AT))
    return copy


def cases_of(directory: Path) -> list[Case]:
    """Return each file or directory to import of a format, with what is to come of it."""
    return [
        Case(path, json.loads((FILES / directory.name / f"{name}{EXPECTED}").read_text()))
        for path in sorted(directory.iterdir())
        for name in [path.name if path.is_dir() else path.stem]
    ]
