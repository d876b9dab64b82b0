"""What a session says about itself: when it was made and touched, and free properties."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from a2a_session_manager.models.clock import utc_now


class SessionMetadata(BaseModel):
    """Times as the writers' clocks had them, and `properties`: JSON values under string keys."""

    model_config = ConfigDict(validate_assignment=True)

    created_at: AwareDatetime = Field(default_factory=utc_now)
    updated_at: AwareDatetime = Field(default_factory=utc_now)
    properties: dict[str, Any] = Field(default_factory=dict)

    def set_property(self, key: str, value: Any) -> None:
        """Set one property of this object; `save` writes it."""
        self.properties[key] = value

    def get_property(self, key: str, default: Any = None) -> Any:
        """Return one property, or `default`."""
        return self.properties.get(key, default)
