"""The main job on the file store: a replay that is killed again and again ends as if it had never stopped."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPLAY = Path(__file__).parents[3] / "examples" / "replay.py"
CONVERSATIONS = 20
TURNS = 12


def write_transcripts(path: Path) -> None:
    with path.open("w") as file:
        for number in range(CONVERSATIONS):
            messages = [{"role": "system", "content": f"You are agent {number}."}]
            for turn in range(TURNS):
                messages.append({"role": "user", "content": f"question {turn} " + "x" * 600})
                messages.append({"role": "assistant", "content": f"answer {turn} " + "y" * 600})
            file.write(json.dumps({"id": f"talk-{number}", "messages": messages}) + "\n")


def written(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*.log")) if directory.exists() else 0


def killed_while_writing(command: list[str], directory: Path, growth: int) -> bool:
    """Start a replay, kill it with -9 once it has written `growth` bytes more; False if it ended first."""
    goal = written(directory) + growth
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if written(directory) >= goal:
                process.kill()
                process.wait()
                return True
            time.sleep(0.001)
    return False


@pytest.mark.parametrize("most", [3, pytest.param(20, marks=pytest.mark.soak)])
def test_a_replay_killed_again_and_again_ends_with_every_conversation_equal(tmp_path: Path, most: int) -> None:
    transcripts, directory = tmp_path / "transcripts.jsonl", tmp_path / "sessions"
    write_transcripts(transcripts)
    command = [sys.executable, str(REPLAY), str(transcripts), "--store", f"file:{directory}"]
    chance = random.Random(11)
    kills = 0
    while kills < most and killed_while_writing(command, directory, chance.randint(1, 20_000)):
        kills += 1

    finished = subprocess.run(command, capture_output=True, text=True, check=False)

    assert kills >= (most + 1) // 2, "the replays ended before they could be killed: this shows nothing"
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert f"{CONVERSATIONS} of {CONVERSATIONS} conversations" in finished.stdout
