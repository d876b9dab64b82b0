"""The head and the newest events of a plain session, read without a script: a third of what `load.lua` takes.

Plain is a session of which nothing was retracted, that has no runs, and all of whose keys are in step; a fork, where it
is known from before what it is made of, or that is not asked for; for messages, one without summaries in the place of
other events. Whatever is otherwise is left to the script, which knows what to make of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from a2a_session_manager.concurrency.slices import Slices
from a2a_session_manager.storage.read_records import LoadedSession, LogTail
from a2a_session_manager.storage.redis.forked_log import ForkedLog, StoredPart, entries_in, parts_of
from a2a_session_manager.storage.redis.heads import creation_of, events_of, head_of, records_of
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.replies import hash_of
from a2a_session_manager.storage.redis.script import Command, PackedCommands, packed
from a2a_session_manager.storage.redis.segments import BUDGETED, FORK, inherited_told_by

# More may hold up the server: the script reads them step by step.
FEW: Final = 32
# A log that takes more is read by the script, whose pages are bounded in bytes.
_MOST_BYTES: Final = 8_000_000
# A tenth of a millisecond of the server's time, which it takes while the page before is taken in here.
_EVENTS_A_PAGE: Final = 256
# Of so many sessions the packed commands are remembered: the same ones are read again and again.
_SESSIONS_REMEMBERED: Final = 1_024
_HEAD_COMMANDS: Final = 3
_KEYS_THERE: Final = 5
_NONE: Final = frozenset((None, b"0"))


def commands(keys: SessionKeys, last: int) -> list[Command]:
    """Return the commands that read the session. They belong into one transaction."""
    reads: list[Command] = [_line_command(keys), *_head_commands(keys)]
    return [*reads, ("LRANGE", keys.log, -last, -1)] if last else reads


async def parse(keys: SessionKeys, last: int, answers: Sequence[Any]) -> LoadedSession | None:
    """Return the session that the answers hold; None when it is not plain, or not there. Raises CorruptSession."""
    line, head, length, keys_there, *logs = answers
    if any(isinstance(answer, Exception) for answer in answers):
        return None
    return await _loaded(keys, line, head, length, keys_there, last, logs[0] if last else ())


def heads_commands(sessions: Sequence[SessionKeys]) -> list[Command]:
    """Return the commands that read the heads of many sessions.

    No transaction is needed: a head comes in one command, and what does not fit to it is left to the script.
    """
    ids = _ids_by_tree(sessions)
    lines: list[Command] = [("HMGET", tree, *map(_line_of, here)) for tree, here in ids.items()]
    return lines + [command for keys in sessions for command in _head_commands(keys)]


async def parse_heads(sessions: Sequence[SessionKeys], answers: Sequence[Any]) -> list[LoadedSession | None]:
    """Return the head of each session that is plain, as `parse` does, from answers of which none is an error."""
    slices = Slices()
    trees = _ids_by_tree(sessions)
    lines = {tree: iter(here) for tree, here in zip(trees, answers, strict=False)}
    heads = zip(*[iter(answers[len(trees) :])] * _HEAD_COMMANDS, strict=True)
    found: list[LoadedSession | None] = []
    for keys, (head, length, keys_there) in zip(sessions, heads, strict=True):
        found.append(await _loaded(keys, next(lines[keys.tree]), head, length, keys_there))
        if slices.is_over():
            await slices.give_way()
    return found


@lru_cache(maxsize=_SESSIONS_REMEMBERED)
def packed_tail(keys: SessionKeys, last: int | None, fork: ForkedLog | None) -> PackedCommands:
    """Return the packed `tail_commands`, and after them what is asked of the log that a fork has inherited."""
    commands = tail_commands(keys, last)
    if fork is not None:
        commands.append(fork.check)
        if last is None:
            commands += [("MEMORY", "USAGE", each.log, "SAMPLES", 0) for each in fork.segments]
        else:
            commands += [each.command for each in _inherited_tail(fork, last)]
    return packed(commands)


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
        ("HMGET", keys.head, "v", "creation", "last_seq", "retractions", "compactions", "segments", "placed"),
    ]


def tail_in(keys: SessionKeys, last: int, answers: Sequence[Any], fork: ForkedLog | None) -> LogTail | None:
    """Return the newest events of a plain session; None for any other, or none. Raises CorruptSession."""
    length, entries = answers[1:3]
    if not is_plain(answers, fork) or len(entries) != min(last, length):
        return None
    if fork is None:
        return _tail_of(keys, creation_of(answers[0]), length, entries)
    inherited = entries_in(_inherited_tail(fork, last), answers[6:])
    if inherited is None:
        return None
    missing = max(last - length, 0)
    all_entries = [*list(inherited.values())[-missing:], *entries] if missing else entries
    return _tail_of(keys, creation_of(answers[0]), fork.inherited + length, all_entries)


def compactions_in(answers: Sequence[Any]) -> bytes:
    """Return what the head says of compactions, by the answers to `tail_commands`."""
    head = answers[4]
    return b"" if isinstance(head, Exception) else head[4] or b""


def segments_told(answers: Sequence[Any]) -> bytes:
    """Return what the head says of the segments of a fork, by the answers to `tail_commands`; b"" for what is none."""
    head = answers[4]
    return b"" if isinstance(head, Exception) or head[0] not in (FORK, BUDGETED) else head[5] or b""


def log_pages(keys: SessionKeys, answers: Sequence[Any], fork: ForkedLog | None) -> list[PackedCommands] | None:
    """Return how to read the whole log of a plain session, page by page; None where that may hold up the server.

    Behind the last page, the session's line is asked for: what is read of an incarnation's log is what it was before.
    """
    length, *sizes = answers[1], answers[2], *answers[6:]
    if not is_plain(answers, fork) or sum(size or 0 for size in sizes) > _MOST_BYTES:
        return None
    last_seq = length + (0 if fork is None else fork.inherited)
    pages: list[list[Command]] = [[]]
    room = _EVENTS_A_PAGE
    for first in range(1, last_seq + 1, _EVENTS_A_PAGE):
        for part in parts_of(keys, fork, first, min(first + _EVENTS_A_PAGE - 1, last_seq)):
            if part.length > room:
                pages.append([])
                room = _EVENTS_A_PAGE
            pages[-1].append(part.command)
            room -= part.length
    pages[-1].append(_line_command(keys))
    return list(map(packed, pages))


class LogInPages:
    """The records of a plain session, of which `tail_commands` has told the size, as page after page comes in."""

    def __init__(self, keys: SessionKeys, answers: Sequence[Any], fork: ForkedLog | None) -> None:
        self._keys = keys
        self._line, length = answers[:2]
        self._length = length + (0 if fork is None else fork.inherited)
        self._records: list[bytes] = []
        self._is_same = False

    def add(self, answers: Sequence[Any]) -> None:
        """Take in the answers to a page. Raises CorruptSession."""
        for answer in answers:
            if isinstance(answer, list):
                first_seq = len(self._records) + 1
                self._records += records_of(self._keys.key, range(first_seq, first_seq + len(answer)), answer)
            else:
                self._is_same = answer == self._line

    def tail(self) -> LogTail | None:
        """Return the whole log; None if a page has failed, or another session has the id meanwhile."""
        if not self._is_same or len(self._records) != self._length:
            return None
        return LogTail(creation_of(self._line), range(1, self._length + 1), self._records, 0)


def _line_command(keys: SessionKeys) -> Command:
    return ("HGET", keys.tree, _line_of(keys.key.id))


def _line_of(session_id: str) -> bytes:
    return f"n:{session_id}".encode()


def _head_commands(keys: SessionKeys) -> tuple[Command, ...]:
    head, log, ids, hidden, runs, unfinished, retractions, _ = keys.all_of_session
    # Each time a key is named, it counts: the sum tells that the ids are there, and none of the others.
    is_plain: Command = ("EXISTS", ids, ids, ids, ids, ids, hidden, retractions, runs, unfinished)
    return ("HGETALL", head), ("LLEN", log), is_plain


async def _loaded(
    keys: SessionKeys,
    line: bytes | None,
    head: Any,
    length: int,
    keys_there: int,
    last: int = 0,
    entries: Sequence[bytes] = (),
) -> LoadedSession | None:
    if line is None or keys_there != _KEYS_THERE:
        return None
    fields = hash_of(head)
    segments = fields.get(b"segments")
    forms = (FORK if segments else b"1", BUDGETED)
    if fields.get(b"v") not in forms or fields.get(b"creation") != line.split(b" ", 3)[2]:
        return None
    told = fields.get(b"retractions"), fields.get(b"has_runs"), fields.get(b"unfinished")
    last_seq = length + inherited_told_by(segments)
    if fields.get(b"last_seq") != b"%d" % last_seq or not _NONE.issuperset(told):
        return None
    if len(entries) < min(last, last_seq):
        return None  # the others are in another log
    record = await head_of(keys.key, keys.root_id, fields, (), ())
    return LoadedSession(record, events_of(keys.key, last_seq - len(entries) + 1, entries) if entries else ())


def _ids_by_tree(sessions: Sequence[SessionKeys]) -> dict[bytes, list[str]]:
    ids: dict[bytes, list[str]] = {}
    for keys in sessions:
        ids.setdefault(keys.tree, []).append(keys.key.id)
    return ids


def is_plain(answers: Sequence[Any], fork: ForkedLog | None = None) -> bool:
    """Tell from the answers to `tail_commands` whether a session is plain, and this fork, or none.

    The answer to the fork's `check` may be there, too.
    """
    line, length, _, keys_there, head = answers[:5]
    if any(isinstance(answer, Exception) for answer in answers) or line is None or keys_there != 3:
        return False
    form, creation, last_seq, retractions, _, segments, placed = head
    if fork is None:
        is_known = form == b"1" or (form == BUDGETED and not segments)
    else:
        is_known = form in (FORK, BUDGETED) and segments == fork.field and all(map(fork.is_whole, answers[5:6]))
        length += fork.inherited
    is_in_step = creation == line.split(b" ", 3)[2] and last_seq == b"%d" % length
    # A fork may have summaries in the place of what was hidden in its source and shown again before it was made.
    return is_known and is_in_step and retractions in _NONE and not placed


def _inherited_tail(fork: ForkedLog, last: int) -> list[StoredPart]:
    """Return where the newest `last` events lie, if the fork has none of its own."""
    return fork.parts(max(fork.inherited - last + 1, 1), fork.inherited)


def _tail_of(keys: SessionKeys, creation_id: str, length: int, entries: Sequence[bytes]) -> LogTail:
    earlier = length - len(entries)
    seqs = range(earlier + 1, length + 1)
    return LogTail(creation_id, seqs, records_of(keys.key, seqs, entries), earlier)
