"""Committing to a log that is held: each commit is decided in order, and all are written in one write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from a2a_session_manager.budgets.blocks import block_begins
from a2a_session_manager.budgets.records import BudgetRecord
from a2a_session_manager.exceptions import CorruptSession, LeaseLost, SessionManagerError
from a2a_session_manager.models.counted_response import CountedResponse
from a2a_session_manager.storage import commit_rules, leases
from a2a_session_manager.storage.commit_records import EncodedCommit, Receipt
from a2a_session_manager.storage.counted_responses import response_ids
from a2a_session_manager.storage.file.catalog import STALE_MICROS, Catalog
from a2a_session_manager.storage.file.commit_lines import encode_line
from a2a_session_manager.storage.file.frame_writing import append_frames, no_room
from a2a_session_manager.storage.file.framing import framed
from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.storage.hiding import NO_HISTORY, History


class Inherited(NamedTuple):
    """What a fork inherits of what some commits name: the seqs of events, and what was counted of responses."""

    seqs: Mapping[str, int]
    counted: Mapping[str, CountedResponse]


NOTHING_INHERITED: Final = Inherited({}, {})


def repeat(log: LogFile, commit: EncodedCommit) -> Receipt | None:
    """Answer a commit whose write id is known with its first result; None when it was never made."""
    return log.unmisled(lambda: _repeated(log, commit, log.find_seqs(named_events(commit))))


def is_checkpoint_due_after(log: LogFile, commits: Sequence[EncodedCommit]) -> bool:
    """Tell whether a checkpoint is to be written with these commits, by about how much they bring."""
    size = sum([commit.size for commit in commits])
    return log.index.is_due(log.offset + size, more_records=len(commits))


def commit_all(
    log: LogFile,
    commits: Sequence[EncodedCommit],
    inherited: Inherited,
    catalog: Catalog,
    windowed: Sequence[BudgetRecord] = (),
) -> list[Receipt | SessionManagerError]:
    """Decide commits in order, write what they brought in one write, and answer each.

    `windowed` are the budgets above the session that have windows. What pages find the session by is in the catalog of
    its namespace before it is in the log.

    Only the exclusive holder of the file calls it, after catching up. What did not fit fails with StoreFull, and so
    does every commit after it. Raises OSError when writing or syncing failed: then nobody knows. With
    durability=disk the caller syncs it, and answers nobody before.
    """
    try:
        synced = log.on_disk.for_a_record(log.first_bytes)
        if windowed:
            _name_windows(log, commits, windowed)
        staged, frames, end = log.unmisled(lambda: _staged_with_leases(log, commits, inherited, synced))
        is_to_follow = bool(frames) and _told_ahead(log, commits, catalog)
        whole = append_frames(log, frames, synced) if frames else 0
        if (synced, log.on_disk.synced) != (None, None) and log.index.is_due(end):
            log.handle.sync()  # a checkpoint must not tell of what a loss of power may still take
    except BaseException:
        log.start_over()  # staged in memory, and perhaps not in the file
        raise
    if whole < len(frames):
        log.start_over()
    else:
        log.offset = end
        log.on_disk.synced = synced if frames else log.on_disk.synced
        if is_to_follow:
            assert log.head is not None, "only a log that exists grows"
            with catalog.afterwards():
                catalog.changed(log.head)
        _write_checkpoint_if_due(log)
    return [answer if needed <= whole else no_room(log) for answer, needed in staged]


def _name_windows(log: LogFile, commits: Sequence[EncodedCommit], windowed: Sequence[BudgetRecord]) -> None:
    """Let each commit say in which windows of budgets its usage counts."""
    assert log.head is not None, "only a log that exists takes commits"
    now, blocks = leases.wall_clock(), log.head.blocks
    for commit in commits:
        if any(event.usage is not None for event in commit.events):
            commit.windows = block_begins(windowed, blocks, commit.settles, now)


def _told_ahead(log: LogFile, commits: Sequence[EncodedCommit], catalog: Catalog) -> bool:
    """Tell the catalog of what is about to be written, if need be; return whether it is to be told afterwards, too."""
    head = log.head
    assert head is not None, "only a log that exists takes commits"
    if head.updated_at - log.catalogued_at <= STALE_MICROS and not any(commit.properties for commit in commits):
        return False
    is_to_follow = catalog.changes(head, commits)
    log.catalogued_at = head.updated_at
    return is_to_follow


def _staged_with_leases(
    log: LogFile, commits: Sequence[EncodedCommit], inherited: Inherited, synced: int | None
) -> tuple[list[tuple[Receipt | SessionManagerError, int]], list[bytes], int]:
    """Do as `_staged` does; what commits claim of leases is checked and written, before they are.

    A lease without its commit, where that does not fit, expires.
    """
    head = log.head
    assert head is not None, "only a log that exists takes commits"
    if not any(commit.lease is not None for commit in commits):
        return _staged(log, commits, inherited, synced)
    before = log.leases.read(head.creation_id)
    head.leases = dict(before)
    try:
        staged = _staged(log, commits, inherited, synced)
        if head.leases != before:
            log.leases.write(head.creation_id, leases.remembered(head.leases, leases.wall_clock))
    finally:
        head.leases = {}
    return staged


def _staged(
    log: LogFile, commits: Sequence[EncodedCommit], inherited: Inherited, synced: int | None
) -> tuple[list[tuple[Receipt | SessionManagerError, int]], list[bytes], int]:
    """Return each commit's answer with how many frames it needs in the file, the frames, and their end."""
    staged: list[tuple[Receipt | SessionManagerError, int]] = []
    frames: list[bytes] = []
    end = log.offset
    for commit in commits:
        answer, payload = _answered(log, commit, inherited, end)
        if payload is not None:
            frames.append(framed(payload, synced))
            end += len(frames[-1])
        staged.append((answer, len(frames)))
    return staged, frames, end


def _answered(
    log: LogFile, commit: EncodedCommit, inherited: Inherited, start: int
) -> tuple[Receipt | SessionManagerError, bytes | None]:
    """Answer a commit as if all before it were written, and return the line that it adds, if any."""
    head = log.head
    assert head is not None, "only a log that exists takes commits"
    try:
        commit_rules.check_incarnation(head, commit)
        seqs = {**inherited.seqs, **log.find_seqs(named_events(commit))}
        if (receipt := _repeated(log, commit, seqs)) is not None:
            return receipt, None
        # What the fork's own log tells of a response holds what it inherits of it.
        counted = {**inherited.counted, **log.find_counted(response_ids(commit.events))}
        outcome = commit_rules.decide(head, commit, seqs.get, counted.get, _history(log, commit))
    except LeaseLost as error:
        return _refused(log, commit, error, inherited, start)
    except SessionManagerError as error:
        if isinstance(error, CorruptSession):
            raise
        return error, None
    if not outcome.receipt.is_change and commit.write_id is None:
        commit_rules.apply(head, commit, outcome)  # of leases, which are not in the log
        return outcome.receipt, None
    payload = encode_line(
        commit,
        outcome.revision,
        head.last_seq + 1,
        outcome.fresh,
        hidden=outcome.hidden,
        restored=outcome.restored,
        is_pop=outcome.is_pop,
    )
    log.note(commit, outcome, start)
    return outcome.receipt, payload


def _refused(
    log: LogFile, commit: EncodedCommit, error: LeaseLost, inherited: Inherited, start: int
) -> tuple[LeaseLost, bytes | None]:
    """Answer a commit whose claim does not hold, and return the line of its usage, if that is not stored yet."""
    known = inherited.seqs
    usage = leases.usage_commit(commit, lambda name: known.get(name) or log.find_seqs([name]).get(name))
    error.is_usage_stored = True
    return (error, None) if usage is None else (error, _answered(log, usage, inherited, start)[1])


def _repeated(log: LogFile, commit: EncodedCommit, seqs: Mapping[str, int]) -> Receipt | None:
    assert log.head is not None, "only a log that exists knows write ids"
    first = None if commit.write_id is None else log.first_result(commit.write_id)
    return None if first is None else commit_rules.repeat(log.head, commit, first, seqs.get)


def _history(log: LogFile, commit: EncodedCommit) -> History:
    """Return what a restoration is decided by. Raises MisledError."""
    if commit.restoration is None:
        return NO_HISTORY
    undone = commit.restoration.write_id
    return History(log.retractions, None if undone is None else log.first_result(undone))


def _write_checkpoint_if_due(log: LogFile) -> None:
    assert log.head is not None, "only a log that exists grows"
    assert log.creation is not None, "only a log that exists grows"
    if not log.index.is_due(log.offset):
        return
    if log.index.is_overtaken(log.first_bytes):
        log.start_over()  # the next use begins with what another process has written
    else:
        log.index.write(log.offset, log.first_bytes, log.creation, log.head, log.retractions, log.on_disk.synced)


def named_events(commit: EncodedCommit) -> Iterable[str]:
    """Return the ids of the events that a commit brings, hides or restores."""
    named = [event.id for event in commit.events]
    for chosen in (commit.retraction, commit.restoration):
        if chosen is not None:
            named += chosen.event_ids
    return named
