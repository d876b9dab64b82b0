"""Where a fork's part of a log ends: the record there tells whether the log is still what the fork was made of."""

from __future__ import annotations

from collections.abc import Sequence

from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.models.counted_response import CountedResponse
from a2a_session_manager.storage.file.creation_records import Border
from a2a_session_manager.storage.file.framing import FIRST_BYTES
from a2a_session_manager.storage.file.log import LogFile


def border_at(log: LogFile, seq: int) -> Border:
    """Return the border of a fork that inherits the own events of a log, which exists, up to `seq`.

    Raises CorruptSession.
    """
    if log.head is None or log.head.last_seq < seq:
        raise cut_before(log, seq)
    start = log.index.recent_start(seq, log.head.last_seq)
    if start is None:
        log.read_columns(seq, seq)  # the record proves where it starts
        start = log.index.start_of(seq, log.head.last_seq)
    return Border(start, int(log.handle.read(start, start + FIRST_BYTES)[1:], 16))


def holds(log: LogFile, seq: int, border: Border) -> bool:
    """Tell whether a log, which exists, is up to `seq` what it was when a fork was made."""
    if log.head is None or log.head.last_seq < seq:
        return False
    return log.handle.read(border.start, border.start + FIRST_BYTES) == b"\n%08x " % border.checksum


def cut_before(log: LogFile, seq: int) -> CorruptSession:
    """Return what to raise for a log that is not any more what a fork was made of."""
    return CorruptSession(
        log.session_id,
        f"{log.path} does not hold the events up to {seq} any more that forks of session {log.session_id!r} go on "
        "from: restore it from a backup",
    )


def known_up_to(
    log: LogFile, seq: int, event_ids: Sequence[str], response_ids: Sequence[str]
) -> tuple[dict[str, int], dict[str, CountedResponse]]:
    """Return the seqs of those events up to `seq`, and what was counted of those responses by then."""
    seqs, counted = log.unmisled(lambda: (log.find_seqs(event_ids), log.find_counted(response_ids, seq)))
    return {event_id: each for event_id, each in seqs.items() if each <= seq}, counted
