"""SessionMetadata: when a session was created and last active, and its properties."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from a2a_session_manager.models.checked import CheckedModel, Moment
from a2a_session_manager.models.clock import utc_now

_YEARS = range(1700, 2250)


def _countable(moment: datetime) -> datetime:
    # Microseconds since the epoch of these years are numbers that every store can count exactly.
    if moment.year not in _YEARS:
        raise ValueError(f"the year is {moment.year}: take one from {_YEARS[0]} to {_YEARS[-1]}")
    return moment


_Time = Annotated[Moment, AfterValidator(_countable)]


class SessionMetadata(CheckedModel):
    """The times and properties of a session. Times come from the clocks of the writers.

    A Session made by hand keeps the times that it was made with when it is saved; so old conversations are imported.

    Attributes:
        created_at: when the session was created.
        updated_at: when it was last active. Commits with events, runs, state, retractions or restorations move it
            forward, new properties do not, and it never goes back.
        properties: JSON values under string keys.
    """

    model_config = ConfigDict(validate_assignment=True, extra="forbid")

    created_at: _Time = Field(default_factory=utc_now)
    updated_at: _Time = Field(default_factory=utc_now)
    properties: dict[str, Any] = Field(default_factory=dict)

    def set_property(self, key: str, value: Any) -> None:
        """Set one property, to any JSON value, in this object; `save` writes it to the store."""
        self.properties[key] = value

    def get_property(self, key: str, default: Any = None) -> Any:
        """Return one property, or `default` when there is none of this key."""
        return self.properties.get(key, default)
