"""The verb that writes a session into a file: `export`. Each format is a row of the table below."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated, BinaryIO, Final, NamedTuple, TypeAlias, get_args

import typer

from a2a_session_manager.cli.opening import JsonOption, NamespaceOption, StoreOption, complete_id, found, with_sessions
from a2a_session_manager.cli.progress import counting
from a2a_session_manager.cli.writing import on_one_line, print_json
from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.exceptions import InvalidSessionOperation, StoreUnavailable
from a2a_session_manager.exporters.conversation import ExportFormat, export_conversation
from a2a_session_manager.identifiers import shown, shown_path
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.timeline.export import MOST_EVENTS, session_timeline

OptionalId = Annotated[
    str,
    typer.Argument(metavar="[ID]", help="The session's id, or the beginning of one.", autocompletion=complete_id),
]


class Export(NamedTuple):
    """What is to be written, where to, and who is told how far it is.

    Of a session `alone`, those below it are left out; of each the newest `last` events are written, None for all that
    the format takes. `progress` is called with the number of events so far. `file` is written to in a thread. The id ""
    stands for all sessions, for formats that take them.
    """

    sessions: SessionManager
    id: str
    file: BinaryIO
    alone: bool
    last: int | None
    redact: bool
    progress: Callable[[int], None]


Exporter: TypeAlias = Callable[[Export], Awaitable[None]]


async def _html(export: Export) -> None:
    page = await session_timeline(
        export.sessions,
        export.id,
        alone=export.alone,
        last=MOST_EVENTS if export.last is None else export.last,
        redact=export.redact,
        progress=export.progress,
    )
    await in_thread(export.file.write, page.encode("ascii"))


async def _conversation(format: ExportFormat, export: Export) -> None:
    """Write the session alone, whole and as it was said; what the format cannot hold goes to stderr."""
    if export.alone or export.last is not None:
        raise InvalidSessionOperation(f"--format {format} is one session as a whole: leave out --alone and --last")
    exported = await export_conversation(export.sessions, export.id, format=format)
    await in_thread(export.file.write, exported.text.encode())
    for finding in exported.findings:
        print(on_one_line(f"a2a-sessions: {finding.code}: {finding.text}"), file=sys.stderr)


async def _bundle(export: Export) -> None:
    if export.alone or export.last is not None:
        raise InvalidSessionOperation("a bundle has all of a session, and all below it: leave --alone and --last out")
    ids = [export.id] if export.id else []
    report = await export.sessions.export_bundle(export.file, *ids, progress=export.progress)
    for loss in report.losses:
        print(on_one_line(f"a2a-sessions: lost: {loss.session_id}: {loss.text}"), file=sys.stderr)


FORMATS: Final[Mapping[str, Exporter]] = {
    "bundle": _bundle,
    "html": _html,
    **{name: partial(_conversation, name) for name in get_args(ExportFormat)},
}
_FOR_ALL: Final = frozenset({"bundle"})


def export(
    store: StoreOption,
    format: Annotated[str, typer.Option("--format", "-f", help=f"One of: {', '.join(FORMATS)}.")],
    id: OptionalId = "",
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Where to write it; - is standard output.")
    ] = "-",
    alone: Annotated[bool, typer.Option("--alone", help="Without the sessions below it.")] = False,
    last: Annotated[
        int | None, typer.Option("--last", min=0, help="At most so many events of each session, the newest ones.")
    ] = None,
    redact: Annotated[
        bool, typer.Option("--redact/--no-redact", help="Leave out API keys and other secrets from what people see.")
    ] = True,
    namespace: NamespaceOption = "",
    json: JsonOption = False,
) -> None:
    """Write a session and all below it into a file.

    html is a page for any browser, with its cost and its timeline; a bundle has all of it, for `import`, and without an
    ID all sessions.
    """
    exporter = FORMATS.get(format)
    if exporter is None:
        raise InvalidSessionOperation(f"--format {shown(format)} is unknown: take one of {', '.join(FORMATS)}")
    if not id and format not in _FOR_ALL:
        raise InvalidSessionOperation(f"--format {format} takes one session: name it")
    if output == "-" and sys.stdout.isatty():
        raise InvalidSessionOperation("this is no text for a terminal: name a file with -o")

    with _written(output) as file:
        with counting("events") as progress:

            async def write(sessions: SessionManager) -> str:
                whole_id = (await found(sessions, id)).id if id else ""
                await exporter(Export(sessions, whole_id, file, alone, last, redact, progress))
                return whole_id

            session_id = with_sessions(store, namespace, write)
        row = {"id": session_id or None, "format": format, "file": output, "bytes": file.tell()}
    if output == "-":
        return
    if json:
        print_json([row])
    else:
        print(f"wrote {on_one_line(output)}, {row['bytes']:,} bytes")


@contextmanager
def _written(output: str) -> Iterator[BinaryIO]:
    """Give a file to write into, which takes its place when the block has ended well; before, nothing is changed."""
    if output == "-":
        with tempfile.TemporaryFile() as file:
            yield file
            file.seek(0)
            while part := file.read(1 << 20):
                sys.stdout.buffer.write(part)
            sys.stdout.buffer.flush()
        return
    path = Path(output)
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:60]}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise StoreUnavailable(f"{shown_path(output)} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
