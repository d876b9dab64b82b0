"""Verbs that look for what is wrong, and mend it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from a2a_session_manager.active.titles import TitleBy
from a2a_session_manager.cli.events import event_row, print_event
from a2a_session_manager.cli.opening import (
    IndexedOption,
    JsonOption,
    NamespaceOption,
    StoreOption,
    found,
    with_sessions,
)
from a2a_session_manager.cli.progress import counting
from a2a_session_manager.cli.writing import console, on_one_line, print_json, table
from a2a_session_manager.context.findings import Finding
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent

IdsArgument = Annotated[list[str] | None, typer.Argument(metavar="[ID]…", help="The sessions; none means all.")]
IndexOption = Annotated[bool, typer.Option("--index", help="Make the index of the namespace anew.")]
CutOption = Annotated[
    bool,
    typer.Option("--cut-damaged-tail", help="Before that, move its damaged end into a file beside it."),
]
ExactId = Annotated[str, typer.Argument(metavar="ID", help="The session's whole id.")]


def check(
    store: StoreOption,
    ids: IdsArgument = None,
    index: IndexOption = False,
    indexed: IndexedOption = None,
    namespace: NamespaceOption = "",
    json: JsonOption = False,
) -> None:
    """Say what a model would not be given as it is stored, and which runs never ended. The status is then 1.

    With --index, what sessions are found by is made anew instead.
    """
    if index:
        _rebuild_index(store, ids, indexed or (), namespace, json)
        return

    async def read(sessions: SessionManager) -> list[tuple[str, Finding]]:
        if ids:
            listed = [(await found(sessions, each)).id for each in ids]
            return [(each, finding) for each in listed for finding in await sessions.check(each)]
        with counting("sessions with findings") as set_count:
            everything: list[tuple[str, Finding]] = []
            async for each, of_session in sessions.check_all():
                everything += [(each, finding) for finding in of_session]
                set_count(len({named for named, _ in everything}))
            return everything

    findings = with_sessions(store, namespace, read)
    if json:
        print_json({"id": each, **finding._asdict()} for each, finding in findings)
    elif findings:
        rows = [(each, finding.code, _seqs(finding), finding.text) for each, finding in findings]
        console().print(table(("ID", "CODE", "EVENTS", ""), rows))
    if findings:
        raise typer.Exit(1)


def _rebuild_index(store: str, ids: list[str] | None, indexed: Sequence[str], namespace: str, json: bool) -> None:
    if ids:
        raise InvalidSessionOperation("--index is of a whole namespace: leave out the ids")

    async def make(sessions: SessionManager) -> int | None:
        return await sessions.rebuild_index()

    count = with_sessions(store, namespace, make, indexed=indexed)
    if json:
        print_json([{"index": "none" if count is None else "made anew", "sessions": count}])
    elif count is None:
        console().print("the store keeps no index of pages: nothing had to be made anew")
    else:
        console().print(f"the index was made anew: {count:,} sessions are in it")


def repair(
    id: ExactId,
    store: StoreOption,
    cut_damaged_tail: CutOption = False,
    namespace: NamespaceOption = "",
    json: JsonOption = False,
) -> None:
    """Answer each call that has no result with one that says "interrupted", and print what was written."""

    async def write(sessions: SessionManager) -> tuple[int, list[SessionEvent[Any]]]:
        cut = await sessions.cut_damaged_tail(id) if cut_damaged_tail else 0
        return cut, await sessions.repair(id)

    cut, written = with_sessions(store, namespace, write)
    if cut:
        text = f"{cut:,} damaged bytes were moved into a file beside the log; `doctor` names it"
        print(f"a2a-sessions: {text}", file=sys.stderr)
    if json:
        print_json(map(event_row, written))
        return
    for event in written:
        print_event(console(), event)


def title(
    id: ExactId,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The title.")],
    store: StoreOption,
    by: Annotated[TitleBy, typer.Option("--by", help="Who gives it; a weaker one replaces no stronger one.")] = "user",
    namespace: NamespaceOption = "",
    json: JsonOption = False,
) -> None:
    """Give a session a title. A stronger one stays, the user's before an agent's; the status is then 1."""

    async def write(sessions: SessionManager) -> tuple[bool, Session[Any]]:
        is_set = await sessions.set_title(id, text, by=by)
        return is_set, await sessions.get(id, last=0)

    is_set, session = with_sessions(store, namespace, write)
    properties = session.metadata.properties
    if json:
        print_json([{"id": id, "is_set": is_set, **{name: properties.get(name) for name in ("title", "title_by")}}])
    elif not is_set:
        stays = on_one_line(f"'{properties.get('title')}': it was given by the {properties.get('title_by', 'user')}")
        print(f"a2a-sessions: the title stays {stays}", file=sys.stderr)
    if not is_set:
        raise typer.Exit(1)


def _seqs(finding: Finding) -> str:
    return ", ".join(map(str, finding.seqs))
