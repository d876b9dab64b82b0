"""Heads, events, totals and lines of trees out of what the scripts read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from a2a_session_manager.concurrency.slices import Slices
from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.models.session_run import RunStatus
from a2a_session_manager.storage.forks import FIRST_REVISION
from a2a_session_manager.storage.read_records import HeadRecord, StoredEvent, StoredRetraction, TreeNode
from a2a_session_manager.storage.records import PlacedSummary, Range, SessionKey, StoredCompaction, StoredRun, Totals
from a2a_session_manager.storage.redis.replies import Flat, cell_of, pairs
from a2a_session_manager.storage.redis.segments import segments_in, source_in

# What every head may have; all else are values by key, and totals.
_OWN_FIELDS: Final = frozenset(
    b"v creation created updated depth parent children ttl deadline revision tag last_seq hidden retractions has_runs "
    b"unfinished compactions placed segments forked_from left".split()
)


async def head_of(
    key: SessionKey, root_id: str, fields: Mapping[bytes, bytes], runs: Flat, run_counters: Flat
) -> HeadRecord:
    """Return the head from the fields of its hash and of its runs'. Hidden ranges stay where they are."""
    try:
        record = _head(key, root_id, fields)
        # A thousand heads are read at once, most of them with nothing in them: no coroutine for that.
        if not _OWN_FIELDS.issuperset(fields):
            await _add_values(record, fields)
        if runs:
            await _add_runs(record, runs)
        if run_counters:
            await _add_run_counters(record, run_counters)
    except (ValueError, KeyError) as error:
        raise damaged(key.id, "its head") from error
    return record


def events_of(key: SessionKey, first_seq: int, entries: Sequence[bytes], inherited: int = 0) -> list[StoredEvent]:
    """Return events from the entries of a log, the first of which is numbered `first_seq`.

    Those up to the seq `inherited` came to a fork with its first revision.
    """
    seqs = range(first_seq, first_seq + len(entries))
    records = records_of(key, seqs, entries)
    revisions = [int(entry[: entry.index(b" ")]) for entry in entries]
    if first_seq <= inherited:
        revisions[: inherited + 1 - first_seq] = [FIRST_REVISION] * len(seqs[: inherited + 1 - first_seq])
    return list(map(StoredEvent, seqs, revisions, records))


def records_of(key: SessionKey, seqs: Sequence[int], entries: Sequence[bytes]) -> list[bytes]:
    """Return the bytes of events from their entries in the log, which begin with the revision."""
    parts = [entry.partition(b" ") for entry in entries]
    records = [record for revision, space, record in parts if space and revision.isdigit()]
    if len(records) < len(parts):
        at = next(at for at, (revision, space, _) in enumerate(parts) if not (space and revision.isdigit()))
        raise damaged(key.id, f"event {seqs[at]}", seq=seqs[at])
    return records


def numbered(key: SessionKey, ranges: Sequence[Range], entries: Sequence[Any], inherited: int) -> list[StoredEvent]:
    """Return events from entries, which lie in `ranges`, as far as they go; `inherited` is as in `events_of`."""
    events: list[StoredEvent] = []
    start = 0
    for first, last in ranges:
        here = entries[start : start + last - first + 1]
        events += events_of(key, first, here, inherited)
        start += len(here)
    return events


def retraction_of(key: SessionKey, after_seq: int, member: bytes) -> StoredRetraction:
    """Return a retraction from its member of the sorted set."""
    revision, hidden, restored = (*member.split(b" "), b"")[:3]
    try:
        return StoredRetraction(int(revision), after_seq, _ranges_in(hidden), _ranges_in(restored))
    except ValueError as error:
        raise damaged(key.id, "a retraction") from error


async def totals_of(key: SessionKey, fields: Flat) -> Totals:
    """Return what a tree has spent."""
    totals: Totals = {}
    slices = Slices()
    try:
        for name, count in pairs(fields):
            _add_counter(totals, name.decode(), count)
            if slices.is_over():
                await slices.give_way()
    except ValueError as error:
        raise damaged(key.id, "what its tree has spent") from error
    return totals


def node_of(session_id: str, line: bytes) -> tuple[int, TreeNode, bool]:
    """Return a session's place in the order of creation, what it is in its tree, and whether it was made to expire."""
    ordinal, lifetime, _, parent = line.split(b" ", 3)
    return int(ordinal), TreeNode(session_id, parent.decode() or None), lifetime != b"0"


def fork_of(node: TreeNode, line: bytes, source: bytes) -> TreeNode:
    """Return a session as the fork that `source` says it is, if that is of the incarnation of its line in the tree."""
    creation_id, _, told = source.partition(b" ")
    return TreeNode(node.id, node.parent_id, source_in(told)) if creation_id.decode() == creation_of(line) else node


def expires(line: bytes) -> bool:
    """Tell from a session's line in its tree whether it was made to expire."""
    return line.split(b" ", 2)[1] != b"0"


def creation_of(line: bytes) -> str:
    """Return the creation id that a session's line in its tree names."""
    return line.split(b" ", 3)[2].decode()


def parent_of(line: bytes) -> str:
    """Return the parent that a session's line in its tree names, "" for a root."""
    return line.split(b" ", 3)[3].decode()


def compactions_in(lines: bytes) -> list[StoredCompaction]:
    """Return the compactions that were not ended, the one first that reaches furthest."""
    return [_compaction(line) for line in lines.split(b";") if line]


def placed_in(lines: bytes) -> list[PlacedSummary]:
    """Return the summaries that stand elsewhere than in their own place."""
    return [PlacedSummary(*map(int, line.split())) for line in lines.split(b";") if line]


def hidden_in(key: SessionKey, members: Sequence[bytes]) -> list[Range]:
    """Return the ranges that the members of the sorted set of hidden ones stand for."""
    try:
        return list(map(_range, members))
    except ValueError as error:
        raise damaged(key.id, "what is retracted") from error


def damaged(session_id: str, what: str, *, seq: int | None = None) -> CorruptSession:
    """Return the error for what is there and cannot be read."""
    return CorruptSession(
        session_id,
        f"session {session_id!r}: {what} is damaged: restore it from a backup; nothing was changed",
        seq=seq,
    )


def _head(key: SessionKey, root_id: str, fields: Mapping[bytes, bytes]) -> HeadRecord:
    parent, source = fields.get(b"parent"), fields.get(b"forked_from")
    return HeadRecord(
        key=key,
        creation_id=fields[b"creation"].decode(),
        parent_id=None if parent is None else parent.decode(),
        root_id=root_id,
        depth=int(fields[b"depth"]),
        created_at=int(fields[b"created"]),
        updated_at=int(fields[b"updated"]),
        revision=int(fields[b"revision"]),
        tag=fields.get(b"tag", b"").decode(),
        last_seq=int(fields[b"last_seq"]),
        hidden_events=int(fields[b"hidden"]),
        compactions=compactions_in(fields.get(b"compactions", b"")),
        placed=placed_in(fields.get(b"placed", b"")),
        forked_from=None if source is None else source_in(source),
        segments=segments_in(fields.get(b"segments", b""), root_id),
    )


async def _add_values(record: HeadRecord, fields: Mapping[bytes, bytes]) -> None:
    """Add the state, the properties and the totals."""
    slices = Slices()
    for field, value in fields.items():
        if slices.is_over():
            await slices.give_way()
        name = field.decode("utf-8", "surrogatepass")
        if name.startswith("s:"):
            record.state[name[2:]] = value
        elif name.startswith("p:"):
            record.properties[name[2:]] = value
        elif name.startswith("t:"):
            _add_counter(record.totals, name, value)


def _add_counter(totals: Totals, name: str, count: bytes) -> None:
    _, counter, cell = name.split(":", 2)
    totals.setdefault(cell_of(cell), {})[counter] = int(count)


async def _add_run_counters(record: HeadRecord, fields: Flat) -> None:
    slices = Slices()
    for name, count in pairs(fields):
        _, counter, run_id = name.decode().split(":", 2)
        record.run_totals.setdefault(run_id, {})[counter] = int(count)
        if slices.is_over():
            await slices.give_way()


async def _add_runs(record: HeadRecord, lines: Flat) -> None:
    """Add runs, given as (id, line) or as the fields of their hash, in the order of first commit."""
    found: list[tuple[int, str, StoredRun]] = []
    slices = Slices()
    for name, value in pairs(lines):
        if name.startswith(b"r:"):
            ordinal, status, data = value.split(b" ", 2)
            found.append((int(ordinal), name[2:].decode(), StoredRun(status.decode(), data)))
        if slices.is_over():
            await slices.give_way()
    await _add_run_counters(record, [part for pair in pairs(lines) if pair[0].startswith(b"u:") for part in pair])
    for _, run_id, run in sorted(found, key=itemgetter(0)):
        record.runs[run_id] = run
        if not RunStatus(run.status).is_final:
            record.unfinished[run_id] = None
        if slices.is_over():
            await slices.give_way()


def _ranges_in(text: bytes) -> tuple[Range, ...]:
    return tuple(map(_range, text.split(b","))) if text else ()


def _compaction(line: bytes) -> StoredCompaction:
    seq, first, last, pins = line.split(b" ")
    return StoredCompaction(int(seq), int(first), int(last), tuple(_range(pin) for pin in pins.split(b",") if pin))


def _range(text: bytes) -> Range:
    first, _, last = text.partition(b"-")
    return int(first), int(last)
