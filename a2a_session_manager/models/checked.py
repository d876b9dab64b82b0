"""CheckedModel: a model of ours that is made of what it cannot hold raises an error of ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from pydantic import AfterValidator, AwareDatetime, BaseModel, ValidationError

from a2a_session_manager.exceptions import InvalidEvent

_MINUTE = timedelta(minutes=1)
_MOST_SHOWN = 5
_REMEDIES = {
    "timezone_aware": "take datetime.now(UTC), or value.replace(tzinfo=UTC) if it was meant to be UTC",
    "frozen_instance": "make another one with model_copy(update=…)",
}


class CheckedModel(BaseModel):
    """Raises InvalidEvent, which is a ValueError here, where pydantic has its ValidationError.

    Only where a user makes or changes it: inside another model, and in `model_validate`, pydantic's own errors go
    on, with their places.
    """

    if not TYPE_CHECKING:  # type checkers know the fields by name

        def __init__(self, **fields: Any) -> None:
            try:
                self.__pydantic_validator__.validate_python(fields, self_instance=self)
            except ValidationError as error:
                _refuse(error)

        # Without this mark, pydantic would take the way round by `__init__` for every model inside another one.
        __init__.__pydantic_base_init__ = True

        def __setattr__(self, name: str, value: Any) -> None:
            try:
                super().__setattr__(name, value)
            except ValidationError as error:
                _refuse(error)


class InvalidFields(InvalidEvent, ValueError):
    """A model was to hold what it cannot; a ValueError as well, for that is what pydantic raises."""


def exact_offset(moment: datetime) -> datetime:
    """Return the same moment with an offset that JSON can say, which is one of whole minutes. Raises ValueError."""
    offset = moment.utcoffset()
    if offset is None or not offset % _MINUTE:
        return moment
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"in UTC, {moment.isoformat()} is outside of the years 1 to 9999") from None


Moment = Annotated[AwareDatetime, AfterValidator(exact_offset)]


def invalid_fields(error: ValidationError) -> InvalidFields:
    """Return the error of ours that says what `error` does, with the remedy where one is known."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    texts = []
    for each in found[:_MOST_SHOWN]:
        place = ".".join(map(str, (error.title, *each["loc"])))
        remedy = _REMEDIES.get(each["type"])
        texts.append(f"{place}: {each['msg']}" + (f": {remedy}" if remedy else ""))
    if len(found) > _MOST_SHOWN:
        texts.append(f"and {len(found) - _MOST_SHOWN} more")
    return InvalidFields("; ".join(texts), path=".".join(map(str, found[0]["loc"])))


def _refuse(error: ValidationError) -> NoReturn:
    raise invalid_fields(error) from error
