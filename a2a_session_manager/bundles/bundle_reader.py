"""BundleReader: a bundle that is checked first, and then read session by session. It runs in threads.

`verify` goes through all of it and keeps where each session begins; `session_at` and `events_at` read one again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from a2a_session_manager.bundles.bundle_check import BundleCheck, SessionLines
from a2a_session_manager.bundles.bundle_file import BundleFile
from a2a_session_manager.bundles.carried_events import CarriedEvent
from a2a_session_manager.bundles.line_reading import known_event_of_line
from a2a_session_manager.bundles.records import SessionRecord
from a2a_session_manager.bundles.report import Loss
from a2a_session_manager.limits import StoreLimits


class BundleReader:
    """Reads the bundle at `path` for a store with these limits."""

    def __init__(self, path: Path, limits: StoreLimits) -> None:
        self._limits = limits
        self._file = BundleFile(path, limits)
        self._check = BundleCheck(self._file)

    @property
    def entries(self) -> dict[str, SessionLines]:
        """The sessions that it holds, by their ids and in their order."""
        return self._check.entries

    @property
    def losses(self) -> list[Loss]:
        """What it says that did not come along."""
        return self._check.losses

    @property
    def events(self) -> int:
        """How many events it holds."""
        return self._check.events

    def open(self) -> None:
        """Open the file, and look at how it begins. Raises InvalidSessionOperation for what is no bundle."""
        self._file.open()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def verify(self) -> Iterator[int]:
        """Go through the file, and yield now and then how many events were seen.

        Raises InvalidSessionOperation, with the line, for what is damaged, contradicts itself, or would be refused by
        the store.
        """
        return self._check.steps()

    def session_at(self, entry: SessionLines) -> SessionRecord:
        """Return the record of a session that was verified."""
        self._file.go_to(entry.offset, entry.line)
        record, counts = self._file.head(self._file.read_line())
        self._file.add_values(record, counts, self._file.read_line)
        return record

    def events_at(self, entry: SessionLines) -> Iterator[list[CarriedEvent]]:
        """Yield the events of a session that was verified, in pages. Raises when the file is not what it was."""
        file = self._file
        file.go_to(entry.offset, entry.line)
        digest = hashlib.sha256()
        while file.offset < entry.events_offset:
            digest.update(file.read_line())
        seq, offset = entry.inherited, entry.events_offset
        while seq < entry.last_seq:
            file.go_to(offset, entry.events_line + seq - entry.inherited)
            page: list[CarriedEvent] = []
            size = 0
            while seq < entry.last_seq and len(page) < self._limits.page_events and size < self._limits.page_bytes:
                line = file.read_line()
                digest.update(line)
                seq += 1
                file.line += 1
                page.append(file.checked(known_event_of_line, line, seq, entry.id, self._limits))
                size += len(line)
            offset = file.offset
            yield page
        if digest.hexdigest() != entry.sha256:
            file.refuse("it is not what it was when it was looked at")
