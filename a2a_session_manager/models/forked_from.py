"""Where a session stands: ForkedFrom tells where a fork begins, TreeNode its place in a tree."""

from __future__ import annotations

from typing import NamedTuple, Self


class ForkedFrom(NamedTuple):
    """Where a fork begins: its events up to `seq` are those of the session `id`, as they were when it was forked.

    `creation_id` names the incarnation of that session, which may be deleted by now, or have another one's id.
    """

    id: str
    creation_id: str
    seq: int


class _Place(NamedTuple):
    id: str
    parent_id: str | None


class TreeNode(_Place):
    """A session in a tree, as the pair of its id and its parent's; a tree lists them in creation order, the root first.

    `forked_from` tells where a fork begins, and is None for any other session. It is no part of the pair.
    """

    forked_from: ForkedFrom | None = None

    def __new__(cls, id: str, parent_id: str | None, forked_from: ForkedFrom | None = None) -> Self:
        node = super().__new__(cls, id, parent_id)
        if forked_from is not None:
            node.forked_from = forked_from
        return node
