"""The parts of models, containers and dataclasses, before anything is dumped."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import fields, is_dataclass
from itertools import chain
from typing import Any, Final

from pydantic import BaseModel, SecretBytes, SecretStr

# pydantic's lazy value of a field like Iterable[int] is an Iterator as well.
ONCE_ONLY: Final = Iterator
SECRETS: Final = SecretStr, SecretBytes


def parts_of(value: Any) -> Iterable[tuple[object, Any]] | None:
    """Return the parts of `value` with their names or indexes; None when it has no parts."""
    if isinstance(value, BaseModel):
        return fields_of_model(value)
    if isinstance(value, Mapping):
        return chain(value.items(), (("key", key) for key in value if not isinstance(key, str)))
    if isinstance(value, list | tuple | deque | Set):
        return enumerate(value)
    if is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name, None)) for field in fields(value)]
    return None


def fields_of_model(model: BaseModel) -> list[tuple[str, Any]]:
    """Return the fields of a model and its extra values, by name; cached properties are left out."""
    known = type(model).model_fields
    own = [(name, value) for name, value in model.__dict__.items() if name in known]
    return [*own, *(model.__pydantic_extra__ or {}).items()]
