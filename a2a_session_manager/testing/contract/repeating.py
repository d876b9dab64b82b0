"""Known event ids: the stored event is returned, and other content under such an id is never dropped silently."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from a2a_session_manager.exceptions import InvalidEvent, InvalidSessionOperation, SessionConflict
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import Event, ids, messages, said, seqs, several, spending, whole
from a2a_session_manager.testing.contract.writes import seen

MESSAGE = {"role": "user", "content": "Book it", "seats": [1, True, 1.5, None]}

OTHERS: dict[str, dict[str, Any]] = {
    "another text": {"message": {**MESSAGE, "content": "Cancel it"}},
    "one key more": {"message": {**MESSAGE, "done": True}},
    "one key less": {"message": {"role": "user", "content": "Book it"}},
    "true for 1": {"message": {**MESSAGE, "seats": [True, True, 1.5, None]}},
    "a shorter list": {"message": {**MESSAGE, "seats": [1, True, 1.5]}},
    "no message": {"message": None},
    "source": {"source": EventSource.SYSTEM},
    "type": {"type": "note"},
    "run": {"task_id": "another run"},
}


def _booked(**fields: Any) -> Event:
    return SessionEvent(**{"id": "u1", "message": MESSAGE, "source": EventSource.USER, "task_id": "r1", **fields})


class RepeatingContract(ContractBase):
    async def test_a_known_id_answers_with_the_event_as_it_is_stored(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        first = _booked(token_usage=spending(5).token_usage, metadata={"try": 1})
        later = _booked(
            message=dict(reversed(MESSAGE.items())),
            timestamp=first.timestamp + timedelta(hours=1),
            token_usage=spending(9).token_usage,
            metadata={"try": 2},
        )
        await store.create("talk")
        [stored] = await store.append("talk", first)
        before = await seen(await reopen(), "talk")

        [again] = await (await reopen()).append("talk", later)

        assert not stored.is_repeat
        assert again == stored.model_copy(update={"is_repeat": True})
        assert await seen(await reopen(), "talk") == before
        assert not (await whole(await reopen(), "talk")).events[0].is_repeat

    @pytest.mark.parametrize("fields", OTHERS.values(), ids=list(OTHERS))
    async def test_other_content_under_a_known_id_is_refused_and_nothing_is_written(
        self, store: BaseSessionStore, reopen: Reopen, fields: dict[str, Any]
    ) -> None:
        await store.create("talk", change=SessionChange(events=[said(id="first"), _booked()]))
        before = await seen(await reopen(), "talk")

        with pytest.raises(InvalidEvent, match="taken by other content") as caught:
            await store.append("talk", said(id="new"), _booked(**fields))

        error = caught.value
        assert (error.session_id, error.event_id, error.seq, error.path) == ("talk", "u1", 2, "events[1]")
        assert await seen(await reopen(), "talk") == before

    async def test_on_repeat_keep_returns_what_is_stored(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=SessionChange(events=[said("first", id="e1")]))

        appended = await store.append("talk", said("other", id="e1"), said("new", id="e2"), on_repeat="keep")
        committed = await store.commit(
            "talk", SessionChange(events=[said("other", id="e2")], set_state={"k": 1}), on_repeat="keep"
        )

        again = await whole(await reopen(), "talk")
        assert [(event.message, event.seq, event.is_repeat) for event in appended] == [
            ("first", 1, True),
            ("new", 2, False),
        ]
        assert [(event.message, event.seq, event.is_repeat) for event in committed.events] == [("new", 2, True)]
        assert (messages(again.events), again.state) == (["first", "new"], {"k": 1})

    async def test_an_unknown_policy_is_refused(self, store: BaseSessionStore) -> None:
        await store.create("talk")
        unknown: Any = "ignore"

        for write in (
            store.append("talk", said(), on_repeat=unknown),
            store.commit("talk", SessionChange(events=[said()]), on_repeat=unknown),
        ):
            with pytest.raises(InvalidSessionOperation, match="'refuse' or 'keep'"):
                await write
        assert (await whole(store, "talk")).last_seq == 0

    async def test_of_two_contents_under_one_id_in_one_commit_none_is_written_or_the_first_is_kept(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        twins = [said("one", id="e1"), said("between", id="e2"), said("other", id="e1")]
        await store.create("talk")

        with pytest.raises(InvalidEvent, match="taken by other content") as caught:
            await store.append("talk", *twins)
        with pytest.raises(InvalidEvent):
            await store.create("new", change=SessionChange(events=twins))
        kept = await store.append("talk", *twins, on_repeat="keep")

        assert (caught.value.event_id, caught.value.path) == ("e1", "events[2]")
        assert await (await reopen()).get("new") is None
        assert [(event.message, event.seq, event.is_repeat) for event in kept] == [
            ("one", 1, False),
            ("between", 2, False),
            ("one", 1, True),
        ]
        assert messages((await whole(await reopen(), "talk")).events) == ["one", "between"]

    async def test_a_hidden_event_that_is_repeated_comes_back_as_hidden_and_keeps_its_id(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(3)))
        await store.retract("talk", "e2")

        [again] = await (await reopen()).append("talk", said("e2", id="e2"))
        result = await store.commit("talk", SessionChange(events=[said("e3", id="e3")], retraction=Retraction(["e3"])))

        assert (again.seq, again.retracted, again.is_repeat) == (2, True, True)
        assert [(event.seq, event.retracted, event.is_repeat) for event in result.events] == [(3, True, True)]
        with pytest.raises(InvalidEvent, match="taken by other content"):
            await store.append("talk", said("other", id="e2"))
        assert ids((await whole(await reopen(), "talk")).events) == ["e1"]

    async def test_a_commit_with_known_and_new_events_writes_the_new_ones_once(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(2)))
        change = SessionChange(
            events=[said("e2", id="e2"), spending(5, id="n1")], set_state={"k": 1}, set_properties={"p": 1}
        )

        first = await store.commit("talk", change, expected_revision=1, write_id="w")
        await store.commit("talk", SessionChange(set_state={"k": 2}))
        again = await (await reopen()).commit("talk", change, expected_revision=1, write_id="w")

        assert (seqs(first.events), [event.is_repeat for event in first.events]) == ([2, 3], [True, False])
        assert (first.revision, again.revision, seqs(again.events)) == (2, 2, [2, 3])
        session = await whole(await reopen(), "talk")
        assert (ids(session.events), session.state, session.revision) == (["e1", "e2", "n1"], {"k": 2}, 3)
        assert session.token_summary.total.requests == 1

    async def test_a_late_guard_refuses_what_is_new_beside_a_known_event(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(2)))
        await store.append("talk", said(id="other"))

        for change in (
            SessionChange(events=[said("e1", id="e1"), said(id="new")]),
            SessionChange(events=[said("e1", id="e1")], set_state={"k": 1}),
        ):
            with pytest.raises(SessionConflict) as caught:
                await store.commit("talk", change, expected_revision=1)
            assert (caught.value.revision, ids(caught.value.missed_events)) == (2, ["other"])
        assert (await whole(await reopen(), "talk")).revision == 2

    async def test_a_known_write_id_answers_with_what_its_first_commit_stored(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(2)))
        await store.commit("talk", SessionChange(events=[said("a"), said("b")], set_state={"k": 1}), write_id="w")
        await store.append("talk", said("later"))

        # The retry makes its events anew, so that they have other ids.
        anew = SessionChange(events=[said("a"), said("b")], set_state={"k": 1})
        again = await (await reopen()).commit("talk", anew, write_id="w")

        assert [(event.message, event.seq, event.is_repeat) for event in again.events] == [
            ("a", 3, True),
            ("b", 4, True),
        ]
        assert (await whole(await reopen(), "talk")).last_seq == 5

    async def test_a_creation_repeated_by_its_write_id_brings_what_is_stored(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        stored = await store.create("talk", change=SessionChange(events=[said("a", id="e1")]), write_id="w")
        later = said("a", id="e1", metadata={"try": 2})

        again = await (await reopen()).create("talk", change=SessionChange(events=[later]), write_id="w")

        assert again.events == stored.events == (await whole(await reopen(), "talk")).events
        with pytest.raises(InvalidEvent, match="taken by other content"):
            await store.create("talk", change=SessionChange(events=[said("b", id="e1")]), write_id="w")

    async def test_saving_other_content_under_a_known_id_is_refused_and_the_rest_can_be_saved_then(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        session = await store.create("talk")
        await store.append("talk", said("theirs", id="e1"))
        session.events += [said("mine", id="e1"), said("new", id="e2")]
        session.state["k"] = 1

        with pytest.raises(InvalidEvent, match="taken by other content"):
            await store.save(session)
        refused = await whole(await reopen(), "talk")
        session.events[0] = said("mine", id="e3")
        await store.save(session)

        again = await whole(await reopen(), "talk")
        assert (messages(refused.events), refused.state) == (["theirs"], {})
        assert (messages(again.events), again.state) == (["theirs", "mine", "new"], {"k": 1})

    async def test_a_known_event_that_is_saved_again_is_in_the_session_as_it_is_stored(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        session = await store.create("talk")
        await store.append("talk", spending(5, id="e1", metadata={"try": 1}))
        session.events += [spending(9, id="e1", metadata={"try": 2}), said(id="e2")]
        await store.save(session)

        again = await whole(await reopen(), "talk")

        assert session.events == again.events
        assert again.events[0].metadata == {"try": 1}
        assert session.token_summary == again.token_summary
        assert session.token_summary.total.prompt_tokens == 5

    async def test_known_events_anywhere_in_a_long_log_come_back_each_as_it_is_stored(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        log = several(1_200)
        await store.create("talk")
        for start in range(0, 1_200, 400):
            await store.append("talk", *log[start : start + 400])
        wanted = [1_200, 3, 700, 1, 690, 2, *range(100, 650)]

        found = await (await reopen()).append("talk", *(said(f"e{seq}", id=f"e{seq}") for seq in wanted))

        assert [(event.seq, event.message) for event in found] == [(seq, f"e{seq}") for seq in wanted]
        assert all(event.is_repeat for event in found)
