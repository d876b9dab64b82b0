"""Bundles into a store, and sessions of one store into another one."""

from __future__ import annotations

import os
from pathlib import Path

from a2a_session_manager.bundles.bundle_source import opened_bundle
from a2a_session_manager.bundles.moving import Move, Progress, move
from a2a_session_manager.bundles.report import MoveReport
from a2a_session_manager.bundles.sources import TreeSource, base_store
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.protocols import SessionStore


async def import_bundle(
    store: SessionStore,
    path: str | os.PathLike[str],
    *,
    prefix: str = "",
    dry_run: bool = False,
    progress: Progress | None = None,
) -> MoveReport:
    """Bring the sessions of a bundle into a store, and return what was done for each.

    All of the bundle is read and checked before anything is written, and each session once it was. Ids and times stay;
    what is there already is left as it is, so importing again changes nothing, and goes on with an import that was cut
    off. Until all of a tree is there, its root has the property `unfinished_copy`.

    Args:
        store: where the sessions go, into its namespace.
        path: the bundle.
        prefix: is put before the ids of all sessions.
        dry_run: return what would be done, and write nothing.
        progress: is called with how many events are done, now and then.

    Raises InvalidSessionOperation for a file that is no bundle, was cut off, was changed, or holds what the store would
    refuse, and for a session that is there with other content: then nothing was written.
    """
    into = base_store(store)
    async with opened_bundle(Path(path), into.target("-").limits) as source:
        return await move(Move(source, into, prefix, progress=progress), dry_run=dry_run)


async def copy_sessions(
    store: SessionStore,
    into: SessionStore,
    *session_ids: str,
    prefix: str = "",
    dry_run: bool = False,
    progress: Progress | None = None,
) -> MoveReport:
    """Copy sessions, each with all below it, into another store or namespace; return what was done for each.

    It is as exporting them and importing that: each session is as it was at one moment, however many write to it, what
    is there already stays, and a copy that was cut off is gone on with.

    Args:
        store, into: from where, and to where.
        session_ids: the sessions; without any, all roots.
        prefix: is put before the ids of all copies.
        dry_run: return what would be done, and write nothing.
        progress: is called with how many events are done, now and then.

    Raises SessionNotFound, CorruptSession, and InvalidSessionOperation for a session that is there with other content,
    or as it was earlier.
    """
    source, target = base_store(store), base_store(into)
    if not prefix and source.is_same_place(target):
        raise InvalidSessionOperation("a session cannot be copied onto itself: name another store, or give a prefix")
    ids = list(session_ids) if session_ids else [each async for each in source.iter_sessions(roots_only=True)]
    moves = [Move(await TreeSource.of(source, each), target, prefix, progress=progress) for each in ids]
    plans = [await each.plan() for each in moves]
    report = MoveReport([], [], dry_run)
    done = 0
    for each, rows in zip(moves, plans, strict=True):
        each.done = done
        if not dry_run:
            rows = await each.run(rows)
            await each.unmark()
            done = each.done
        report.sessions.extend(rows)
        report.losses.extend(await each.source.losses())
    return report
