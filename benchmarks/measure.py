"""Strategies timed in turns, compared turn by turn; and how late a ticker gets meanwhile.

The speed of a machine changes within seconds, for all strategies of a row alike. So they take turns (A B A B …) in one
process, the first turn warms up and is dropped, and the median of the turns' ratios counts. (The ratio of the medians
was off whenever the machine changed its speed half-way through.)

The garbage collector is off while a sample runs, as in `timeit`, and collects before each: otherwise the sample that
happens to cross the threshold pays for the objects of all. Objects made before the first turn are frozen, so that those
collections stay short. The ticker rows leave the collector on, as users do.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median, quantiles

# Returns the seconds that one operation took, on average over the sample.
Sample = Callable[[], Awaitable[float]]
Work = Callable[[], Awaitable[object]]

TICK_SECONDS = 0.001
_IDLE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one row. A comparison has a `ratio`; any other result is judged by one of its `medians`.

    Attributes:
        spread: lower and upper quartile, over the turns, of the number that is judged.
        medians: by strategy, in `unit`; of a lateness the percentiles, of a count the count.
        late: p99 and maximum, in ms, of a ticker beside the judged strategy, where that lets others run.
        aside: what else was measured, in a unit of its own.
    """

    ratio: float | None
    spread: tuple[float, float]
    medians: Mapping[str, float]
    unit: str
    late: tuple[float, float] | None = None
    judged_by: str = "p99"
    aside: str = ""

    @property
    def judged(self) -> float:
        """The number that the bound applies to."""
        return self.medians[self.judged_by] if self.ratio is None else self.ratio


async def interleaved(strategies: Mapping[str, Sample], *, turns: int) -> dict[str, list[float]]:
    """Return each strategy's seconds per operation, one number a turn."""
    samples: dict[str, list[float]] = {name: [] for name in strategies}
    gc.collect()
    gc.freeze()
    try:
        for turn in range(turns + 1):
            for name, sample in strategies.items():
                seconds = await _undisturbed(sample)
                if turn > 0:
                    samples[name].append(seconds)
    finally:
        gc.unfreeze()
    return samples


async def compared(strategies: Mapping[str, Sample], *, turns: int, is_watched: bool = False) -> Result:
    """Return how many times as long the last strategy takes as the first; those between are shown, not judged.

    With `is_watched`, a ticker runs beside the last one, in turns of its own.
    """
    samples = await interleaved(strategies, turns=turns)
    base, *_, judged = samples.values()
    return await _judged(strategies, samples, _ratios(judged, base), is_watched)


async def outpaced(strategies: Mapping[str, Sample], *, turns: int) -> Result:
    """Return how many times as fast the last strategy is as the first, with a ticker beside it."""
    samples = await interleaved(strategies, turns=turns)
    base, *_, judged = samples.values()
    return await _judged(strategies, samples, _ratios(base, judged), is_watched=True)


async def timed(name: str, sample: Sample, *, turns: int) -> Result:
    """Return how many microseconds an operation takes, for a bound on bare time, which holds on one machine only."""
    samples = await interleaved({name: sample}, turns=turns)
    return judged_alone(name, [seconds * 1e6 for seconds in samples[name]], "µs")


def judged_alone(name: str, values: Sequence[float], unit: str, shown: Mapping[str, float] | None = None) -> Result:
    """Return a row that is judged by the median of one value a turn; `shown` stands beside it."""
    medians = {name: median(values), **({} if shown is None else shown)}
    return Result(None, _middle_half(values), medians, unit, judged_by=name)


async def lateness(work: Work, *, turns: int, others: Mapping[str, Work] | None = None) -> Result:
    """Return how late a ticker gets while `work` runs, and how late the same ticker alone, in turns.

    The p99 of `others`, which take turns with it, are shown.
    """
    beside = {"idle": _nothing, **({} if others is None else others)}
    shown: dict[str, list[float]] = {name: [] for name in beside}
    busy: list[list[float]] = []
    for _ in range(turns):
        for name, other in beside.items():
            shown[name] += await ticked(other)
        busy.append(await ticked(work))
    late = [tick for turn in busy for tick in turn]
    return Result(
        ratio=None,
        spread=_middle_half([_percentile(turn, 99) for turn in busy]),
        medians={
            "p50": _percentile(late, 50),
            "p99": _percentile(late, 99),
            "max": max(late),
            **{f"{name} p99": _percentile(ticks, 99) for name, ticks in shown.items()},
        },
        unit="ms",
    )


def lateness_turns(turns: int) -> int:
    """Return how many turns are enough for a lateness, whose every turn brings many ticks."""
    return ceil(turns / 4)


async def ticked(work: Work) -> list[float]:
    """Return how many milliseconds late each tick was while `work` ran; freeing its result comes after.

    Ticks are due on a fixed schedule: 50 ms of a blocked loop are 50 late ticks, not one.
    """
    late: list[float] = []
    stop = asyncio.Event()
    ticker = asyncio.create_task(_tick(late, stop))
    await asyncio.sleep(TICK_SECONDS)
    try:
        result = await work()
    finally:
        stop.set()
        await ticker
    del result
    return late


async def _tick(late: list[float], stop: asyncio.Event) -> None:
    due = time.perf_counter() + TICK_SECONDS
    # Looked at after the tick, so that a tick which the end of the work held up counts.
    while not stop.is_set():
        await asyncio.sleep(due - time.perf_counter())
        now = time.perf_counter()
        while due <= now:
            late.append((now - due) * 1e3)
            due += TICK_SECONDS


async def _judged(
    strategies: Mapping[str, Sample], samples: Mapping[str, Sequence[float]], ratios: Sequence[float], is_watched: bool
) -> Result:
    return Result(
        ratio=median(ratios),
        spread=_middle_half(ratios),
        medians={name: median(seconds) * 1e6 for name, seconds in samples.items()},
        unit="µs",
        late=await _watched(list(strategies.values())[-1], len(ratios)) if is_watched else None,
    )


async def _watched(sample: Sample, turns: int) -> tuple[float, float]:
    late = [tick for _ in range(lateness_turns(turns)) for tick in await ticked(sample)]
    return _percentile(late, 99), max(late)


def _ratios(many: Sequence[float], others: Sequence[float]) -> list[float]:
    return [one / other for one, other in zip(many, others, strict=True)]


async def _undisturbed(sample: Sample) -> float:
    gc.collect()
    gc.disable()
    try:
        return await sample()
    finally:
        gc.enable()


async def _nothing() -> None:
    await asyncio.sleep(_IDLE_SECONDS)


def _middle_half(values: Sequence[float]) -> tuple[float, float]:
    if len(values) < 2:
        return (values[0], values[0])
    lower, _, upper = quantiles(values, n=4, method="inclusive")
    return (lower, upper)


def _percentile(values: Sequence[float], percent: int) -> float:
    return sorted(values)[min(len(values) * percent // 100, len(values) - 1)]
