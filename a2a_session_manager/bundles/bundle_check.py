"""BundleCheck: all of a bundle, line by line, and nothing taken for granted. It runs in threads."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final, NamedTuple

from a2a_session_manager.bundles.bundle_file import BundleFile
from a2a_session_manager.bundles.line_reading import event_of_line
from a2a_session_manager.bundles.lines import END_START, MANIFEST_START, SESSION_START
from a2a_session_manager.bundles.records import SessionRecord
from a2a_session_manager.bundles.report import Loss
from a2a_session_manager.identifiers import shown
from a2a_session_manager.limits import DEEPEST_TREE
from a2a_session_manager.models.clock import micros
from a2a_session_manager.serialization.plain_json import parsed

BITS_A_HASH: Final = 32
_BYTES_A_STEP: Final = 1_000_000
_FIRST_MOMENT, _LAST_MOMENT = (micros(datetime(year, 1, 1, tzinfo=UTC)) for year in (1700, 2250))


class SessionLines(NamedTuple):
    """A session in the file: where its lines begin, where those of its events do, and what they are to add up to."""

    id: str
    parent_id: str | None
    depth: int
    inherited: int
    last_seq: int
    line: int
    offset: int
    events_line: int
    events_offset: int
    sha256: str


class BundleCheck:
    """Goes through the bundle in `file`.

    Attributes:
        entries: its sessions, by their ids and in their order, as far as it has come.
        events: how many events they have.
        losses: what the bundle says that did not come along, once all was seen.
    """

    def __init__(self, file: BundleFile) -> None:
        self.entries: dict[str, SessionLines] = {}
        self.losses: list[Loss] = []
        self.events = 0
        self._file = file
        # Of each session 8 bytes an event, which tell that no id comes twice.
        self._ids: dict[str, array[int]] = {}

    def steps(self) -> Iterator[int]:
        """Go through the file, and yield now and then how many events were seen.

        Raises InvalidSessionOperation, with the line, for what is damaged, contradicts itself, or would be refused by
        the store.
        """
        size = 0
        while True:
            offset, line = self._file.next()
            if line.startswith(MANIFEST_START):
                break
            if not line.startswith(SESSION_START):
                self._file.refuse("a session should begin here")
            for count in self._verify_session(offset, line):
                size += count
                if size > _BYTES_A_STEP:
                    size = 0
                    yield self.events
        self._check_manifest(line)
        self._ids.clear()
        yield self.events

    def _verify_session(self, offset: int, line: bytes) -> Iterator[int]:
        """Check the lines of a session, of which `line` is the first; yield how many bytes each event has."""
        start, digest = self._file.line, hashlib.sha256(line)

        def following() -> bytes:
            found = self._file.next()[1]
            if not found.startswith(END_START):
                digest.update(found)
            return found

        record, counts = self._file.head(line)
        depth = self._check_place(record)
        self._file.add_values(record, counts, following)
        events_offset, events_line = self._file.offset, self._file.line
        ids, summaries = array("Q"), {each.seq for each in record.compactions if each.seq > record.inherited}
        for seq in range(record.inherited + 1, record.last_seq + 1):
            line = following()
            event = self._file.checked(event_of_line, line, seq, record.id, self._file.limits)
            if seq in summaries and not event.is_summary:
                self._file.refuse("this event should be a summary")
            ids.append(_hash_of(event.id))
            self.events += 1
            yield len(line)
        self._check_ids(record, ids)
        line = following()
        sha256 = digest.hexdigest()
        if not line.startswith(END_START):
            self._file.refuse(f"session {shown(record.id)} should end here, after {record.own_events} events")
        end = self._file.checked(parsed, line).get("end")
        if end != {"id": record.id, "events": record.own_events, "sha256": sha256}:
            self._file.refuse(f"the digest of session {shown(record.id)} does not fit: it was changed or damaged")
        self._ids[record.id] = ids
        self.entries[record.id] = SessionLines(
            record.id,
            record.parent_id,
            depth,
            record.inherited,
            record.last_seq,
            start - 1,
            offset,
            events_line,
            events_offset,
            sha256,
        )

    def _check_place(self, record: SessionRecord) -> int:
        """Check where a session says that it is in its tree; return how deep."""
        if record.id in self.entries:
            self._file.refuse(f"session {shown(record.id)} comes twice")
        if not all(_FIRST_MOMENT <= each < _LAST_MOMENT for each in (record.created_at, record.updated_at)):
            self._file.refuse("its times are not of this age")
        if record.parent_id is None:
            if record.parts:
                self._file.refuse("it is a fork, and has no parent")
            return 1
        parent = self.entries.get(record.parent_id)
        if parent is None:
            self._file.refuse(f"its parent {shown(record.parent_id)} does not come before it")
        if parent.depth >= DEEPEST_TREE:
            self._file.refuse(f"it is more than {DEEPEST_TREE} levels deep")
        for part in record.parts:
            owner = self.entries.get(part.session_id)
            if owner is None or not owner.inherited < part.first <= part.last <= owner.last_seq:
                self._file.refuse(f"session {shown(part.session_id)} does not have the events that it inherits")
        if record.parts and record.parts[-1].session_id != record.parent_id:
            self._file.refuse("it is a fork below another session than the one whose events it goes on from")
        return parent.depth + 1

    def _check_ids(self, record: SessionRecord, ids: array[int]) -> None:
        inherited = (self._ids[part.session_id][_place(self.entries[part.session_id], part)] for part in record.parts)
        if has_twins([ids, *inherited]):
            self._file.refuse(f"session {shown(record.id)} has two events of one id")

    def _check_manifest(self, line: bytes) -> None:
        manifest = self._file.checked(parsed, line)["manifest"]
        expected = {"sessions": len(self.entries), "events": self.events, "sha256": self._file.digest.hexdigest()}
        if not self._file.is_at_end():
            self._file.refuse("more comes after the last line")
        try:
            self.losses = [Loss(*map(str, each)) for each in manifest.pop("losses")]
        except (AttributeError, KeyError, TypeError):
            self._file.refuse("its losses are none")
        if manifest != expected:
            self._file.refuse("the digest of the whole does not fit: it was changed or damaged")


def _hash_of(event_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(event_id.encode(), digest_size=8).digest())


def has_twins(hashes: Sequence[array[int]]) -> bool:
    """Tell whether a number comes twice. A set of all of them would take ten times the memory that they do.

    Each sets a bit; only those that find theirs set are put in a set, and then looked for.
    """
    bits = BITS_A_HASH * sum(map(len, hashes)) + 1
    seen, doubtful = bytearray(bits // 8 + 1), set()
    for number in chain(*hashes):
        place, bit = divmod(number % bits, 8)
        if seen[place] >> bit & 1:
            doubtful.add(number)
        seen[place] |= 1 << bit
    found: set[int] = set()
    for number in chain(*hashes):
        if number in doubtful:
            if number in found:
                return True
            found.add(number)
    return False


def _place(owner: SessionLines, part: Any) -> slice:
    return slice(part.first - 1 - owner.inherited, part.last - owner.inherited)
