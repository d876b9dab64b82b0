"""What a session says about itself: when it was made and last active, and free properties."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from a2a_session_manager.models.checked import CheckedModel, Moment
from a2a_session_manager.models.clock import utc_now

_YEARS = range(1700, 2250)


def _countable(moment: datetime) -> datetime:
    # In microseconds since the epoch, which every store can count exactly.
    if moment.year not in _YEARS:
        raise ValueError(f"the year is {moment.year}: take one from {_YEARS[0]} to {_YEARS[-1]}")
    return moment


_Time = Annotated[Moment, AfterValidator(_countable)]


class SessionMetadata(CheckedModel):
    """Times as the writers' clocks had them, and `properties`: JSON values under string keys.

    `updated_at` is when the session was last active: commits with events, runs, state or retractions move it, new
    properties do not, and it never goes back. A Session made by hand keeps the times it is made with when it is
    saved, which is how old conversations are imported.
    """

    model_config = ConfigDict(validate_assignment=True, extra="forbid")

    created_at: _Time = Field(default_factory=utc_now)
    updated_at: _Time = Field(default_factory=utc_now)
    properties: dict[str, Any] = Field(default_factory=dict)

    def set_property(self, key: str, value: Any) -> None:
        """Set one property of this object; `save` writes it."""
        self.properties[key] = value

    def get_property(self, key: str, default: Any = None) -> Any:
        """Return one property, or `default`."""
        return self.properties.get(key, default)
