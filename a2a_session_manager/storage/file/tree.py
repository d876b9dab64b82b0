"""One root's tree file: which sessions exist below it, and what the deleted ones had spent.

A session exists when its log does and its root's tree file names its creation id. So the line in this file
is what makes a child, and what ends one: everything below a deleted session ends with it, in one step.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from a2a_session_manager.storage import ledger
from a2a_session_manager.storage.file.framed_file import FramedFile
from a2a_session_manager.storage.file.framing import FIRST_BYTES, Frame, framed
from a2a_session_manager.storage.file.handles import HandlePool
from a2a_session_manager.storage.file.lines import FORMAT, Birth, UnknownFormatError
from a2a_session_manager.storage.plain_json import parsed
from a2a_session_manager.storage.records import SessionKey, Totals


class Place(NamedTuple):
    """A session's place in the tree; ordinals count every session ever created in it."""

    id: str
    parent_id: str | None
    creation_id: str
    ordinal: int


class TreeFile(FramedFile):
    """The living places of a tree in creation order, and the dead whose logs are not swept yet."""

    _is_begun_in_place = True

    def __init__(self, path: Path, root: SessionKey, pool: HandlePool, *, durable: bool) -> None:
        super().__init__(path, root.id, pool, durable=durable)
        self.root = root
        self.forget()

    def forget(self) -> None:
        self.living: dict[str, Place] = {}
        self.dead: list[Place] = []
        self.swept: set[str] = set()
        self.swept_totals: Totals = {}
        self.created = 0
        self._children: dict[str, list[str]] = {}

    def is_alive(self, session_id: str, creation_id: str) -> bool:
        place = self.living.get(session_id)
        return place is not None and place.creation_id == creation_id

    def names(self, birth: Birth) -> bool:
        """Tell whether the session of this birth lives, under the root it was made under."""
        return self.is_alive(birth.root_id, birth.root_creation_id) and self.is_alive(birth.key.id, birth.creation_id)

    def is_dead(self, creation_id: str) -> bool:
        """Tell whether that session was deleted, and its log not swept yet."""
        return any(place.creation_id == creation_id for place in self.dead)

    def knows(self, creation_id: str) -> bool:
        """Tell whether that session was ever in the tree."""
        living = any(place.creation_id == creation_id for place in self.living.values())
        return living or creation_id in self.swept or self.is_dead(creation_id)

    def children(self, session_id: str) -> list[Place]:
        """Return the living children in creation order."""
        return [self.living[child_id] for child_id in self._children.get(session_id, [])]

    def below(self, session_id: str) -> Iterator[Place]:
        """Yield the session's own place and all living ones below it."""
        waiting = [session_id]
        while waiting:
            current = waiting.pop()
            yield self.living[current]
            waiting.extend(self._children.get(current, []))

    def add(self, session_id: str, parent_id: str | None, creation_id: str) -> None:
        """Write that a session exists."""
        self._write({"+": [session_id, parent_id, creation_id]})

    def end(self, session_id: str) -> None:
        """Write that a session, and all below it, exist no more."""
        self._write({"-": session_id})

    def sweep(self, place: Place, totals: Totals) -> None:
        """Write what a dead session had spent: its log is not needed any more."""
        cells = [[model, source, counters] for (model, source), counters in totals.items()]
        self._write({"$": [place.creation_id, cells]})

    def take(self, frame: Frame) -> None:
        record: dict[str, Any] = parsed(frame.payload)
        if record.get("v", FORMAT) > FORMAT:
            raise UnknownFormatError(record["v"])
        if "+" in record:
            self._take_birth(*record["+"])
        elif "-" in record:
            self._take_end(record["-"])
        else:
            self._take_sweep(*record["$"])

    def _take_birth(self, session_id: str, parent_id: str | None, creation_id: str) -> None:
        self.created += 1
        self.living[session_id] = Place(session_id, parent_id, creation_id, self.created)
        if parent_id is not None:
            self._children.setdefault(parent_id, []).append(session_id)
        else:
            # A new life of the root: what the former one spent is not its own.
            self.dead = []
            self.swept_totals = {}

    def _take_end(self, session_id: str) -> None:
        ended = list(self.below(session_id))
        parent_id = ended[0].parent_id
        if parent_id is not None:
            self._children[parent_id].remove(session_id)
        for place in ended:
            del self.living[place.id]
            self._children.pop(place.id, None)
        self.dead += ended

    def _take_sweep(self, creation_id: str, cells: list[Any]) -> None:
        self.swept.add(creation_id)
        self.dead = [place for place in self.dead if place.creation_id != creation_id]
        for model, source, counters in cells:
            ledger.add_counters(self.swept_totals.setdefault((model, source), {}), counters)

    def _write(self, record: dict[str, Any]) -> None:
        if self.offset == 0:
            record["v"] = FORMAT
        payload = json.dumps(record, separators=(",", ":")).encode()
        synced = self.on_disk.for_a_record(self._first_bytes)
        frame = framed(payload, synced)
        if self.write([frame], synced) == 0:
            raise self.no_room()
        if self.offset == 0:
            self._first_bytes = frame[:FIRST_BYTES]
        self._take(Frame(self.offset, self.offset + len(frame), payload, synced))
