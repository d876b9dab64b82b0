"""Usage: every request counts once, wherever it is summed."""

from __future__ import annotations

from typing import Any

import pytest

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.money import MOST_PICO_USD
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.models.token_summary import TokenSummary
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.pricing.usage_numbers import MOST_COUNTED
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import Event, said, spending, whole
from a2a_session_manager.testing.contract.trees import plant


def _fold(*events: Event) -> TokenSummary:
    total = TokenSummary()
    for event in events:
        if event.token_usage is not None:
            total = total.plus(event.token_usage, source=event.source.value, run_id=event.task_id)
    return total


class UsageContract(ContractBase):
    async def test_totals_are_the_fold_over_the_events(self, store: BaseSessionStore, reopen: Reopen) -> None:
        unpriced = TokenUsage(prompt_tokens=3, cache_read_tokens=2, requests=2)
        partial = TokenUsage(prompt_tokens=3, model="gpt", cost_pico_usd=5, speed="fast", partially_priced=True)
        runs = [SessionRun(id="r1"), SessionRun(id="r2")]
        events = [
            spending(1),
            spending(2, model="gpt"),
            spending(3, model="gpt", source=EventSource.SYSTEM),
            spending(4, task_id="r1"),
            spending(5, model="gpt", task_id="r2"),
            spending(6, task_id="r1"),
            said(token_usage=unpriced),
            said(token_usage=partial),
            said("free of charge"),
        ]
        await store.create("talk", change=SessionChange(events=events[:3], runs=runs))
        for event in events[3:]:
            await store.append("talk", event)

        again = await reopen()

        expected = _fold(*events)
        assert await again.usage("talk") == expected
        assert (await whole(again, "talk")).token_summary == expected
        assert (await again.usage("talk", tree=True)).by_model == expected.by_model
        assert (expected.unpriced_requests, expected.total.partially_priced_requests) == (2, 1)

    async def test_what_makes_a_sum_a_lower_bound_is_counted(self, store: BaseSessionStore, reopen: Reopen) -> None:
        partial = TokenUsage(prompt_tokens=3, model="m", cost_pico_usd=5, partially_priced=True, unread_keys=("moons",))
        await store.create("root")
        await store.create("talk", parent_id="root")
        await store.append("talk", spending(1))
        unknown = TokenUsage(model="m", basis="unknown")
        await store.append("talk", said(token_usage=partial, task_id="r"), spending(2, task_id="r"))
        await store.append("talk", said(token_usage=unknown, task_id="r"))

        again = await reopen()

        own, tree = await again.usage("talk"), await again.usage("root", tree=True)
        for total in (own.total, own.by_run["r"], tree.total):
            assert (total.partially_priced_requests, total.requests_without_usage) == (1, 1)
            assert total.is_lower_bound
        stored = [event.token_usage for event in (await whole(again, "talk")).events]
        assert (stored[1], stored[3]) == (partial, unknown)

    async def test_what_is_paid_by_use_is_summed_beside_the_tokens(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        searched = TokenUsage(cost_pico_usd=5, web_searches=2, file_searches=1)
        ran = TokenUsage(cost_pico_usd=7, web_searches=1, code_executions=MOST_COUNTED, other_tool_uses=4)
        await store.create("root")
        await store.create("talk", parent_id="root")
        await store.append("talk", said(token_usage=searched, task_id="r"), spending(1, task_id="r"))
        await store.append("talk", said(token_usage=ran, task_id="r"))

        again = await reopen()

        own, tree = await again.usage("talk"), await again.usage("root", tree=True)
        expected = {"web_searches": 3, "file_searches": 1, "code_executions": MOST_COUNTED, "other_tool_uses": 4}
        for total in (own.total, own.by_run["r"], tree.total):
            assert total.tool_uses == expected
        stored = [event.token_usage for event in (await whole(again, "talk")).events]
        assert (stored[0], stored[2]) == (searched, ran)

    async def test_a_replayed_batch_adds_nothing(self, store: BaseSessionStore, reopen: Reopen) -> None:
        events = [spending(5, id="e1"), spending(7, id="e2", task_id="r")]
        await store.create("root")
        await store.create("talk", parent_id="root")
        for _ in range(3):
            await store.append("talk", *events)
        await store.append("talk", *events, spending(1, id="e3"))

        again = await reopen()

        expected = _fold(*events, spending(1))
        assert await again.usage("talk") == expected
        assert (await again.usage("root", tree=True)).by_model == expected.by_model

    async def test_a_tree_sums_each_request_of_it_once(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await plant(store)
        for tokens, name in enumerate(("root", "a", "a1", "b", "a2", "b1")):
            await store.append(name, spending(10**tokens, model=name))
        await store.create("stranger", change=SessionChange(events=[spending(10**9)]))
        again = await reopen()

        sums = {name: (await again.usage(name, tree=True)).total.prompt_tokens for name in ("root", "a", "b", "a1")}

        assert sums == {"root": 111_111, "a": 10_110, "b": 101_000, "a1": 100}
        assert (await again.usage("root")).total.prompt_tokens == 1
        assert set((await again.usage("root", tree=True)).by_model) == {"root", "a", "a1", "b", "a2", "b1"}

    async def test_what_a_deleted_child_spent_stays_in_its_roots_tree(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await plant(store)
        for name in ("root", "a", "a1", "b"):
            await store.append(name, spending(10))
        before = await store.usage("root", tree=True)
        await store.delete("a", children="cascade")
        await store.delete("b1")

        again = await reopen()

        assert await again.usage("root", tree=True) == before
        assert (await again.usage("b", tree=True)).total.requests == 1
        assert (await again.usage("root")).total.requests == 1

    async def test_the_spend_of_a_deleted_root_does_not_count_for_a_later_session_of_its_id(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("root", change=SessionChange(events=[spending(10)]))
        await store.delete("root")
        await store.create("root")

        assert (await (await reopen()).usage("root", tree=True)).total.requests == 0

    async def test_the_largest_usages_are_summed_exactly(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("root")
        await store.create("talk", parent_id="root")
        most: dict[str, Any] = dict.fromkeys(
            ("prompt_tokens", "completion_tokens", "reasoning_tokens", "requests"), MOST_COUNTED
        )
        costs = (MOST_PICO_USD, 1, MOST_PICO_USD - 1, 10**14, 9 * 10**15, 10**19 + 7)
        events = [said(token_usage=TokenUsage(cost_pico_usd=cost, **most), task_id="r") for cost in costs]
        for batch in (events[:1], events[1:3], events[3:]):
            await store.append("talk", *batch)

        again = await reopen()

        assert (await again.usage("talk")).by_run["r"].cost_pico_usd == sum(costs)
        total = (await again.usage("root", tree=True)).total
        assert (total.cost_pico_usd, total.total_tokens) == (sum(costs), 2 * len(costs) * MOST_COUNTED)
        assert await again.usage("talk") == _fold(*events)

    async def test_usage_of_a_refused_commit_is_not_counted(self, store: BaseSessionStore, reopen: Reopen) -> None:
        ended = SessionRun(id="r")
        ended.mark_cancelled()
        await store.create("talk", change=SessionChange(runs=[ended]))

        with pytest.raises(InvalidSessionOperation):
            await store.commit("talk", SessionChange(runs=[SessionRun(id="r")], events=[spending(5)]))

        assert (await (await reopen()).usage("talk", tree=True)).total.requests == 0

    async def test_a_bounded_read_brings_the_totals_of_all_events_and_of_its_own_runs(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        runs = [SessionRun(id=f"r{number}") for number in range(25)]
        for run in runs:
            run.mark_cancelled()
        events = [spending(1, task_id=run.id) for run in runs]
        await store.create("talk", change=SessionChange(events=events, runs=runs))

        view = await (await reopen()).get("talk", last=0)

        assert view is not None
        assert view.token_summary.by_model == _fold(*events).by_model
        assert set(view.token_summary.by_run) == {run.id for run in runs[5:]}
