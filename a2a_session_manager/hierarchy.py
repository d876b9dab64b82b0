"""Walks over a tree of sessions in any store, for `Session.ancestors()` and `Session.descendants()`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from a2a_session_manager.exceptions import InvalidSessionOperation, SessionNotFound


class HasParent(Protocol):
    """What a walk over a tree needs of a session."""

    id: str
    parent_id: str | None


class TreeReader(Protocol):
    """What a walk over a tree needs of a store; every SessionStore has it."""

    async def get(self, session_id: str, *, last: int | None = None) -> Any: ...
    async def get_many(self, session_ids: Sequence[str], *, last: int | None = 0) -> list[Any]: ...
    async def tree(self, session_id: str) -> Sequence[tuple[str, str | None]]: ...


def _no_store() -> TreeReader:
    raise InvalidSessionOperation("no store is current: pass store=…")


# A session that was made by hand calls this for its store. The package sets it to its provider, which this module
# cannot import: the provider's types name sessions, and sessions import this module.
current_store: Callable[[], TreeReader] = _no_store


async def ancestors(session: HasParent, store: TreeReader, *, last: int | None = 0) -> list[Any]:
    """Return the parent, its parent, and so on, nearest first, each with its newest `last` events.

    Raises SessionNotFound when one of them is missing.
    """
    found: list[Any] = []
    parent_id = session.parent_id
    while parent_id is not None:
        parent = await store.get(parent_id, last=last)
        if parent is None:
            raise _missing(parent_id, session)
        found.append(parent)
        parent_id = parent.parent_id
    return found


async def descendants(session: HasParent, store: TreeReader, *, last: int | None = 0) -> list[Any]:
    """Return all sessions below `session`, depth first, siblings in creation order, each with its newest `last` events.

    Forks are left out, with all below them, and so is a session that is deleted during the walk. Raises SessionNotFound
    when `session` itself is not stored.
    """
    tree = await store.tree(session.id)
    below = depth_first(session.id, [node for node in tree if getattr(node, "forked_from", None) is None])
    return [found for found in await store.get_many(below, last=last) if found is not None]


def depth_first(session_id: str, parents: Iterable[tuple[str, str | None]]) -> list[str]:
    """Return the ids of the sessions below `session_id`, each before its own children.

    `parents` holds (id, parent id) pairs in creation order, of at least the whole tree.
    """
    children: dict[str | None, list[str]] = {}
    for child_id, parent_id in parents:
        children.setdefault(parent_id, []).append(child_id)
    ordered: list[str] = []
    waiting = children.get(session_id, [])[::-1]
    while waiting:
        child_id = waiting.pop()
        ordered.append(child_id)
        waiting.extend(reversed(children.get(child_id, [])))
    return ordered


def _missing(parent_id: str, session: HasParent) -> SessionNotFound:
    return SessionNotFound(
        parent_id,
        f"session {session.id!r} names {parent_id!r} above it, which is not in this store: "
        "save the parent first, or pass the store that holds it",
    )
