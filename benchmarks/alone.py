"""A scenario in a process of its own, which imports the store and hardly anything else, as a small program does.

A full garbage collection walks all objects of the process. After fifty rows those are mostly the benchmarks' own.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import asdict
from functools import partial
from importlib import import_module

from a2a_session_manager.storage import store_from_url
from benchmarks.measure import Result
from benchmarks.scenarios import Scenario, Sizes


async def alone(sizes: Sizes, *, url: str, scenario: Scenario) -> Result:
    """Fill a row with a scenario, a function of its module, on the store at `url`, in another interpreter."""
    named = [scenario.__module__, scenario.__name__]
    command = [sys.executable, "-m", "benchmarks.alone", url, *named, json.dumps(asdict(sizes))]
    run = partial(subprocess.run, command, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads((await asyncio.to_thread(run)).stdout)
    return Result(**{**found, "spread": tuple(found["spread"])})


async def _measured(url: str, module: str, name: str, sizes: Sizes) -> Result:
    async with store_from_url(url) as store:
        result: Result = await getattr(import_module(module), name)(store, sizes)
        return result


def main() -> None:
    """Print what was found as JSON."""
    url, module, name, sizes = sys.argv[1:]
    print(json.dumps(asdict(asyncio.run(_measured(url, module, name, Sizes(**json.loads(sizes)))))))


if __name__ == "__main__":
    main()
