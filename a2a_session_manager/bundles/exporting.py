"""Sessions into a bundle: line by line, so that a log of any length takes as little memory as a short one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from a2a_session_manager.bundles.digests import SessionDigest
from a2a_session_manager.bundles.lines import HEADER, end_line, manifest_line
from a2a_session_manager.bundles.records import event_line
from a2a_session_manager.bundles.report import ExportReport, Loss
from a2a_session_manager.bundles.sources import SourceSession, TreeSource, base_store
from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import shown_path
from a2a_session_manager.protocols import SessionStore

# Is told how many events are done.
Progress = Callable[[int], object]


class Writable(Protocol):
    """What takes bytes, such as a file opened with "wb"."""

    def write(self, data: bytes, /) -> object: ...


async def export_bundle(
    store: SessionStore,
    destination: str | os.PathLike[str] | Writable,
    *session_ids: str,
    progress: Progress | None = None,
) -> ExportReport:
    """Write sessions, each with all below it, into a bundle: all of them, or those of `session_ids` in this order.

    Each session is as it was at one moment. The same sessions make the same bytes, whatever store they are in. A file
    that is named by its path is there only when it is whole.

    Args:
        store: where the sessions are; those of its namespace are meant.
        destination: the path of the file, or something to write to, such as a file opened with "wb".
        session_ids: the sessions; without any, all roots by their ids.
        progress: is called with how many events are written, now and then.

    Raises SessionNotFound, CorruptSession for a damaged session, and InvalidSessionOperation for a file that cannot be
    written, and for a session that is named twice, or is below another one that is.
    """
    kept = base_store(store)
    ids = list(session_ids) if session_ids else sorted([each async for each in kept.iter_sessions(roots_only=True)])
    sources = [await TreeSource.of(kept, session_id) for session_id in ids]
    every_id = [session_id for source in sources for session_id in source.ids]
    if len(set(every_id)) < len(every_id):
        raise InvalidSessionOperation("a session is named twice, or is below another one that is named: name it once")
    async with _opened(destination) as file:
        return await _Export(file, progress).write(sources)


class _Export:
    def __init__(self, file: Writable, progress: Progress | None) -> None:
        self._file = file
        self._progress = progress
        self._digest = hashlib.sha256()
        self._events = 0

    async def write(self, sources: Sequence[TreeSource]) -> ExportReport:
        session_ids: list[str] = []
        losses: list[Loss] = []
        await self._put([HEADER])
        for source in sources:
            for session_id in source.ids:
                session = await source.open(session_id)
                if session is not None:  # else it was deleted meanwhile
                    await self._write_session(session)
                    session_ids.append(session_id)
            losses += await source.losses()
        sha256 = self._digest.hexdigest()
        await self._put([manifest_line(len(session_ids), self._events, losses, sha256)])
        return ExportReport(session_ids, self._events, sha256, losses)

    async def _write_session(self, session: SourceSession) -> None:
        record = session.record
        digest = SessionDigest(record)
        await self._put(list(record.lines()))
        async for page in session.events():
            lines = [event_line(event.data) for event in page]
            for line in lines:
                digest.add_line(line)
            await self._put(lines)
            self._events += len(page)
            if self._progress is not None:
                self._progress(self._events)
        await self._put([end_line(record.id, record.own_events, digest.hexdigest())])

    async def _put(self, lines: Sequence[bytes]) -> None:
        data = b"".join(lines)
        self._digest.update(data)
        await in_thread(self._file.write, data)


@asynccontextmanager
async def _opened(destination: str | os.PathLike[str] | Writable) -> AsyncIterator[Writable]:
    """Open what is to be written to: of a path, another file beside it, which takes its name when it is whole."""
    if not isinstance(destination, str | os.PathLike):
        yield destination
        return
    path = Path(destination)
    partial = path.with_name(f"{path.name}.partial")
    try:
        file: BinaryIO = await in_thread(_create, partial)
        try:
            yield file
            await in_thread(_finish, file, partial, path)
        finally:
            await in_thread(_give_up, file, partial)
    except OSError as error:
        raise InvalidSessionOperation(f"{shown_path(path)} cannot be written: {error.strerror or error}") from error


def _create(path: Path) -> BinaryIO:
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _finish(file: BinaryIO, partial: Path, path: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()
    partial.replace(path)


def _give_up(file: BinaryIO, partial: Path) -> None:
    if not file.closed:
        with suppress(OSError):
            file.close()
        partial.unlink(missing_ok=True)
