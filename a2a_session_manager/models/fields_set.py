"""SharedFieldsSet: frozen models with the same fields set share one set of their names, which saves memory."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from a2a_session_manager.models.checked import CheckedModel

# This sets the attribute without `__setattr__`, which a frozen model refuses.
put_fields_set = BaseModel.__dict__["__pydantic_fields_set__"].__set__
_SHARED: dict[frozenset[str], set[str]] = {}


class SharedFieldsSet(CheckedModel):
    """A frozen model that shares its set of given fields with others.

    The set never changes. One of its own would be most of what a loaded model costs the garbage collector.
    """

    @property
    def model_fields_set(self) -> set[str]:
        """The names of the fields that were given, as a copy, since the set itself is shared."""
        return set(self.__pydantic_fields_set__)


def share_fields_set(model: SharedFieldsSet) -> None:
    """Replace the model's set of given fields by the one that is shared with all models of the same fields."""
    own = model.__pydantic_fields_set__
    put_fields_set(model, _SHARED.setdefault(frozenset(own), own))


def put_fields(model: BaseModel, **fields: Any) -> None:
    """Set fields to values from a store, which need no check; assigning each of them would take longer."""
    model.__dict__.update(fields)
    model.__pydantic_fields_set__.update(fields)
