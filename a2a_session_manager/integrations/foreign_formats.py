"""The format that a bridge writes a session in, as a property of it: a release refuses those of later ones."""

from __future__ import annotations

from typing import Any, NamedTuple

from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.models.session import Session


class ForeignFormat(NamedTuple):
    """What the sessions of a bridge are written in: `name` is the bridge's, `key` that of the property."""

    name: str
    key: str
    number: int = 1

    def as_property(self) -> dict[str, Any]:
        """Return the property that a new session gets."""
        return {self.key: self.number}

    def check(self, session: Session[Any]) -> None:
        """Raise CorruptSession for a session that a newer release has written in another way, or that is none."""
        written = session.metadata.properties.get(self.key)
        if written != self.number:
            raise CorruptSession(
                session.id,
                f"session {session.id!r} has format {written!r} of the {self.name} bridge, and this release reads "
                f"{self.number}: update a2a_session_manager, or give the bridge a namespace of its own",
            )
