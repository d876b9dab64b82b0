"""Bad arguments: every verb refuses them before it does anything, with the same errors on every store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from a2a_session_manager.exceptions import InvalidEvent, InvalidSessionOperation, SessionManagerError
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_metadata import SessionMetadata
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import said, several, whole

Verb = Callable[[BaseSessionStore, Any], Awaitable[Any]]

NO_NUMBERS: list[Any] = [True, 1.5, -1, "1", [1], float("nan"), -(10**5_000)]
NO_TEXTS: list[Any] = [5, b"x", ["a"], "\ud83d", 10**5_000]
NO_CURSORS: list[Any] = [5, b"1", "\ud83d", ["1"]]
NO_LISTS: list[Any] = [5, "text", {"a": 1}, said("one event"), b"x"]
NO_DICTS: list[Any] = [5, "text", ["a"], said("one event")]


async def _refusal(work: Awaitable[Any]) -> SessionManagerError | None:
    try:
        await work
    except (InvalidSessionOperation, InvalidEvent) as error:
        return error
    return None


async def _changed(store: BaseSessionStore, **change: Any) -> None:
    await store.commit("talk", SessionChange(**change))


async def _iterated(store: BaseSessionStore, **options: Any) -> list[str]:
    return [each async for each in store.iter_sessions(**options)]


async def _followed(store: BaseSessionStore, after: Any) -> None:
    stream = store.follow("talk", after=after)
    await anext(stream)


VERBS: dict[str, tuple[list[Any], Verb]] = {
    "get last=": (NO_NUMBERS, lambda store, bad: store.get("talk", last=bad)),
    "get_many last=": (NO_NUMBERS, lambda store, bad: store.get_many(["talk"], last=bad)),
    "get_many": ([5, "talk"], lambda store, bad: store.get_many(bad)),
    "events after=": (NO_NUMBERS, lambda store, bad: store.events("talk", after=bad)),
    "events limit=": (NO_NUMBERS, lambda store, bad: store.events("talk", limit=bad)),
    "events_page limit=": (NO_NUMBERS, lambda store, bad: store.events_page("talk", limit=bad)),
    "follow after=": (NO_NUMBERS, _followed),
    "children_page limit=": (NO_NUMBERS, lambda store, bad: store.children_page("talk", limit=bad)),
    "children_page cursor=": (
        [*NO_CURSORS, "9" * 5_000, "x", "-1", "٣"],
        lambda store, bad: store.children_page("talk", cursor=bad),
    ),
    "list_page limit=": (NO_NUMBERS, lambda store, bad: store.list_page(limit=bad)),
    "list_page cursor=": (NO_CURSORS, lambda store, bad: store.list_page(cursor=bad)),
    "list_page prefix": (NO_TEXTS, lambda store, bad: store.list_page(bad)),
    "page limit=": (NO_NUMBERS, lambda store, bad: store.page(limit=bad)),
    "page last=": ([*NO_NUMBERS, None], lambda store, bad: store.page(last=bad)),
    "page cursor=": ([*NO_CURSORS, "", "x", "9" * 5_000], lambda store, bad: store.page(cursor=bad)),
    "page title=": (NO_TEXTS, lambda store, bad: store.page(title=bad)),
    "page order=": ([*NO_TEXTS, "", "newest"], lambda store, bad: store.page(order=bad)),
    "page properties=": ([*NO_DICTS, {"owner": "ann"}], lambda store, bad: store.page(properties=bad)),
    "count properties=": ([*NO_DICTS, {None: 1}], lambda store, bad: store.count(properties=bad)),
    "list_sessions": (NO_TEXTS, lambda store, bad: store.list_sessions(bad)),
    "iter_sessions page_size=": ([*NO_NUMBERS, 0], lambda store, bad: _iterated(store, page_size=bad)),
    "append": ([5, "hi", None, {"message": "x"}], lambda store, bad: store.append("talk", bad)),
    "append expected_revision=": (
        NO_NUMBERS,
        lambda store, bad: store.append("talk", said(), expected_revision=bad),
    ),
    "commit": ([5, None, {}], lambda store, bad: store.commit("talk", bad)),
    "create change=": ([5, {}], lambda store, bad: store.create("new", change=bad)),
    "save": ([5, None, "talk"], lambda store, bad: store.save(bad)),
    "retract": ([*NO_TEXTS, ""], lambda store, bad: store.retract("talk", bad)),
    "retract last=": (NO_NUMBERS, lambda store, bad: store.retract("talk", last=bad)),
    "retract after=": (NO_NUMBERS, lambda store, bad: store.retract("talk", after=bad)),
    "restore": ([*NO_TEXTS, ""], lambda store, bad: store.restore("talk", bad)),
    "restore write_id=": ([5, b"x", "", []], lambda store, bad: store.restore("talk", write_id=bad)),
    "restore id=": ([5, b"x", "", []], lambda store, bad: store.restore("talk", "e1", id=bad)),
    "events of a change": (NO_LISTS, lambda store, bad: _changed(store, events=bad)),
    "runs of a change": ([*NO_LISTS, [5], [said()]], lambda store, bad: _changed(store, runs=bad)),
    "keys to unset": ([*NO_LISTS, [5], [{}]], lambda store, bad: _changed(store, unset_state=bad)),
    "state to set": ([*NO_DICTS, {5: 1}], lambda store, bad: _changed(store, set_state=bad)),
    "properties to set": ([*NO_DICTS, {None: 1}], lambda store, bad: _changed(store, set_properties=bad)),
    "a retraction": ([5, "e1", ["e1"]], lambda store, bad: _changed(store, retraction=bad)),
    "a restoration": ([5, "e1", ["e1"]], lambda store, bad: _changed(store, restoration=bad)),
    "delete expected_revision=": (NO_NUMBERS, lambda store, bad: store.delete("talk", expected_revision=bad)),
    "children=": (NO_TEXTS, lambda store, bad: store.delete("talk", children=bad)),
    "on_repeat=": (NO_TEXTS, lambda store, bad: store.append("talk", said(), on_repeat=bad)),
}

# Values that are put into the fields of valid models, past all checks.
EVENT_FIELDS = {"id": 5, "source": "user", "type": 5, "timestamp": None, "task_id": "", "metadata": 5, "message": {1}}
USAGE_FIELDS = {
    "prompt_tokens": -1,
    "requests": True,
    "model": 5,
    "details": 5,
    "cost_pico_usd": -1,
    "basis": "",
    "reasoning_tokens": 9,
}
RUN_FIELDS = {"id": 5, "status": "lost", "agent": 5, "started_at": "soon", "error": b"x", "metadata": 5}
SESSION_FIELDS = {"events": 5, "runs": "x", "state": [1], "metadata": {}}


def _changed_models() -> Iterator[SessionChange]:
    for field, bad in EVENT_FIELDS.items():
        yield SessionChange(events=[said("x").model_copy(update={field: bad})])
    for field, bad in USAGE_FIELDS.items():
        usage = TokenUsage(model="gpt-4o").model_copy(update={field: bad})
        yield SessionChange(events=[SessionEvent(message="x").model_copy(update={"token_usage": usage})])
    for field, bad in RUN_FIELDS.items():
        yield SessionChange(runs=[SessionRun().model_copy(update={field: bad})])


class ArgumentsContract(ContractBase):
    async def test_a_bad_argument_is_refused_by_every_verb_before_anything_is_done(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(3)))
        for name, (values, verb) in VERBS.items():
            for number, bad in enumerate(values):
                refusal = await _refusal(verb(store, bad))
                assert refusal is not None, f"{name}: value {number} was accepted"
                assert len(str(refusal)) < 400, name

        cold = await reopen()
        assert (await whole(cold, "talk")).revision == 1
        assert await cold.list_sessions() == ["talk"]

    async def test_a_model_that_was_changed_to_what_it_cannot_hold_is_refused(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk")
        for change in _changed_models():
            assert await _refusal(store.commit("talk", change)) is not None, change
        for field, bad in SESSION_FIELDS.items():
            session: Session[Any] = Session(id="new")
            setattr(session, field, bad)
            with pytest.raises(InvalidSessionOperation, match=field):
                await store.save(session)
        for field in ("created_at", "updated_at"):
            for bad in (datetime(2020, 1, 1), "soon", None):
                metadata = SessionMetadata().model_copy(update={field: bad})
                refusal = await _refusal(store.save(Session(id="new").model_copy(update={"metadata": metadata})))
                assert refusal is not None
                assert field in str(refusal)

        cold = await reopen()
        assert (await whole(cold, "talk")).revision == 1
        assert await cold.get("new") is None

    async def test_a_limit_larger_than_any_session_means_all(self, store: BaseSessionStore) -> None:
        await store.create("talk", change=SessionChange(events=several(3)))
        await store.create("child", parent_id="talk")
        for huge in (2**53, 2**63, 2**64, 10**400):
            session = await store.get("talk", last=huge)
            assert session is not None
            assert len(session.events) == len(await store.events("talk", limit=huge)) == 3
            assert await store.events("talk", after=huge) == []
            assert (await store.children_page("talk", limit=huge)).session_ids == ["child"]
            assert len((await store.list_page(limit=huge)).session_ids) == 2
            assert await store.retract("talk", after=huge) == []
        assert len(await store.retract("talk", last=10**400)) == 3

    async def test_an_iterator_as_an_argument_is_read_once(self, store: BaseSessionStore, reopen: Reopen) -> None:
        change = SessionChange(
            events=(event for event in several(3)),  # type: ignore[arg-type]  # an iterator is what is tested
            runs=iter([SessionRun(id="r")]),  # type: ignore[arg-type]
            unset_state=(key for key in ("a", "b")),  # type: ignore[arg-type]
        )
        await store.create("talk", change=SessionChange(set_state={"a": 1, "b": 2, "c": 3}))
        await store.commit("talk", change)
        await store.commit("talk", SessionChange(retraction=Retraction(iter(["e1", "e2"]))))  # type: ignore[arg-type]

        again = await whole(await reopen(), "talk")

        assert ([event.id for event in again.events], [run.id for run in again.runs]) == (["e3"], ["r"])
        assert again.state == {"c": 3}
