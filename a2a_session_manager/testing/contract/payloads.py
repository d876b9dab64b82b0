"""Payloads: JSON comes back as it was; what is no JSON is refused with its path, before anything is written."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict

from a2a_session_manager.exceptions import InvalidEvent
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import ids, messages, said, several, whole


class _Foreign:
    """An object that is no JSON."""


class _Holder(BaseModel):
    """A model whose dump is not JSON."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    held: Any


def _nested(levels: int) -> Any:
    value: Any = "bottom"
    for level in range(levels):
        value = [value] if level % 2 else {"k": value}
    return value


def _looped() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


NOT_JSON: dict[str, Any] = {
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "minus Infinity": float("-inf"),
    "bytes": b"x",
    "bytearray": bytearray(b"x"),
    "set": {1},
    "frozenset": frozenset({1}),
    "tuple": (1, 2),
    "datetime": datetime.now(UTC),
    "date": date(2026, 1, 1),
    "Decimal": Decimal("1.5"),
    "UUID": UUID(int=7),
    "int key": {1: "x"},
    "None key": {None: "x"},
    "foreign object": _Foreign(),
    "foreign class": _Foreign,
    "function": len,
    "200 levels": _nested(200),
    "itself": _looped(),
    "model of NaN": _Holder(held=float("nan")),
    "model of an object": _Holder(held=_Foreign()),
    "model of bytes": _Holder(held=b"\xff"),
}

JSON: dict[str, Any] = {
    "null": None,
    "true": True,
    "empty text": "",
    "empty list": [],
    "empty object": {},
    "zero": 0,
    "minus zero": -0.0,
    "a whole float": 1.0,
    "a third": 1 / 3,
    "the largest float": 1.7976931348623157e308,
    "the smallest float": 5e-324,
    "64 bits": 2**63,
    "minus 64 bits": -(2**64),
    "a big int": 10**300,
    "unicode": "Grüße 你好 👩‍👩‍👧‍👦 \u2028 \x00 \x1f \x7f",
    "a lone surrogate": "a\ud83d",
    "a lone surrogate as a key": {"k\udc00": ["\ud800"]},
    "a lone surrogate beside floats": [1e22, "\ud800", 10**300, None, 0.1],
    "empty key": {"": {"": [[], {}, None]}},
    "looks like a date": "2026-01-01T00:00:00Z",
    "looks like a number": "1e5",
    "order of keys": {"b": 1, "a": 2},
    "99 levels": _nested(99),
    "long text": "é" * 300_000,
}

not_json = pytest.mark.parametrize("value", NOT_JSON.values(), ids=NOT_JSON)


def _deep(value: Any) -> dict[str, Any]:
    return {"fine": 1, "items": ["fine", value]}


class PayloadsContract(ContractBase):
    @pytest.mark.parametrize("value", JSON.values(), ids=JSON)
    async def test_a_json_value_comes_back_as_it_was(self, store: BaseSessionStore, reopen: Reopen, value: Any) -> None:
        await store.create("talk")
        change = SessionChange(
            events=[said(value, metadata={"v": value})], set_state={"v": value}, set_properties={"v": value}
        )
        await store.commit("talk", change)

        again = await whole(await reopen(), "talk")

        returned = [again.events[0].message, again.events[0].metadata["v"], again.state["v"]]
        for each in [*returned, again.metadata.properties["v"]]:
            assert repr(each) == repr(value)

    async def test_a_hundred_levels_of_nesting_are_stored_and_one_more_is_refused(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=[said(_nested(100))]))

        with pytest.raises(InvalidEvent, match="100 levels"):
            await store.append("talk", said(_nested(101)))

        assert messages((await whole(await reopen(), "talk")).events) == [_nested(100)]

    async def test_a_lone_surrogate_survives_in_every_text_of_an_event_and_a_run(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        torn = "a\ud83d"
        run = SessionRun(id="r", agent=torn, metadata={"k": torn})
        run.mark_failed(torn, error_type=torn)
        usage = TokenUsage(prompt_tokens=1, details={"raw": torn})
        event = said(torn, type=torn, metadata={"k": torn}, token_usage=usage)
        await store.create("talk", change=SessionChange(events=[event], runs=[run]))

        again = await whole(await reopen(), "talk")

        assert again.runs == [run]
        assert again.events[0].model_dump(exclude={"seq"}) == event.model_dump(exclude={"seq"})

    async def test_a_lone_surrogate_is_kept_in_a_key_as_in_a_value(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        torn, other = "a\ud83d", "a\ude00"
        values = {torn: {torn: [torn]}, other: 1, "plain": 2}
        usage = TokenUsage(prompt_tokens=1, model=torn, provider=torn, details={torn: 1}, cost_pico_usd=0)
        event = said({torn: torn}, metadata={torn: torn}, token_usage=usage)
        session = await store.create(
            "talk", change=SessionChange(events=[event], set_state=values, set_properties=values)
        )
        cold = await reopen()
        again = await whole(cold, "talk")
        assert (again.state, again.metadata.properties, again.events[0].message) == (values, values, {torn: torn})
        assert (await cold.usage("talk", tree=True)).by_model[torn]["user"].prompt_tokens == 1
        assert again.token_summary == session.token_summary
        again.state[torn] = "changed"
        await cold.save(again)
        await cold.commit("talk", SessionChange(unset_properties=[torn], unset_state=[other]))

        last = await whole(await reopen(), "talk")

        assert last.state == {torn: "changed", "plain": 2}
        assert last.metadata.properties == {other: 1, "plain": 2}

    async def test_a_surrogate_pair_in_two_halves_is_refused_since_it_would_come_back_as_one_character(
        self, store: BaseSessionStore
    ) -> None:
        await store.create("talk")
        halves = "\ud83d\ude00"
        for change in (
            SessionChange(events=[said(halves)]),
            SessionChange(events=[said({"k": {halves: 1}})]),
            SessionChange(set_state={"k": halves}),
            SessionChange(set_state={halves: 1}),
        ):
            with pytest.raises(InvalidEvent, match="halves"):
                await store.commit("talk", change)

    @not_json
    async def test_a_value_that_is_no_json_is_refused_in_a_message_before_anything_is_written(
        self, store: BaseSessionStore, reopen: Reopen, value: Any
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(1)))

        with pytest.raises(InvalidEvent) as failure:
            await store.append("talk", said("fine"), said(_deep(value)))

        assert failure.value.path.startswith("events[1].message.items[1]")
        again = await whole(await reopen(), "talk")
        assert (ids(again.events), again.revision) == (["e1"], 1)

    @not_json
    async def test_a_value_that_is_no_json_is_refused_in_state_and_properties(
        self, store: BaseSessionStore, reopen: Reopen, value: Any
    ) -> None:
        handle = await store.create("talk", change=SessionChange(set_state={"kept": 1}))

        with pytest.raises(InvalidEvent) as in_state:
            await store.commit("talk", SessionChange(set_state={"k": _deep(value)}, events=[said()]))
        with pytest.raises(InvalidEvent) as in_properties:
            await store.commit("talk", SessionChange(set_properties={"k": _deep(value)}))
        handle.state["k"] = _deep(value)
        with pytest.raises(InvalidEvent) as in_save:
            await store.save(handle)

        for failure in (in_state, in_save):
            assert failure.value.path.startswith("state.k.items[1]")
        assert in_properties.value.path.startswith("properties.k.items[1]")
        again = await whole(await reopen(), "talk")
        assert (again.state, again.metadata.properties, again.events) == ({"kept": 1}, {}, [])

    async def test_a_value_that_is_no_json_is_refused_in_metadata_and_usage_details(
        self, store: BaseSessionStore
    ) -> None:
        await store.create("talk")

        for event in (said(metadata={"k": {1}}), said(token_usage=TokenUsage(details={"k": {1}}))):
            with pytest.raises(InvalidEvent, match=r"k: a set"):
                await store.append("talk", event)
        with pytest.raises(InvalidEvent, match=r"runs\[r\]\.metadata\.k"):
            await store.commit("talk", SessionChange(runs=[SessionRun(id="r", metadata={"k": b"x"})]))

    async def test_a_session_that_cannot_be_stored_is_not_created(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        with pytest.raises(InvalidEvent):
            await store.create("talk", change=SessionChange(events=[said({1})]))
        with pytest.raises(InvalidEvent):
            await store.create("talk", change=SessionChange(set_state={7: "x"}))  # type: ignore[dict-item]  # a bad key is what is tested

        assert await (await reopen()).get("talk") is None

    async def test_what_is_no_event_is_refused_with_its_path(self, store: BaseSessionStore) -> None:
        await store.create("talk")

        with pytest.raises(InvalidEvent, match=r"events\[1\] is a dict"):
            await store.append("talk", said(), {"message": "x"})  # type: ignore[arg-type]  # a bad argument is what is tested

    async def test_the_bad_event_of_one_caller_harms_no_other_caller(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk")
        outcomes = await asyncio.gather(
            *(store.append("talk", said({1} if number == 5 else number)) for number in range(10)),
            return_exceptions=True,
        )

        assert [number for number, each in enumerate(outcomes) if isinstance(each, InvalidEvent)] == [5]
        assert sorted(messages((await whole(await reopen(), "talk")).events)) == [0, 1, 2, 3, 4, 6, 7, 8, 9]
