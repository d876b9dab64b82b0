"""Objects of client libraries as plain JSON: dicts, pydantic models, dataclasses, protobuf messages, attributes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from enum import Enum
from functools import partial
from math import isfinite
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

# Usage objects are three levels deep. An object that is deeper is no usage, and may even contain itself.
_DEEPEST = 12
# These, and not everything that is callable: pydantic-ai's RunUsage is callable, too.
_CODE = (FunctionType, BuiltinFunctionType, MethodType, partial)
_NAMELESS = frozenset({str, int, float, bool, list, type(None)})
_SCALARS = (str, bytes, bytearray, bool, int, float, complex, Enum, date, type)


def plain(value: Any, depth: int = 0) -> Any:
    """Return `value` as plain JSON; whatever JSON cannot express becomes its text."""
    if value is None or type(value) in (str, bool, int):
        return value
    if type(value) is dict and depth < _DEEPEST:
        return {str(name): plain(part, depth + 1) for name, part in value.items()}
    if isinstance(value, Enum):
        return plain(value.value, depth)
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if depth < _DEEPEST:
        fields = fields_of(value)
        if fields is not None:
            return {str(name): plain(part, depth + 1) for name, part in fields.items()}
        if isinstance(value, Iterable) and not isinstance(value, _SCALARS):
            return [plain(part, depth + 1) for part in value]
    return _text(value)


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # one that is too deep, or whose __str__ fails, must not lose the answer that it came with
        return f"a {type(value).__name__}"


def fields_of(value: Any) -> Mapping[str, Any] | None:
    """Return the named parts of `value`, one level deep, or None when it has none.

    Of an object, unlike of a mapping, attributes that are None are left out: they mean that nothing was reported.
    """
    kind = type(value)
    # These are nearly all: to ask whether a number is a Mapping takes longer than all the rest.
    if kind is dict or kind in _NAMELESS:
        return value if kind is dict else None
    if isinstance(value, Mapping):
        return value
    if value is None or isinstance(value, (*_SCALARS, *_CODE)):
        return None
    for read in _READERS:
        held = read(value)
        if held is not None:
            return {name: part for name, part in held.items() if part is not None and not callable(part)}
    return None


def _of_dataclass(value: Any) -> Mapping[str, Any] | None:
    if not dataclasses.is_dataclass(value):
        return None
    fields = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    # pydantic-ai puts further counts on its usages, such as web_searches.
    return {**(_of_attributes(value) or {}), **fields}


def _of_pydantic(value: Any) -> Mapping[str, Any] | None:
    names = getattr(type(value), "model_fields", None)
    if not isinstance(names, Mapping):
        return None
    extra = getattr(value, "__pydantic_extra__", None)
    return {**{name: getattr(value, name, None) for name in names}, **(extra if isinstance(extra, Mapping) else {})}


def _of_protobuf(value: Any) -> Mapping[str, Any] | None:
    fields = getattr(getattr(value, "DESCRIPTOR", None), "fields", None)
    return None if fields is None else {field.name: getattr(value, field.name, None) for field in fields}


def _of_slots(value: Any) -> Mapping[str, Any] | None:
    slots = [slot for kind in type(value).__mro__ for slot in _named(getattr(kind, "__slots__", ()))]
    return {slot: getattr(value, slot, None) for slot in slots} or None


def _of_attributes(value: Any) -> Mapping[str, Any] | None:
    held = getattr(value, "__dict__", None)
    if not isinstance(held, Mapping):
        return None
    return {name: part for name, part in held.items() if not name.startswith("_")}


def _named(slots: str | Iterable[str]) -> list[str]:
    names = [slots] if isinstance(slots, str) else list(slots)
    return [name for name in names if not name.startswith("_")]


_READERS: tuple[Callable[[Any], Mapping[str, Any] | None], ...] = (
    _of_pydantic,
    _of_dataclass,
    _of_protobuf,
    _of_attributes,
    _of_slots,
)
