"""How much memory it takes to write and to read a bundle, by the length of the log, each in a process of its own."""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from a2a_session_manager import SessionManager
from a2a_session_manager.storage import store_from_url
from benchmarks.measure import Result
from benchmarks.scenarios import Sizes, grown

What = Literal["export", "import"]

_SESSION_TURNS = 3


async def memory_by_length(sizes: Sizes, *, what: What) -> Result:
    """Return how many times the peak memory of a process that moves the longest session is that of a short one's."""
    lengths = (sizes.lengths[1], sizes.lengths[-1])
    peaks: dict[int, list[float]] = {length: [] for length in lengths}
    seconds: list[float] = []
    with TemporaryDirectory() as directory:
        for length in peaks:
            await _prepare(Path(directory), length)
        for turn in range(min(_SESSION_TURNS, sizes.turns)):
            for length in peaks:  # one, where all are short
                found = await asyncio.to_thread(_measured, Path(directory), what, length, turn)
                peaks[length].append(found["peak"])
                if length == lengths[-1]:
                    seconds.append(found["seconds"])
    ratios = sorted(longest / short for short, longest in zip(peaks[lengths[0]], peaks[lengths[-1]], strict=True))
    medians = {f"{length:,} events": sorted(found)[len(found) // 2] for length, found in peaks.items()}
    aside = f"{sorted(seconds)[len(seconds) // 2] / lengths[-1] * 1e6:.0f} µs an event of {lengths[-1]:,}"
    return Result(ratios[len(ratios) // 2], (ratios[0], ratios[-1]), medians, "MB", aside=aside)


async def _prepare(directory: Path, length: int) -> None:
    async with store_from_url(f"file:{directory / str(length)}") as store:
        await grown(store, length)
        await SessionManager(store).export_bundle(directory / f"{length}.bundle")


def _measured(directory: Path, what: What, length: int, turn: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.moving", str(directory), what, str(length), str(turn)]
    found: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    return found


async def _move(directory: Path, what: str, length: str, turn: str) -> None:
    bundle = directory / f"{length}.bundle"
    if what == "export":
        async with SessionManager.from_url(f"file:{directory / length}") as sessions:
            await sessions.export_bundle(directory / "again.bundle")
    else:
        async with SessionManager.from_url(f"file:{directory / 'new'}-{length}-{turn}") as sessions:
            await sessions.import_bundle(bundle)


def main() -> None:
    """Move once, and print the peak of the process's memory in MB, and the seconds."""
    directory, *arguments = sys.argv[1:]
    start = time.perf_counter()
    asyncio.run(_move(Path(directory), *arguments))
    print(json.dumps({"peak": _peak(), "seconds": time.perf_counter() - start}))


def _peak() -> float:
    """Return the most memory that this process has had, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # what the system says of resources, Linux begins with what the parent had
        lines = status.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1_000
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_000_000


export_memory = partial(memory_by_length, what="export")
import_memory = partial(memory_by_length, what="import")

if __name__ == "__main__":
    main()
