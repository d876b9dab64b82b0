"""Runs that have not ended, of all sessions of a namespace: read page by page, and held in memory no longer."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from typing import Final

from a2a_session_manager.models.clock import moment, utc_now
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.models.unfinished_run import UnfinishedRun
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.loading import decode_runs
from a2a_session_manager.storage.read_records import LoadedSession
from a2a_session_manager.storage.reads import load_batches
from a2a_session_manager.storage.records import SessionKey

_SESSIONS_A_PAGE: Final = 100


async def unfinished_runs(
    backend: Backend, namespace: Namespace, *, older_than: timedelta
) -> AsyncGenerator[UnfinishedRun, None]:
    """Yield the runs of a namespace that have not ended and began before that long."""
    before = utc_now() - older_than
    cursor: str | None = None
    while True:
        page = await backend.list_page(namespace, prefix="", cursor=cursor, limit=_SESSIONS_A_PAGE, roots_only=False)
        keys = [SessionKey(namespace, session_id) for session_id in page.session_ids]
        async for batch in load_batches(backend, keys, last=0, whole_head=False):
            found = [each for loaded in batch if loaded is not None for each in await _old(loaded, before)]
            held = await backend.held_leases([(key, run.id) for key, run in found]) if found else []
            for (key, run), lease in zip(found, held, strict=True):
                holder, left = (None, 0.0) if lease is None else (lease.holder, lease.milliseconds_left / 1000)
                yield UnfinishedRun(key.id, run, holder, left)
        if (cursor := page.cursor) is None:
            return


async def _old(loaded: LoadedSession, before: datetime) -> list[tuple[SessionKey, SessionRun]]:
    head = loaded.head
    if not head.unfinished:
        return []
    runs = await decode_runs([head.runs[run_id] for run_id in head.unfinished], head.key.id)
    # A run that has not begun is as old as what was last done in its session.
    return [(head.key, run) for run in runs if (run.started_at or moment(head.updated_at)) <= before]
