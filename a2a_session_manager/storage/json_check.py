"""One walk over a payload that refuses what JSON has not, with the path, before anything is encoded."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import Any

from pydantic import BaseModel

from a2a_session_manager.exceptions import InvalidEvent

DEEPEST = 100
# Python reads back integers of up to 4,300 digits.
_LONGEST_INT_BITS = 13_280
# Every value weighs this much beside its text: walking and encoding small values costs time, not bytes.
# Counted by what holds it, all at once.
_VALUE_WEIGHT = 32


class TooHeavy(Exception):
    """The payload weighs more than the caller wanted to walk here."""


class JsonCheck:
    """Walks payloads and adds up their weight, roughly their encoded bytes; stops with TooHeavy above `most`."""

    __slots__ = ("most", "weight")

    def __init__(self, most: float) -> None:
        self.most = most
        self.weight = 0

    def check(self, value: Any, *path: str | int) -> None:
        """Raise InvalidEvent with the path to the first value that JSON cannot hold."""
        self.add(_VALUE_WEIGHT)
        try:
            self._walk(value, 0)
        except _Refused as refused:
            where = "".join([str(path[0]), *map(_step, path[1:]), *reversed(refused.steps)])
            raise InvalidEvent(f"{_shown(where)}: {refused}", path=where) from None

    def add(self, weight: int) -> None:
        """Count `weight` in; raise TooHeavy when it gets too much."""
        self.weight += weight
        if self.weight > self.most:
            raise TooHeavy

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
        self.add(characters + len(value) * _VALUE_WEIGHT)
        self._walk_items(value.items(), depth)

    def _walk_list(self, value: list[Any], depth: int) -> None:
        self.add(len(value) * _VALUE_WEIGHT)
        self._walk_items(enumerate(value), depth)

    def _walk_items(self, items: Iterable[tuple[str | int, Any]], depth: int) -> None:
        if depth >= DEEPEST:
            raise _Refused(f"more than {DEEPEST} levels of nesting: flatten it, or store it as text")
        characters = 0
        for name, item in items:
            if type(item) is str:  # as most are
                characters += len(item)
                continue
            try:
                self._walk(item, depth + 1)
            except _Refused as refused:
                refused.steps.append(_step(name))
                raise
        self.add(characters)

    def _walk_rarer(self, value: Any, depth: int) -> None:
        if isinstance(value, float):
            if not isfinite(value):
                raise _Refused(f"{value} is not a JSON number: store None or a string")
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
        self.add(bits // 3)

    def _walk_model(self, model: BaseModel, depth: int) -> None:
        try:
            plain = model.model_dump(mode="json")
        except ValueError as error:
            raise _Refused(f"a {type(model).__name__} cannot be dumped as JSON: {error}") from error
        self._walk(plain, depth)
        if _holds_nan(model.model_dump()):
            # pydantic would write null in its place, without a word.
            raise _Refused(f"a {type(model).__name__} holds NaN or Infinity, no JSON numbers: store None or a string")


class _Refused(Exception):
    """Carries the steps from the culprit up to the root, innermost first."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.steps: list[str] = []


def _step(name: str | int) -> str:
    return f"[{name}]" if isinstance(name, int) else f".{name}"


def _shown(where: str) -> str:
    return where if len(where) <= 160 else f"{where[:80]}…{where[-40:]}"


def _holds_nan(value: object) -> bool:
    if isinstance(value, float):
        return not isfinite(value)
    if isinstance(value, dict):
        return any(map(_holds_nan, value.values()))
    return isinstance(value, list | tuple | set | frozenset) and any(map(_holds_nan, value))


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
    remedy = _REMEDIES.get(kind, "store plain JSON values or a pydantic model")
    return f"a {kind} is not JSON: {remedy}"
