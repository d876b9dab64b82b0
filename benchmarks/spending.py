"""Usage, for any store: how long an append takes more with one, and how fast totals are read."""

from __future__ import annotations

import time
from collections.abc import Callable

from a2a_session_manager import EventSource, SessionEvent, TokenUsage, usage_from
from a2a_session_manager.pricing.list_prices import warm_up_prices
from a2a_session_manager.storage.store import BaseSessionStore
from benchmarks.measure import Result, Sample, compared
from benchmarks.payloads import short_message
from benchmarks.scenarios import Sizes, grown

_PRICED = TokenUsage(
    prompt_tokens=1_200, completion_tokens=300, model="gpt-4o", cost_pico_usd=6_000_000_000, priced_by="the benchmark"
)
# What OpenAI's chat completions report.
_REPORTED = {
    "prompt_tokens": 1_200,
    "completion_tokens": 300,
    "total_tokens": 1_500,
    "prompt_tokens_details": {"cached_tokens": 1_024, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 128,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
_EVENTS_A_COMMIT = 100


async def append_with_usage(store: BaseSessionStore, sizes: Sizes) -> Result:
    """Appending an event whose usage has its price already against one without a usage."""
    return await _appends(store, sizes, lambda: _PRICED)


async def append_with_fresh_usage(store: BaseSessionStore, sizes: Sizes) -> Result:
    """Appending an event with a new usage of a known model, which is priced, against one without a usage."""
    return await _appends(store, sizes, lambda: TokenUsage(prompt_tokens=1_200, completion_tokens=300, model="gpt-4o"))


async def append_with_provider_usage(store: BaseSessionStore, sizes: Sizes) -> Result:
    """Appending an event with a provider's own usage, read and priced, against one without a usage."""
    return await _appends(store, sizes, lambda: usage_from(_REPORTED, model="gpt-4o"))


async def _appends(store: BaseSessionStore, sizes: Sizes, usage: Callable[[], TokenUsage]) -> Result:
    await warm_up_prices()
    strategies = {"without": _appending(store, sizes, lambda: None), "with": _appending(store, sizes, usage)}
    return await compared(strategies, turns=sizes.turns)


def _appending(store: BaseSessionStore, sizes: Sizes, usage: Callable[[], TokenUsage | None]) -> Sample:
    async def sample() -> float:
        session_id = await grown(store, 10)
        start = time.perf_counter()
        for _ in range(sizes.operations):
            await store.append(session_id, _an_event(usage()))
        return (time.perf_counter() - start) / sizes.operations

    return sample


async def usage_by_length(store: BaseSessionStore, sizes: Sizes) -> Result:
    """The totals of the longest session against those of the shortest, every event with a usage."""
    lengths = (sizes.lengths[0], sizes.lengths[-1])
    return await compared(
        {f"at {length:,}": _reading(store, await _spent(store, length), sizes, tree=False) for length in lengths},
        turns=sizes.turns,
    )


async def usage_by_tree(store: BaseSessionStore, sizes: Sizes) -> Result:
    """The totals of a tree of many sessions against those of a root alone, which has spent as often."""
    alone = await _spent(store, sizes.loaded // 10)
    root = (await store.create()).id
    for _ in range(sizes.loaded // 10):
        child = (await store.create(parent_id=root)).id
        await store.append(child, _an_event(_PRICED))
    strategies = {
        "one session": _reading(store, alone, sizes, tree=True),
        f"{sizes.loaded // 10:,} sessions": _reading(store, root, sizes, tree=True),
    }
    return await compared(strategies, turns=sizes.turns)


def _reading(store: BaseSessionStore, session_id: str, sizes: Sizes, *, tree: bool) -> Sample:
    count = max(sizes.operations // 5, 1)

    async def sample() -> float:
        start = time.perf_counter()
        for _ in range(count):
            await store.usage(session_id, tree=tree)
        return (time.perf_counter() - start) / count

    return sample


async def _spent(store: BaseSessionStore, length: int) -> str:
    session_id = (await store.create()).id
    for start in range(0, length, _EVENTS_A_COMMIT):
        events = [_an_event(_PRICED) for _ in range(start, min(start + _EVENTS_A_COMMIT, length))]
        await store.append(session_id, *events)
    return session_id


def _an_event(usage: TokenUsage | None) -> SessionEvent:
    return SessionEvent(message=short_message(), source=EventSource.LLM, token_usage=usage)
