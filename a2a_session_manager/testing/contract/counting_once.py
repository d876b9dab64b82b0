"""A response counts once in a session, however often its usage is recorded, and whoever records it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.token_tally import TokenTally
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.lossy import LossyBackend
from a2a_session_manager.testing.contract.making import Event, said, whole

WRITERS, RESPONSES = 8, 12


def reply(
    response_id: str | None,
    tokens: int,
    *,
    cost: int | None = 0,
    model: str = "m",
    id: str | None = None,
    **fields: Any,
) -> Event:
    """Return an event with a usage of a response: `tokens` prompt tokens and twice as many completion tokens."""
    usage = TokenUsage(
        prompt_tokens=tokens, completion_tokens=2 * tokens, cost_pico_usd=cost, model=model, response_id=response_id
    )
    return said("reply", id=id, token_usage=usage, source=EventSource.LLM, **fields)


def tally(requests: int, tokens: int, *, cost: int = 0, repeated: int = 0, partial: int = 0) -> TokenTally:
    return TokenTally(
        requests=requests,
        prompt_tokens=tokens,
        completion_tokens=2 * tokens,
        cost_pico_usd=cost,
        repeated_requests=repeated,
        partially_priced_requests=partial,
    )


async def spent(store: BaseSessionStore, session_id: str) -> TokenTally:
    """Return what a session spent, which its own totals, its tree's and those of a read say alike."""
    own = await store.usage(session_id)
    assert (await store.usage(session_id, tree=True)).by_model == own.by_model
    assert (await whole(store, session_id)).token_summary == own
    return own.total


class CountingOnceContract(ContractBase):
    async def test_a_response_counts_once_in_one_commit_and_in_many(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=[reply("msg_1", 5, cost=7), reply("msg_1", 5, cost=7)]))
        await store.append("talk", reply("msg_1", 5, cost=7, id="again"))
        await store.append("talk", reply("msg_2", 3), reply(None, 1), reply("msg_1", 5), reply("msg_2", 3))
        await store.append("talk", reply(None, 1), reply("MSG_1", 1), reply("msg 1: ø", 1), reply("msg 1: ø", 1))

        again = await reopen()

        assert await spent(again, "talk") == tally(6, 5 + 3 + 1 + 1 + 1 + 1, cost=7, repeated=5)
        events = (await whole(again, "talk")).events
        assert [event.token_usage and event.token_usage.prompt_tokens for event in events][:4] == [5, 5, 5, 3]

    async def test_a_later_usage_adds_what_exceeds_those_before_to_its_own_model_and_run(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk")
        await store.append("talk", reply("msg_1", 10, cost=100, task_id="first"))
        await store.append("talk", reply("msg_1", 4, cost=300, task_id="second"))
        await store.append("talk", reply("msg_1", 12, cost=200, task_id="third"), reply("msg_1", 2, task_id="first"))
        await store.append("talk", reply("msg_1", 11, cost=310, task_id="third"))

        usage = await (await reopen()).usage("talk")

        assert usage.total == tally(1, 12, cost=310, repeated=4)
        assert usage.by_run["first"] == tally(1, 10, cost=100, repeated=1)
        assert usage.by_run["second"] == tally(0, 0, cost=200, repeated=1)
        assert usage.by_run["third"] == tally(0, 2, cost=10, repeated=2)

    async def test_two_models_of_one_response_make_its_cost_a_lower_bound(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk")
        for model, tokens in (("", 1), ("one", 2), ("one", 2), ("other", 5), ("third", 5), ("", 9)):
            await store.append("talk", reply("msg_1", tokens, model=model))

        usage = await (await reopen()).usage("talk")

        assert usage.total == tally(1, 9, repeated=5, partial=1)
        assert usage.is_lower_bound
        assert usage.usage_by_model["one"] == tally(0, 1, repeated=2)
        assert usage.usage_by_model["other"] == tally(0, 3, repeated=1, partial=1)
        assert usage.usage_by_model["third"] == tally(0, 0, repeated=1)
        assert usage.usage_by_model[""] == tally(1, 1 + 4, repeated=1)

    async def test_the_largest_counts_of_a_response_are_compared_exactly(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk")
        for cost in (9 * 10**15, 10**15, 10**22 + 1, 10**22, 10**22 + 10**14, 2**53 - 1, 10**24):
            await store.append("talk", reply("msg_1", 1, cost=cost))

        assert await spent(await reopen(), "talk") == tally(1, 1, cost=10**24, repeated=6)

    async def test_neither_a_replayed_batch_nor_a_retraction_changes_what_was_counted(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        batch = [reply("msg_1", 5, id="e1"), reply("msg_1", 6, id="e2"), reply("msg_2", 1, id="e3")]
        await store.create("talk")
        for _ in range(3):
            await store.append("talk", *batch)
        await store.append("talk", *batch, reply("msg_1", 7, id="e4"))
        await store.retract("talk", after=0)
        await store.append("talk", reply("msg_1", 7, id="e5"))
        await store.commit("talk", SessionChange(events=[reply("msg_2", 2, id="e6")]), write_id="w")
        await store.commit("talk", SessionChange(events=[reply("msg_2", 9, id="e7")]), write_id="w")

        assert await spent(await reopen(), "talk") == tally(2, 7 + 2, repeated=4)

    async def test_what_was_counted_is_remembered_by_a_store_that_is_opened_again(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=[reply("msg_0", 1)]))
        for step in range(1, 4):
            again = await reopen()
            assert (await again.usage("talk")).total == tally(step, step, repeated=2 * (step - 1))
            await again.append("talk", reply("msg_0", 1), reply(f"msg_{step - 1}", 1))
            await again.append("talk", reply(f"msg_{step}", 1))

    async def test_a_later_session_of_the_same_id_counts_anew(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=SessionChange(events=[reply("msg_1", 5)]))
        await store.delete("talk")
        await store.create("talk")
        await store.append("talk", reply("msg_1", 5))

        assert await spent(await reopen(), "talk") == tally(1, 5)

    async def test_a_handle_knows_what_was_counted(self, store: BaseSessionStore, reopen: Reopen) -> None:
        session = await store.create("talk", change=SessionChange(events=[reply("msg_1", 5), reply("msg_1", 6)]))
        other = await reopen()
        for tokens, events in ((6, [reply("msg_1", 6)]), (9, [reply("msg_2", 1), reply("msg_2", 3)])):
            await store.append(session, *events)
            assert session.token_summary == await store.usage("talk")
            assert session.token_summary.total.prompt_tokens == tokens
        await other.append("talk", reply("msg_3", 4))
        await other.retract("talk", last=1)
        partly = await store.get("talk", last=0)
        assert partly is not None
        for handle in (session, partly):
            await store.append(handle, reply("msg_3", 5))
            await store.append(handle, reply("msg_3", 5), reply("msg_4", 1))
            assert handle.token_summary.by_model == (await store.usage("talk")).by_model
        assert await spent(await reopen(), "talk") == tally(4, 6 + 3 + 5 + 1, repeated=2 + 2 + 4)

    async def test_a_handle_that_restores_what_others_said_counts_it_once(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        handle = await store.create("talk", change=SessionChange(events=[reply("msg_1", 5)]))
        other = await reopen()
        await other.append("talk", reply("msg_1", 7, id="e2"), reply("msg_2", 1, id="e3"), reply("msg_2", 1, id="e4"))
        await other.retract("talk", "e2", "e3", "e4")

        await store.restore(handle, "e2", "e3", "e4")

        assert handle.token_summary == await store.usage("talk")
        assert await spent(await reopen(), "talk") == tally(2, 8, repeated=2)

    async def test_save_counts_each_response_once(self, store: BaseSessionStore, reopen: Reopen) -> None:
        session = Session(id="talk", events=[reply("msg_1", 5), reply("msg_1", 6)])
        assert session.token_summary.total == tally(1, 6, repeated=1)
        await store.save(session)
        await store.append("talk", reply("msg_2", 3))
        session.add_event(reply("msg_1", 8, task_id="run"))
        session.add_event(reply("msg_1", 2))
        assert session.token_summary.total == tally(1, 8, repeated=3)
        session.add_event(reply("msg_2", 4))

        await store.save(session)

        again = await reopen()
        assert await spent(again, "talk") == tally(2, 8 + 4, repeated=4)
        assert (await again.usage("talk")).by_run["run"] == tally(0, 2, repeated=1)
        assert session.token_summary == await again.usage("talk")

    async def test_a_lost_reply_counts_nothing_twice(self, store: BaseSessionStore, reopen: Reopen) -> None:
        backend = LossyBackend(store._open_backend)
        lossy = BaseSessionStore(backend)
        session = await lossy.create("talk", change=SessionChange(events=[reply("msg_1", 5)]))
        events = [reply("msg_1", 6, id="e1"), reply("msg_2", 1, id="e2"), reply("msg_2", 1, id="e3")]
        backend.replies_to_lose = 1
        with pytest.raises(StoreUnavailable):
            await lossy.append(session, *events)

        await lossy.append(session, *events)

        assert await spent(await reopen(), "talk") == tally(2, 7, repeated=2)
        assert session.token_summary == await store.usage("talk")

    async def test_a_handle_that_several_tasks_write_through_counts_each_response_once(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        handle = await store.create("talk", change=SessionChange(events=[reply("msg_0", 1)]))

        async def record(writer: int) -> None:
            for number in range(4):
                await store.append(handle, reply("msg_0", 1 + number), reply(f"msg {writer} {number}", 1))
                await store.append(handle, reply(None, 1))

        await asyncio.gather(*map(record, range(WRITERS)))

        assert await spent(await reopen(), "talk") == tally(1 + 8 * WRITERS, 4 + 8 * WRITERS, repeated=4 * WRITERS)
        assert handle.token_summary == await store.usage("talk")

    async def test_of_many_writers_each_response_counts_once(self, store: BaseSessionStore, reopen: Reopen) -> None:
        other = await reopen()
        await store.create("talk")

        async def record(writer: int) -> None:
            through = store if writer % 2 else other
            handle = await whole(through, "talk") if writer < 4 else "talk"
            for number in range(RESPONSES):
                await through.append(handle, reply(f"msg_{number}", number + writer, cost=10 * writer))

        await asyncio.gather(*map(record, range(WRITERS)))

        most = WRITERS - 1
        expected = tally(
            RESPONSES,
            sum(number + most for number in range(RESPONSES)),
            cost=10 * most * RESPONSES,
            repeated=RESPONSES * most,
        )
        assert await spent(await reopen(), "talk") == expected
