"""Leases of runs, renewed and told without a look at the log: the files beside them say all. It runs in threads."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from a2a_session_manager.exceptions import SessionManagerError
from a2a_session_manager.storage import leases
from a2a_session_manager.storage.commit_records import LeaseRenewal
from a2a_session_manager.storage.file.handles import BusyError
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.file.tried_locks import MOMENT_SECONDS, Tried
from a2a_session_manager.storage.records import HeldLease, SessionKey

_TRIES: Final = 3
_PAUSE_SECONDS: Final = 0.005


def held(directory: StoreDirectory, runs: Sequence[tuple[SessionKey, str]]) -> list[HeldLease | None]:
    """Return who holds each run now."""
    found = []
    for key, run_id in runs:
        log = directory.log(key)
        with log:
            creation = log.creation if log.exists() else None
            lease = None if creation is None else log.leases.read(creation.creation_id).get(run_id)
        found.append(leases.held(lease, leases.wall_clock))
    return found


def renew(directory: StoreDirectory, renewals: Sequence[LeaseRenewal]) -> list[bool | None]:
    """Renew leases; see `Backend.renew_leases`."""
    by_session: dict[tuple[SessionKey, str], dict[tuple[str, str], bool | None]] = {}
    for each in renewals:
        by_session.setdefault((each.key, each.creation_id), {})[each.run_id, each.token] = None
    for (key, creation_id), wanted in by_session.items():
        for attempt in range(_TRIES):
            try:
                _renew(directory, key, creation_id, wanted)
                break
            except BusyError:
                time.sleep(_PAUSE_SECONDS * 2**attempt)
            except SessionManagerError:
                break  # it is not known, and will be tried again
    return [by_session[each.key, each.creation_id][each.run_id, each.token] for each in renewals]


def _renew(
    directory: StoreDirectory, key: SessionKey, creation_id: str, wanted: dict[tuple[str, str], bool | None]
) -> None:
    """Renew those `wanted` leases of one session that are held still, and note which are. Raises BusyError."""
    log = directory.log(key)
    with Tried(log, seconds=MOMENT_SECONDS):
        if not log.is_there():
            wanted.update(dict.fromkeys(wanted, False))
            return
        log.handle.hold()
        try:
            stored, now = dict(log.leases.read(creation_id)), leases.wall_clock()
            for run_id, token in wanted:
                lease = stored.get(run_id)
                is_held = lease is not None and lease.token == token and lease.until > now
                if lease is not None and is_held:
                    stored[run_id] = leases.renewed(lease, now)
                wanted[run_id, token] = is_held
            if any(wanted.values()):
                log.leases.write(creation_id, stored)
        finally:
            log.handle.release()
