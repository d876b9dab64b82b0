"""Removing what has been idle: all heads of a namespace are read and judged, and each deletion is guarded by what was.

A branch goes from its leaves up, each session by a deletion of its own that is refused when the session has changed
since it was judged, or has a child that was not. So nothing goes that was active meanwhile, and what is above it stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from a2a_session_manager.concurrency.cancellation import finish
from a2a_session_manager.exceptions import CorruptSession, InvalidSessionOperation, SessionConflict
from a2a_session_manager.identifiers import shown
from a2a_session_manager.models import arguments
from a2a_session_manager.models.clock import moment, now_micros
from a2a_session_manager.models.pruning import PrunedBranch, PruneResult, SparedBranch, SpareReason, sum_of
from a2a_session_manager.models.unfinished_run import checked_age
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.serialization.plain_json import dumped
from a2a_session_manager.storage import page_rules
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.commit_records import Guard
from a2a_session_manager.storage.prune_rules import Branch, JudgedSession, JudgedTree, PruneLimits, chosen
from a2a_session_manager.storage.read_records import HeadRecord
from a2a_session_manager.storage.records import SessionKey

# Told of how many sessions were judged so far, and how many were removed.
PruneProgress = Callable[[int, int], object]

_SESSIONS_A_PAGE: Final = 500
_BRANCHES_AT_ONCE: Final = 8


def checked_prune_limits(older_than: Any, keep_last: Any, max_bytes: Any, *, branches: bool) -> PruneLimits:
    """Return what may stay. Raises InvalidSessionOperation for what is no limit, and without any limit."""
    if older_than is None and keep_last is None and max_bytes is None:
        raise InvalidSessionOperation("nothing says what may go: take older_than=, keep_last= or max_bytes=")
    if branches and older_than is None:
        raise InvalidSessionOperation("branches=True needs an older_than=: it says which branches are idle")
    return PruneLimits(
        None if older_than is None else checked_age(older_than),
        arguments.limit("keep_last", keep_last),
        arguments.limit("max_bytes", max_bytes),
        bool(branches),
    )


def checked_properties(properties: Any) -> dict[str, bytes]:
    """Return the properties that are asked for, as they are stored.

    Raises InvalidSessionOperation for a value that is no text, whole number, True or False.
    """
    values: dict[Any, Any] = {} if properties is None else arguments.values("properties", properties)
    for key, value in values.items():
        if not isinstance(key, str) or not isinstance(value, str | int):  # a bool is an int
            raise InvalidSessionOperation(
                f"properties[{shown(key)}]={shown(value)} cannot be looked for: take a text, a whole number, True or "
                "False"
            )
    return {key: dumped(value) for key, value in values.items()}


class Pruner:
    """One call of `prune`."""

    def __init__(
        self, backend: Backend, namespace: Namespace, *, cancel_seconds: float, progress: PruneProgress | None
    ) -> None:
        self._backend = backend
        self._namespace = namespace
        self._cancel_seconds = cancel_seconds
        self._progress = progress
        self._judged = self._removed = 0
        self._damaged: list[str] = []
        self._sizes: dict[str, int | None] = {}

    async def prune(self, limits: PruneLimits, properties: Mapping[str, bytes], *, dry_run: bool) -> PruneResult:
        """Remove what `limits` do not let stay, of the trees whose roots have these properties.

        Raises InvalidSessionOperation for `max_bytes` over a backend that cannot tell sizes, before anything goes.
        """
        trees, considered = await self._trees(properties)
        damaged = await self._roots_of_damaged(trees)
        sound = [tree for tree in considered if tree.root_id not in damaged]
        if limits.max_bytes is not None:
            await self._weigh_trees(sound)
        branches = chosen(sound, limits, now_micros())
        await self._weigh([each for branch in branches for each in branch.sessions])
        spared = [SparedBranch(session_id, "damaged") for session_id in sorted(damaged)]
        removed: list[PrunedBranch] = []
        for first in range(0, len(branches), _BRANCHES_AT_ONCE):
            some = branches[first : first + _BRANCHES_AT_ONCE]
            removals = (self._remove(branch, dry_run) for branch in some)
            for outcome in await asyncio.gather(*removals, return_exceptions=True):  # all of them have ended then
                if isinstance(outcome, BaseException):
                    raise outcome
                removed += filter(None, outcome[:1])
                spared += filter(None, outcome[1:])
        whole = {each.id for each in removed} - {each.id for each in spared}
        left = [tree for tree in sound if tree.root_id not in whole]
        return PruneResult(dry_run, removed, spared, len(left), sum_of(tree.bytes for tree in left))

    async def _trees(self, properties: Mapping[str, bytes]) -> tuple[dict[str, JudgedTree], list[JudgedTree]]:
        """Return all trees by their roots, and those whose roots have these properties."""
        trees: dict[str, JudgedTree] = {}
        taken: set[str] = set()
        async for head in self._heads():
            tree = trees.setdefault(head.root_id, JudgedTree(head.root_id))
            tree.sessions[head.key.id] = _judged(head)
            if head.parent_id is None and all(head.properties.get(key) == value for key, value in properties.items()):
                taken.add(head.key.id)
        # One whose root was deleted meanwhile, or cannot be read, is none of them.
        return trees, [tree for root_id, tree in trees.items() if root_id in taken and tree.root is not None]

    async def _heads(self) -> AsyncIterator[HeadRecord]:
        cursor: str | None = None
        while True:
            page = await self._backend.list_page(
                self._namespace, prefix="", cursor=cursor, limit=_SESSIONS_A_PAGE, roots_only=False
            )
            for head in await self._loaded([self._key(each) for each in page.session_ids]):
                yield head
            self._tell(judged=len(page.session_ids))
            if (cursor := page.cursor) is None:
                return

    async def _loaded(self, keys: Sequence[SessionKey]) -> list[HeadRecord]:
        """Return the heads of sessions; those that are damaged are noted, and left out."""
        if not keys:
            return []
        try:
            loaded = await self._backend.load(keys, last=0, whole_head=False)
        except CorruptSession:
            if len(keys) == 1:
                self._damaged.append(keys[0].id)
                return []
            half = len(keys) // 2
            return [*await self._loaded(keys[:half]), *await self._loaded(keys[half:])]
        return [each.head for each in loaded if each is not None]

    async def _roots_of_damaged(self, trees: Mapping[str, JudgedTree]) -> set[str]:
        """Return the roots of trees in which a session is damaged; of one that does not tell its root, its own id."""
        found: set[str] = set()
        for session_id in self._damaged:
            nodes = None
            with suppress(CorruptSession):
                nodes = await self._backend.tree(self._key(session_id))
            found.add(nodes[0].id if nodes else session_id)
        return found

    async def _weigh_trees(self, trees: Sequence[JudgedTree]) -> None:
        await self._weigh([each for tree in trees for each in tree.sessions.values()])
        for tree in trees:
            tree.bytes = self._size(tree.sessions.values())
            if tree.bytes is None:
                raise InvalidSessionOperation(
                    f"max_bytes= needs to know what sessions take, and {type(self._backend).__name__} cannot tell: "
                    "prune by older_than= or keep_last="
                )

    async def _weigh(self, sessions: Sequence[JudgedSession]) -> None:
        """Ask for the sizes of sessions that are not known yet, many at a time."""
        unknown = [each.id for each in sessions if each.id not in self._sizes]
        for first in range(0, len(unknown), _SESSIONS_A_PAGE):
            some = unknown[first : first + _SESSIONS_A_PAGE]
            self._sizes.update(zip(some, await self._backend.sizes([self._key(each) for each in some]), strict=True))

    def _size(self, sessions: Iterable[JudgedSession]) -> int | None:
        return sum_of(self._sizes[each.id] for each in sessions)

    async def _remove(self, branch: Branch, dry_run: bool) -> tuple[PrunedBranch | None, SparedBranch | None]:
        """Remove a branch, or only look at it; return what went, and why something stays, if it does."""
        reason = await self._reason_to_spare(branch)
        if reason is not None:
            return None, SparedBranch(branch.top.id, reason)
        size = self._size(branch.sessions)
        gone = [each.id for each in branch.sessions]
        if not dry_run:
            gone, reason = await self._delete(branch)
        self._tell(removed=len(gone))
        pruned = PrunedBranch(
            branch.top.id, tuple(gone), branch.top.title, moment(branch.updated_at), size, branch.reason
        )
        return pruned if gone else None, None if reason is None else SparedBranch(branch.top.id, reason)

    async def _reason_to_spare(self, branch: Branch) -> SpareReason | None:
        """Look at a branch once more: another one may have been judged long ago."""
        runs = [(self._key(each.id), run_id) for each in branch.sessions for run_id in each.unfinished]
        if runs and any(await self._backend.held_leases(runs)):
            return "held"
        if len(branch.sessions) == 1:
            return None  # the guard of its deletion tells
        noted = len(self._damaged)
        found = {head.key.id: _judged(head) for head in await self._loaded([self._key(i.id) for i in branch.sessions])}
        if len(self._damaged) > noted:
            return "damaged"
        return None if all(found.get(each.id) == each for each in branch.sessions) else "active"

    async def _delete(self, branch: Branch) -> tuple[list[str], SpareReason | None]:
        """Delete from the leaves up; return what was deleted, the topmost first, and what has stopped it."""
        deleted: list[str] = []
        reason: SpareReason | None = None
        for each in reversed(branch.sessions):
            try:
                await self._delete_one(each)
            except (SessionConflict, InvalidSessionOperation):  # it has changed, or has a child that was not judged
                reason = "active"
                break
            except CorruptSession:
                reason = "damaged"
                break
            deleted.append(each.id)
        return deleted[::-1], reason

    async def _delete_one(self, session: JudgedSession) -> None:
        key, guard = self._key(session.id), Guard(session.revision, session.tag)
        deletion = self._backend.delete(key, session.creation_id, cascade=False, guard=guard)
        await finish(deletion, patience=self._cancel_seconds)

    def _key(self, session_id: str) -> SessionKey:
        return SessionKey(self._namespace, session_id)

    def _tell(self, *, judged: int = 0, removed: int = 0) -> None:
        self._judged += judged
        self._removed += removed
        if self._progress is not None:
            self._progress(self._judged, self._removed)


def _judged(head: HeadRecord) -> JudgedSession:
    try:
        title = page_rules.title_of(head) or None
    except CorruptSession:  # it is the title alone
        title = None
    return JudgedSession(
        head.key.id,
        head.parent_id,
        head.root_id,
        head.depth,
        head.creation_id,
        head.revision,
        head.tag,
        head.updated_at,
        tuple(head.unfinished),
        title,
    )
