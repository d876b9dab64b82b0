"""The options that every verb takes, and the store that they name."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from a2a_session_manager.exceptions import InvalidSessionOperation, SessionManagerError, SessionNotFound
from a2a_session_manager.identifiers import shown
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.session import Session
from a2a_session_manager.namespaces import names_in, path_of
from a2a_session_manager.protocols import SessionStore
from a2a_session_manager.storage.file import FileSessionStore
from a2a_session_manager.storage.memory import InMemorySessionStore

ResultT = TypeVar("ResultT")

_SHOWN_IDS: Final = 3
URL_VARIABLE: Final = "A2A_SESSIONS_URL"
_COMPLETIONS: Final = 50
_COMPLETION_SECONDS: Final = 2.0


def complete_id(context: typer.Context, incomplete: str) -> list[str]:
    """Return ids that begin with what is typed, for the shell; none where the store cannot be asked at once."""

    async def ids(sessions: SessionManager) -> list[str]:
        found = (await sessions.list_page(incomplete, limit=_COMPLETIONS)).session_ids
        return [each for each in found if each.isprintable()]  # a shell shows them as they are

    return _asked(context, str(context.params.get("namespace") or ""), ids)


def complete_namespace(context: typer.Context, incomplete: str) -> list[str]:
    """Return namespaces that begin with what is typed, for the shell."""
    outer = incomplete.rpartition("/")[0]

    async def names(sessions: SessionManager) -> list[str]:
        inner = [path_of((*names_in(outer), name)) for name in await sessions.namespaces()]
        return [path for path in inner if path.startswith(incomplete) and path.isprintable()][:_COMPLETIONS]

    return _asked(context, outer, names)


StoreOption = Annotated[
    str,
    typer.Option(
        "--store", envvar=URL_VARIABLE, metavar="URL", help="Where the sessions are, such as file:./sessions."
    ),
]
NamespaceOption = Annotated[
    str,
    typer.Option(
        "--namespace",
        "-n",
        metavar="NAME",
        help="The namespace to work in; one inside another is NAME/NAME, and a / inside a name %2F.",
        autocompletion=complete_namespace,
    ),
]
PropertyOption = Annotated[
    list[str] | None,
    typer.Option("--property", "-p", metavar="KEY=TEXT", help="Only those with this property; may be given often."),
]
IndexedOption = Annotated[
    list[str] | None,
    typer.Option(
        "--indexed", envvar="A2A_SESSIONS_INDEXED", metavar="KEY", help="A property that the store finds sessions by."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
IdArgument = Annotated[
    str,
    typer.Argument(metavar="ID", help="The session's id, or the beginning of one.", autocompletion=complete_id),
]


def with_sessions(
    url: str,
    namespace: str,
    work: Callable[[SessionManager], Awaitable[ResultT]],
    *,
    indexed: Sequence[str] = (),
    may_be_new: bool = False,
    remedy: str = "check --store",
) -> ResultT:
    """Open the store, let `work` use its sessions, close it, and return what `work` returned.

    Raises InvalidSessionOperation for a store that is certainly not the one that was meant: one in memory, which would
    be empty, or a directory that is not there or is none of ours, which would be made one, unless it `may_be_new`; the
    error ends with the `remedy`.
    """
    names = names_in(namespace)
    sessions = SessionManager.from_url(url, indexed=indexed)
    _check_store(sessions.store, may_be_new=may_be_new, remedy=remedy)

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


def _asked(context: typer.Context, namespace: str, ask: Callable[[SessionManager], Awaitable[list[str]]]) -> list[str]:
    """Return what the store answers while somebody types; nothing when it does not, for whatever reason."""

    async def in_time(sessions: SessionManager) -> list[str]:
        async with asyncio.timeout(_COMPLETION_SECONDS):
            return await ask(sessions)

    try:
        return with_sessions(str(context.params.get("store") or os.environ.get(URL_VARIABLE, "")), namespace, in_time)
    except (SessionManagerError, TimeoutError):
        return []


def _check_store(store: SessionStore, *, may_be_new: bool, remedy: str) -> None:
    if isinstance(store, InMemorySessionStore):
        raise InvalidSessionOperation("a store in memory is empty at each start: name another one with --store")
    if not isinstance(store, FileSessionStore) or may_be_new:
        return
    if not store.directory.exists():
        what = "does not exist"
    elif not store.directory.is_dir():
        what = "is no directory"
    elif not _may_be_a_store(store.directory):
        what = "holds no sessions, nor has a store been opened there"
    else:
        return
    raise InvalidSessionOperation(f"{shown(str(store.directory))} {what}: {remedy}")


def _may_be_a_store(directory: Path) -> bool:
    """Tell whether the store has something to say of the directory, be it that its files are damaged or too old."""
    try:
        names = os.listdir(directory)
    except OSError:
        return True  # one that may not be listed, too
    return any(name == "default" or name.startswith("@") or name.endswith(".json") for name in names)
