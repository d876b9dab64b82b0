"""The verb that looks at where a store keeps its data: settings, rights, permissions, damage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import typer

from a2a_session_manager.cli.opening import JsonOption, NamespaceOption, StoreOption, with_sessions
from a2a_session_manager.cli.progress import counting
from a2a_session_manager.cli.writing import console, print_json, table
from a2a_session_manager.diagnosis import StoreFinding
from a2a_session_manager.exceptions import CorruptSession, SessionNotFound
from a2a_session_manager.manager import SessionManager

SessionsOption = Annotated[
    bool, typer.Option("--sessions", help="Read every session of the namespace to its end, and name the damaged ones.")
]

_EVENTS_A_PAGE: Final = 1_000


def doctor(
    store: StoreOption, sessions: SessionsOption = False, namespace: NamespaceOption = "", json: JsonOption = False
) -> None:
    """Say which promises a store cannot keep as it is set up, and the remedies. The status is then 1."""

    async def read(manager: SessionManager) -> Sequence[StoreFinding]:
        found = await manager.store.diagnose()
        if sessions and not any(each.code == "unavailable" for each in found):
            found += await _damaged(manager)
        return found

    findings = with_sessions(store, namespace, read)
    if json:
        print_json(each._asdict() for each in findings)
    else:
        rows = [(each.severity, each.where, each.text, each.remedy) for each in findings]
        console().print(table(("", "WHERE", "WHAT", "REMEDY"), rows))
    if any(each.severity != "note" for each in findings):
        raise typer.Exit(1)


async def _damaged(manager: SessionManager) -> list[StoreFinding]:
    found: list[StoreFinding] = []
    count = 0
    with counting("sessions") as set_count:
        async for session_id in manager.iter_sessions():
            try:
                await _read_all(manager, session_id)
            except CorruptSession as error:
                found.append(StoreFinding("error", "corrupt_session", session_id, str(error)))
            except SessionNotFound:
                pass  # deleted meanwhile
            count += 1
            set_count(count)
    return found


async def _read_all(manager: SessionManager, session_id: str) -> None:
    await manager.get(session_id, last=0)
    after: int | None = 0
    while after is not None:
        page = await manager.events_page(session_id, after=after, limit=_EVENTS_A_PAGE, include_retracted=True)
        after = page.next_after
