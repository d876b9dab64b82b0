"""The head and the newest few events of a plain session, read without a script: a third of what `load.lua` takes.

Plain is a session of which nothing was retracted, that has no runs, and all of whose keys are in step. Whatever is
otherwise is left to the script, which knows what to make of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from a2a_session_manager.storage.records import LoadedSession
from a2a_session_manager.storage.redis.heads import events_of, head_of
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.replies import flat, pairs
from a2a_session_manager.storage.redis.script import Command

# More may hold up the server: the script reads them step by step.
FEW: Final = 32


def commands(keys: SessionKeys, last: int) -> list[Command]:
    """Return the commands that read the session. They belong into one transaction, unless `last` is 0."""
    reads: list[Command] = [
        ("HGET", keys.tree, f"n:{keys.key.id}".encode()),
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


def _has_none(fields: Mapping[bytes, bytes], *counts: bytes) -> bool:
    return all(fields.get(name, b"0") == b"0" for name in counts)
