"""`save`: what changed in a session, sent as one commit until its outcome is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from a2a_session_manager.exceptions import SessionConflict, SessionManagerError, StoreUnavailable
from a2a_session_manager.hierarchy import TreeReader
from a2a_session_manager.identifiers import checked_id
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.sync_state import SyncState
from a2a_session_manager.pricing.pricer import Pricer
from a2a_session_manager.protocols import SessionStore
from a2a_session_manager.storage import reads, writes
from a2a_session_manager.storage.commit_records import Receipt
from a2a_session_manager.storage.differences import Save, changes_of, check_may_leave, creation_of
from a2a_session_manager.storage.known_events import put_in_place
from a2a_session_manager.storage.priced_events import priced_events
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.session_sync import (
    TotalsAfter,
    advance,
    new_sync_state,
    tag_of,
    totals_after,
)
from a2a_session_manager.storage.target import Target


@dataclass(frozen=True, slots=True)
class SessionSaver:
    """Saves a session to `target`. `is_home` tells whether another store keeps the same sessions."""

    store: SessionStore
    target: Target
    pricer: Pricer
    is_home: Callable[[TreeReader], bool]

    async def save(self, session: Session[Any], expected_revision: int | None) -> None:
        """Commit what changed since the session was read, or create it; then it is in step with the store."""
        was_sent = await self._send_pending(session)
        if was_sent and expected_revision is not None:
            # What was sent before has passed the guard; what came since is guarded against what it made.
            expected_revision = session.revision
        save = await self._next_save(session)
        if save is not None:
            if save.creation is not None and expected_revision:
                raise SessionConflict(session.id, expected_revision=expected_revision, revision=0)
            save.commit.expected_revision = None if save.creation else expected_revision
            save.commit.expected_tag = tag_of(session, expected_revision)
            session._pending_save = save
            await self._send_until_known(session, save)
        elif expected_revision is not None and not was_sent:
            await self.store.commit(session, SessionChange(), expected_revision=expected_revision)

    async def _next_save(self, session: Session[Any]) -> Save | None:
        while True:
            sync, pending = session._sync, session._pending_save
            changes = sync and sync.changes
            save = await self._compared(session)
            if session._sync is sync and session._pending_save is pending and (sync and sync.changes) == changes:
                return save
            # Another task saves the same object: theirs is sent first, and the rest is compared anew.
            await self._send_pending(session)

    async def _compared(self, session: Session[Any]) -> Save | None:
        await _price_new_events(session, self.pricer)
        if await self._is_at_home(session):
            return await changes_of(session, self.store, self.target.limits)
        check_may_leave(session)
        parent = None
        if session.parent_id is not None:
            key = SessionKey(self.target.key.namespace, checked_id(session.parent_id, "session id"))
            parent = await reads.load_parent(self.target._replace(key=key))
        return await creation_of(session, parent, self.store, self.target.limits)

    async def _send_pending(self, session: Session[Any]) -> bool:
        """Send again what was sent here before without an answer; tell whether there was such a thing."""
        save: Save | None = session._pending_save
        if save is None or not await self._has_sent(save):
            return False
        await self._send_until_known(session, save)
        return True

    async def _has_sent(self, save: Save) -> bool:
        """Tell whether `save` was sent to this place, perhaps through a store over it that is closed by now."""
        if self.is_home(save.store):
            return True
        creation_id = save.commit.creation_id if save.creation is None else save.creation.creation_id
        return (
            creation_id is not None and await reads.find_head(self.target._replace(creation_id=creation_id)) is not None
        )

    async def _is_at_home(self, session: Session[Any]) -> bool:
        """Tell whether the session was read from this place: the same creation id there is the same session."""
        sync = session._sync
        if sync is None or self.is_home(sync.store):
            return sync is not None
        head = await reads.find_head(self.target._replace(creation_id=sync.creation_id))
        if head is None:
            return False
        if head.revision < sync.revision:
            # A copy of the data, or a backup of it: what the session has seen beyond would be missing without a word.
            raise SessionConflict(session.id, expected_revision=sync.revision, revision=head.revision)
        sync.store = self.store
        return True

    async def _send_until_known(self, session: Session[Any], save: Save) -> None:
        """Send `save`, the same bytes each time, until its outcome is known."""
        try:
            receipt, events = await writes.send(self.target, save.commit, save.events, creation=save.creation)
        except StoreUnavailable:
            raise
        except SessionManagerError:
            session._pending_save = None
            raise
        await _take_in(session, save, self.store, self.target, receipt, events)


async def _price_new_events(session: Session[Any], pricer: Pricer) -> None:
    """Put a priced event in the place of each that is not stored yet and has no price."""
    sync = session._sync
    events = session.events[0 if sync is None else len(sync.events) :]
    with_costs = await priced_events(events, pricer)
    if with_costs is not events:
        # By identity, not by place: the list may have changed while a thread was pricing.
        costs = {id(event): new for event, new in zip(events, with_costs, strict=True)}
        session.events[:] = [costs.get(id(event), event) for event in session.events]


async def _take_in(
    session: Session[Any],
    save: Save,
    store: SessionStore,
    target: Target,
    receipt: Receipt,
    new: Sequence[SessionEvent[Any]],
) -> None:
    """Bring `session` in step with the `store` that made `save`: its own event objects become the `new`, stored ones.

    Another task may save the same object meanwhile: then it has done so already, and nothing is left to do.
    """
    while session._pending_save is save:
        sync = session._sync if save.creation is None else new_sync_state(session, save.creation, store)
        assert sync is not None, "what is not created now was created before"
        totals = await totals_after(target, sync, receipt, new)
        if session._pending_save is save and (save.creation is not None or session._sync is sync):
            _put_saved(session, save, receipt, new, sync, totals)


def _put_saved(
    session: Session[Any],
    save: Save,
    receipt: Receipt,
    new: Sequence[SessionEvent[Any]],
    sync: SyncState,
    totals: TotalsAfter,
) -> None:
    # No await here: two tasks that save one session must not meet halfway.
    sent = {id(event) for event in save.events}
    start = len(sync.events)
    session.events[start:] = [event for event in session.events[start:] if id(event) not in sent]
    put_in_place(session, sync, new)
    advance(sync, save.commit, receipt, totals)
    session._sync = sync
    session._pending_save = None
    session._put_times(sync)
