"""CheckedModel: the base of our models, which raises our own error for a value that a field cannot hold."""

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
    """Raises InvalidEvent, which is a ValueError here, where pydantic raises its ValidationError.

    It does so where a user makes or changes a model. For a model inside another one, and in `model_validate`,
    pydantic's own error is raised, with the place of the value.
    """

    if not TYPE_CHECKING:  # type checkers know the fields by name

        def __init__(self, **fields: Any) -> None:
            try:
                self.__pydantic_validator__.validate_python(fields, self_instance=self)
            except ValidationError as error:
                _refuse(error)

        # Without this mark, pydantic would call `__init__` for every model inside another one, which is slower.
        __init__.__pydantic_base_init__ = True

        def __setattr__(self, name: str, value: Any) -> None:
            try:
                super().__setattr__(name, value)
            except ValidationError as error:
                _refuse(error)


class InvalidFields(InvalidEvent, ValueError):
    """A model cannot hold a value. It is a ValueError as well, because pydantic's own error is one."""


def exact_offset(moment: datetime) -> datetime:
    """Return the same moment with an offset of whole minutes, as ISO 8601 requires; in UTC if it has another one.

    Raises ValueError when that moment is outside of the years 1 to 9999 in UTC.
    """
    offset = moment.utcoffset()
    if offset is None or not offset % _MINUTE:
        return moment
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"in UTC, {moment.isoformat()} is outside of the years 1 to 9999") from None


Moment = Annotated[AwareDatetime, AfterValidator(exact_offset)]


def invalid_fields(error: ValidationError) -> InvalidFields:
    """Return our own error with the text of pydantic's, and with a remedy when one is known."""
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
