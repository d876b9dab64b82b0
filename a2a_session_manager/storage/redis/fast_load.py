"""The head and the newest events of a plain session, read without a script: a third of what `load.lua` takes.

Plain is a session of which nothing was retracted, that has no runs, and all of whose keys are in step. Whatever is
otherwise is left to the script, which knows what to make of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from a2a_session_manager.storage.records import LoadedSession, LogTail
from a2a_session_manager.storage.redis.heads import creation_of, events_of, head_of, records_of
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.replies import flat, pairs
from a2a_session_manager.storage.redis.script import Command, PackedCommands, packed

# More may hold up the server: the script reads them step by step.
FEW: Final = 32
# So much of a log is read in one command: some milliseconds of the server's time.
_MOST_EVENTS: Final = 10_000
_MOST_BYTES: Final = 8_000_000
# Of so many sessions the packed commands are remembered: the same ones are read again and again.
_SESSIONS_REMEMBERED: Final = 1_024


def commands(keys: SessionKeys, last: int) -> list[Command]:
    """Return the commands that read the session. They belong into one transaction, unless `last` is 0."""
    reads: list[Command] = [
        _line_command(keys),
        ("HGETALL", keys.head),
        ("LLEN", keys.log),
        ("EXISTS", keys.ids),
        ("EXISTS", keys.hidden, keys.retractions, keys.runs, keys.unfinished),
    ]
    return [*reads, ("LRANGE", keys.log, -last, -1)] if last else reads


async def parse(keys: SessionKeys, last: int, answers: Sequence[Any]) -> LoadedSession | None:
    """Return the session that the answers hold; None when it is not plain, or not there. Raises CorruptSession."""
    line, head, length, has_ids, others, *logs = answers
    if any(isinstance(answer, Exception) for answer in answers) or line is None or not has_ids or others:
        return None
    fields = flat(head)
    by_name = dict(pairs(fields))
    if by_name.get(b"v") != b"1" or by_name.get(b"creation") != line.split(b" ", 3)[2]:
        return None
    if by_name.get(b"last_seq") != b"%d" % length or not _has_none(by_name, b"retractions", b"has_runs", b"unfinished"):
        return None
    entries = logs[0] if logs else []
    first_seq = length - len(entries) + 1
    record = await head_of(keys.key, keys.root_id, fields, (), ())
    return LoadedSession(record, events_of(keys.key, first_seq, entries), [])


@lru_cache(maxsize=_SESSIONS_REMEMBERED)
def packed_tail(keys: SessionKeys, last: int | None) -> PackedCommands:
    """Return the packed `tail_commands`."""
    return packed(tail_commands(keys, last))


def tail_commands(keys: SessionKeys, last: int | None) -> list[Command]:
    """Return what to ask for the newest `last` events, and for the size of the whole log where `last` is None.

    No transaction is needed, in this order: an incarnation's log only grows, and is what it was between two looks that
    find the same incarnation and the same length.
    """
    log: Command = ("MEMORY", "USAGE", keys.log, "SAMPLES", 0) if last is None else ("LRANGE", keys.log, -last, -1)
    return [
        _line_command(keys),
        ("LLEN", keys.log),
        log,
        # Each time a key is named, it counts.
        ("EXISTS", keys.ids, keys.ids, keys.ids, keys.hidden, keys.retractions),
        ("HMGET", keys.head, "v", "creation", "last_seq", "retractions"),
    ]


def tail_in(keys: SessionKeys, last: int, answers: Sequence[Any]) -> LogTail | None:
    """Return the newest events of a plain session; None for any other, or none. Raises CorruptSession."""
    length, entries = answers[1:3]
    if not _is_plain(answers) or len(entries) != min(last, length):
        return None
    return _tail_of(keys, creation_of(answers[0]), length, entries)


def log_commands(keys: SessionKeys, answers: Sequence[Any]) -> PackedCommands | None:
    """Return how to read the whole log of a plain session; None where that may hold up the server."""
    length, size = answers[1:3]
    if not _is_plain(answers) or length > _MOST_EVENTS or (size or 0) > _MOST_BYTES:
        return None
    return packed([("LRANGE", keys.log, 0, length - 1), _line_command(keys)])


def log_in(keys: SessionKeys, answers: Sequence[Any], log: Sequence[Any]) -> LogTail | None:
    """Return the whole log of a plain session; None if another session has the id meanwhile. Raises CorruptSession."""
    length, (entries, line) = answers[1], log
    if any(isinstance(answer, Exception) for answer in log) or line != answers[0] or len(entries) != length:
        return None
    return _tail_of(keys, creation_of(line), length, entries)


def _line_command(keys: SessionKeys) -> Command:
    return ("HGET", keys.tree, f"n:{keys.key.id}".encode())


def _is_plain(answers: Sequence[Any]) -> bool:
    line, length, _, keys_there, head = answers
    if any(isinstance(answer, Exception) for answer in answers) or line is None or keys_there != 3:
        return False
    form, creation, last_seq, retractions = head
    is_in_step = creation == line.split(b" ", 3)[2] and last_seq == b"%d" % length
    return form == b"1" and is_in_step and retractions in (None, b"0")


def _tail_of(keys: SessionKeys, creation_id: str, length: int, entries: Sequence[bytes]) -> LogTail:
    earlier = length - len(entries)
    seqs = range(earlier + 1, length + 1)
    return LogTail(creation_id, seqs, records_of(keys.key, seqs, entries), earlier)


def _has_none(fields: Mapping[bytes, bytes], *counts: bytes) -> bool:
    return all(fields.get(name, b"0") == b"0" for name in counts)
