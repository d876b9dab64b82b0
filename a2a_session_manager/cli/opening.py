"""The options that every verb takes, and the store that they name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import reduce
from typing import Annotated, Any, Final, TypeVar

import typer

from a2a_session_manager.exceptions import InvalidSessionOperation, SessionNotFound
from a2a_session_manager.identifiers import shown
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.session import Session
from a2a_session_manager.namespaces import names_in
from a2a_session_manager.protocols import SessionStore
from a2a_session_manager.storage.file import FileSessionStore
from a2a_session_manager.storage.memory import InMemorySessionStore

ResultT = TypeVar("ResultT")

_SHOWN_IDS: Final = 3

StoreOption = Annotated[
    str,
    typer.Option(
        "--store", envvar="A2A_SESSIONS_URL", metavar="URL", help="Where the sessions are, such as file:./sessions."
    ),
]
NamespaceOption = Annotated[
    str,
    typer.Option(
        "--namespace",
        "-n",
        metavar="NAME",
        help="The namespace to work in; one inside another is NAME/NAME, and a / inside a name %2F.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The session's id, or the beginning of one.")]


def with_sessions(url: str, namespace: str, work: Callable[[SessionManager], Awaitable[ResultT]]) -> ResultT:
    """Open the store, let `work` use its sessions, close it, and return what `work` returned.

    Raises InvalidSessionOperation for a store that is certainly not the one that was meant: one in memory, which would
    be empty, or a directory that is not there, which would be made.
    """
    names = names_in(namespace)
    sessions = SessionManager.from_url(url)
    _check_store(sessions.store)

    async def opened() -> ResultT:
        async with sessions:
            return await work(reduce(SessionManager.namespace, names, sessions))

    return asyncio.run(opened())


async def found(sessions: SessionManager, id: str, *, last: int | None = 0) -> Session[Any]:
    """Return the session of this id, or the only one whose id begins so. Raises SessionNotFound.

    Raises InvalidSessionOperation when several ids begin so.
    """
    session = await sessions.store.get(id, last=last)
    if session is not None:
        return session
    page = await sessions.store.list_page(id, limit=_SHOWN_IDS)
    if len(page.session_ids) > 1:
        several = ", ".join(map(shown, page.session_ids))
        raise InvalidSessionOperation(f"several ids begin with {shown(id)}, such as {several}: say more of it")
    if not page.session_ids:
        raise SessionNotFound(id)
    return await sessions.get(page.session_ids[0], last=last)


def _check_store(store: SessionStore) -> None:
    if isinstance(store, InMemorySessionStore):
        raise InvalidSessionOperation("a store in memory is empty at each start: name another one with --store")
    if isinstance(store, FileSessionStore) and not store.directory.is_dir():
        what = "is no directory" if store.directory.exists() else "does not exist"
        raise InvalidSessionOperation(f"{shown(str(store.directory))} {what}: check --store")
