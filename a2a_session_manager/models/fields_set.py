"""SharedFieldsSet: frozen models that were given the same fields share one set of their names."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from a2a_session_manager.models.checked import CheckedModel

# Past `__setattr__`, which a frozen model refuses.
put_fields_set = BaseModel.__dict__["__pydantic_fields_set__"].__set__
_SHARED: dict[frozenset[str], set[str]] = {}


class SharedFieldsSet(CheckedModel):
    """A frozen model, whose set never changes: a set of its own would be most of what a loaded one costs the
    garbage collector.
    """

    @property
    def model_fields_set(self) -> set[str]:
        """The names of the fields that were given, as a copy: the set itself is shared."""
        return set(self.__pydantic_fields_set__)


def share_fields_set(model: SharedFieldsSet) -> None:
    """Let `model` keep the set that others with its fields keep."""
    own = model.__pydantic_fields_set__
    put_fields_set(model, _SHARED.setdefault(frozenset(own), own))


def put_fields(model: BaseModel, **fields: Any) -> None:
    """Set fields to what needs no check, since it comes from a store: to assign each of them takes long."""
    model.__dict__.update(fields)
    model.__pydantic_fields_set__.update(fields)
