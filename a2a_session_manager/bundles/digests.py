"""What a session is, as a digest: of its record's lines, and of those of its events."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from a2a_session_manager.bundles.carried_events import CarriedEvent
from a2a_session_manager.bundles.records import SessionRecord, event_line
from a2a_session_manager.bundles.sources import SourceSession


class SessionDigest:
    """Adds up the lines of a session: `hexdigest` is the same for the same session, wherever it is stored."""

    def __init__(self, record: SessionRecord) -> None:
        self._lines = hashlib.sha256()
        self.log = hashlib.sha256()
        for line in record.lines():
            self._lines.update(line)

    def add(self, events: Iterable[CarriedEvent]) -> None:
        """Add the events that come next."""
        for event in events:
            line = event_line(event.data)
            self._lines.update(line)
            self.log.update(line)

    def add_line(self, line: bytes) -> None:
        """Add the event that comes next, by its line."""
        self._lines.update(line)
        self.log.update(line)

    def hexdigest(self) -> str:
        """Return the digest of all that was added."""
        return self._lines.hexdigest()


async def digest_of(session: SourceSession, record: SessionRecord | None = None) -> SessionDigest:
    """Return the digest of a session, as if its record was `record`, if that is given."""
    digest = SessionDigest(session.record if record is None else record)
    async for page in session.events():
        digest.add(page)
    return digest


async def log_digest(session: SourceSession, up_to: int) -> str:
    """Return the digest of a session's own events up to the seq `up_to`."""
    digest = hashlib.sha256()
    async for page in session.events():
        for event in page:
            if event.seq > up_to:
                return digest.hexdigest()
            digest.update(event_line(event.data))
    return digest.hexdigest()
