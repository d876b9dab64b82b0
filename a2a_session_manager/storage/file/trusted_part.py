"""What is left of a damaged log: its records up to the first damaged byte. Nothing is written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.storage import heads
from a2a_session_manager.storage.file.damaged_tail import LogScan
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.read_records import StoredEvent
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.trusted_log import TrustedLog

_EVENTS_A_PAGE = 500
_BYTES_A_PAGE = 1_000_000

RunLong = Callable[..., Awaitable[Any]]


async def trusted_log(directory: StoreDirectory, key: SessionKey, run_long: RunLong) -> TrustedLog | None:
    """Return what can be trusted of a log; None without one. `run_long` runs a function in a thread.

    Raises CorruptSession when its first record is damaged.
    """
    scanned: tuple[LogScan, int, int] | None = await run_long(_scanned, directory, key)
    if scanned is None:
        return None
    scan, damaged_from, size = scanned
    assert scan.head is not None, "a log has its first record"

    def read(after: int) -> list[StoredEvent]:
        assert scan.head is not None, "it had one before"
        last = min(after + _EVENTS_A_PAGE, scan.head.last_seq)
        with scan:
            return scan.read_events(after + 1, last, max_bytes=_BYTES_A_PAGE)

    async def read_page(after: int) -> Sequence[StoredEvent]:
        page: Sequence[StoredEvent] = await run_long(read, after)
        return page

    lost = None
    if damaged_from < 0:
        lost = f"the end of {scan.path} is missing, after byte {size}"
    elif damaged_from < size:
        lost = f"{size - damaged_from} bytes of {scan.path}, from byte {damaged_from} on"
    return TrustedLog(heads.copied(scan.head, whole_head=True), read_page, lost)


def _scanned(directory: StoreDirectory, key: SessionKey) -> tuple[LogScan, int, int] | None:
    """Return a log that was read up to its damage, where that begins, and its size.

    Where a log ends too early, the damage begins at -1.
    """
    log = directory.log(key)
    scan = LogScan(log.path, key, directory.pool, durable=directory.durable)
    with scan:
        if not scan.is_there():
            return None
        size = scan.handle.size()
        damaged_from = scan.damaged_from(size)
        if damaged_from is None:
            damaged_from = size
        elif damaged_from == size:
            damaged_from = -1
        if scan.head is None:
            raise CorruptSession(key.id, f"{log.path} is damaged, at byte 0: nothing of it can be trusted")
        return scan, damaged_from, size
