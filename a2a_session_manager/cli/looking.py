"""Verbs that show sessions: which there are, what was said in one, and the tree that it is in."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer
from rich.text import Text
from rich.tree import Tree

from a2a_session_manager.cli.events import event_row, print_event
from a2a_session_manager.cli.opening import (
    IdArgument,
    IndexedOption,
    JsonOption,
    NamespaceOption,
    PropertyOption,
    StoreOption,
    found,
    with_sessions,
)
from a2a_session_manager.cli.quantities import properties_in
from a2a_session_manager.cli.writing import age, console, cost, counted, on_one_line, print_json, short_id, spent, table
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import shown
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_head import SessionHead
from a2a_session_manager.models.token_tally import TokenTally, summed
from a2a_session_manager.protocols import PageOrder

_WIDE: Final = 100

LimitOption = Annotated[int, typer.Option("--limit", min=1, help="At most so many sessions.")]
CursorOption = Annotated[str | None, typer.Option("--cursor", help="Go on where another call ended.")]
RootsOption = Annotated[bool, typer.Option("--roots", help="Leave out sessions that have a parent.")]
LastOption = Annotated[int, typer.Option("--last", min=0, help="At most so many events, the newest ones.")]
OrderOption = Annotated[
    PageOrder | None, typer.Option("--order", help="By the last activity (if not given), the creation, or the id.")
]
OldestOption = Annotated[bool, typer.Option("--oldest-first", help="The other way round.")]
TitleOption = Annotated[str | None, typer.Option("--title", help="Only those whose title has this in it.")]
HiddenOption = Annotated[bool, typer.Option("--retracted", help="Show retracted events, too.")]
FollowOption = Annotated[bool, typer.Option("--follow", "-f", help="Go on with each new event, until Ctrl-C.")]


def ls(
    store: StoreOption,
    prefix: Annotated[str, typer.Argument(help="Only ids that begin so, in the order of ids.")] = "",
    order: OrderOption = None,
    oldest_first: OldestOption = False,
    property: PropertyOption = None,
    title: TitleOption = None,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    roots: RootsOption = False,
    indexed: IndexedOption = None,
    namespace: NamespaceOption = "",
    json: JsonOption = False,
) -> None:
    """List sessions, those that were active last first, with their cost and when that was."""
    if prefix and (order not in (None, "id") or oldest_first or property or title is not None):
        raise InvalidSessionOperation(
            f"ids that begin with {shown(prefix)} are listed by id: leave out --title, --property and other orders"
        )
    properties = properties_in(property, indexed or ())

    async def listed(sessions: SessionManager) -> tuple[list[SessionHead], str | None]:
        if prefix:
            page = await sessions.list_page(prefix, cursor=cursor, limit=limit, roots_only=roots)
            return [_head(each) for each in await sessions.get_many(page.session_ids) if each], page.cursor
        found = await sessions.page(
            order=order or "updated",
            newest_first=not oldest_first,
            properties=properties,
            title=title,
            roots_only=roots,
            limit=limit,
            cursor=cursor,
        )
        return list(found), found.cursor

    heads, following = with_sessions(store, namespace, listed, indexed=indexed or ())
    if json:
        print_json(map(head_row, heads))
    else:
        columns = ("ID", "TITLE", "EVENTS", "COST", "RUNS", "ACTIVE")
        out = console()
        rows = (_cells(head, is_narrow=out.width < _WIDE) for head in heads)
        out.print(table(columns, rows, right=frozenset((2, 3)), cut=1))
    if following is not None:
        print(f"there are more: --cursor {following!r}", file=sys.stderr)


def show(
    id: IdArgument,
    store: StoreOption,
    last: LastOption = 20,
    retracted: HiddenOption = False,
    namespace: NamespaceOption = "",
    json: JsonOption = False,
) -> None:
    """Show a session: what it is about, what it cost, and its newest events."""

    async def read(sessions: SessionManager) -> tuple[Session[Any], list[SessionEvent[Any]]]:
        session = await found(sessions, id, last=last)
        return session, await _with_hidden(sessions, session) if retracted else session.events

    session, events = with_sessions(store, namespace, read)
    if json:
        print_json([session_row(session), *map(event_row, events)])
        return
    out = console()
    out.print(Text(on_one_line(session.id), style="bold"))
    out.print(table(("", ""), _about(session)))
    if session.earlier_events:
        out.print(Text(f"… {counted(session.earlier_events, 'earlier event')}: --last", style="dim"))
    for event in events:
        print_event(out, event)


def tail(
    id: IdArgument,
    store: StoreOption,
    last: LastOption = 10,
    follow: FollowOption = False,
    namespace: NamespaceOption = "",
    json: JsonOption = False,
) -> None:
    """Print the newest events of a session and, with --follow, each one that comes."""

    def put(event: SessionEvent[Any]) -> None:
        if json:
            print_json([event_row(event)])
        else:
            print_event(console(), event)

    async def read(sessions: SessionManager) -> None:
        session = await found(sessions, id, last=last)
        for event in session.events:
            put(event)
        if follow:
            async for event in sessions.follow(session.id, after=session.last_seq):
                put(event)

    with_sessions(store, namespace, read)


def tree(id: IdArgument, store: StoreOption, namespace: NamespaceOption = "", json: JsonOption = False) -> None:
    """Show the whole tree that a session is in, with each session's own cost and that of all below it."""

    async def read(sessions: SessionManager) -> tuple[list[Session[Any]], TokenTally]:
        session = await found(sessions, id)
        nodes = await sessions.store.tree(session.id)
        read = await sessions.store.get_many([node for node, _ in nodes])
        total = await sessions.usage(nodes[0][0], tree=True)
        return [each for each in read if each is not None], total.total

    read_sessions, total = with_sessions(store, namespace, read)
    below = _spent_below(read_sessions)
    if json:
        print_json({**session_row(each), "tree": spent(below[each.id])} for each in read_sessions)
        return
    drawn: dict[str, Tree] = {}
    for each in read_sessions:
        line = Text(on_one_line(each.id))
        if each.forked_from is not None:
            line.append(f"  fork at event {each.forked_from.seq}", style="dim")
        line.append(f"  {cost(each.token_summary.total)}", style="cyan")
        if below[each.id] != each.token_summary.total:
            line.append(f"  with all below {cost(below[each.id])}", style="dim")
        parent = drawn.get(each.parent_id or "")
        drawn[each.id] = Tree(line) if parent is None else parent.add(line)
    out = console()
    out.print(next(iter(drawn.values())))
    out.print(Text(f"total, deleted sessions included: {cost(total)}", style="bold"))


def session_row(session: Session[Any]) -> dict[str, Any]:
    """Return a session's head as JSON values."""
    return head_row(_head(session))


def head_row(head: SessionHead) -> dict[str, Any]:
    """Return a head as JSON values."""
    return {
        "id": head.id,
        "parent_id": head.parent_id,
        "root_id": head.root_id,
        "forked_from": None if head.forked_from is None else head.forked_from._asdict(),
        "title": head.title,
        "properties": head.properties,
        "created_at": head.created_at,
        "updated_at": head.updated_at,
        "last_seq": head.last_seq,
        "revision": head.revision,
        "unfinished_runs": [run.id for run in head.unfinished_runs],
        "usage": spent(head.token_summary.total),
    }


def _head(session: Session[Any]) -> SessionHead:
    title = session.metadata.properties.get("title")
    return SessionHead(
        id=session.id,
        parent_id=session.parent_id,
        root_id=session.root_id or session.id,
        forked_from=session.forked_from,
        title=title if isinstance(title, str) else None,
        properties=session.metadata.properties,
        created_at=session.metadata.created_at,
        updated_at=session.metadata.updated_at,
        last_seq=session.last_seq,
        revision=session.revision,
        token_summary=session.token_summary,
        unfinished_runs=[run for run in session.runs if not run.status.is_final],
        events=session.events,
    )


def _cells(head: SessionHead, *, is_narrow: bool) -> tuple[str, ...]:
    runs = ", ".join(run.status for run in head.unfinished_runs)
    tally = head.token_summary.total
    shown_id = short_id(head.id) if is_narrow else head.id  # else it would leave no room for titles
    return shown_id, head.title or "", str(head.last_seq), cost(tally), runs, age(head.updated_at)


def _about(session: Session[Any]) -> Sequence[tuple[str, str]]:
    total = session.token_summary.total
    rows = [(name, str(value)) for name, value in session.metadata.properties.items()]
    if session.parent_id is not None:
        rows.append(("below", session.parent_id))
    if session.forked_from is not None:
        rows.append(("fork of", f"{session.forked_from.id} at event {session.forked_from.seq}"))
    rows += [
        ("created", f"{session.metadata.created_at:%Y-%m-%d %H:%M} UTC"),
        ("active", age(session.metadata.updated_at)),
        ("events", str(session.last_seq)),
        ("tokens", f"{total.prompt_tokens:,} in, {total.completion_tokens:,} out"),
        ("requests", f"{total.requests:,}"),
        ("cost", cost(total)),
    ]
    rows += [("run", f"{run.id} {run.status}") for run in session.runs if not run.status.is_final]
    return rows


async def _with_hidden(sessions: SessionManager, session: Session[Any]) -> list[SessionEvent[Any]]:
    """Return the events from the first one that was read on, hidden ones as well."""
    first = session.events[0].seq if session.events else None
    after = session.last_seq if first is None else first - 1
    return await sessions.store.events(session, after=after, include_retracted=True)


def _spent_below(sessions: Sequence[Session[Any]]) -> dict[str, TokenTally]:
    """Return what each session spent with all below it; parents stand before their children."""
    sums = {each.id: each.token_summary.total for each in sessions}
    for each in reversed(sessions):
        if each.parent_id in sums:
            sums[each.parent_id] = summed((sums[each.parent_id], sums[each.id]))
    return sums
