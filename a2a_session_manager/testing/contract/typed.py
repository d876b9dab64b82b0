"""Models as payloads: a model is stored so that its class reads back an equal one, or it is refused."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    RootModel,
    SecretStr,
    SerializeAsAny,
    computed_field,
    field_serializer,
)

from a2a_session_manager.exceptions import InvalidEvent
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import Event, said, whole

BYTES = b"\xff\x00\x80"


class Aliased(BaseModel):
    city: str = Field(alias="City")


class ByEitherName(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    city: str = Field(alias="City")


class Signed(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    signature: bytes


class Computed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    a: int

    @computed_field  # type: ignore[prop-decorator]  # as pydantic's manual says
    @property
    def twice(self) -> int:
        return 2 * self.a


class Nested(BaseModel):
    parts: list[Signed] = []
    by_name: dict[str, Aliased] = {}
    computed: Computed | None = None
    _cache: Any = PrivateAttr(default=None)


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    name: str = Field(alias="Name")


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


class Pets(RootModel[list[Pet]]):
    pass


@dataclass
class Point:
    x: float
    tags: tuple[str, ...] = ()


class Varied(BaseModel):
    point: Point
    when: datetime
    price: Decimal
    key: UUID
    numbers: set[int]
    by_number: dict[int, str]
    text: str = "a\ud83d"


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")

    value: Any = None


class Base(BaseModel):
    a: int = 1


class Longer(Base):
    b: int = 2


class Around(BaseModel):
    item: Base


class AroundAny(BaseModel):
    item: SerializeAsAny[Base]


class Lines(BaseModel):
    lines: Iterable[int]


class Excluded(BaseModel):
    a: int
    note: str = Field(default="", exclude=True)


class Secret(BaseModel):
    token: SecretStr


class Rounding(BaseModel):
    number: float

    @field_serializer("number")
    def _round(self, number: float) -> float:
        return round(number, 1)


class Renamed(BaseModel):
    city: str = Field(validation_alias="From", serialization_alias="To")


def _private() -> Nested:
    model = Nested(computed=Computed(a=1))
    model._cache = object()
    return model


READ_BACK: dict[str, tuple[Any, Any]] = {
    "an alias": (Aliased(City="Oslo"), Aliased),
    "an alias beside the name": (ByEitherName(City="Oslo"), ByEitherName),
    "bytes": (Signed(signature=BYTES), Signed),
    "a computed field, nothing else allowed": (Computed(a=2), Computed),
    "models in models": (
        Nested(parts=[Signed(signature=BYTES)], by_name={"x": Aliased(City="Oslo")}, computed=Computed(a=2)),
        Nested,
    ),
    "what a model keeps in private": (_private(), Nested),
    "models in a list": ([Cat(), Dog(Name="Rex")], list[Pet]),
    "models in an object": ({"one": Dog(Name="Rex")}, dict[str, Dog]),
    "one of several": (Dog(Name="Rex"), Pet),
    "a root model": (Pets([Cat(), Dog(Name="Rex")]), Pets),
    "what JSON has not, by its type": (
        Varied(
            point=Point(1.5, ("a",)),
            when=datetime(2026, 1, 1, tzinfo=UTC),
            price=Decimal("1.10"),
            key=UUID(int=7),
            numbers={1, 2},
            by_number={1: "one"},
        ),
        Varied,
    ),
    "more than it knows": (Open.model_validate({"value": [1, {"a": None}], "more": "x"}), Open),
}

REFUSED: dict[str, tuple[Any, str]] = {
    "an iterator": (Lines(lines=[1, 2, 3]), "lines.* once only"),
    "a generator": (Open(value=(n for n in (1, 2))), "value.* once only"),
    "NaN in a deque": (Open(value=deque([math.nan])), r"value\[0\].*not a JSON number"),
    "an excluded field": (Excluded(a=1, note="kept?"), "'note'"),
    "a secret": (Secret(token=SecretStr("abc")), "secret 'token'"),
    "a serializer that loses": (Rounding(number=1.23), "'number'"),
    "a tuple where anything goes": (Open(value=(1, 2)), "'value'"),
    "a time where anything goes": (Open(value=datetime(2026, 1, 1, tzinfo=UTC)), "'value'"),
    "a longer model in a shorter field": (Around(item=Longer()), "'item'"),
    "a longer model, all of it dumped": (AroundAny(item=Longer()), "'item'"),
    "written under another name than read": (Renamed.model_validate({"From": "Oslo"}), "Renamed.*From"),
    "a deep place": (Open(value=[[Open(value={1})]]), "cannot be stored"),
}


class TypedContract(ContractBase):
    async def test_a_model_whose_dump_can_be_read_back_comes_back_as_an_equal_one(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        for name, (value, _) in READ_BACK.items():
            change = SessionChange(events=[said(value, metadata={"m": value})], set_state={"m": value})
            await store.create(name, change=change)
        cold = await reopen()
        for name, (value, message_type) in READ_BACK.items():
            session = await cold.get(name, message_type=message_type)
            [event] = await cold.events(name, message_type=message_type)
            plain = (await whole(cold, name)).events[0]

            assert session is not None
            for one in (event, session.events[0]):
                assert one.message_error is None
                assert _public(one.message) == _public(value), name
            assert plain.message == plain.metadata["m"] == session.state["m"], name

    async def test_a_model_that_would_come_back_as_another_is_refused_before_anything_is_written(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        handle = await store.create("talk")
        for name, (value, reason) in REFUSED.items():
            with pytest.raises(InvalidEvent, match=reason) as refused:
                await store.append(handle, said("fine"), said({"items": ["fine", value]}))
            assert refused.value.path.startswith("events[1].message.items[1]"), name
            with pytest.raises(InvalidEvent):
                await store.commit(handle, SessionChange(set_properties={"k": value}))

        assert (await whole(await reopen(), "talk")).revision == 1

    async def test_a_model_that_was_never_validated_is_kept_as_the_json_it_is(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        newer = Dog.model_construct(kind="wolf", name="Rex")  # as clients of providers do
        await store.create("talk", change=SessionChange(events=[said(newer)]))

        events: list[Event] = await (await reopen()).events("talk", message_type=Dog)

        assert [event.message for event in events] == [{"kind": "wolf", "Name": "Rex"}]
        assert events[0].message_error is not None

    async def test_the_check_does_not_exhaust_iterators_in_a_model(self, store: BaseSessionStore) -> None:
        lines = Lines(lines=[1, 2, 3])
        await store.create("talk")
        with pytest.raises(InvalidEvent):
            await store.append("talk", said(lines))

        assert list(lines.lines) == [1, 2, 3]


def _public(value: Any) -> Any:
    return value.model_dump() if isinstance(value, BaseModel) else value
