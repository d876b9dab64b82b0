"""BundleReader: what a bundle says, line by line, and nothing taken for granted. It runs in threads, never on the loop.

`verify` goes through all of it and keeps where each session begins; `session_at` and `events_at` read one again.
"""

from __future__ import annotations

import hashlib
import os
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, NoReturn, TypeVar

from a2a_session_manager.bundles.carried_events import CarriedEvent, carried, checked
from a2a_session_manager.bundles.lines import END_START, HEADER_START, MANIFEST_START, SESSION_START, VERSION
from a2a_session_manager.bundles.records import (
    EVENT_PREFIX,
    RUN_PREFIX,
    SessionRecord,
    record_in,
    value_prefix,
)
from a2a_session_manager.bundles.report import Loss
from a2a_session_manager.exceptions import InvalidSessionOperation, SessionManagerError
from a2a_session_manager.identifiers import checked_id, shown, shown_path
from a2a_session_manager.limits import DEEPEST_TREE, StoreLimits
from a2a_session_manager.models.clock import micros
from a2a_session_manager.serialization.json_check import SizeCheck
from a2a_session_manager.serialization.plain_json import parsed
from a2a_session_manager.serialization.values import encode_value
from a2a_session_manager.storage.records import StoredRun
from a2a_session_manager.storage.run_codec import decode_run, encode_run

ResultT = TypeVar("ResultT")

_KNOWN: Final = f"known are bundles of a2a_session_manager, version {VERSION}"
_BESIDE_BYTES: Final = 1_000_000
_HASHES_A_SET: Final = 4_096
_BYTES_A_STEP: Final = 1_000_000
_CONTROL: Final = re.compile(rb"[\x00-\x1f]")
_FIRST_MOMENT, _LAST_MOMENT = (micros(datetime(year, 1, 1, tzinfo=UTC)) for year in (1700, 2250))


class Entry(NamedTuple):
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


class BundleReader:
    """Reads the bundle at `path` for a store with these limits."""

    def __init__(self, path: Path, limits: StoreLimits) -> None:
        self._path = path
        self._limits = limits
        self._file: IO[bytes] | None = None
        self._line = 0
        self._digest = hashlib.sha256()
        # Of each session 8 bytes an event, which tell that no id comes twice.
        self._ids: dict[str, array[int]] = {}
        self.entries: dict[str, Entry] = {}
        self.losses: list[Loss] = []
        self.events = 0

    def open(self) -> None:
        """Open the file, and look at how it begins. Raises InvalidSessionOperation for what is no bundle."""
        try:
            if self._path.is_dir():
                raise InvalidSessionOperation(f"{shown_path(self._path)} is a directory: {_KNOWN}")
            if self._path.exists() and not self._path.is_file():
                text = "is no file that is read twice, such as a pipe: write it into one first"
                raise InvalidSessionOperation(f"{shown_path(self._path)} {text}")
            self._file = open(self._path, "rb")  # noqa: SIM115  closed by `close`
            first = self._file.readline(len(HEADER_START) + 64)
        except OSError as error:
            raise InvalidSessionOperation(
                f"{shown_path(self._path)} cannot be read: {error.strerror or error}"
            ) from error
        self._line = 1
        self._digest.update(first)
        if not first:
            raise InvalidSessionOperation(f"{shown_path(self._path)} is empty: {_KNOWN}")
        if not first.startswith(HEADER_START):
            seen = shown(first[:40].decode(errors="replace"))
            raise InvalidSessionOperation(f"{shown_path(self._path)} begins with {seen}, which is no bundle: {_KNOWN}")
        version = first[len(HEADER_START) :].rstrip(b"}\n")
        if version != b"%d" % VERSION:
            raise InvalidSessionOperation(
                f"{shown_path(self._path)} is a bundle of version {shown(version.decode(errors='replace'))}: {_KNOWN}; "
                "upgrade a2a_session_manager"
            )

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def verify(self) -> Iterator[int]:
        """Go through the file, and yield now and then how many events were seen.

        Raises InvalidSessionOperation, with the line, for what is damaged, contradicts itself, or would be refused by
        the store.
        """
        size = 0
        while True:
            offset, line = self._next()
            if line.startswith(MANIFEST_START):
                break
            if not line.startswith(SESSION_START):
                self._refuse("a session should begin here")
            for count in self._verify_session(offset, line):
                size += count
                if size > _BYTES_A_STEP:
                    size = 0
                    yield self.events
        self._check_manifest(line)
        self._ids.clear()
        yield self.events

    def session_at(self, entry: Entry) -> SessionRecord:
        """Return the record of a session that was verified."""
        file = self._at(entry.offset, entry.line)
        record, counts = self._head(file.readline(self._longest))
        self._add_values(record, counts, lambda: file.readline(self._longest))
        return record

    def events_at(self, entry: Entry) -> Iterator[list[CarriedEvent]]:
        """Yield the events of a session that was verified, in pages. Raises when the file is not what it was."""
        file = self._at(entry.offset, entry.line)
        digest = hashlib.sha256()
        while file.tell() < entry.events_offset:
            digest.update(file.readline(self._longest))
        seq, offset = entry.inherited, entry.events_offset
        while seq < entry.last_seq:
            file.seek(offset)
            page: list[CarriedEvent] = []
            size = 0
            while seq < entry.last_seq and len(page) < self._limits.page_events and size < self._limits.page_bytes:
                line = file.readline(self._longest)
                digest.update(line)
                seq += 1
                self._line = entry.events_line + seq - entry.inherited
                page.append(self._checked(_known_event_in, line, seq, entry.id, self._limits))
                size += len(line)
            offset = file.tell()
            yield page
        if digest.hexdigest() != entry.sha256:
            self._refuse("it is not what it was when it was looked at")

    @property
    def _longest(self) -> int:
        return self._limits.event_bytes + _BESIDE_BYTES

    def _at(self, offset: int, line: int) -> IO[bytes]:
        assert self._file is not None, "it was opened"
        self._file.seek(offset)
        self._line = line
        return self._file

    def _next(self) -> tuple[int, bytes]:
        """Return the next line, and where it begins."""
        assert self._file is not None, "it was opened"
        offset = self._file.tell()
        line = self._file.readline(self._longest)
        self._line += 1
        if len(line) == self._longest and not line.endswith(b"\n"):
            self._refuse(
                f"it has more than {self._longest} bytes: this store takes {self._limits.event_bytes} an event"
            )
        if not line.endswith(b"\n"):
            self._refuse("the file ends here, before its last line: it was cut off")
        if not line.startswith(MANIFEST_START):
            self._digest.update(line)
        return offset, line

    def _verify_session(self, offset: int, line: bytes) -> Iterator[int]:
        """Check the lines of a session, of which `line` is the first; yield how many bytes each event has."""
        start, digest = self._line, hashlib.sha256(line)

        def following() -> bytes:
            found = self._next()[1]
            if not found.startswith(END_START):
                digest.update(found)
            return found

        record, counts = self._head(line)
        depth = self._check_place(record)
        self._add_values(record, counts, following)
        assert self._file is not None, "it was opened"
        events_offset, events_line = self._file.tell(), self._line
        ids, summaries = array("Q"), {each.seq for each in record.compactions if each.seq > record.inherited}
        for seq in range(record.inherited + 1, record.last_seq + 1):
            line = following()
            event = self._event(line, seq, record.id)
            if seq in summaries and not event.is_summary:
                self._refuse("this event should be a summary")
            ids.append(_hash_of(event.id))
            self.events += 1
            yield len(line)
        self._check_ids(record, ids)
        line = following()
        sha256 = digest.hexdigest()
        if not line.startswith(END_START):
            self._refuse(f"session {shown(record.id)} should end here, after {record.own_events} events")
        end = self._checked(parsed, line).get("end")
        if end != {"id": record.id, "events": record.own_events, "sha256": sha256}:
            self._refuse(f"the digest of session {shown(record.id)} does not fit: it was changed or damaged")
        self._ids[record.id] = ids
        self.entries[record.id] = Entry(
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

    def _add_values(self, record: SessionRecord, counts: dict[str, int], next_line: Callable[[], bytes]) -> None:
        """Add the properties, the state and the runs that come next."""
        for kind, what, values in (("property", "properties", record.properties), ("state", "state", record.state)):
            for _ in range(counts[what]):
                name, value = self._checked(_value_in, next_line(), kind, self._limits)
                if name in values:
                    self._refuse(f"the {kind} {shown(name)} comes twice")
                values[name] = value
        for _ in range(counts["runs"]):
            run_id, run = self._checked(_run_in, next_line(), record.id, self._limits)
            if run_id in record.runs:
                self._refuse(f"the run {shown(run_id)} comes twice")
            record.runs[run_id] = run

    def _head(self, line: bytes) -> tuple[SessionRecord, dict[str, int]]:
        document = self._checked(parsed, line)
        return self._checked(_record_in, document)

    def _event(self, line: bytes, seq: int, session_id: str) -> CarriedEvent:
        return self._checked(_event_in, line, seq, session_id, self._limits)

    def _check_place(self, record: SessionRecord) -> int:
        """Check where a session says that it is in its tree; return how deep."""
        if record.id in self.entries:
            self._refuse(f"session {shown(record.id)} comes twice")
        if not all(_FIRST_MOMENT <= each < _LAST_MOMENT for each in (record.created_at, record.updated_at)):
            self._refuse("its times are not of this age")
        if record.parent_id is None:
            if record.parts:
                self._refuse("it is a fork, and has no parent")
            return 1
        parent = self.entries.get(record.parent_id)
        if parent is None:
            self._refuse(f"its parent {shown(record.parent_id)} does not come before it")
        if parent.depth >= DEEPEST_TREE:
            self._refuse(f"it is more than {DEEPEST_TREE} levels deep")
        for part in record.parts:
            owner = self.entries.get(part.session_id)
            if owner is None or not owner.inherited < part.first <= part.last <= owner.last_seq:
                self._refuse(f"session {shown(part.session_id)} does not have the events that it inherits")
        if record.parts and record.parts[-1].session_id != record.parent_id:
            self._refuse("it is a fork below another session than the one whose events it goes on from")
        return parent.depth + 1

    def _check_ids(self, record: SessionRecord, ids: array[int]) -> None:
        inherited = (self._ids[part.session_id][_place(self.entries[part.session_id], part)] for part in record.parts)
        if _has_twins([ids, *inherited]):
            self._refuse(f"session {shown(record.id)} has two events of one id")

    def _check_manifest(self, line: bytes) -> None:
        manifest = self._checked(parsed, line)["manifest"]
        expected = {"sessions": len(self.entries), "events": self.events, "sha256": self._digest.hexdigest()}
        assert self._file is not None, "it was opened"
        if self._file.read(1):
            self._refuse("more comes after the last line")
        try:
            self.losses = [Loss(*map(str, each)) for each in manifest.pop("losses")]
        except (AttributeError, KeyError, TypeError):
            self._refuse("its losses are none")
        if manifest != expected:
            self._refuse("the digest of the whole does not fit: it was changed or damaged")

    def _checked(self, read: Callable[..., ResultT], *arguments: Any) -> ResultT:
        """Return what `read` returns. Raises InvalidSessionOperation, with the line, when it raises."""
        try:
            return read(*arguments)
        except (SessionManagerError, ValueError, TypeError, KeyError, RecursionError) as error:
            self._refuse(str(error).removesuffix("; nothing was changed"), error)

    def _refuse(self, why: str, error: BaseException | None = None) -> NoReturn:
        text = f"{shown_path(self._path)}, line {self._line}: {why}; nothing was written"
        raise InvalidSessionOperation(text) from error


def is_bundle(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file begins as a bundle does, of whatever version; what cannot be read, or only once, does not."""
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            return file.read(len(HEADER_START)) == HEADER_START
    except (OSError, ValueError):
        return False


def file_of(path: str | os.PathLike[str]) -> Path:
    """Return the path of a bundle."""
    return Path(path)


def _record_in(document: Any) -> tuple[SessionRecord, dict[str, int]]:
    record, counts = record_in(document["session"])
    checked_id(record.id, "session id")
    if record.parent_id is not None:
        checked_id(record.parent_id, "session id")
    return record, counts


def _raw(line: bytes, prefix: bytes) -> bytes:
    """Return what a line has between its prefix and its end, as it is."""
    if not (line.startswith(prefix) and line.endswith(b"}\n")) or _CONTROL.search(line, 0, len(line) - 1):
        raise ValueError(f"a line that should begin with {shown(prefix.decode(errors='replace'))}")
    return line[len(prefix) : -2]


def _value_in(line: bytes, kind: str, limits: StoreLimits) -> tuple[str, bytes]:
    document = parsed(line)
    name = document[kind]
    if type(name) is not str or len(document) != 2:
        raise ValueError(f"a {kind} without a name")
    encode_value(document["value"], SizeCheck(limits.event_bytes), kind, name)
    return name, _raw(line, value_prefix(kind, name))


def _run_in(line: bytes, session_id: str, limits: StoreLimits) -> tuple[str, StoredRun]:
    data = _raw(line, RUN_PREFIX)
    run = decode_run(StoredRun("", data), session_id)
    return run.id, StoredRun(encode_run(run, SizeCheck(limits.event_bytes)).status, data)


def _event_in(line: bytes, seq: int, session_id: str, limits: StoreLimits) -> CarriedEvent:
    data = _raw(line, EVENT_PREFIX)
    if len(data) > limits.event_bytes:
        raise ValueError(f"{len(data)} bytes, and this store takes {limits.event_bytes} an event")
    return checked(data, seq, session_id, limits)


def _known_event_in(line: bytes, seq: int, session_id: str, limits: StoreLimits) -> CarriedEvent:
    """Return an event that was checked before, as the digest will tell."""
    return carried(_raw(line, EVENT_PREFIX), seq, session_id, limits, creation_id="")


def _hash_of(event_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(event_id.encode(), digest_size=8).digest())


def _has_twins(hashes: Sequence[array[int]]) -> bool:
    """Tell whether a number comes twice. A set of all of them would take ten times the memory that they do."""
    parts = [array("Q") for _ in range(sum(map(len, hashes)) // _HASHES_A_SET + 1)]
    for each in hashes:
        for number in each:
            parts[number % len(parts)].append(number)
    return any(len(set(part)) < len(part) for part in parts)


def _place(owner: Entry, part: Any) -> slice:
    return slice(part.first - 1 - owner.inherited, part.last - owner.inherited)
