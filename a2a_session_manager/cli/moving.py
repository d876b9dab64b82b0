"""Verbs that move sessions: to another store, to an owner, and out of a damaged one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import reduce
from typing import Annotated, Any

import typer

from a2a_session_manager.bundles.report import MoveReport
from a2a_session_manager.cli.opening import (
    IdArgument,
    JsonOption,
    NamespaceOption,
    StoreOption,
    found,
    with_sessions,
)
from a2a_session_manager.cli.progress import counting
from a2a_session_manager.cli.writing import console, counted, on_one_line, print_json, table
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.namespaces import names_in

DryOption = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and write nothing.")]
PrefixOption = Annotated[str, typer.Option("--prefix", metavar="TEXT", help="What to put before the new ids.")]
IdsArgument = Annotated[list[str] | None, typer.Argument(metavar="[ID]…", help="The sessions; none means all.")]
IntoStore = Annotated[
    str | None, typer.Option("--to", metavar="URL", help="The store to go to; without it, the same store.")
]
IntoNamespace = Annotated[
    str | None, typer.Option("--to-namespace", metavar="NAME", help="The namespace to go to, as --namespace takes it.")
]

Report = Callable[[int], None]


def copy(
    store: StoreOption,
    ids: IdsArgument = None,
    to: IntoStore = None,
    to_namespace: IntoNamespace = None,
    prefix: PrefixOption = "",
    dry_run: DryOption = False,
    namespace: NamespaceOption = "",
    json: JsonOption = False,
) -> None:
    """Copy sessions, each with all below it, into another store or namespace; all of them, unless some are named.

    A copy that was cut off goes on when it is called again.
    """

    async def work(sessions: SessionManager, progress: Report) -> MoveReport:
        named = [(await found(sessions, each)).id for each in ids or ()]
        return await _into(
            sessions,
            to or store,
            namespace if to_namespace is None else to_namespace,
            lambda other: sessions.copy(other, *named, prefix=prefix, dry_run=dry_run, progress=progress),
        )

    _move(store, namespace, json, work)


def claim(
    id: IdArgument,
    owner: Annotated[str, typer.Argument(metavar="OWNER", help="Whose it is from now on.")],
    store: StoreOption,
    to: IntoStore = None,
    to_namespace: IntoNamespace = None,
    take_over: Annotated[bool, typer.Option("--take-over", help="Also when it has another owner.")] = False,
    namespace: NamespaceOption = "",
    json: JsonOption = False,
) -> None:
    """Let a session be somebody's: set the property owner of its root, and move all of its tree, if it is to go.

    A move that was cut off goes on when it is called again.
    """

    async def work(sessions: SessionManager, progress: Report) -> MoveReport:
        if to is None and to_namespace is None:
            return await sessions.claim((await found(sessions, id)).id, owner, take_over=take_over)
        session = await sessions.store.get(id, last=0)
        # What was moved by an earlier call is not here any more, and is named by its whole id.
        session_id = id if session is None and not await _is_beginning(sessions, id) else (await found(sessions, id)).id
        return await _into(
            sessions,
            to or store,
            namespace if to_namespace is None else to_namespace,
            lambda other: sessions.claim(session_id, owner, into=other, take_over=take_over, progress=progress),
        )

    _move(store, namespace, json, work)


def salvage(
    id: Annotated[str, typer.Argument(metavar="ID", help="The whole id of the damaged session.")],
    store: StoreOption,
    new_id: Annotated[str | None, typer.Option("--as", metavar="ID", help="The id of the new session.")] = None,
    dry_run: DryOption = False,
    namespace: NamespaceOption = "",
    json: JsonOption = False,
) -> None:
    """Make a new session of what can be trusted of a damaged one, up to the damage; the damaged one stays."""
    _move(
        store,
        namespace,
        json,
        lambda sessions, progress: sessions.salvage(id, new_id=new_id, dry_run=dry_run, progress=progress),
    )


def _move(
    store: str, namespace: str, json: bool, work: Callable[[SessionManager, Report], Awaitable[MoveReport]]
) -> None:
    with counting("events") as progress:
        report = with_sessions(store, namespace, lambda sessions: work(sessions, progress))
    if json:
        print_json(move_rows(report))
        return
    print_moves(report)


def print_moves(report: MoveReport) -> None:
    """Print what was done for each session, and what was lost."""
    cells = [(each.id, each.new_id, each.status, f"{each.events:,}") for each in report.sessions]
    console().print(table(("id", "new id", "status", "events"), cells, right=frozenset({3})))
    for loss in report.losses:
        print(on_one_line(f"lost: {loss.session_id}: {loss.text}"))
    would = "would be written" if report.dry_run else "written"
    total = counted(len(report.sessions), "session")
    print(f"{total}, {report.written:,} {would}, {counted(report.events, 'event')}")


def move_rows(report: MoveReport) -> Iterator[dict[str, Any]]:
    """Yield the same as JSON values."""
    for each in report.sessions:
        yield {**each._asdict(), "dry_run": report.dry_run}
    for loss in report.losses:
        yield {"loss": loss.code, "id": loss.session_id, "text": loss.text}


async def _into(
    sessions: SessionManager, url: str, namespace: str, work: Callable[[SessionManager], Awaitable[MoveReport]]
) -> MoveReport:
    """Open where sessions go, and do `work` with it."""
    names = names_in(namespace)
    async with SessionManager.from_url(url) as other:
        if url.startswith("memory:"):
            raise InvalidSessionOperation("a store in memory is gone at the end: name another one with --to")
        return await work(reduce(SessionManager.namespace, names, other))


async def _is_beginning(sessions: SessionManager, id: str) -> bool:
    return bool((await sessions.store.list_page(id, limit=1)).session_ids)
