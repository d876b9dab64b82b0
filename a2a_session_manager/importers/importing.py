"""import_conversations: conversations of other programs become sessions."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from functools import partial
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import ValidationError

from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.exceptions import InvalidEvent, InvalidSessionOperation
from a2a_session_manager.identifiers import shown_path
from a2a_session_manager.importers.checking import ImportCheck
from a2a_session_manager.importers.recognition import Format, format_named, known_formats, recognised, unknown
from a2a_session_manager.importers.records import EventRecord, Record, storable
from a2a_session_manager.importers.report import ImportReport
from a2a_session_manager.importers.source import ImportFault, SourceFile
from a2a_session_manager.importers.writing import ImportWriter
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.protocols import SessionStore
from a2a_session_manager.storage.store import BaseSessionStore

_RECORDS: Final = 500
_WEIGHT: Final = 1_000_000
_SERVERS: Final = ("redis://", "rediss://")
_ENDINGS: Final = frozenset({".json", ".jsonl", ".ndjson", ".db", ".sqlite", ".sqlite3"})


class _Input(NamedTuple):
    """A file, or a server, and its reader."""

    name: str
    format: str
    read: Callable[[], Iterator[Record]]


async def import_conversations(
    sessions: SessionManager | SessionStore,
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    namespace: str = "",
    dry_run: bool = False,
    progress: Callable[[int], object] | None = None,
) -> ImportReport:
    """Bring the conversations of a file, or of all files in a directory, into the store, and say what came.

    Ids and times are those of the file. A record that says nothing to a model, or that nobody knows, is kept as an
    event of the type "opaque", and counted; what a record says beside a message is under "imported" in the event's
    metadata. Branches become forks, and sub-agents children. All files are read and checked before anything is
    written. To import again changes nothing; where a file has grown since, what is new is added; and an import that
    was killed is gone on with. A file is read piece by piece, whatever its length.

    Args:
        path: a file, a directory, or the URL of a Redis server, such as redis://host/0?key_prefix=agents:session.
        format: the name of the format, such as "claude-code", where it is not to be recognised.
        namespace: the one, inside of that of `sessions`, which the sessions are put into.
        dry_run: only say what would come.
        progress: is called with the number of events that are done.

    Raises InvalidSessionOperation, with nothing written, for a file of no known format, for one that is damaged or cut
    off, and when other sessions have the ids.
    """
    store = sessions.store if isinstance(sessions, SessionManager) else sessions
    if not isinstance(store, BaseSessionStore):
        raise InvalidSessionOperation(f"{type(store).__name__} is no store over a backend: import into one that is")
    store = store.namespace(namespace) if namespace else store
    report = ImportReport(dry_run)
    inputs = await in_thread(_inputs, os.fspath(path), format, report)
    check = await in_thread(ImportCheck, store, report)
    try:
        for each in inputs:
            async with aclosing(_batches(each)) as batches:
                async for batch in batches:
                    await check.take(batch, each.format, each.name)
        await check.finish()
    finally:
        await in_thread(check.close)
    if dry_run or not any(planned.is_new for planned in check.planned.values()):
        return report
    writer = ImportWriter(store, check.planned, check.missing, progress)
    for each in inputs:
        async with aclosing(_batches(each)) as batches:
            async for batch in batches:
                await writer.take(batch)
    await writer.finish()
    return report


async def _batches(each: _Input) -> AsyncGenerator[list[Record], None]:
    """Yield the records of a file, some at a time; a thread reads them."""
    records = await in_thread(each.read)
    while batch := await in_thread(_batch, records, each.name):
        yield batch


def _batch(records: Iterator[Record], name: str) -> list[Record]:
    batch: list[Record] = []
    weight = 0
    try:
        for record in map(storable, islice(records, _RECORDS)):
            batch.append(record)
            weight += record.weight if isinstance(record, EventRecord) else 0
            if weight >= _WEIGHT:
                break
    except (InvalidEvent, ValidationError) as error:  # such as a number that no store can hold
        text = " ".join(str(error).split())[:300]
        raise ImportFault(f"{name}: a record cannot be kept: {text}; nothing was written") from error
    return batch


def _inputs(place: str, format: str | None, report: ImportReport) -> list[_Input]:
    chosen = None if format is None else format_named(format)
    if place.startswith(_SERVERS):
        return _on_server(place, format, report)
    path = Path(place)
    if not path.exists():
        raise ImportFault(f"{shown_path(place)} does not exist; nothing was written")
    inputs: list[_Input] = []
    for source in _files(path):
        found = chosen or recognised(source)
        if found is None and not path.is_dir():
            raise unknown(source)
        if found is None:
            report.skipped.append(str(source.path))
            continue
        report.formats[found.name] += 1
        inputs.append(_Input(shown_path(source.path), found.name, _reader(found, source)))
    if not inputs:
        raise ImportFault(
            f"{shown_path(path)} holds no conversations: {len(report.skipped)} files of "
            f"{', '.join(sorted(_ENDINGS))} were looked at; known formats are {known_formats()}; nothing was written"
        )
    return inputs


def _on_server(url: str, format: str | None, report: ImportReport) -> list[_Input]:
    # By name, because it needs redis-py.
    server = import_module("a2a_session_manager.importers.redis_servers").RedisServer(url, format)
    names: list[str] = server.formats()
    report.formats.update(names)
    return [_Input(server.name, name, partial(server.read, name)) for name in names]


def _reader(format: Format, source: SourceFile) -> Callable[[], Iterator[Record]]:
    return lambda: format.read(source)


def _files(path: Path) -> list[SourceFile]:
    """Return the files to read: logs of sub-agents after those of the sessions that they are of."""
    if not path.is_dir():
        return [SourceFile.at(path)]
    found = (each for each in path.rglob("*") if each.suffix in _ENDINGS and each.is_file())
    return [SourceFile.at(each) for each in sorted(found, key=lambda each: (each.name.startswith("agent-"), each))]
