"""Claims: a conversation gets its owner, where it is or in a namespace of the owner's, with all below it."""

from __future__ import annotations

import asyncio
import random
from typing import Any, Final

from a2a_session_manager.bundles.moving import Move, Progress, mark_in
from a2a_session_manager.bundles.report import Loss, MovedSession, MoveReport
from a2a_session_manager.bundles.snapshot import read_head
from a2a_session_manager.bundles.sources import TreeSession, TreeSource, base_store
from a2a_session_manager.concurrency.cancellation import finish
from a2a_session_manager.exceptions import InvalidSessionOperation, SessionConflict, SessionNotFound
from a2a_session_manager.identifiers import checked_id, hidden_id, shown
from a2a_session_manager.models.clock import now_micros
from a2a_session_manager.namespaces import path_of
from a2a_session_manager.protocols import SessionStore
from a2a_session_manager.serialization.plain_json import dumped
from a2a_session_manager.storage import codec
from a2a_session_manager.storage.commit_records import EncodedCommit
from a2a_session_manager.storage.read_records import HeadRecord
from a2a_session_manager.storage.store import BaseSessionStore

OWNER: Final = "owner"
# How often others may write to the sessions while they are moved; each time only what they wrote is to be moved again.
_ROUNDS: Final = 100
_PAUSE_SECONDS: Final = 0.01


async def claim_session(
    store: SessionStore,
    session_id: str,
    owner: str,
    *,
    into: SessionStore | None = None,
    take_over: bool = False,
    progress: Progress | None = None,
) -> MoveReport:
    """Let a conversation be somebody's: set the property `owner` of its root, and move it, if it is to be elsewhere.

    Of several who claim it at once, one gets it. Claiming again what one has changes nothing.

    Args:
        store: where the session is.
        session_id: the session; where it is moved, a root.
        owner: whose it is from now on.
        into: the store or namespace that it is moved into, with all below it: copied, and deleted here once all of it
            is there. What is written here meanwhile comes along. A move that was cut off is gone on with by claiming
            again. None leaves it where it is.
        take_over: whether it may be taken from another owner.
        progress: is called with how many events are done, now and then.

    Raises SessionNotFound; InvalidSessionOperation when it has another owner, is no root and to be moved, or the place
    where it goes holds something else under its id; SessionConflict when others write to it all the time.
    """
    checked_id(owner, "owner")
    here = base_store(store)
    if into is None or here.is_same_place(base_store(into)):
        return await _set_owner(here, session_id, owner, take_over=take_over)
    return await _Claim(here, base_store(into), session_id, owner, progress).run(take_over=take_over)


async def _set_owner(store: BaseSessionStore, session_id: str, owner: str, *, take_over: bool) -> MoveReport:
    for _ in range(_ROUNDS):
        head = await _root_head(store, session_id)
        if not _is_to_be_set(head, owner, take_over=take_over):
            return MoveReport([MovedSession(head.key.id, head.key.id, "there", head.last_seq)], [])
        target = store.target(head.key.id)
        commit = EncodedCommit(
            properties={OWNER: dumped(owner)},
            creation_id=head.creation_id,
            expected_revision=head.revision,
            expected_tag=head.tag,
            write_id=hidden_id(),
            written_at=now_micros(),
        )
        try:
            await finish(target.backend.commit(target.key, commit), patience=target.limits.cancel_seconds)
        except SessionConflict:
            await asyncio.sleep(random.uniform(0, _PAUSE_SECONDS))
            continue
        return MoveReport([MovedSession(head.key.id, head.key.id, "new", head.last_seq)], [])
    raise _busy(session_id)


async def _root_head(store: BaseSessionStore, session_id: str) -> HeadRecord:
    head = await read_head(store.target(session_id))
    if head is not None and head.root_id != session_id:
        head = await read_head(store.target(head.root_id))
    if head is None:
        raise SessionNotFound(session_id)
    return head


def _is_to_be_set(head: HeadRecord, owner: str, *, take_over: bool) -> bool:
    """Tell whether the session has another owner, or none. Raises InvalidSessionOperation when it stays another's."""
    current = _owner_of(head)
    if current == owner:
        return False
    if current is not None and not take_over:
        raise InvalidSessionOperation(
            f"session {head.key.id!r} belongs to {shown(current)}: pass take_over=True to take it from there",
            session_id=head.key.id,
        )
    return True


def _owner_of(head: HeadRecord) -> Any:
    data = head.properties.get(OWNER)
    return None if data is None else codec.decode_value(data, head.key.id, "properties")


class _Claim:
    """The move of a tree into another place, which ends with its deletion here."""

    def __init__(
        self, here: BaseSessionStore, there: BaseSessionStore, root_id: str, owner: str, progress: Progress | None
    ) -> None:
        self._here = here
        self._there = there
        self._root_id = root_id
        self._owner = owner
        self._progress = progress
        self._rows: dict[str, MovedSession] = {}
        self._losses: list[Loss] = []

    async def run(self, *, take_over: bool) -> MoveReport:
        for _ in range(_ROUNDS):
            head = await read_head(self._here.target(self._root_id))
            if head is None:
                return await self._end()
            if head.parent_id is not None:
                raise InvalidSessionOperation(
                    f"session {self._root_id!r} is below {head.root_id!r}: claim that, with all below it",
                    session_id=self._root_id,
                )
            # Whoever claims it at the same time is refused from here on.
            await _set_owner(self._here, self._root_id, self._owner, take_over=take_over)
            if await self._move_once():
                return await self._end()
            await asyncio.sleep(random.uniform(0, _PAUSE_SECONDS))
        raise _busy(self._root_id)

    async def _move_once(self) -> bool:
        """Copy what is here now, and delete it, the deepest first; tell whether nobody has written to it meanwhile."""
        source = await TreeSource.of(self._here, self._root_id)
        move = self._move(source)
        rows = await move.plan()
        moved: dict[str, TreeSession] = {}
        for row in rows:
            session = await source.open(row.id)
            events = await move.bring(row.id)
            if session is None or events is None:
                return False
            moved[row.id] = session
            self._rows.setdefault(row.id, row._replace(events=events))
        self._losses = await source.losses()
        # What was read before it was brought is no newer than that: its deletion is refused for all that came since.
        for session_id in reversed(list(moved)):
            if not await self._delete(session_id, moved[session_id]):
                return False
        return True

    async def _delete(self, session_id: str, session: TreeSession) -> bool:
        """Delete a session here that is there as it is; False when it has changed since, or something is below it."""
        target = self._here.target(session_id)
        try:
            deletion = target.backend.delete(target.key, session.creation_id, cascade=False, guard=session.guard)
            await finish(deletion, patience=target.limits.cancel_seconds)
        except (SessionConflict, InvalidSessionOperation):
            return False
        return True

    def _move(self, source: TreeSource) -> Move:
        mark = {"claimed_from": path_of(self._here.target(self._root_id).key.namespace)}
        return Move(source, self._there, mark=mark, keeps_marks=True, progress=self._progress)

    async def _end(self) -> MoveReport:
        """Let the sessions say no more that they are being moved, now that nothing of them is here."""
        head = await read_head(self._there.target(self._root_id))
        if head is None or _owner_of(head) != self._owner:
            raise SessionNotFound(self._root_id)
        mark = mark_in(head)
        if mark is not None and "claimed_from" not in mark:
            raise SessionNotFound(self._root_id)
        if mark is not None:
            move = self._move(TreeSource(self._there, self._root_id, [self._root_id], 0))
            move.note(head)
            await move.unmark()
        rows = list(self._rows.values())
        return MoveReport(rows or [MovedSession(self._root_id, self._root_id, "there", head.last_seq)], self._losses)


def _busy(session_id: str) -> SessionConflict:
    return SessionConflict(
        session_id,
        expected_revision=0,
        revision=0,
        message=f"session {session_id!r}: others write to it all the time: claim it again when they are done",
    )
