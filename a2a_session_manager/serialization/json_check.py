"""JsonCheck: one walk over a payload, before anything is encoded, that refuses what is no JSON and names its path."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, isfinite
from typing import Any, ClassVar

from pydantic import BaseModel

from a2a_session_manager.exceptions import InvalidEvent
from a2a_session_manager.serialization.model_json import NoWayBackError, plain_model
from a2a_session_manager.serialization.model_parts import ONCE_ONLY, parts_of

DEEPEST = 100
# Python parses integers of up to 4,300 digits.
# Below it, an integer is surely not too long.
_SMALL = 10**18
_LONGEST_INT_BITS = 13_280


class TooHeavy(Exception):
    """The payload is heavier than the caller wants to walk on the event loop."""


class JsonCheck:
    """Walks payloads and adds up their weight; raises TooHeavy as soon as it is above `most`.

    A structure that is referred to twice counts twice, because it is written twice.
    """

    # Every value counts this much in addition to its text, because walking and encoding small values takes time. A dict
    # or a list counts all of its values at once.
    VALUE_WEIGHT: ClassVar = 32

    __slots__ = ("_plain", "most", "weight")

    def __init__(self, most: float) -> None:
        self.most = most
        self.weight = 0
        self._plain: dict[int, tuple[BaseModel, Any]] = {}

    def check(self, value: Any, *path: str | int) -> Any:
        """Return `value` as plain JSON values: itself, or a copy when there are models in it.

        `path` is where the value is, for the error: InvalidEvent with the path to the first value that is no JSON.
        """
        try:
            if type(value) is str:  # as most messages are
                self.add(len(value), 1)
                return value
            self.add(0, 1)
            self._walk(value, 0)
        except _Refused as refused:
            where = "".join([str(path[0]), *map(_step, path[1:]), *reversed(refused.steps)])
            raise InvalidEvent(f"{_shown(where)}: {refused}", path=where, is_too_large=refused.is_too_large) from None
        if not self._plain:
            return value
        plain = self._without_models(value)
        self._plain = {}
        return plain

    def add(self, characters: int, values: int = 0) -> None:
        """Add text and values to the weight; raise TooHeavy when it is above `most`."""
        self.weight += characters + values * self.VALUE_WEIGHT
        if self.weight > self.most:
            raise TooHeavy

    # Adds what is encoded beside payloads, such as an event's own fields, which takes time as well.
    add_unchecked = add

    def _walk(self, value: Any, depth: int) -> None:
        kind = type(value)
        if kind is str:
            self.add(len(value))
        elif kind is dict:
            self._walk_dict(value, depth)
        elif kind is list:
            self._walk_list(value, depth)
        elif kind is int:
            self._walk_int(value)
        elif value is not None and kind is not bool:
            self._walk_rarer(value, depth)

    def _walk_dict(self, value: dict[Any, Any], depth: int) -> None:
        characters = 0
        for key in value:
            if not isinstance(key, str):
                raise _Refused(f"the key {key!r} is a {type(key).__name__}: JSON keys are strings")
            characters += len(key)
        self.add(characters, len(value))
        self._walk_items(value.items(), depth)

    def _walk_list(self, value: list[Any], depth: int) -> None:
        self.add(0, len(value))
        self._walk_items(enumerate(value), depth)

    def _walk_items(self, items: Iterable[tuple[str | int, Any]], depth: int) -> None:
        if depth >= DEEPEST:
            raise _Refused(_TOO_DEEP)
        characters = 0
        for name, item in items:
            kind = type(item)
            if kind is str:  # most of them are
                characters += len(item)
                continue
            if kind is int and -_SMALL < item < _SMALL:
                characters += item.bit_length() // 4
                continue
            try:
                self._walk(item, depth + 1)
            except _Refused as refused:
                refused.steps.append(_step(name))
                raise
        self.add(characters)

    def _walk_rarer(self, value: Any, depth: int) -> None:
        if isinstance(value, float):
            _check_float(value)
        elif isinstance(value, BaseModel):
            self._walk_model(value, depth)
        elif isinstance(value, dict):
            self._walk_dict(value, depth)
        elif isinstance(value, list):
            self._walk_list(value, depth)
        elif isinstance(value, str):
            self.add(len(value))
        elif isinstance(value, int):
            self._walk_int(value)
        else:
            raise _Refused(_remedy(value))

    def _walk_int(self, value: int) -> None:
        bits = value.bit_length()
        if bits > _LONGEST_INT_BITS:
            raise _Refused("an integer of more than 4,000 digits cannot be read back: store it as text")
        self.add(bits // 4)

    def _walk_model(self, model: BaseModel, depth: int) -> None:
        known = self._plain.get(id(model))
        if known is None:
            before = self.weight
            # This comes before the dump, which may take long, exhausts iterators, and turns NaN into null.
            self._walk_parts(model, depth)
            self.weight = before
            try:
                plain = plain_model(model)
            except NoWayBackError as error:
                raise _Refused(str(error)) from None
            known = self._plain[id(model)] = model, plain
        self._walk(known[1], depth)

    def _walk_parts(self, value: Any, depth: int) -> None:
        """Walk the values in a model, which need not be JSON before it is dumped."""
        if isinstance(value, str | bytes | bytearray):
            self.add(len(value))
        elif isinstance(value, float):
            _check_float(value)
        elif isinstance(value, int):
            self._walk_int(value)
        elif isinstance(value, ONCE_ONLY):
            raise _Refused(f"a {type(value).__name__} can be read once only, which would empty it: give it as a list")
        elif (parts := parts_of(value)) is not None:
            if depth >= DEEPEST:
                raise _Refused(_TOO_DEEP)
            for name, part in parts:
                self.add(len(name) if isinstance(name, str) else 0, 1)
                try:
                    self._walk_parts(part, depth + 1)
                except _Refused as refused:
                    refused.steps.append(_step(name))
                    raise

    def _without_models(self, value: Any) -> Any:
        if isinstance(value, BaseModel):
            return self._plain[id(value)][1]
        if isinstance(value, dict):
            return {key: self._without_models(item) for key, item in value.items()}
        if isinstance(value, list):
            return list(map(self._without_models, value))
        return value


class SizeCheck(JsonCheck):
    """Measures payloads as they would be written, and refuses one that would take more than `most` bytes.

    It counts the least that each value can take. A payload that passes may be larger than `most`, but not by an order
    of magnitude.
    """

    VALUE_WEIGHT: ClassVar = 2  # at least one character, and a comma or a colon

    __slots__ = ()

    def check(self, value: Any, *path: str | int) -> Any:
        self.weight = 0  # the limit is one of each payload, not of all together
        return super().check(value, *path)

    def add_unchecked(self, characters: int, values: int = 0) -> None:
        """Do nothing, since only payloads are measured."""

    def add(self, characters: int, values: int = 0) -> None:
        self.weight += characters + values * self.VALUE_WEIGHT
        if self.weight > self.most:
            raise _Refused(
                f"more than {self.most:.0f} bytes: store large media elsewhere and a reference to it here",
                is_too_large=True,
            )


def unlimited() -> JsonCheck:
    """Return a check that never raises TooHeavy."""
    return JsonCheck(inf)


class _Refused(Exception):
    """Carries the steps of the path to the bad value, innermost first."""

    def __init__(self, message: str, *, is_too_large: bool = False) -> None:
        super().__init__(message)
        self.steps: list[str] = []
        self.is_too_large = is_too_large


def _step(name: object) -> str:
    return f"[{name}]" if isinstance(name, int) else f".{name}"


def _shown(where: str) -> str:
    text = where if len(where) <= 160 else f"{where[:80]}…{where[-40:]}"
    return text.encode("utf-8", "backslashreplace").decode()


def _check_float(value: float) -> None:
    if not isfinite(value):
        raise _Refused(f"{value} is not a JSON number: store None or a string")


_TOO_DEEP = f"more than {DEEPEST} levels of nesting: flatten it, or store it as text"
_REMEDIES = {
    "bytes": "store base64 text",
    "bytearray": "store base64 text",
    "set": "store a sorted list",
    "frozenset": "store a sorted list",
    "tuple": "store a list",
    "datetime": "store .isoformat()",
    "date": "store .isoformat()",
    "Decimal": "store str(value)",
    "UUID": "store str(value)",
}


def _remedy(value: object) -> str:
    kind = type(value).__name__
    if isinstance(value, ONCE_ONLY):
        return f"a {kind} is not JSON: store a list"
    remedy = _REMEDIES.get(kind, "store plain JSON values or a pydantic model")
    return f"a {kind} is not JSON: {remedy}"
