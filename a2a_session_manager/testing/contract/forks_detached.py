"""A detached fork: a copy that needs its source no more, is whole or says that it is not, and was paid for before."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from a2a_session_manager.exceptions import InvalidSessionOperation, SessionAlreadyExists, StoreUnavailable
from a2a_session_manager.limits import StoreLimits
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.storage.commit_records import EncodedCommit, Receipt
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.counting_once import reply, tally
from a2a_session_manager.testing.contract.forking import changed, shown
from a2a_session_manager.testing.contract.lossy import LossyBackend
from a2a_session_manager.testing.contract.making import ids, messages, said, several, whole

# So few events a batch, that a copy takes several.
SMALL = StoreLimits(page_events=4)


class _Dying(LossyBackend):
    """Makes `left` more commits, and then no other."""

    left = 1_000

    async def commit(self, key: SessionKey, commit: EncodedCommit) -> Receipt:
        if self.left == 0:
            raise StoreUnavailable("the process was killed")
        self.left -= 1
        return await super().commit(key, commit)


def _dying(store: BaseSessionStore, left: int) -> BaseSessionStore:
    backend = _Dying(store._open_backend)
    backend.left = left
    return BaseSessionStore(backend, limits=SMALL)


async def _seen(store: BaseSessionStore, session_id: str) -> dict[str, Any]:
    session = await whole(store, session_id)
    events = await store.events(session_id, include_retracted=True)
    return {
        "log": [(event.id, event.seq, event.message, event.retracted) for event in events],
        "shown": await shown(store, session_id),
        "state": session.state,
        "properties": session.metadata.properties,
        "usage": await store.usage(session_id),
    }


class ForksDetachedContract(ContractBase):
    async def test_a_copy_is_a_root_of_its_own_that_needs_its_source_no_more(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("root")
        await store.create("talk", parent_id="root", change=changed(set_state={"k": 1}, set_properties={"title": "t"}))
        await store.retract("talk", "e2", "e6")
        copied = await store.fork("talk", at=5, new_id="copy", detached=True, properties={"owner": "o"})
        await store.append(copied, said(id="own"))
        await store.retract("talk", "e1")
        await store.delete("root", children="cascade")

        again = await reopen()

        assert await shown(again, "copy") == ["e1", "e3", "e4", "e5", "own"]
        read = await whole(again, "copy")
        assert (read.parent_id, read.root_id, read.forked_from, read.state) == (None, "copy", None, {"k": 1})
        told = read.metadata.properties.pop("copied_from")
        assert (told["id"], told["seq"], told["whole"]) == ("talk", 5, True)
        assert read.metadata.properties == {"title": "t", "owner": "o"}
        log = await again.events("copy", include_retracted=True)
        assert [(event.id, event.seq) for event in log][:5] == [(f"e{seq}", seq) for seq in range(1, 6)]
        assert [event.seq for event in log if event.retracted] == [2]
        assert ids(await again.restore("copy", "e2")) == ["e2"]

    async def test_what_a_copy_holds_was_spent_in_the_source(self, store: BaseSessionStore, reopen: Reopen) -> None:
        events = [reply("msg_1", 10, cost=100), reply(None, 4, task_id="r"), reply("msg_1", 12), said()]
        await store.create("talk", change=SessionChange(events=events))
        handle = await store.fork("talk", new_id="copy", detached=True)
        nothing = await store.usage("copy")
        assert (nothing.total, nothing.by_model, nothing.by_run) == (tally(0, 0), {}, {})
        assert await SessionManager(store).context_size("copy") == 36
        assert [each.code for each in await SessionManager(store).check("copy")] == []
        await store.append(handle, reply("msg_1", 13, cost=90), reply(None, 1))

        again = await reopen()

        assert (await again.usage("copy")).total == tally(1, 1 + 1, repeated=1)
        assert (await again.usage("copy", tree=True)).total == tally(1, 1 + 1, repeated=1)
        assert (await again.usage("talk", tree=True)).total == tally(2, 16, cost=100, repeated=1)
        read = await whole(again, "copy")
        assert handle.token_summary == read.token_summary == await again.usage("copy")
        # Nor is it spent where the copy is saved to.
        await again.namespace("elsewhere").save(read)
        assert (await again.namespace("elsewhere").usage("copy")).total.prompt_tokens == 2

    async def test_a_copy_of_a_copy_knows_what_was_counted_and_counts_it_nowhere(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=[reply("msg_1", 10), reply("msg_2", 3)]))
        await store.fork("talk", new_id="copy", detached=True)
        await store.append("copy", reply("msg_3", 5))
        await (await reopen()).fork("copy", new_id="second", detached=True)
        await store.append("second", reply("msg_1", 12), reply("msg_2", 3), reply("msg_3", 5))

        again = await reopen()

        assert (await again.usage("second")).total == tally(0, 2, repeated=3)
        assert (await again.usage("copy")).total == tally(1, 5)

    async def test_a_fork_of_a_copy_is_none(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=changed(set_properties={"title": "t"}))
        await store.fork("talk", at=4, new_id="copy", detached=True)
        await store.fork("copy", at=2, new_id="fork")

        again = await reopen()

        assert (await whole(again, "fork")).metadata.properties == {"title": "t"}
        with pytest.raises(SessionAlreadyExists):
            await again.fork("talk", at=4, new_id="fork", detached=True)
        assert await shown(again, "fork") == ["e1", "e2"]

    async def test_a_copy_that_was_killed_says_so_and_goes_on_where_it_stopped(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(18), set_state={"k": 1}))
        await store.retract("talk", "e2", "e3", "e9", "e15", "e16")
        await store.fork("talk", at=17, new_id="copy", detached=True)
        expected = await _seen(await reopen(), "copy")
        assert expected["shown"] == [f"e{n}" for n in range(1, 18) if n not in (2, 3, 9, 15, 16)]
        for left in range(6):
            await store.delete("copy")
            with pytest.raises(StoreUnavailable):
                await _dying(store, left).fork("talk", at=17, new_id="copy", detached=True)
            half = await whole(store, "copy")
            assert half.metadata.properties["copied_from"]["whole"] is False
            assert half.last_seq == min(4 * left, 17)
            await store.retract("talk", "e1")
            # By somebody else, who may be killed as well.
            with pytest.raises(StoreUnavailable):
                await _dying(await reopen(), min(1, 5 - left)).fork("talk", at=17, new_id="copy", detached=True)
            await BaseSessionStore((await reopen())._open_backend, limits=SMALL).fork(
                "talk", at=17, new_id="copy", detached=True
            )
            await store.restore("talk", "e1")

            assert await _seen(await reopen(), "copy") == expected

    async def test_a_copy_up_to_the_newest_event_that_was_killed_ends_where_it_was_to_end(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(9)))
        with pytest.raises(StoreUnavailable):
            await _dying(store, 1).fork("talk", new_id="copy", detached=True)
        await store.append("talk", said(id="later"))

        again = await reopen()
        assert (await again.fork("talk", new_id="copy", detached=True)).last_seq == 9

        cold = await reopen()
        assert await shown(cold, "copy") == [f"e{n}" for n in range(1, 10)]
        assert (await whole(cold, "copy")).metadata.properties["copied_from"]["whole"] is True
        assert (await cold.fork("talk", new_id="copy", detached=True)).last_seq == 9
        with pytest.raises(SessionAlreadyExists):
            await cold.fork("talk", at=10, new_id="copy", detached=True)

    async def test_several_may_copy_at_once_and_repeats_find_the_copy(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(18)))
        await store.retract("talk", "e2", "e9")
        small = [BaseSessionStore(each._open_backend, limits=SMALL) for each in (store, await reopen())]
        found = await asyncio.gather(
            *(small[n % 2].fork("talk", at=17, new_id="copy", detached=True) for n in range(4)), return_exceptions=True
        )
        again = await store.fork("talk", at=17, new_id="copy", detached=True)
        assert {getattr(each, "creation_id", each) for each in found} == {again.creation_id}
        assert await shown(await reopen(), "copy") == [f"e{n}" for n in range(1, 18) if n not in (2, 9)]
        for at in (16, 18):
            with pytest.raises(SessionAlreadyExists):
                await store.fork("talk", at=at, new_id="copy", detached=True)
        with pytest.raises(SessionAlreadyExists):
            await store.fork("talk", at=17, new_id="copy")
        await store.delete("talk")
        assert (await store.fork("talk", at=17, new_id="copy", detached=True)).creation_id == again.creation_id

    async def test_what_somebody_has_written_to_half_a_copy_is_not_mixed_with_it(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(18)))
        with pytest.raises(StoreUnavailable):
            await _dying(store, 2).fork("talk", at=17, new_id="copy", detached=True)
        await store.append("copy", said("mine", id="mine"))

        with pytest.raises(InvalidSessionOperation, match=r"'copy'.*delete it"):
            await (await reopen()).fork("talk", at=17, new_id="copy", detached=True)

        again = await whole(await reopen(), "copy")
        assert messages(again.events)[-1] == "mine"
        assert again.metadata.properties["copied_from"]["whole"] is False

    async def test_a_summary_that_counts_in_the_source_counts_in_the_copy(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        sessions = SessionManager(BaseSessionStore(store._open_backend, limits=SMALL))
        async with sessions.open("trip") as chat:
            for number in range(3):
                await chat.user(f"question {number} " * 9)
                await chat.assistant(f"answer {number} " * 9)
            await sessions.retract("trip", (await sessions.store.events("trip"))[1].id)
            await chat.compact(lambda _: "They spoke.", keep=0)
            await chat.user("More?")
            expected = list(await chat.messages())
            await chat.fork(new_id="copy", detached=True)

        async with SessionManager(await reopen()).open("copy") as copy:
            assert list(await copy.messages()) == expected
            assert len(await copy.messages(compacted=False)) == 6

    async def test_a_summary_that_stands_in_the_place_of_others_stands_there_in_the_copy(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(6)))
        await store.retract("talk", "e2")
        for number, retracted in ((1, "e1"), (2, "e4"), (3, "e3")):
            summary = said(f"summary {number}", id=f"s{number}", type="summary")
            await store.commit("talk", SessionChange(events=[summary], retraction=Retraction((retracted,))))
        await store.restore("talk", "e4")
        await store.append("talk", said("e7", id="e7"))
        expected = await _prompt(store, "talk")
        assert expected == ["summary 1", "summary 3", "summary 2", "e4", "e5", "e6", "e7"]
        # Of half a copy, each commit may have been the last one.
        for left in range(9):
            with pytest.raises(StoreUnavailable):
                await _dying(store, left).fork("talk", new_id=f"copy {left}", detached=True)
            with pytest.raises(StoreUnavailable):
                await _dying(await reopen(), 0).fork("talk", new_id=f"copy {left}", detached=True)
            small = [BaseSessionStore(each._open_backend, limits=SMALL) for each in (store, await reopen())]
            await asyncio.gather(*(each.fork("talk", new_id=f"copy {left}", detached=True) for each in small))

            again = await reopen()
            assert await _prompt(again, f"copy {left}") == expected
            assert await shown(again, f"copy {left}") == await shown(store, "talk")
        fork = await again.fork("copy 0", new_id="fork", detached=True)
        assert await _prompt(again, fork.id) == expected


async def _prompt(store: BaseSessionStore, session_id: str) -> list[Any]:
    async with SessionManager(store).open(session_id) as chat:
        return [message["content"] for message in await chat.messages()]
