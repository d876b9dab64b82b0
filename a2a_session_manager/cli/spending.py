"""Verbs about money and size."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from a2a_session_manager.cli.opening import IdArgument, JsonOption, NamespaceOption, StoreOption, found, with_sessions
from a2a_session_manager.cli.progress import counting
from a2a_session_manager.cli.writing import console, cost, print_json, spent, table
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.token_summary import TokenSummary
from a2a_session_manager.models.token_tally import NOTHING_SPENT, TokenTally

_IDS_A_PAGE = 200


def usage(
    id: IdArgument,
    store: StoreOption,
    tree: Annotated[bool, typer.Option("--tree", help="With all sessions below it.")] = False,
    namespace: NamespaceOption = "",
    json: JsonOption = False,
) -> None:
    """Show what a session spent, by model; a cost after ≥ is a lower bound."""

    async def read(sessions: SessionManager) -> TokenSummary:
        return await sessions.usage((await found(sessions, id)).id, tree=tree)

    summary = with_sessions(store, namespace, read)
    by_model = [(model or "(no model)", tally) for model, tally in summary.usage_by_model.items()]
    if json:
        print_json([*({"model": model, **spent(tally)} for model, tally in by_model), {"total": spent(summary.total)}])
        return
    rows = [_spent_row(name, tally) for name, tally in [*by_model, ("total", summary.total)]]
    columns = ("MODEL", "REQUESTS", "INPUT", "CACHED", "OUTPUT", "COST", "NOT PRICED", "NO USAGE", "REPEATED")
    console().print(table(columns, rows, right=frozenset(range(1, len(columns)))))


def stats(store: StoreOption, namespace: NamespaceOption = "", json: JsonOption = False) -> None:
    """Count the sessions, events, runs and costs of the whole namespace; it reads the head of each session."""

    async def read(sessions: SessionManager) -> tuple[dict[str, int], TokenTally]:
        counts = {"sessions": 0, "roots": 0, "events": 0, "unfinished_runs": 0}
        total, cursor = NOTHING_SPENT, None
        with counting("sessions") as set_count:
            while True:
                page = await sessions.store.list_page(cursor=cursor, limit=_IDS_A_PAGE)
                for session in await sessions.store.get_many(page.session_ids):
                    if session is not None:
                        counts["sessions"] += 1
                        counts["roots"] += session.parent_id is None
                        inherited = 0 if session.forked_from is None else session.forked_from.seq
                        counts["events"] += session.last_seq - inherited
                        counts["unfinished_runs"] += sum(not run.status.is_final for run in session.runs)
                        total += session.token_summary.total
                set_count(counts["sessions"])
                cursor = page.cursor
                if cursor is None:
                    return counts, total

    counts, total = with_sessions(store, namespace, read)
    if json:
        print_json([{**counts, "usage": spent(total)}])
        return
    rows = [(name.replace("_", " "), f"{count:,}") for name, count in counts.items()]
    rows += [("tokens", f"{total.total_tokens:,}"), ("cost", cost(total))]
    console().print(table(("", ""), rows, right=frozenset((1,))))


def _spent_row(name: str, tally: TokenTally) -> tuple[Any, ...]:
    counts = (tally.requests, tally.prompt_tokens, tally.cache_read_tokens, tally.completion_tokens)
    not_priced = tally.unpriced_requests + tally.partially_priced_requests
    flags = (not_priced, tally.requests_without_usage, tally.repeated_requests)
    return (name, *(f"{count:,}" for count in counts), cost(tally), *(f"{count:,}" for count in flags))
