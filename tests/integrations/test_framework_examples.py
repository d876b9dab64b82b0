"""The examples of other frameworks run as a user runs them, each where its framework is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FRAMEWORKS = ROOT / "examples" / "frameworks"

ANSWERS = ["You asked 1 times.", "You asked 2 times.", "You asked 3 times."]
USED = "3 requests, 45 tokens"

# The module that an example needs, and what it prints.
EXAMPLES = {
    "a2a_tasks": (
        "a2a.server.cluster",
        [
            *["Task", "TaskStatusUpdateEvent", *["TaskArtifactUpdateEvent"] * 3, "TaskStatusUpdateEvent"],
            "in a second process: Day 1: the fjord. Day 2: the fjord. Day 3: the fjord. ",
            "1 request, 102 tokens",
        ],
    ),
    "adk_sessions": (
        "google.adk.runners",
        [*ANSWERS, "user state: {'last_answer': 'You asked 3 times.'}", USED],
    ),
    "ag2_history": (
        "ag2",
        [
            "An answer to: Two days in Oslo? (3 events)",
            "An answer to: And in summer? (6 events)",
            "An answer to: And in winter? (9 events)",
            USED,
        ],
    ),
    "agent_framework_history": ("agent_framework", [*ANSWERS, USED]),
    "autogen_state": ("autogen_agentchat", [*ANSWERS, USED]),
    "strands_sessions": ("strands.storage", [*ANSWERS, USED]),
}


def test_every_example_is_run_here() -> None:
    assert {path.stem for path in FRAMEWORKS.glob("*.py")} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_prints_what_it_says(name: str) -> None:
    module, lines = EXAMPLES[name]
    pytest.importorskip(module, reason=f"{module} is not installed", exc_type=ImportError)
    command = [sys.executable, str(FRAMEWORKS / f"{name}.py")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    finished = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.splitlines() == lines
