"""What is spent across a fork: each request once, where it was made, and of each response what it was by then."""

from __future__ import annotations

from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.counting_once import reply, tally
from a2a_session_manager.testing.contract.making import said, spending, whole


class ForksSpendingContract(ContractBase):
    async def test_a_fork_begins_at_nothing_and_the_tree_counts_each_request_once(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=[spending(5, task_id="r"), spending(7)]))
        handle = await store.fork("talk", new_id="fork")
        nothing = await store.usage("fork")
        assert (nothing.total.requests, nothing.by_model, nothing.by_run) == (0, {}, {})
        assert handle.token_summary == nothing
        await store.append(handle, spending(3, task_id="r"))
        await store.append("talk", spending(1))
        await store.fork("fork", new_id="second")
        await store.append("second", spending(20))

        again = await reopen()

        own = {name: (await again.usage(name)).total.prompt_tokens for name in ("talk", "fork", "second")}
        assert own == {"talk": 13, "fork": 3, "second": 20}
        trees = {name: (await again.usage(name, tree=True)).total.prompt_tokens for name in own}
        assert trees == {"talk": 36, "fork": 23, "second": 20}
        assert (await again.usage("fork")).by_run["r"].prompt_tokens == 3
        assert handle.token_summary == await again.usage("fork") == (await whole(again, "fork")).token_summary

    async def test_a_response_that_was_counted_before_the_fork_adds_only_what_exceeds_that(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=[reply("msg_1", 10, cost=100), reply("msg_2", 4)]))
        handle = await store.fork("talk", new_id="fork")
        cold = await reopen()
        await cold.append("fork", reply("msg_1", 10, cost=100))
        await cold.append("fork", reply("msg_1", 12, cost=90), reply("msg_2", 4))
        await cold.append("fork", reply("msg_3", 1), reply("msg_1", 12))

        again = await reopen()

        assert (await again.usage("fork")).total == tally(1, 2 + 1, repeated=4)
        assert (await again.usage("talk")).total == tally(2, 14, cost=100)
        assert (await again.usage("talk", tree=True)).total == tally(3, 17, cost=100, repeated=4)
        whole_fork = await whole(again, "fork")
        assert whole_fork.token_summary == await again.usage("fork")
        await again.append(handle, reply("msg_2", 5))
        assert handle.token_summary == await (await reopen()).usage("fork")

    async def test_what_the_source_counts_of_a_response_later_does_not_show_in_the_fork(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=[reply("msg_1", 1), said(id="point")]))
        await store.append("talk", reply("msg_1", 5), reply("msg_2", 3), reply("msg_1", 6))
        await store.fork("talk", at="point", new_id="fork")
        await store.append("talk", reply("msg_1", 9))
        await (await reopen()).append("fork", reply("msg_1", 7), reply("msg_2", 3))

        again = await reopen()

        # 6 beyond what was counted at the point, and all of a response that came after it.
        assert (await again.usage("fork")).total == tally(1, 6 + 3, repeated=1)
        assert (await again.usage("talk")).total == tally(2, 9 + 3, repeated=3)

    async def test_forks_of_forks_know_what_was_counted_on_the_way(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=[reply("msg_1", 1)]))
        await store.fork("talk", new_id="one")
        await store.append("one", reply("msg_1", 3), said(id="point"), reply("msg_1", 8))
        await store.fork("one", at="point", new_id="two")
        await store.append("two", reply("msg_1", 4))
        await store.fork("one", at=1, new_id="three")
        await (await reopen()).append("three", reply("msg_1", 4))

        again = await reopen()

        spent = {name: (await again.usage(name)).total.prompt_tokens for name in ("talk", "one", "two", "three")}
        assert spent == {"talk": 1, "one": 7, "two": 1, "three": 3}
