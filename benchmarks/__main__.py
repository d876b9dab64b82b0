"""`python -m benchmarks [--quick] [--json FILE]`: prints the table, one row after the other."""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any

from benchmarks import conversations, file, memory, redis, redis_scripts, tokens, views
from benchmarks.machine import machine, versions
from benchmarks.measure import Result
from benchmarks.scenarios import FULL, QUICK, SMOKE, Case, Sizes

# The module of each store is listed here; its rows are its CASES.
STORES = [memory, file, redis]
# Conversations are last, since the objects of openai-agents stay in the process, and garbage collections walk them.
MODULES = [*STORES, redis_scripts, tokens, views, conversations]


def main() -> None:
    """Measure what the arguments ask for."""
    arguments = _arguments()
    for name, value in {**machine(), **versions()}.items():
        print(f"{name + ':':22}{value}")
    if arguments.versions:
        return
    print()
    rows = asyncio.run(_measured(arguments.sizes, arguments.only))
    if arguments.json is not None:
        report = {"machine": machine(), "versions": versions(), "rows": rows}
        arguments.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Ratios of one run; see README.md.")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", dest="sizes", action="store_const", const=QUICK, help="fewer turns: five minutes")
    sizes.add_argument("--smoke", dest="sizes", action="store_const", const=SMOKE, help="all rows, tiny: mean nothing")
    parser.add_argument("--only", default="", metavar="TEXT", help="only rows with TEXT in their name")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    parser.add_argument("--versions", action="store_true", help="only say what it would run on")
    parser.set_defaults(sizes=FULL)
    return parser.parse_args()


async def _measured(sizes: Sizes, only: str) -> list[dict[str, Any]]:
    print(f"{'row':34}{'judged':>9}{'bound':>8}   {'middle half':19}medians")
    rows = []
    for module in MODULES:
        for case in module.CASES:
            if only in case.name:
                result = await case.run(sizes)
                print(_line(case, result), flush=True)
                rows.append(_row(case, result))
    return rows


def _line(case: Case, result: Result) -> str:
    sign = "×" if result.ratio is not None else f" {result.unit}"
    bound = "" if case.bound is None else str(case.bound)
    missed = "" if case.bound is None or case.bound.holds(result.judged) else "MISSED"
    spread = "{:.2f} to {:.2f}".format(*result.spread)
    medians = ", ".join(f"{name} {value:.2f}" for name, value in result.medians.items())
    late = "" if result.late is None else "   late p99 {:.2f}, max {:.2f} ms".format(*result.late)
    aside = f"   {result.aside}" if result.aside else ""
    return (
        f"{case.name:34}{result.judged:>7.2f}{sign:3}{bound:>7}   {spread:19}{medians} {result.unit}"
        f"{late}{aside}   {missed}"
    ).rstrip()


def _row(case: Case, result: Result) -> dict[str, Any]:
    return {
        "name": case.name,
        "ratio": result.ratio,
        "bound": None if case.bound is None else {"sign": case.bound.sign, "limit": case.bound.limit},
        "spread": result.spread,
        "medians": dict(result.medians),
        "unit": result.unit,
        "late": result.late,
        "aside": result.aside,
    }


if __name__ == "__main__":
    main()
