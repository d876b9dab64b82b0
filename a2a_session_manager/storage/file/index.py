"""Where a log's ids and events lie: in the sidecars as far as they cover it, and in memory beyond."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from a2a_session_manager.models.counted_response import CountedResponse
from a2a_session_manager.storage import heads
from a2a_session_manager.storage.commit_records import FirstResult
from a2a_session_manager.storage.counted_responses import counted_by
from a2a_session_manager.storage.file.creation_records import CreationRecord
from a2a_session_manager.storage.file.id_tables import fingerprint
from a2a_session_manager.storage.file.sidecars import Checkpoint, Sidecars
from a2a_session_manager.storage.read_records import HeadRecord, StoredRetraction
from a2a_session_manager.storage.records import EncodedEvent

_log = logging.getLogger("a2a_session_manager.storage.file")

# A checkpoint is due when the log has grown by so many bytes, and at least by the last checkpoint's own size, and by
# so many records, each of which takes time to read back; of large records by so many times the bytes.
CHECKPOINT_BYTES = 256_000
CHECKPOINT_RECORDS = 1_000
_LARGE_RECORDS = 8

_EVENT = "e"
_WRITE = "w"
_RESPONSE = "u"
_HOLD = "h"


class RecentUsage(NamedTuple):
    """A usage of a response: the seq of its event, what is counted of the response from there on, and its record."""

    seq: int
    counted: CountedResponse
    start: int


class LogIndex:
    """Remembers record by record what came since the checkpoint; the checkpoint only points into the log."""

    def __init__(self, log_path: Path) -> None:
        self._sidecars = Sidecars(log_path)
        self._trusts_sidecars = True
        self._is_writable = True
        self.forget()

    @property
    def checkpoint_path(self) -> Path:
        return self._sidecars.checkpoint_path

    def forget(self) -> None:
        self._begin_after(None)
        self._inherited = 0

    def begin_at(self, inherited: int) -> None:
        """Take in the events of a log from its start: those up to the seq `inherited` lie in others."""
        self._inherited = inherited

    def load(self, first_bytes: bytes) -> Checkpoint | None:
        """Begin with what the sidecars say of the log that begins so; None when they are of no use."""
        self._begin_after(self._sidecars.load(first_bytes) if self._trusts_sidecars else None)
        if self._checkpoint is not None:
            self._inherited = self._checkpoint.head.inherited
        return self._checkpoint

    def distrust(self) -> None:
        """Use the sidecars no more, until the next checkpoint has made them anew."""
        self._sidecars.doubt("it does not fit the log")
        self._trusts_sidecars = False
        self.forget()

    def remove(self) -> None:
        self._sidecars.remove()

    def note_events(self, events: Sequence[EncodedEvent], first_seq: int, start: int) -> None:
        """Remember the events of the record at `start`."""
        self._recent_records += 1
        self._recent_starts.extend([start] * len(events))
        for seq, event in enumerate(events, first_seq):
            self._recent_seqs[event.id] = seq
            if event.usage is not None and event.usage.response_id is not None:
                counted = RecentUsage(seq, counted_by(event.usage), start)
                self._recent_responses.setdefault(event.usage.response_id, []).append(counted)

    def note_write(self, write_id: str, result: FirstResult, start: int) -> None:
        """Remember the write id of the record at `start`."""
        self._recent_results[write_id] = result
        self._recent_writes[write_id] = start

    def note_settled(self, hold_id: str, made_at: int, start: int) -> None:
        """Remember that the record at `start` settles a hold."""
        self._recent_holds[hold_id, made_at] = start

    def has_settled(self, hold_id: str, made_at: int) -> bool:
        """Tell whether a record settles this hold, of those that came since the checkpoint."""
        return (hold_id, made_at) in self._recent_holds

    def recent_seq(self, event_id: str) -> int | None:
        return self._recent_seqs.get(event_id)

    def recent_result(self, write_id: str) -> FirstResult | None:
        return self._recent_results.get(write_id)

    def recent_counted(self, response_id: str, last: int | None) -> CountedResponse | None:
        """Return what the newest usage of a response tells, of those up to the seq `last`."""
        usages = reversed(self._recent_responses.get(response_id, ()))
        return next((usage.counted for usage in usages if last is None or usage.seq <= last), None)

    def older_events(self, event_id: str) -> Sequence[int]:
        """Return the starts of covered records that may hold this event."""
        return self._older(_EVENT, event_id)

    def older_writes(self, write_id: str) -> Sequence[int]:
        """Return the starts of covered records that may have this write id."""
        return self._older(_WRITE, write_id)

    def older_settlements(self, hold_id: str) -> Sequence[int]:
        """Return the starts of covered records that may settle this hold."""
        return self._older(_HOLD, hold_id)

    def older_responses(self, response_id: str) -> Sequence[int]:
        """Return the starts of covered records that may have a usage of this response.

        The newest one is among them, and with `has_every_usage` so are all others.
        """
        return self._older(_RESPONSE, response_id)

    @property
    def has_every_usage(self) -> bool:
        """True unless an earlier release has written tables, which name the newest usage of each response alone."""
        return self._checkpoint is None or self._checkpoint.has_every_usage

    def note_found(self, seq: int, start: int) -> None:
        """Remember, until another one is found, that the record of a covered event starts at `start`."""
        self._found = (seq, start)

    def start_of(self, seq: int, last_seq: int) -> int:
        """Return where the record of an event starts, in a log of `last_seq` events."""
        if seq == self._found[0]:
            return self._found[1]
        covered = last_seq - len(self._recent_starts)
        if seq > covered:
            return self._recent_starts[seq - covered - 1]
        return self._sidecars.start_of(seq - self._inherited)

    def recent_start(self, seq: int, last_seq: int) -> int | None:
        """Return what `start_of` does where it needs no proof: this process has read or written the record itself."""
        covered = last_seq - len(self._recent_starts)
        return self._recent_starts[seq - covered - 1] if covered < seq <= last_seq else None

    def has_newer(self, offset: int, first_bytes: bytes) -> bool:
        """Tell whether another process's checkpoint covers what is remembered here record by record.

        It looks only when much is remembered, and ever more rarely where there is none.
        """
        if offset - self.covered <= self._much:
            return False
        newer = self._sidecars.load(first_bytes) if self._trusts_sidecars else None
        if newer is not None and newer.covers > self.covered:
            return True
        self._much *= 2
        return False

    def is_due(self, offset: int, *, more_records: int = 0) -> bool:
        """Tell whether enough has come since the last checkpoint for another one, with so many records to come."""
        grown = offset - self.covered
        if grown < self._due_bytes:
            return False
        return self._recent_records + more_records >= CHECKPOINT_RECORDS or grown >= _LARGE_RECORDS * self._due_bytes

    def covered_on_disk(self, first_bytes: bytes) -> int:
        """Return up to which byte the sidecars cover the log that begins so."""
        return self._sidecars.covered(first_bytes)

    def is_overtaken(self, first_bytes: bytes) -> bool:
        """Tell whether another process's checkpoint covers more: its tables are not to be written over."""
        if not self._trusts_sidecars or self._sidecars.covered(first_bytes) <= self.covered:
            return False
        newer = self._sidecars.load(first_bytes)  # one that is of no use overtakes nobody
        return newer is not None and newer.covers > self.covered

    def write(
        self,
        offset: int,
        first_bytes: bytes,
        creation: CreationRecord,
        head: HeadRecord,
        retractions: Sequence[StoredRetraction],
        synced: int | None,
    ) -> None:
        """Write a checkpoint that covers the log up to `offset`."""
        # Derived data: when it cannot be written, the log alone is the truth, and the next commit tries again.
        try:
            copied = heads.copied(head, whole_head=True)
            fresh = Checkpoint(offset, creation, copied, list(retractions), synced, self.has_every_usage)
            ids = self._recent_ids(head.last_seq - len(self._recent_starts))
            written = self._sidecars.write(fresh, self._checkpoint, first_bytes, ids, self._recent_starts)
        except OSError as error:
            if self._is_writable:
                _log.warning("%s could not be written: %s", self.checkpoint_path, error.strerror)
            self._is_writable = False
            return
        self._is_writable = True
        self._trusts_sidecars = True
        self._begin_after(written)

    def _older(self, kind: str, identifier: str) -> Sequence[int]:
        return () if self._checkpoint is None else self._checkpoint.find(fingerprint(kind, identifier))

    def _begin_after(self, checkpoint: Checkpoint | None) -> None:
        """Remember nothing but what this checkpoint covers; None when the sidecars are not used."""
        self._checkpoint = checkpoint
        # Up to this byte the sidecars know the log.
        self.covered = 0 if checkpoint is None else checkpoint.covers
        self._due_bytes = max(CHECKPOINT_BYTES, 0 if checkpoint is None else checkpoint.size)
        self._recent_records = 0
        self._recent_seqs: dict[str, int] = {}
        self._recent_results: dict[str, FirstResult] = {}
        self._recent_writes: dict[str, int] = {}
        self._recent_responses: dict[str, list[RecentUsage]] = {}
        self._recent_holds: dict[tuple[str, int], int] = {}
        self._recent_starts = array("Q")
        # A repeat is found first, and then read.
        self._found = (0, 0)
        self._much = 2 * _LARGE_RECORDS * CHECKPOINT_BYTES

    def _recent_ids(self, covered_seqs: int) -> Iterator[tuple[int, int]]:
        for event_id, seq in self._recent_seqs.items():
            yield fingerprint(_EVENT, event_id), self._recent_starts[seq - covered_seqs - 1]
        for write_id, start in self._recent_writes.items():
            yield fingerprint(_WRITE, write_id), start
        for (hold_id, _), start in self._recent_holds.items():
            yield fingerprint(_HOLD, hold_id), start
        for response_id, usages in self._recent_responses.items():
            for start in {usage.start for usage in usages}:
                yield fingerprint(_RESPONSE, response_id), start
