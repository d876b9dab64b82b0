"""Pydantic models to plain JSON values from which their class makes equal ones.

Not every dump can be read back: one by field names when the model accepts aliases only, one with computed fields when
it forbids extra ones, one without excluded fields, one with a secret as stars. So every dump is read back before it is
stored.
"""

from __future__ import annotations

import json
from typing import Any
from weakref import WeakKeyDictionary

from pydantic import BaseModel, ValidationError
from pydantic_core import to_jsonable_python

from a2a_session_manager.identifiers import shown
from a2a_session_manager.serialization.model_parts import SECRETS, fields_of_model
from a2a_session_manager.serialization.plain_json import dumped

# The ways to dump a model, the most readable first. `round_trip` leaves computed fields out.
_WAYS: tuple[dict[str, bool], ...] = (
    {},
    {"by_alias": True},
    {"by_alias": False},
    {"round_trip": True},
    {"round_trip": True, "by_alias": True},
    {"round_trip": True, "by_alias": False},
)
# The way that could be read back the last time is tried first; it is nearly always the same for all models of a class.
_found_ways: WeakKeyDictionary[type[BaseModel], int] = WeakKeyDictionary()
# The errors that pydantic reports when a dump has other names than the class accepts.
_OTHER_NAMES = frozenset({"missing", "extra_forbidden"})


class NoWayBackError(Exception):
    """No dump of a model can be read back as an equal one."""


def plain_model(model: BaseModel) -> Any:
    """Return plain JSON values from which the class of `model` makes an equal one. Raises NoWayBackError if none do."""
    kind = type(model)
    first = _found_ways.get(kind, 0)
    reason = ""
    unvalidated = []
    for way in (first, *(way for way in range(len(_WAYS)) if way != first)):
        try:
            plain = _dumped(model, way)
        except Exception as error:  # a user's serializer may raise anything
            reason = reason or f"it cannot be dumped as JSON: {error}"
            continue
        try:
            again = _read(kind, plain)
        except ValidationError as error:
            if not _OTHER_NAMES.intersection(each["type"] for each in error.errors(include_input=False)):
                unvalidated.append(plain)
            reason = reason or f"what would be stored cannot be read back: {_first_line(error)}"
            continue
        except Exception as error:  # and so may a user's validator
            reason = reason or f"what would be stored cannot be read back: {error}"
            continue
        if _same(model, again):
            _found_ways[kind] = way
            return plain
        reason = f"{_difference(model, again)} would not come back as it is"
    # The client libraries of providers make models without validating them. Such a model is stored if its dump holds
    # everything that is in it.
    for plain in unvalidated:
        if _holds_all(model, plain):
            return plain
    raise NoWayBackError(f"a {kind.__name__} cannot be stored, {reason}: store plain JSON values, or mend the model")


def _dumped(model: BaseModel, way: int) -> Any:
    options: dict[str, Any] = _WAYS[way]
    try:
        return model.model_dump(mode="json", warnings=False, **options)
    except UnicodeEncodeError:  # a key has a lone surrogate
        plain = model.model_dump(warnings=False, **options)
        return json.loads(json.dumps(plain, default=to_jsonable_python))


def _read(kind: type[BaseModel], plain: Any) -> BaseModel:
    validator = kind.__pydantic_validator__
    try:
        again: BaseModel = validator.validate_json(dumped(plain))
    except ValidationError as error:
        if error.errors(include_input=False)[0]["type"] != "json_invalid":
            raise
        again = validator.validate_python(plain)  # pydantic's parser rejects lone surrogates
    return again


def _same(one: Any, other: Any) -> bool:
    """Compare like `==`, but without the private attributes of models, and with 1, 1.0 and True as different."""
    if isinstance(one, BaseModel):
        return type(one) is type(other) and _same(dict(fields_of_model(one)), dict(fields_of_model(other)))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(item, other[key]) for key, item in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        are_alike = isinstance(one, list) == isinstance(other, list) and len(one) == len(other)
        return are_alike and all(map(_same, one, other))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other and isinstance(one, bool) == isinstance(other, bool) and _is_whole(one) == _is_whole(other)
    return bool(one == other)


def _is_whole(number: float) -> bool:
    return isinstance(number, int)


def _difference(one: BaseModel, other: BaseModel) -> str:
    there = dict(fields_of_model(other))
    for name, value in fields_of_model(one):
        if isinstance(value, SECRETS):
            return f"its secret {name!r}"
        if name not in there or not _same(value, there[name]):
            return f"its {name!r}, {shown(value)},"
    return "all of it"


def _holds_all(value: Any, plain: Any) -> bool:
    """Tell whether everything in `value` is in `plain`, under its field name or its alias."""
    if isinstance(value, SECRETS):
        return False
    if isinstance(value, BaseModel):
        return isinstance(plain, dict) and all(
            any(key in plain and _holds_all(item, plain[key]) for key in _names_of(value, name))
            for name, item in fields_of_model(value)
        )
    if isinstance(value, dict):
        return (
            isinstance(plain, dict)
            and len(plain) == len(value)
            and all(map(_holds_all, value.values(), plain.values()))
        )
    if isinstance(value, list | tuple):
        return isinstance(plain, list) and len(plain) == len(value) and all(map(_holds_all, value, plain))
    return bool(to_jsonable_python(value) == plain)


def _names_of(model: BaseModel, name: str) -> list[str]:
    field = type(model).model_fields.get(name)
    alias = None if field is None else field.serialization_alias or field.alias
    return [name] if alias is None else [name, alias]


def _first_line(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
