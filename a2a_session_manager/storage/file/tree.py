"""One root's tree file: which sessions exist below it, and what the deleted ones had spent.

A session exists when its log does and its root's tree file names its creation id. So the line in this file
is what makes a child, and what ends one: everything below a deleted session ends with it, in one step.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from a2a_session_manager.serialization.plain_json import parsed
from a2a_session_manager.storage import commit_rules
from a2a_session_manager.storage.file.atomic_files import read_regular
from a2a_session_manager.storage.file.commit_lines import FORMAT, CreationRecord, check_format
from a2a_session_manager.storage.file.framed_file import FramedFile
from a2a_session_manager.storage.file.framing import FIRST_BYTES, Frame, begins_for_disk, framed
from a2a_session_manager.storage.file.handles import HandlePool
from a2a_session_manager.storage.file.stored_shapes import all_text, check_counters
from a2a_session_manager.storage.records import SessionKey, Totals


class TreeEntry(NamedTuple):
    """A session's place in the tree; ordinals count every session ever created in it."""

    id: str
    parent_id: str | None
    creation_id: str
    ordinal: int


class TreeFile(FramedFile):
    """The living places of a tree in creation order, and the dead whose logs are not swept yet."""

    def __init__(self, path: Path, root: SessionKey, pool: HandlePool, *, root_log: Path, durable: bool) -> None:
        super().__init__(path, root.id, pool, durable=durable)
        self._root_log = root_log
        self.root = root
        self.forget()

    def forget(self) -> None:
        self.living: dict[str, TreeEntry] = {}
        # By creation id: of the root's present life, whose spend is the tree's, and of its former lives.
        self.dead: dict[str, TreeEntry] = {}
        self.former: dict[str, TreeEntry] = {}
        self.swept_totals: Totals = {}
        self.created = 0
        self._known: set[str] = set()
        self._children: dict[str, dict[str, None]] = {}

    def is_alive(self, session_id: str, creation_id: str) -> bool:
        place = self.living.get(session_id)
        return place is not None and place.creation_id == creation_id

    def names(self, birth: CreationRecord) -> bool:
        """Tell whether the session of this birth lives, under the root it was made under."""
        return self.is_alive(birth.root_id, birth.root_creation_id) and self.is_alive(birth.key.id, birth.creation_id)

    @property
    def is_empty(self) -> bool:
        """True when nobody lives in the tree, and no log of the dead is left."""
        return not (self.living or self.dead or self.former)

    def unswept(self, creation_id: str) -> TreeEntry | None:
        """Return the place of that session if it was deleted, and its log not swept yet."""
        return self.dead.get(creation_id) or self.former.get(creation_id)

    def all_unswept(self) -> Iterator[TreeEntry]:
        """Yield the places of the deleted sessions whose logs are not swept yet, those below others first."""
        yield from self.former.values()
        yield from self.dead.values()

    def knows(self, creation_id: str) -> bool:
        """Tell whether that session was ever in the tree."""
        return creation_id in self._known

    def children(self, session_id: str) -> list[TreeEntry]:
        """Return the living children in creation order."""
        return [self.living[child_id] for child_id in self._children.get(session_id, [])]

    def below(self, session_id: str) -> Iterator[TreeEntry]:
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

    def sweep(self, spent: Sequence[tuple[TreeEntry, Totals]]) -> None:
        """Write, in one write, what each of some dead sessions had spent: their logs are not needed any more."""
        self._write(*[{"$": [place.creation_id, _cells(totals)]} for place, totals in spent])

    def may_be_lost_whole(self) -> bool:
        # It has its name before its first line; the root's log is whole on disk before that, and says for what.
        try:
            is_for_disk = begins_for_disk(read_regular(self._root_log, most=64))
        except FileNotFoundError:
            return False
        return is_for_disk and self.on_disk.mark.read(None) == 0

    def take(self, frame: Frame) -> None:
        record: dict[str, Any] = parsed(frame.payload)
        check_format(record.pop("v", FORMAT))
        if len(record) != 1:
            raise ValueError("no line of a tree")
        if "+" in record:
            self._take_birth(*record["+"])
        elif "-" in record:
            self._take_end(record["-"])
        else:
            self._take_sweep(*record["$"])

    def _take_birth(self, session_id: str, parent_id: str | None, creation_id: str) -> None:
        if not all_text(session_id, creation_id) or creation_id in self._known or session_id in self.living:
            raise ValueError("a session that is there already")
        if parent_id not in self.living if self.living else (parent_id, session_id) != (None, self.root.id):
            raise ValueError("a session without its parent")
        self.created += 1
        self.living[session_id] = TreeEntry(session_id, parent_id, creation_id, self.created)
        self._known.add(creation_id)
        if parent_id is not None:
            self._children.setdefault(parent_id, {})[session_id] = None
        else:
            # A new life of the root: what the former one spent is not its own.
            self.former |= self.dead
            self.dead = {}
            self.swept_totals = {}

    def _take_end(self, session_id: str) -> None:
        if session_id not in self.living:
            raise ValueError("the end of a session that is not there")
        ended = list(self.below(session_id))
        parent_id = ended[0].parent_id
        if parent_id is not None:
            del self._children[parent_id][session_id]
        for place in ended:
            del self.living[place.id]
            self._children.pop(place.id, None)
        # The one that was deleted comes last: while its log is there, its deletion can be taken up again.
        self.dead |= {place.creation_id: place for place in reversed(ended)}

    def _take_sweep(self, creation_id: str, cells: list[Any]) -> None:
        # One that the tree never named was made while it was copied: it has spent nothing here.
        if self.unswept(creation_id) is None and (creation_id in self._known or cells):
            raise ValueError("a deleted session that is not there, or was counted already")
        for model, source, counters in cells:
            check_counters(counters)
            if not all_text(model, source):
                raise ValueError("a wrong model")
        self._known.add(creation_id)
        if self.former.pop(creation_id, None) is not None:
            return
        self.dead.pop(creation_id, None)
        for model, source, counters in cells:
            commit_rules.add_counters(self.swept_totals.setdefault((model, source), {}), counters)

    def _write(self, *records: dict[str, Any]) -> None:
        if self.offset == 0:
            records[0]["v"] = FORMAT
        synced = self.on_disk.for_a_record(self._first_bytes)
        payloads = [json.dumps(record, separators=(",", ":")).encode() for record in records]
        frames = [framed(payload, synced) for payload in payloads]
        whole = self.write(frames, synced)
        if self.offset == 0 and whole:
            self._first_bytes = frames[0][:FIRST_BYTES]
        for payload, frame in zip(payloads[:whole], frames, strict=False):
            self._take(Frame(self.offset, self.offset + len(frame), payload, synced))
        if whole < len(frames):
            raise self.no_room()


def _cells(totals: Totals) -> list[list[Any]]:
    return [[model, source, counters] for (model, source), counters in totals.items()]
