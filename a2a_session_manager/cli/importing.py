"""The verb that brings conversations from files: `import`. Each kind of file is a row of the table below."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Annotated, Any, Final, NamedTuple, TypeAlias

import typer

from a2a_session_manager.bundles.bundle_file import is_bundle
from a2a_session_manager.cli.moving import PrefixOption, move_rows, print_moves
from a2a_session_manager.cli.opening import JsonOption, NamespaceOption, StoreOption, with_sessions
from a2a_session_manager.cli.progress import counting
from a2a_session_manager.cli.writing import counted, on_one_line, print_json
from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.importers.importing import import_conversations
from a2a_session_manager.importers.recognition import FORMATS
from a2a_session_manager.importers.report import ImportReport
from a2a_session_manager.manager import SessionManager

_BUNDLE: Final = "bundle"
_STANDARD_INPUT: Final = "-"

PathArgument = Annotated[
    str, typer.Argument(metavar="PATH", help="A file, a directory, or redis://HOST/DB?key_prefix=PREFIX.")
]
FormatOption = Annotated[
    str | None,
    typer.Option("--format", "-f", help=f"Where it is not to be recognised, one of: {', '.join((_BUNDLE, *FORMATS))}."),
]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Read and check all of it, say what would come, and stop.")]
NewStoreOption = Annotated[bool, typer.Option("--new-store", help="Make the store where there is none yet.")]


class Import(NamedTuple):
    """What is to be brought, and who is told how far it is: the number of events so far."""

    sessions: SessionManager
    path: str
    format: str | None
    dry_run: bool
    prefix: str
    progress: Callable[[int], None]


class Imported(NamedTuple):
    """What came, as rows for programs, and what prints it for people."""

    rows: list[Mapping[str, Any]]
    print: Callable[[], None]


# Returns None for a file that is none of its own.
Importer: TypeAlias = Callable[[Import], Awaitable[Imported | None]]


async def _bundle(given: Import) -> Imported | None:
    if given.format not in (None, _BUNDLE):
        return None
    if given.format is None and not await in_thread(is_bundle, given.path):
        return None
    report = await given.sessions.import_bundle(
        given.path, prefix=given.prefix, dry_run=given.dry_run, progress=given.progress
    )
    return Imported(list(move_rows(report)), partial(print_moves, report))


async def _conversations(given: Import) -> Imported | None:
    if given.prefix:
        raise InvalidSessionOperation("--prefix is for bundles, and this is none")
    report = await import_conversations(
        given.sessions, given.path, format=given.format, dry_run=given.dry_run, progress=given.progress
    )
    return Imported([_row(report)], partial(_print_told, report))


# The first one that knows a file brings it.
IMPORTERS: Final[Mapping[str, Importer]] = {
    _BUNDLE: _bundle,
    "conversations": _conversations,
}


def import_(
    path: PathArgument,
    store: StoreOption,
    format: FormatOption = None,
    dry_run: DryOption = False,
    new_store: NewStoreOption = False,
    prefix: PrefixOption = "",
    namespace: NamespaceOption = "",
    json: JsonOption = False,
) -> None:
    """Bring the sessions of a bundle, or conversations of other programs; what is there is not brought again.

    All files are read and checked before anything is written. Ids and times stay as they are.
    """

    async def bring(sessions: SessionManager) -> Imported:
        with counting("events") as progress:
            given = Import(sessions, path, format, dry_run, prefix, progress)
            for importer in IMPORTERS.values():
                if (found := await importer(given)) is not None:
                    return found
        raise AssertionError("the last one refuses what it does not know")

    if path == _STANDARD_INPUT:
        raise InvalidSessionOperation("standard input is read once, and an import twice: write it into a file first")
    remedy = "check --store, or make it with --new-store" + (", without --dry-run" if dry_run and new_store else "")
    imported = with_sessions(store, namespace, bring, may_be_new=new_store and not dry_run, remedy=remedy)
    if json:
        print_json(imported.rows)
        return
    imported.print()


def _row(report: ImportReport) -> dict[str, Any]:
    counts = ("new_sessions", "forks", "children", "events", "new_events", "untimed", "repeated")
    return {
        "dry_run": report.dry_run,
        "formats": dict(report.formats),
        "sessions": len(report.session_ids),
        **{name: getattr(report, name) for name in counts},
        "opaque": dict(report.opaque),
        "skipped": report.skipped,
        "notes": report.notes,
        "session_ids": report.session_ids,
    }


def _print_told(report: ImportReport) -> None:
    for line in _told(report):
        print(on_one_line(line))


def _told(report: ImportReport) -> Iterator[str]:
    kinds = ", ".join(f"{counted(count, 'file')} of {name}" for name, count in report.formats.items())
    sessions, events = counted(len(report.session_ids), "session"), counted(report.events, "event")
    yield f"{kinds}: {sessions}, {events}"
    would = "would be new" if report.dry_run else "are new"
    yield f"{counted(report.new_sessions, 'session')} and {counted(report.new_events, 'event')} {would}"
    if report.forks or report.children:
        yield f"among them are {report.forks:,} forks, and {report.children:,} that lie below others"
    if report.opaque:
        opaque = ", ".join(f"{count:,} {kind}" for kind, count in report.opaque.most_common())
        yield f"kept as they are, unseen by models: {opaque}"
    if report.untimed:
        yield f"events without a time of their own: {report.untimed:,}"
    if report.repeated:
        yield f"records that came twice, and were taken once: {report.repeated:,}"
    for name in report.skipped:
        yield f"skipped, of no known format: {name}"
    yield from report.notes
