"""What `prune` has removed, or would remove, and what it has left though it was chosen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple, TypeAlias

PruneReason: TypeAlias = Literal["older_than", "keep_last", "max_bytes"]
SpareReason: TypeAlias = Literal["active", "held", "damaged"]


class PrunedBranch(NamedTuple):
    """A session that was removed with all below it, or would be.

    Attributes:
        id: of the topmost one: a root, or with `branches=True` a session below one.
        session_ids: all of them, the topmost first. Of a branch that came alive while it was removed, those that were.
        title: of the topmost one; None where it has none.
        updated_at: when any of them was last active.
        bytes: what they take where they are stored; None where the store cannot tell.
        reason: which of the limits chose it: the name of the argument.
    """

    id: str
    session_ids: tuple[str, ...]
    title: str | None
    updated_at: datetime
    bytes: int | None
    reason: PruneReason


class SparedBranch(NamedTuple):
    """A branch that was chosen, or might have been, and was left.

    Attributes:
        id: of the topmost session; of one that is damaged and does not tell its root, its own.
        reason: "active" has changed since it was judged; of "held", somebody holds a run; "damaged" cannot be judged:
            restore it, or delete it by its id.
    """

    id: str
    reason: SpareReason


@dataclass(frozen=True, slots=True)
class PruneResult:
    """What a call of `prune` did, or would do.

    Attributes:
        dry_run: whether nothing was removed, only looked for.
        removed: what was removed, or would be, that which was idle longest first.
        spared: what was left though it was chosen, or could not be judged.
        kept: how many trees are left of those that were considered.
        kept_bytes: what these take; None where the store cannot tell, and where `max_bytes` was not asked for.
    """

    dry_run: bool
    removed: list[PrunedBranch] = field(default_factory=list)
    spared: list[SparedBranch] = field(default_factory=list)
    kept: int = 0
    kept_bytes: int | None = None

    @property
    def sessions(self) -> int:
        """How many sessions were removed, or would be."""
        return sum(len(branch.session_ids) for branch in self.removed)

    @property
    def bytes(self) -> int | None:
        """How many bytes these take; None where the store cannot tell."""
        return sum_of(branch.bytes for branch in self.removed)


def sum_of(sizes: Iterable[int | None]) -> int | None:
    """Return the sum; None where one of the sizes is not known."""
    known = list(sizes)
    return None if None in known else sum(size for size in known if size is not None)
