"""What a commit came to: a receipt, or the error that says why it was refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from a2a_session_manager.exceptions import (
    CorruptSession,
    InvalidSessionOperation,
    SessionManagerError,
    SessionNotFound,
)
from a2a_session_manager.models.session_run import RunStatus, illegal_move
from a2a_session_manager.storage import commit_rules, compactions, hiding
from a2a_session_manager.storage.commit_records import EncodedCommit, EventsKnown, Guard, Receipt
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.redis.lease_calls import refusal_of
from a2a_session_manager.storage.redis.replies import Flat, ranges_of, status_of

# Why a script did not hide or restore what was chosen by an event id or a write id.
_UNCHOSEN: Final[Mapping[bytes, Callable[[str, str], InvalidSessionOperation]]] = {
    b"UNKNOWN": hiding.unknown_event,
    b"VISIBLE": hiding.never_hidden,
    b"UNWRITTEN": hiding.unknown_write,
    b"NOTHING": hiding.hid_nothing,
    b"POPPED": hiding.was_pop,
}


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


def receipt_of(answer: Flat, key: SessionKey, commit: EncodedCommit) -> Receipt | SessionManagerError:
    """Return the receipt that one commit's answer holds, or the error that it was refused with."""
    if isinstance(answer[0], bytes):
        return _error_of(answer, key, commit)
    revision, last_seq, is_change, is_repeat, seqs, hidden, updated_at, tag, *more = answer
    restored, creation_id, is_recounted = more
    return Receipt(
        revision,
        last_seq,
        bool(is_change),
        seqs,
        ranges_of(hidden),
        is_repeat=bool(is_repeat),
        updated_at=int(updated_at),
        tag=tag.decode(),
        restored=ranges_of(restored),
        creation_id=creation_id.decode() or None,
        is_recounted=bool(is_recounted),
    )


def _error_of(answer: Flat, key: SessionKey, commit: EncodedCommit) -> SessionManagerError:
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
    if status == b"OUTDATED":
        return compactions.outdated(key.id, answer[1])
    if status == b"BEYOND":
        return compactions.beyond(key.id, commit.compactions[answer[1] - 1], answer[2])
    if status == b"OTHER":
        return SessionNotFound(
            key.id, f"session {key.id!r} was deleted, and another one has its id now: read it again with get()"
        )
    if commit.lease is not None and status in (b"LEASE", b"HELD", b"ENDED", b"NORUN"):
        return refusal_of(answer, key, commit.lease)
    if status == b"MOVE":
        run_id, current, wanted = (part.decode() for part in answer[1:])
        text = illegal_move(run_id, RunStatus(current), RunStatus(wanted))
    elif status in _UNCHOSEN:
        return _UNCHOSEN[status](key.id, answer[1].decode())
    else:
        try:
            status_of(answer, key.id)
        except CorruptSession as error:
            return error
        raise AssertionError(f"unknown answer {answer!r}")
    return InvalidSessionOperation(text, session_id=key.id)
