"""A commit as the arguments of a script, and the script's answer as a receipt."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from a2a_session_manager.exceptions import (
    CorruptSession,
    InvalidSessionOperation,
    SessionManagerError,
    SessionNotFound,
)
from a2a_session_manager.models.session_run import RunStatus, illegal_move
from a2a_session_manager.storage import commit_rules
from a2a_session_manager.storage.records import (
    EncodedCommit,
    EncodedEvent,
    EncodedRetraction,
    EventsKnown,
    Guard,
    Range,
    Receipt,
    SessionKey,
)
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.script import Value

# Any number of ranges or values as a flat list, as Lua returns them.
Flat = Sequence[Any]


def commit_keys(keys: SessionKeys, commits: Sequence[EncodedCommit]) -> tuple[bytes, ...]:
    """Return the keys that `commits` may touch; the rarer they are touched, the later they come."""
    need = 0
    for commit in commits:
        if commit.retraction is not None:
            return (*keys.plain, keys.totals, keys.runs, keys.unfinished, keys.retractions)
        if commit.runs:
            need = 2
        for event in commit.events:
            if event.usage is not None:
                need = max(need, 1 if event.run_id is None else 2)
    if need == 0:
        return keys.plain
    return (*keys.plain, keys.totals) if need == 1 else (*keys.plain, keys.totals, keys.runs, keys.unfinished)


def commit_args(commit: EncodedCommit) -> list[Value]:
    """Return a commit as `take_commit` in `commit_rules.lua` reads it."""
    usages = [event.usage for event in commit.events]
    has_usage = any(usages)
    arguments: list[Value] = []
    for event in commit.events:
        arguments += (event.id, event.data)
        if has_usage:
            arguments += _usage_args(event)
    counts = "0 0 0 none 0"
    if not commit.is_append:
        counts, others = _other_args(commit)
        arguments += others
    guard = "-" if commit.expected_revision is None else guard_arg(commit.guard)
    header = f"{commit.written_at} {commit.tag} {guard} {len(commit.events)} {counts} {has_usage:d}"
    return [f"{header} {commit.creation_id or '-'} {commit.write_id or ''}", *arguments]


def guard_arg(guard: Guard | None) -> str:
    """Return what a write expects as `is_late` in `common.lua` reads it."""
    return "-" if guard is None else f"{guard.revision}.{guard.tag}"


def status_of(reply: Flat, session_id: str) -> bytes:
    """Return the word a script's answer begins with. Raises CorruptSession when that tells of damage."""
    status: bytes = reply[0]
    if status == b"LOST":
        raise lost(session_id, reply[1].decode())
    if status == b"NEWER":
        raise CorruptSession(
            session_id, f"session {session_id!r} was written by a newer release: upgrade a2a_session_manager"
        )
    return status


def lost(session_id: str, what: str) -> CorruptSession:
    """Return the error for a session of which a key is missing while others are there."""
    return CorruptSession(
        session_id,
        f"session {session_id!r}: redis has lost its {what}, and the rest is there: restore it from a backup"
        # The tree is where a deletion begins.
        f"{'' if what == 'tree' else ', or delete it'}; an eviction policy other than noeviction does this",
    )


def mended(session_id: str) -> CorruptSession:
    """Return the error for a session of which a key was missing and has been put back."""
    return CorruptSession(
        session_id,
        f"session {session_id!r}: redis had lost its locator, which was put back from the index just now: read the "
        "session again, and look what else is missing; an eviction policy other than noeviction does this, or a "
        "failover",
    )


def receipt_of(answer: Flat, key: SessionKey, commit: EncodedCommit) -> Receipt | SessionManagerError:
    """Return the receipt that one commit's answer holds, or the error that it was refused with."""
    if isinstance(answer[0], bytes):
        return _refusal(answer, key, commit)
    revision, last_seq, is_change, is_repeat, seqs, hidden, updated_at, tag = answer
    return Receipt(
        revision,
        last_seq,
        bool(is_change),
        seqs,
        ranges_of(hidden),
        is_repeat=bool(is_repeat),
        updated_at=int(updated_at),
        tag=tag.decode(),
    )


def receipts_of_appends(answer: bytes, commits: Sequence[EncodedCommit]) -> list[Receipt]:
    """Return the receipts of commits that all went the quick way.

    The answer tells revision, seq and the time of the last activity before them.
    """
    before, seq, updated_at = map(int, answer.split()[1:])
    receipts = []
    for number, commit in enumerate(commits, before + 1):
        first, seq = seq + 1, seq + len(commit.events)
        updated_at += 1
        if updated_at < commit.written_at:
            updated_at = commit.written_at
        receipts.append(Receipt(number, seq, True, range(first, seq + 1), (), False, updated_at, commit.tag))
    return receipts


def ranges_of(bounds: Flat) -> tuple[Range, ...]:
    """Return ranges from their bounds, one after the other."""
    return tuple(pairs(bounds))


def flat(fields: Flat | Mapping[bytes, bytes]) -> Flat:
    """Return a hash as RESP 2 tells it; RESP 3 tells a mapping."""
    return [part for field in fields.items() for part in field] if isinstance(fields, Mapping) else fields


def pairs(parts: Flat) -> Iterator[tuple[Any, Any]]:
    """Yield the first and second, the third and fourth, and so on."""
    each = iter(parts)
    return zip(each, each, strict=True)


def cell_of(text: str) -> tuple[str, str]:
    """Return the model and source that a field of totals is about."""
    model, source = json.loads(text)
    return model, source


def _refusal(answer: Flat, key: SessionKey, commit: EncodedCommit) -> SessionManagerError:
    status = answer[0]
    if status == b"KNOWN":
        return EventsKnown(
            key.id,
            revision=answer[1],
            last_seq=answer[2],
            seqs=answer[3],
            updated_at=int(answer[4]),
            tag=answer[5].decode(),
        )
    if status == b"CONFLICT":
        return commit_rules.late(key.id, commit.guard or Guard(0), answer[1])
    if status == b"OTHER":
        return SessionNotFound(
            key.id, f"session {key.id!r} was deleted, and another one has its id now: read it again with get()"
        )
    if status == b"MOVE":
        run_id, current, wanted = (part.decode() for part in answer[1:])
        text = illegal_move(run_id, RunStatus(current), RunStatus(wanted))
    elif status == b"UNKNOWN":
        text = f"session {key.id!r} holds no event {answer[1].decode()!r} to retract: check the id"
    else:
        try:
            status_of(answer, key.id)
        except CorruptSession as error:
            return error
        raise AssertionError(f"unknown answer {answer!r}")
    return InvalidSessionOperation(text, session_id=key.id)


def _named(prefix: bytes, values: Any) -> Iterator[tuple[bytes, bytes | None]]:
    for name, data in values.items():
        yield prefix + name.encode("utf-8", "surrogatepass"), data


def _kind_of(retraction: EncodedRetraction | None) -> str:
    if retraction is None:
        return "none 0"
    if retraction.last is not None:
        return f"last {retraction.last}"
    if retraction.after is not None:
        return f"after {retraction.after}"
    return f"ids {len(retraction.event_ids)}"


def _usage_args(event: EncodedEvent) -> Sequence[Value]:
    usage = event.usage
    # An empty usage adds nothing, and says so like none at all.
    if usage is None or not usage.counters:
        return ("",)
    counters = " ".join([f"{name} {count}" for name, count in usage.counters.items()])
    return counters, _cell(usage.model, usage.source), event.run_id or ""


def _other_args(commit: EncodedCommit) -> tuple[str, list[Value]]:
    """Return how much there is of what is no event, and all of it."""
    values = [*_named(b"s:", commit.state), *_named(b"p:", commit.properties)]
    arguments: list[Value] = []
    for name, data in values:
        if data is not None:
            arguments += (name, data)
    unset = [name for name, data in values if data is None]
    arguments += unset
    for run_id, run in commit.runs.items():
        arguments += (run_id, run.status, run.data)
    if commit.retraction is not None:
        arguments += commit.retraction.event_ids
    counts = f"{len(values) - len(unset)} {len(unset)} {len(commit.runs)} {_kind_of(commit.retraction)}"
    return counts, arguments


@lru_cache(maxsize=256)
def _cell(model: str, source: str) -> str:
    return json.dumps([model, source], separators=(",", ":"))
