"""A scenario in a process of its own, which imports the store and hardly anything else, as a small program does.

A full garbage collection walks all that the process holds. After fifty rows that is mostly the benchmarks' own.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import asdict
from functools import partial

from a2a_session_manager.storage import store_from_url
from benchmarks import scenarios
from benchmarks.measure import Result
from benchmarks.scenarios import Scenario, Sizes


async def alone(sizes: Sizes, *, url: str, scenario: Scenario) -> Result:
    """Fill a row with one of `scenarios` on the store at `url`, both opened by another interpreter."""
    command = [sys.executable, "-m", "benchmarks.alone", url, scenario.__name__, json.dumps(asdict(sizes))]
    run = partial(subprocess.run, command, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads((await asyncio.to_thread(run)).stdout)
    return Result(**{**found, "spread": tuple(found["spread"])})


async def _measured(url: str, name: str, sizes: Sizes) -> Result:
    async with store_from_url(url) as store:
        result: Result = await getattr(scenarios, name)(store, sizes)
        return result


def main() -> None:
    """Print what was found as JSON."""
    url, name, sizes = sys.argv[1:]
    print(json.dumps(asdict(asyncio.run(_measured(url, name, Sizes(**json.loads(sizes)))))))


if __name__ == "__main__":
    main()
