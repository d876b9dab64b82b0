"""The files beside a log: all derived from it, each covering it up to a byte, and built anew when in doubt.

`.ckpt` holds the head, the retractions and the list of id tables; it is renamed into place last, and what it
does not name does not count. `.idx` holds 8 bytes a seq: where its record starts. `.ids.<n>` are the tables.
"""

from __future__ import annotations

import json
import logging
import os
import re
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.serialization.plain_json import parsed
from a2a_session_manager.storage import hiding
from a2a_session_manager.storage.file.atomic_files import read_regular
from a2a_session_manager.storage.file.creation_records import (
    FORK_FORMAT,
    FORMAT,
    CreationRecord,
    creation_fields,
    creation_from,
    fork_fields,
    format_of,
)
from a2a_session_manager.storage.file.descriptors import FILE_MODE
from a2a_session_manager.storage.file.framing import framed, read_frames
from a2a_session_manager.storage.file.id_tables import IdTable, little, read_table, write_file, write_table
from a2a_session_manager.storage.file.stored_shapes import (
    NONSENSE,
    check_counters,
    check_ranges,
    check_summaries,
    is_moment,
)
from a2a_session_manager.storage.head_codec import decode_head, encode_head
from a2a_session_manager.storage.read_records import HeadRecord, StoredRetraction

_log = logging.getLogger("a2a_session_manager.storage.file")

_WORD = 8
_MOST = 1 << 62
_EVERY = "every"


@dataclass(slots=True)
class Checkpoint:
    """What is known of a log up to the byte `covers`; `size` is that of the checkpoint's file.

    `synced` is what the log's newest record then told of what was on disk. `has_every_usage` tells that the tables name
    every usage of a response, and not its newest one alone, as earlier releases wrote them.
    """

    covers: int
    creation: CreationRecord
    head: HeadRecord
    retractions: list[StoredRetraction]
    synced: int | None = None
    has_every_usage: bool = False
    tables: list[IdTable] = field(default_factory=list)
    size: int = 0

    def find(self, wanted: int) -> list[int]:
        """Return where records lie that may hold the id of this fingerprint, from the newest table on."""
        found: list[int] = []
        for table in reversed(self.tables):
            found += table.find(wanted)
        return found


class Sidecars:
    """Reads and writes the sidecars of one log. Only the exclusive holder of the log writes them."""

    def __init__(self, log_path: Path) -> None:
        self._log_path = log_path
        self._is_doubtful = False  # said so, once

    @cached_property
    def checkpoint_path(self) -> Path:
        """Where the checkpoint is. Most logs are too short to have one, and a path takes long to be made."""
        return self._log_path.with_suffix(".ckpt")

    @cached_property
    def _index_path(self) -> Path:
        return self._log_path.with_suffix(".idx")

    def doubt(self, reason: str) -> None:
        """Log that the sidecars are left out, until they are written anew."""
        if not self._is_doubtful:
            self._is_doubtful = True
            _log.info("%s is left out, and the log is read from its start: %s", self.checkpoint_path, reason)

    def load(self, first_bytes: bytes) -> Checkpoint | None:
        """Return what was written last for the log that begins so, or None when it cannot be proved whole."""
        try:
            document, size = self._document(first_bytes)
            return self._loaded(document, size)
        except FileNotFoundError:
            return None  # a short log has none; of a long one, others have just written a newer one
        except (OSError, CorruptSession, *NONSENSE) as error:
            self.doubt(type(error).__name__)
            return None  # derived: the log is read from its start instead

    def covered(self, first_bytes: bytes) -> int:
        """Return up to which byte the checkpoint on disk goes, of the log that begins so; 0 without one."""
        try:
            document, _ = self._document(first_bytes)
            return int(document["covers"])
        except (OSError, *NONSENSE):
            return 0

    def write(
        self,
        checkpoint: Checkpoint,
        before: Checkpoint | None,
        first_bytes: bytes,
        ids: Iterable[tuple[int, int]],
        starts: array[int],
    ) -> Checkpoint:
        """Write `checkpoint`: `ids` and the `starts` of the newest seqs are what it covers beyond `before`."""
        known = [] if before is None else before.tables
        self._write_index(checkpoint.head.last_seq - checkpoint.head.inherited - len(starts), starts)
        checkpoint.tables = self._with_table(known, list(ids))
        data = framed(_document(checkpoint, first_bytes))
        new = self.checkpoint_path.with_suffix(".ckpt.new")
        write_file(new, data)
        os.replace(new, self.checkpoint_path)
        if self._is_doubtful:
            self._is_doubtful = False
            _log.info("%s is made anew", self.checkpoint_path)
        checkpoint.size = len(data)
        for table in known:
            if table not in checkpoint.tables:
                table.path.unlink(missing_ok=True)
        return checkpoint

    def start_of(self, place: int) -> int:
        """Return where the record of the log's own event number `place`, which is covered, starts. Raises OSError.

        The record itself proves it.
        """
        fd = os.open(self._index_path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            return int.from_bytes(os.pread(fd, _WORD, (place - 1) * _WORD), "little")
        finally:
            os.close(fd)

    def remove(self) -> None:
        """Remove all sidecars, the checkpoint first: without it the others count for nothing."""
        self.checkpoint_path.unlink(missing_ok=True)
        # Written first and removed last, so that without it there is no other, and no folder to search.
        if not self._index_path.exists():
            return
        prefixes = (f"{self.checkpoint_path.stem}.ids.", f"{self.checkpoint_path.name}.new")
        for path in list(self.checkpoint_path.parent.iterdir()):
            if path.name.startswith(prefixes):
                path.unlink(missing_ok=True)
        self._index_path.unlink(missing_ok=True)

    def _document(self, first_bytes: bytes) -> tuple[dict[str, Any], int]:
        data = read_regular(self.checkpoint_path)
        (frame,) = read_frames(data, 0)
        document = parsed(frame.payload)
        if document["v"] not in (FORMAT, FORK_FORMAT) or bytes.fromhex(document["first"]) != first_bytes:
            raise ValueError("the checkpoint of another log")
        return document, len(data)

    def _loaded(self, document: dict[str, Any], size: int) -> Checkpoint:
        creation = creation_from(document["birth"], document.get("fork"))
        head = decode_head(document["head"].encode(), creation.key)
        _check_head(head, creation, document)
        retractions = _retractions(document["retractions"], head)
        if self._index_path.stat().st_size < (head.last_seq - head.inherited) * _WORD:
            raise ValueError("the index is too short")
        tables = [read_table(self._table_path(name), count, checksum) for name, count, checksum in document["tables"]]
        synced, has_every_usage = document.get("synced"), document.get("usages") == _EVERY
        return Checkpoint(document["covers"], creation, head, retractions, synced, has_every_usage, tables, size)

    def _table_path(self, name: str) -> Path:
        if not re.fullmatch(re.escape(self.checkpoint_path.stem) + r"\.ids\.[0-9]{1,9}", name):
            raise ValueError("a table of another name")
        return self.checkpoint_path.with_name(name)

    def _write_index(self, covered_seqs: int, starts: array[int]) -> None:
        data = little(starts)
        if covered_seqs == 0 and not self._index_path.is_file():
            self._index_path.unlink(missing_ok=True)  # a FIFO perhaps, which a writer would wait for
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        fd = os.open(self._index_path, flags, FILE_MODE)
        try:
            if os.pwrite(fd, data, covered_seqs * _WORD) != len(data):
                raise OSError(f"{self._index_path}: short write")
        finally:
            os.close(fd)

    def _with_table(self, known: list[IdTable], ids: list[tuple[int, int]]) -> list[IdTable]:
        kept = list(known)
        number = 1 + max((int(table.path.suffix[1:]) for table in known), default=0)
        merged: list[IdTable] = []
        size = len(ids)
        while kept and kept[-1].count < 2 * size:
            merged.append(kept.pop())
            size += merged[-1].count
        path = self.checkpoint_path.with_suffix(f".ids.{number}")
        return [*kept, write_table(path, ids, merged)]


def _check_head(head: HeadRecord, creation: CreationRecord, document: dict[str, Any]) -> None:
    """Check what a checkpoint says against itself; the log is read from its start when it cannot be true."""
    whose = (creation.creation_id, creation.parent_id, creation.root_id, creation.depth, creation.created_at)
    if (head.creation_id, head.parent_id, head.root_id, head.depth, head.created_at) != whose:
        raise ValueError("the head of another session")
    fork = creation.fork
    if (head.forked_from, head.segments) != ((None, ()) if fork is None else (fork.source, fork.segments)):
        raise ValueError("the head of another fork")
    numbers = (head.last_seq + 1, head.revision, document["covers"])
    if any(type(number) is not int or not 0 < number < _MOST for number in numbers) or not is_moment(head.updated_at):
        raise ValueError("wrong numbers")
    if type(head.tag) is not str:
        raise ValueError("a wrong tag")
    if not (document.get("synced") is None or type(document["synced"]) is int):
        raise ValueError("a wrong mark")
    check_ranges(head.hidden, head.last_seq)
    seqs = [seq for each in head.placed for seq in each] + [each.seq for each in head.compactions]
    check_ranges([(seq, seq) for seq in seqs], head.last_seq)
    check_summaries([each[1:] for each in head.compactions], head.last_seq)
    if head.compactions != sorted(head.compactions, key=lambda each: (-each.last, -each.seq)):
        raise ValueError("summaries in a wrong order")
    for counters in (*head.totals.values(), *head.run_totals.values()):
        check_counters(counters)
    for value in (*head.state.values(), *head.properties.values(), *(run.data for run in head.runs.values())):
        parsed(value)


def _retractions(document: Any, head: HeadRecord) -> list[StoredRetraction]:
    """Return the retractions of a checkpoint, out of which the hidden seqs of its head must follow."""
    retractions = []
    for revision, after_seq, *changed in document:
        if type(revision) is not int or type(after_seq) is not int:
            raise ValueError("a wrong retraction")
        hidden, restored = (tuple((first, last) for first, last in each) for each in changed)
        check_ranges([*hidden, *restored], head.last_seq)
        retractions.append(StoredRetraction(revision, after_seq, hidden, restored))
    if hiding.replayed(retractions) != head.hidden:
        raise ValueError("hidden without a retraction")
    return retractions


def _document(checkpoint: Checkpoint, first_bytes: bytes) -> bytes:
    document = {
        "v": format_of(checkpoint.creation),
        "first": first_bytes.hex(),
        "covers": checkpoint.covers,
        "birth": creation_fields(checkpoint.creation),
        "fork": fork_fields(checkpoint.creation),
        "head": encode_head(checkpoint.head).decode(),
        "retractions": checkpoint.retractions,
        "synced": checkpoint.synced,
        "usages": _EVERY if checkpoint.has_every_usage else "newest",
        "tables": [[table.path.name, table.count, table.checksum] for table in checkpoint.tables],
    }
    return json.dumps(document, separators=(",", ":")).encode()
