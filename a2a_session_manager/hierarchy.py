"""Walks over a tree of sessions, for any store: what `Session.ancestors()` and `descendants()` do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from a2a_session_manager.exceptions import SessionNotFound

if TYPE_CHECKING:
    from a2a_session_manager.models.session import Session
    from a2a_session_manager.protocols import SessionStore


async def ancestors(session: Session[Any], store: SessionStore, *, last: int | None = 0) -> list[Session[Any]]:
    """Return the parent, its parent, and so on: nearest first. Raises SessionNotFound for a missing one."""
    found: list[Session[Any]] = []
    parent_id = session.parent_id
    while parent_id is not None:
        parent: Session[Any] | None = await store.get(parent_id, last=last)
        if parent is None:
            raise _missing(parent_id, session)
        found.append(parent)
        parent_id = parent.parent_id
    return found


async def descendants(session: Session[Any], store: SessionStore, *, last: int | None = 0) -> list[Session[Any]]:
    """Return everything below `session`, depth first, siblings in creation order.

    One that is deleted during the walk is left out. Raises SessionNotFound when `session` itself is not stored.
    """
    tree = await store.tree(session.id)
    below = depth_first(session.id, tree)
    return [found for found in await store.get_many(below, last=last) if found is not None]


def depth_first(session_id: str, parents: Iterable[tuple[str, str | None]]) -> list[str]:
    """Return the ids below `session_id`, each before its own children.

    `parents` holds (id, parent id) pairs in creation order, of the whole tree or of more than it.
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


def _missing(parent_id: str, session: Session[Any]) -> SessionNotFound:
    return SessionNotFound(
        parent_id,
        f"session {session.id!r} names {parent_id!r} above it, which is not in this store: "
        "save the parent first, or pass the store that holds it",
    )
