"""Verbs over a whole namespace: which ones there are, and removing what has been idle."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import humanize
import typer
from rich.text import Text

from a2a_session_manager.cli.opening import JsonOption, NamespaceOption, PropertyOption, StoreOption, with_sessions
from a2a_session_manager.cli.progress import counting
from a2a_session_manager.cli.quantities import age_in, properties_in, size_in
from a2a_session_manager.cli.writing import age, console, counted, on_one_line, print_json, table
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.pruning import PrunedBranch, PruneResult
from a2a_session_manager.namespaces import Namespace, names_in, path_of

OlderThanOption = Annotated[
    str | None, typer.Option("--older-than", metavar="AGE", help="What was idle for so long, such as 90d or 12h.")
]
KeepLastOption = Annotated[
    int | None, typer.Option("--keep-last", metavar="N", min=0, help="So many that were active last stay in any case.")
]
MaxBytesOption = Annotated[
    str | None,
    typer.Option("--max-bytes", metavar="SIZE", help="What is above that, such as 5GB, the idle ones first."),
]
BranchesOption = Annotated[bool, typer.Option("--branches", help="Idle branches of trees that stay, too.")]
RemoveOption = Annotated[bool, typer.Option("--remove", help="Remove it; else it is only said what would be removed.")]
AllOption = Annotated[bool, typer.Option("--all", help="Those inside these, too, at every depth.")]


def prune(
    store: StoreOption,
    older_than: OlderThanOption = None,
    keep_last: KeepLastOption = None,
    max_bytes: MaxBytesOption = None,
    property: PropertyOption = None,
    branches: BranchesOption = False,
    remove: RemoveOption = False,
    namespace: NamespaceOption = "",
    json: JsonOption = False,
) -> None:
    """Remove trees of sessions that have been idle; without --remove, only say which.

    A tree is as idle as the session in it that was active last. What comes alive meanwhile stays, and so does what is
    damaged, or has a run that somebody holds.
    """
    if older_than is None and keep_last is None and max_bytes is None:
        raise InvalidSessionOperation("nothing says what may go: take --older-than, --keep-last or --max-bytes")
    limits: dict[str, Any] = {
        "older_than": None if older_than is None else age_in(older_than),
        "keep_last": keep_last,
        "max_bytes": None if max_bytes is None else size_in(max_bytes),
        "properties": properties_in(property),
        "branches": branches,
    }

    async def read(sessions: SessionManager) -> PruneResult:
        with counting("sessions looked at") as set_count:
            return await sessions.prune(**limits, dry_run=not remove, progress=lambda judged, _: set_count(judged))

    result = with_sessions(store, namespace, read)
    if json:
        print_json([*map(_row, result.removed), *({"spared": each._asdict()} for each in result.spared), _sum(result)])
        return
    if result.removed:
        columns = ("ID", "TITLE", "SESSIONS", "SIZE", "ACTIVE", "WHY")
        console().print(table(columns, map(_cells, result.removed), right=frozenset((2, 3)), cut=1))
    for spared in result.spared:
        print(f"a2a-sessions: {on_one_line(spared.id)} stays: {_STAYS[spared.reason]}", file=sys.stderr)
    console().print(Text(_told(result), style="bold"))


_STAYS = {
    "active": "it was active meanwhile",
    "held": "somebody holds a run of it",
    "damaged": "it is damaged; `doctor --sessions` says more",
}


def namespaces(
    store: StoreOption, all: AllOption = False, namespace: NamespaceOption = "", json: JsonOption = False
) -> None:
    """List the namespaces that hold sessions, as --namespace takes them."""
    outer = tuple(names_in(namespace))

    async def read(sessions: SessionManager) -> list[Namespace]:
        return await _inside(sessions, outer, is_deep=all)

    found = with_sessions(store, namespace, read)
    if json:
        print_json({"namespace": path_of(each), "name": each[-1]} for each in found)
        return
    for each in found:
        console().print(Text(on_one_line(path_of(each))))


async def _inside(sessions: SessionManager, outer: Namespace, *, is_deep: bool) -> list[Namespace]:
    found: list[Namespace] = []
    for name in sorted(await sessions.namespaces()):
        found.append((*outer, name))
        if is_deep:
            found += await _inside(sessions.namespace(name), found[-1], is_deep=True)
    return found


def _row(branch: PrunedBranch) -> dict[str, Any]:
    return {**branch._asdict(), "session_ids": list(branch.session_ids)}


def _cells(branch: PrunedBranch) -> tuple[str, ...]:
    reason = branch.reason.replace("_", " ")
    count = str(len(branch.session_ids))
    return branch.id, branch.title or "", count, _size(branch.bytes), age(branch.updated_at), reason


def _sum(result: PruneResult) -> dict[str, Any]:
    return {
        "dry_run": result.dry_run,
        "removed": len(result.removed),
        "sessions": result.sessions,
        "bytes": result.bytes,
        "spared": len(result.spared),
        "kept": result.kept,
        "kept_bytes": result.kept_bytes,
    }


def _told(result: PruneResult) -> str:
    size = "" if result.bytes is None else f", {_size(result.bytes)}"
    kept = "" if result.kept_bytes is None else f", {_size(result.kept_bytes)}"
    verb = "would be" if result.dry_run else "was" if result.sessions == 1 else "were"
    remedy = "; --remove removes them" if result.dry_run and result.removed else ""
    left = f"{counted(result.kept, 'tree')} {'stays' if result.kept == 1 else 'stay'}{kept}"
    return f"{counted(result.sessions, 'session')} {verb} removed{size}; {left}{remedy}"


def _size(count: int | None) -> str:
    return "" if count is None else humanize.naturalsize(count)
