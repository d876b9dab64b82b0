"""Which trees are pruned, and which branches of those that live on: decided from what was read, without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import NamedTuple

from a2a_session_manager.models.pruning import PruneReason

_MICROSECOND = timedelta(microseconds=1)


class JudgedSession(NamedTuple):
    """A session as it was read to be judged."""

    id: str
    parent_id: str | None
    root_id: str
    depth: int
    creation_id: str
    revision: int
    tag: str
    updated_at: int
    unfinished: tuple[str, ...]
    title: str | None


@dataclass
class JudgedTree:
    """The sessions of a tree that were read, by their ids."""

    root_id: str
    sessions: dict[str, JudgedSession] = field(default_factory=dict)
    bytes: int | None = None

    @cached_property
    def updated_at(self) -> int:
        """When any of them was last active, in microseconds since the epoch."""
        return max(each.updated_at for each in self.sessions.values())

    @property
    def root(self) -> JudgedSession | None:
        return self.sessions.get(self.root_id)


class Branch(NamedTuple):
    """Sessions to be removed together: the topmost one, and all below it, each after its parent."""

    sessions: Sequence[JudgedSession]
    reason: PruneReason

    @property
    def top(self) -> JudgedSession:
        return self.sessions[0]

    @property
    def updated_at(self) -> int:
        return max(each.updated_at for each in self.sessions)


@dataclass(frozen=True, slots=True)
class PruneLimits:
    """What may stay.

    Attributes:
        older_than: how long something may have been idle.
        keep_last: how many of the trees that were active last stay, whatever the other limits say.
        max_bytes: how much all trees may take.
        branches: whether what is idle in a tree that stays goes by `older_than`, too.
    """

    older_than: timedelta | None = None
    keep_last: int | None = None
    max_bytes: int | None = None
    branches: bool = False


def chosen(trees: Iterable[JudgedTree], limits: PruneLimits, now: int) -> list[Branch]:
    """Return what goes, that which was idle longest first. `now` is in microseconds since the epoch."""
    by_activity = sorted(trees, key=lambda tree: (tree.updated_at, tree.root_id), reverse=True)
    kept = 0 if limits.keep_last is None else limits.keep_last
    others = by_activity[kept:]
    before = None if limits.older_than is None else now - limits.older_than // _MICROSECOND
    reasons: dict[str, PruneReason] = {}
    if before is not None:
        reasons |= {tree.root_id: "older_than" for tree in others if tree.updated_at <= before}
    elif limits.max_bytes is None:
        reasons |= {tree.root_id: "keep_last" for tree in others}
    if limits.max_bytes is not None:
        reasons |= _above(by_activity, others, reasons, limits.max_bytes)
    branches = [_whole(tree, reasons[tree.root_id]) for tree in others if tree.root_id in reasons]
    if limits.branches and before is not None:
        branches += [each for tree in others if tree.root_id not in reasons for each in _idle_in(tree, before)]
    return sorted(branches, key=lambda branch: (branch.updated_at, branch.top.id))


def _above(
    trees: Sequence[JudgedTree], removable: Sequence[JudgedTree], gone: Mapping[str, PruneReason], most: int
) -> dict[str, PruneReason]:
    """Return those that have to go, besides the ones that are `gone` anyway, until what is left fits."""
    left = sum(tree.bytes or 0 for tree in trees if tree.root_id not in gone)
    reasons: dict[str, PruneReason] = {}
    for tree in reversed(removable):
        if left <= most:
            break
        if tree.root_id not in gone:
            reasons[tree.root_id] = "max_bytes"
            left -= tree.bytes or 0
    return reasons


def _whole(tree: JudgedTree, reason: PruneReason) -> Branch:
    return Branch(sorted(tree.sessions.values(), key=lambda each: each.depth), reason)


def _idle_in(tree: JudgedTree, before: int) -> list[Branch]:
    """Return the topmost sessions below the root with which, and below which, nothing has happened since."""
    downwards = sorted(tree.sessions.values(), key=lambda each: each.depth)
    active = {each.id: each.updated_at for each in downwards}
    for each in reversed(downwards):
        if each.parent_id in active:
            active[each.parent_id] = max(active[each.parent_id], active[each.id])
    tops: dict[str, str] = {}  # of each session that goes, the topmost one above it
    branches: dict[str, list[JudgedSession]] = {}
    for each in downwards:
        top = tops.get(each.parent_id or "")
        if top is None and each.parent_id is not None and active[each.id] <= before:
            top = each.id
        if top is not None:
            tops[each.id] = top
            branches.setdefault(top, []).append(each)
    return [Branch(sessions, "older_than") for sessions in branches.values()]
