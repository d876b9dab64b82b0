"""Verbs that look for what is wrong, and mend it."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from a2a_session_manager.active.titles import TitleBy
from a2a_session_manager.cli.events import event_row, print_event
from a2a_session_manager.cli.opening import JsonOption, NamespaceOption, StoreOption, found, with_sessions
from a2a_session_manager.cli.writing import console, on_one_line, print_json, table
from a2a_session_manager.context.findings import Finding
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent

IdsArgument = Annotated[list[str] | None, typer.Argument(metavar="[ID]…", help="The sessions; none means all.")]
ExactId = Annotated[str, typer.Argument(metavar="ID", help="The session's whole id.")]


def check(
    store: StoreOption, ids: IdsArgument = None, namespace: NamespaceOption = "", json: JsonOption = False
) -> None:
    """Say what a model would not be given as it is stored, and which runs never ended. The status is then 1."""

    async def read(sessions: SessionManager) -> list[tuple[str, Finding]]:
        listed = [(await found(sessions, each)).id for each in ids] if ids else await sessions.list_sessions()
        return [(each, finding) for each in listed for finding in await sessions.check(each)]

    findings = with_sessions(store, namespace, read)
    if json:
        print_json({"id": each, **finding._asdict()} for each, finding in findings)
    elif findings:
        rows = [(each, finding.code, _seqs(finding), finding.text) for each, finding in findings]
        console().print(table(("ID", "CODE", "EVENTS", ""), rows))
    if findings:
        raise typer.Exit(1)


def repair(id: ExactId, store: StoreOption, namespace: NamespaceOption = "", json: JsonOption = False) -> None:
    """Answer each call that has no result with one that says "interrupted", and print what was written."""

    async def write(sessions: SessionManager) -> list[SessionEvent[Any]]:
        return await sessions.repair(id)

    written = with_sessions(store, namespace, write)
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
