"""Any row of usages, cut into commits in any way: what each adds is by how much it raises the most of its response."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager import Session, SessionEvent, TokenUsage
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.session_event import spent_by
from a2a_session_manager.models.token_summary import TokenSummary
from a2a_session_manager.storage import heads
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit
from a2a_session_manager.storage.loading import summary
from a2a_session_manager.storage.memory.stored import StoredSession, StoredTree
from a2a_session_manager.storage.records import EncodedEvent, SessionKey, UsageDelta
from tests.draws import few

COUNTS = ("prompt_tokens", "completion_tokens", "cost_pico_usd")
FLAG = "partially_priced_requests"


class Use(NamedTuple):
    """A usage, and the run of its event."""

    usage: TokenUsage
    run_id: str | None


def _use(counts: list[int], response_id: str | None, model: str, run_id: str | None, is_partial: bool) -> Use:
    numbers: dict[str, Any] = dict(zip(COUNTS, counts, strict=True))
    return Use(TokenUsage(**numbers, model=model, response_id=response_id, partially_priced=is_partial), run_id)


uses = st.builds(
    _use,
    st.lists(st.integers(0, 9) | st.integers(2**53, 2**60), min_size=3, max_size=3).map(
        lambda counts: [counts[0] % 10**12, counts[1] % 10**12, counts[2]]
    ),
    st.sampled_from([None, "msg_1", "msg_1", "msg_2"]),
    st.sampled_from(["", "m", "m", "n"]),
    st.sampled_from([None, "r1", "r2"]),
    st.sampled_from([False, False, True]),
)
rows = st.lists(uses, max_size=10)


def most_of(used: list[Use]) -> Counter[str]:
    """Return the sum over all responses of the most of each counter, and over all usages that are of none."""
    by_response: dict[str, list[TokenUsage]] = {}
    for number, use in enumerate(used):
        by_response.setdefault(use.usage.response_id or f"none {number}", []).append(use.usage)
    total: Counter[str] = Counter()
    for usages in by_response.values():
        names = {usage.model for usage in usages if usage.model}
        most = Counter({name: max(usage.counters().get(name, 0) for usage in usages) for name in (*COUNTS, "requests")})
        most[FLAG] = int(len(names) > 1 or any(usage.partially_priced for usage in usages))
        most["repeated_requests"] = len(usages) - 1
        total += most
    return total


def expected_summary(used: list[Use]) -> TokenSummary:
    """Return the totals in which each usage has added by how much it raised them."""
    by_model: dict[str, dict[str, Counter[str]]] = {}
    by_run: dict[str, Counter[str]] = {}
    for number, (usage, run_id) in enumerate(used):
        added = most_of(used[: number + 1])
        added.subtract(most_of(used[:number]))
        assert min(added.values(), default=0) >= 0
        by_model.setdefault(usage.model, {}).setdefault("llm", Counter()).update(added)
        if run_id is not None:
            by_run.setdefault(run_id, Counter()).update(added)
    tallies = {model: {source: dict(cell) for source, cell in row.items()} for model, row in by_model.items()}
    runs = {name: dict(cell) for name, cell in by_run.items()}
    return TokenSummary.model_validate({"by_model": tallies, "by_run": runs})


def _events(used: list[Use]) -> list[EncodedEvent]:
    return [
        EncodedEvent(f"e{number}", b"{}", run_id, UsageDelta(usage.model, "llm", usage.counters(), usage.response_id))
        for number, (usage, run_id) in enumerate(used)
    ]


@settings(max_examples=few(60, of=1_000), deadline=None)
@given(used=rows, cuts=st.lists(st.integers(0, 10), max_size=4))
async def test_whatever_the_commits_each_usage_adds_what_exceeds_those_of_its_response_before(
    used: list[Use], cuts: list[int]
) -> None:
    stored = StoredSession(heads.new_head(SessionKey((), "talk"), Creation("c", 0)), StoredTree())
    events = _events(used)
    edges = [0, *sorted(min(cut, len(events)) for cut in cuts), len(events)]
    stored.write(EncodedCommit(write_id="w"))

    for start, end in pairwise(edges):
        stored.write(EncodedCommit(events=events[start:end]))

    expected = expected_summary(used)
    assert await summary(stored.head.totals, stored.head.run_totals) == expected
    assert (await summary(stored.tree.totals)).by_model == expected.by_model


@settings(max_examples=few(60, of=1_000), deadline=None)
@given(used=rows, saved=st.integers(0, 10))
def test_a_session_that_is_not_saved_counts_alike(used: list[Use], saved: int) -> None:
    events = [SessionEvent(source=EventSource.LLM, token_usage=usage, task_id=run_id) for usage, run_id in used]

    in_two = TokenSummary().plus_all(spent_by(events[:saved])).plus_all(spent_by(events[saved:], before=events[:saved]))

    assert Session(events=events).token_summary == in_two == expected_summary(used)
