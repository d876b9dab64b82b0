"""The rows of the memory store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from a2a_session_manager import Session
from a2a_session_manager.storage import InMemorySessionStore
from a2a_session_manager.storage.store import BaseSessionStore
from benchmarks import budgets, compacting, forking, leases, paging, scenarios, spending
from benchmarks.alone import alone
from benchmarks.measure import Result, outpaced
from benchmarks.payloads import chat_messages, short_message
from benchmarks.scenarios import Case, Scenario, Sizes, an_event, at_most, grown, in_turn


async def _on_store(scenario: Scenario, sizes: Sizes) -> Result:
    async with InMemorySessionStore(indexed=paging.INDEXED) as store:
        return await scenario(store, sizes)


async def _on_two(
    scenario: Callable[[BaseSessionStore, BaseSessionStore, Sizes], Awaitable[Result]], sizes: Sizes
) -> Result:
    async with InMemorySessionStore() as plain, InMemorySessionStore(indexed=paging.INDEXED) as indexed:
        return await scenario(plain, indexed, sizes)


async def taken_in_at_once(store: BaseSessionStore, sizes: Sizes) -> Result:
    """Appends through a session that takes them in as it does any commit, and in one step."""
    model: Any = Session
    at_once = model._take_next
    ways = {"as any commit": lambda *_, **__: False, "at once": at_once}
    sessions = {name: await store.get(await grown(store, 10), last=0) for name in ways}

    async def append(number: int, *, by: str) -> None:
        model._take_next = ways[by]
        session = sessions[by]
        assert session is not None
        await store.append(session, an_event(short_message()))

    try:
        samples = {name: in_turn(partial(append, by=name), sizes.operations) for name in ways}
        return await outpaced(samples, turns=sizes.turns)
    finally:
        model._take_next = at_once


CASES = [
    *(
        Case(
            f"memory/append/{size}",
            at_most(2.0),
            partial(_on_store, partial(scenarios.append_against_encode, message=message)),
        )
        for size, message in chat_messages().items()
    ),
    Case("memory/chat.user", at_most(1.35), partial(_on_store, scenarios.user_against_append)),
    Case("memory/prompt/compacted", at_most(1.5), partial(_on_store, compacting.prompt_against_tail)),
    Case("memory/append/compacted", at_most(1.05), partial(_on_store, compacting.commit_against_plain)),
    Case("memory/append/by length", at_most(1.2), partial(_on_store, scenarios.append_by_length)),
    Case("memory/append again/by length", None, partial(_on_store, scenarios.repeat_by_length)),
    Case("memory/pop/by length", None, partial(_on_store, scenarios.pop_by_length)),
    Case("memory/tail/by length", None, partial(_on_store, scenarios.tail_by_length)),
    Case("memory/append/priced usage", None, partial(_on_store, spending.append_with_usage)),
    Case("memory/append/fresh usage", at_most(3), partial(_on_store, spending.append_with_fresh_usage)),
    Case("memory/append/provider's usage", at_most(6), partial(_on_store, spending.append_with_provider_usage)),
    Case("memory/usage/by length", None, partial(_on_store, spending.usage_by_length)),
    Case("memory/usage/by tree", None, partial(_on_store, spending.usage_by_tree)),
    Case("memory/load", at_most(1.5), partial(_on_store, scenarios.load_against_decode)),
    Case("memory/budgets/hold and settle", at_most(2.0), partial(_on_store, budgets.hold_and_settle)),
    Case("memory/budgets/append without", at_most(1.05), partial(_on_two, budgets.append_without_budgets)),
    Case("memory/leases/append", at_most(1.1), partial(_on_store, leases.append_in_a_held_run)),
    Case("memory/leases/heartbeats", at_most(2.0), partial(_on_store, leases.processor_of_heartbeats)),
    Case("memory/forks/fork", at_most(3.0), partial(_on_store, forking.fork_against_append)),
    Case("memory/forks/fork by length", at_most(1.2), partial(_on_store, forking.fork_by_length)),
    Case("memory/forks/messages of 20", at_most(1.3), partial(_on_store, partial(forking.messages_of_fork, length=20))),
    Case(
        "memory/forks/messages of 1,000",
        at_most(1.3),
        partial(_on_store, partial(forking.messages_of_fork, length=1_000)),
    ),
    Case("memory/page/newest", at_most(5), partial(_on_store, partial(paging.page_by_number, ask=paging.newest))),
    Case(
        "memory/page/by owner",
        at_most(5),
        partial(_on_store, partial(paging.page_by_number, ask=paging.newest_of_an_owner)),
    ),
    Case("memory/append/indexed", at_most(1.1), partial(_on_two, paging.append_to_indexed)),
    Case("memory/create/indexed", at_most(1.3), partial(_on_two, paging.create_indexed)),
    Case("memory/twins/append", None, partial(_on_store, taken_in_at_once)),
    Case("memory/lateness/load", at_most(10.0), partial(alone, url="memory:", scenario=scenarios.lateness_of_load)),
    Case("memory/lateness/load, gc frozen", at_most(10.0), partial(_on_store, scenarios.lateness_of_load_frozen)),
    Case("memory/lateness/commit", None, partial(_on_store, scenarios.lateness_of_commit)),
    Case("memory/lateness/big text", None, partial(_on_store, scenarios.lateness_of_big_text)),
    Case("memory/lateness/big table", None, partial(_on_store, scenarios.lateness_of_big_table)),
]
