"""Every row of `python -m benchmarks` runs; what it measures is for people to read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import MODULES

ROOT = Path(__file__).parents[1]


# The check that decides whether a change is accepted runs all rows by themselves, outside of the tests.
@pytest.mark.parametrize("only", ["memory/", pytest.param("", marks=pytest.mark.soak)])
def test_a_run_writes_every_row_as_json(tmp_path: Path, only: str) -> None:
    report_file = tmp_path / "report.json"
    names = [case.name for module in MODULES for case in module.CASES if only in case.name]

    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--smoke", "--json", report_file, *(["--only", only] if only else [])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,  # it takes ten seconds, and on a busy machine as many times as long
        check=False,
    )

    assert run.returncode == 0, run.stderr
    report = json.loads(report_file.read_text(encoding="utf-8"))
    assert [row["name"] for row in report["rows"]] == names
    assert all(row["medians"] and len(row["spread"]) == 2 and row["unit"] for row in report["rows"])
    assert report["machine"]["python"]
    assert report["versions"]["a2a_session_manager"]
    assert all(row["name"] in run.stdout for row in report["rows"])
