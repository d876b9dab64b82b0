"""What several verbs read: one head, a parent, what was spent below a session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence

from a2a_session_manager.exceptions import InvalidSessionOperation, SessionNotFound
from a2a_session_manager.hierarchy import depth_first
from a2a_session_manager.limits import DEEPEST_TREE
from a2a_session_manager.models import arguments
from a2a_session_manager.protocols import SessionPage
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.commit_records import Parent
from a2a_session_manager.storage.commit_rules import add_counters
from a2a_session_manager.storage.read_records import HeadRecord, LoadedSession, TreeNode
from a2a_session_manager.storage.records import SessionKey, Totals
from a2a_session_manager.storage.target import Target

_SESSIONS_A_LOAD = 1_000

ReadPageBelow = Callable[..., Awaitable[SessionPage | None]]


async def load_batches(
    backend: Backend, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
) -> AsyncIterator[list[LoadedSession | None]]:
    """Yield what `backend.load` brings for `keys`, in their order, a thousand of them at a time."""
    for start in range(0, len(keys), _SESSIONS_A_LOAD):
        yield await backend.load(keys[start : start + _SESSIONS_A_LOAD], last=last, whole_head=whole_head)


async def find_head(target: Target, *, whole_head: bool = False) -> HeadRecord | None:
    """Return the head of the session, None when it is not there."""
    loaded = (await target.backend.load([target.key], last=0, whole_head=whole_head))[0]
    return loaded.head if loaded is not None and target.creation_id in (None, loaded.head.creation_id) else None


async def load_head(target: Target, *, whole_head: bool = False) -> HeadRecord:
    """Return what `find_head` finds. Raises SessionNotFound when it finds nothing."""
    head = await find_head(target, whole_head=whole_head)
    if head is None:
        raise SessionNotFound(target.key.id)
    return head


async def load_parent(target: Target) -> Parent:
    """Return the session as the parent of a new one.

    Raises SessionNotFound when it is not there, InvalidSessionOperation when it is as deep as a session may be.
    """
    head = await find_head(target)
    session_id = target.key.id
    if head is None:
        raise SessionNotFound(
            session_id, f"no session {session_id!r} to be the parent: save the parent first, in the same namespace"
        )
    if head.depth >= DEEPEST_TREE:
        raise InvalidSessionOperation(
            f"session {session_id!r} is {head.depth} levels deep, and {DEEPEST_TREE} are allowed: "
            "start a new root and name the old one in its properties",
            session_id=session_id,
        )
    return Parent(session_id, head.creation_id, head.root_id, head.depth)


async def load_tree(target: Target) -> list[TreeNode]:
    """Return every session of the tree that holds the session. Raises SessionNotFound."""
    nodes = await target.backend.tree(target.key)
    if nodes is None:
        raise SessionNotFound(target.key.id)
    return list(nodes)


async def page_below(key: SessionKey, read: ReadPageBelow, cursor: str | None, limit: int) -> SessionPage:
    """Return a page of the sessions right below another one, by the backend's verb that reads it.

    Raises SessionNotFound, and InvalidSessionOperation for what is no limit and no cursor.
    """
    limit, cursor = arguments.whole_number("limit", limit), arguments.cursor(cursor)
    if limit == 0:
        return SessionPage([], cursor)
    page = await read(key, cursor=cursor, limit=limit)
    if page is None:
        raise SessionNotFound(key.id)
    return page


async def totals_below(target: Target) -> Totals:
    """Return what the session and all below it spent: a root's in one read, else the sum over all heads.

    Raises SessionNotFound.
    """
    backend, key, _, creation_id = target[:4]
    root = await backend.tree_totals(key)
    if root is not None:
        if creation_id not in (None, root.creation_id):
            raise SessionNotFound(key.id)
        return root.totals
    await load_head(target)
    below = [key.id, *depth_first(key.id, await load_tree(target))]
    keys = [SessionKey(key.namespace, session_id) for session_id in below]
    totals: Totals = {}
    async for batch in load_batches(backend, keys, last=0, whole_head=False):
        for loaded in filter(None, batch):
            for cell, counters in loaded.head.totals.items():
                add_counters(totals.setdefault(cell, {}), counters)
            await asyncio.sleep(0)
    return totals


async def all_ids(read_page: Callable[[str | None], Awaitable[SessionPage]]) -> AsyncGenerator[str, None]:
    """Yield the ids of all pages, from the first one on, whose cursor is None."""
    cursor = None
    while True:
        page = await read_page(cursor)
        for session_id in page.session_ids:
            yield session_id
        cursor = page.cursor
        if cursor is None:
            return
