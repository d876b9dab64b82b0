"""SessionWriter: the verbs that write what they are told, over any backend."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from a2a_session_manager.concurrency.cancellation import finish
from a2a_session_manager.exceptions import (
    InvalidSessionOperation,
    SessionConflict,
    SessionManagerError,
    SessionNotFound,
)
from a2a_session_manager.identifiers import hidden_id, new_id, shown
from a2a_session_manager.limits import DEEPEST_TREE
from a2a_session_manager.models import arguments
from a2a_session_manager.models.change import CommitResult, Retraction, SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.protocols import ChildPolicy, RepeatPolicy
from a2a_session_manager.storage import conflicts, following, repeats
from a2a_session_manager.storage.encoding import encode_append, encode_change
from a2a_session_manager.storage.loading import moment
from a2a_session_manager.storage.priced_events import priced_events
from a2a_session_manager.storage.reading import SessionReader
from a2a_session_manager.storage.records import (
    Creation,
    EncodedCommit,
    EventsKnown,
    Guard,
    Parent,
    Receipt,
    SessionKey,
    StoredRetraction,
)
from a2a_session_manager.storage.session_sync import apply_receipt, new_baseline, place_events, tag_of

ResultT = TypeVar("ResultT")
# What a session holds that is made of nothing; to make it takes as long as to encode it.
_NOTHING = SessionChange()


class SessionWriter(SessionReader):
    """Validates, encodes and guards; the backend only writes."""

    async def create(
        self,
        id: str | None = None,
        *,
        parent_id: Session[Any] | str | None = None,
        change: SessionChange | None = None,
        write_id: str | None = None,
    ) -> Session[Any]:
        """Create a session holding `change`; raise SessionAlreadyExists, or SessionNotFound for the parent."""
        if id is None and write_id is not None:
            raise InvalidSessionOperation("a write_id without an id makes another session each time: give both")
        key = self._key(new_id() if id is None else id)
        change = await self._with_costs(_NOTHING if change is None else _checked_change(change))
        commit = await encode_change(change, self._limits, write_id=hidden_id() if write_id is None else write_id)
        creation = Creation(hidden_id(), commit.written_at, await self._parent(parent_id))
        receipt, events = await self._sent(
            key, commit, change.events, lambda one: self._finished(self._backend.create(key, creation, one))
        )
        if receipt.is_repeat:
            head = await self._head(key)
            creation = Creation(head.creation_id, head.created_at, creation.parent)
        parent = creation.parent
        session: Session[Any] = Session(id=key.id, parent_id=None if parent is None else parent.id)
        session.metadata.created_at = moment(creation.created_at)
        session._baseline = new_baseline(session, creation, self._as_store())
        await apply_receipt(session, commit, receipt, events, self._limits)
        return session

    async def commit(
        self,
        session: Session[Any] | str,
        change: SessionChange,
        *,
        expected_revision: int | None = None,
        write_id: str | None = None,
        on_repeat: RepeatPolicy = "refuse",
    ) -> CommitResult:
        """Commit `change`. Only `expected_revision` can make it stale: SessionConflict tells what was missed."""
        _check_policy(on_repeat)
        key, creation_id = self._named(session)
        change = await self._with_costs(_checked_change(change))
        try:
            commit = await encode_change(
                change,
                self._limits,
                expected_revision=expected_revision,
                creation_id=creation_id,
                write_id=write_id,
            )
        except SessionManagerError as error:
            error.session_id = key.id
            raise
        commit.expected_tag = tag_of(session, expected_revision)
        receipt, events = await self._sent(
            key, commit, change.events, lambda one: self._committed(key, one), on_repeat=on_repeat
        )
        await self._bring_in_step(session, commit, receipt, events)
        hidden = await self._hidden_events(key, receipt) if receipt.hidden else []
        return CommitResult(receipt.revision, receipt.last_seq, events, hidden)

    async def append(
        self,
        session: Session[Any] | str,
        *events: SessionEvent[Any],
        expected_revision: int | None = None,
        on_repeat: RepeatPolicy = "refuse",
    ) -> list[SessionEvent[Any]]:
        """Append events at a cost that does not grow with the session; return them with their `seq`."""
        if expected_revision is not None:
            change = SessionChange(events=events)
            result = await self.commit(session, change, expected_revision=expected_revision, on_repeat=on_repeat)
            return result.events
        _check_policy(on_repeat)
        key, creation_id = self._named(session)
        with_costs = await priced_events(events, self._pricer)
        try:
            commit = await encode_append(with_costs, self._limits)
        except SessionManagerError as error:
            error.session_id = key.id
            raise
        commit.creation_id = creation_id
        # Not guarded, so never stale: there is no conflict to complete.
        receipt, new = await self._sent(
            key, commit, with_costs, lambda one: self._finished(self._backend.commit(key, one)), on_repeat=on_repeat
        )
        if not isinstance(session, str):
            await self._bring_in_step(session, commit, receipt, new)
        return new

    async def retract(
        self,
        session: Session[Any] | str,
        *event_ids: str,
        last: int | None = None,
        after: int | None = None,
        write_id: str | None = None,
    ) -> list[SessionEvent[Any]]:
        """Hide events and return those this call hid, oldest first; one event is hidden only once."""
        change = SessionChange(retraction=Retraction(event_ids, last, after))
        return (await self.commit(session, change, write_id=write_id)).retracted

    async def delete(
        self,
        session: Session[Any] | str,
        *,
        children: ChildPolicy = "refuse",
        expected_revision: int | None = None,
    ) -> None:
        """Delete the session, and with `cascade` all below it; absent is fine. Nothing brings it back."""
        if children not in ("refuse", "cascade"):
            raise InvalidSessionOperation(f"children={shown(children)} is unknown: take 'refuse' or 'cascade'")
        expected_revision = arguments.limit("expected_revision", expected_revision)
        key, creation_id = self._named(session)
        if creation_id is None:
            creation_id = await self._backend.creation_id_of(key)
            if creation_id is None:
                return
        cascade = children == "cascade"
        guard = None if expected_revision is None else Guard(expected_revision, tag_of(session, expected_revision))
        await self._guarded(
            key,
            lambda: self._backend.delete(key, creation_id, cascade=cascade, guard=guard),
        )

    async def cut_damaged_tail(self, session_id: str) -> int:
        """Go on without the damaged end of a session: move it out of the way and return how many bytes it had."""
        key = self._key(session_id)
        count = await self._finished(self._backend.cut_damaged_tail(key))
        if (await self._backend.load([key], last=0, whole_head=False))[0] is None:
            raise SessionNotFound(key.id)
        return count

    async def _with_costs(self, change: SessionChange) -> SessionChange:
        events = await priced_events(change.events, self._pricer)
        return change if events is change.events else replace(change, events=events)

    async def _sent(
        self,
        key: SessionKey,
        commit: EncodedCommit,
        events: Sequence[SessionEvent[Any]],
        write: repeats.SendCommit,
        *,
        on_repeat: RepeatPolicy = "refuse",
    ) -> tuple[Receipt, list[SessionEvent[Any]]]:
        """Send a commit, `events` being those it brings, and return the receipt with the events as they are stored."""
        answer: Receipt | EventsKnown | None = None
        if not repeats.has_twins(commit.events):
            try:
                answer = await write(commit)
            except EventsKnown as known:
                answer = known
            else:
                if not (answer.is_repeat and events):
                    return answer, await place_events(events, answer)
        known_before = repeats.Repeats(self._backend, key, self._limits, commit, events, keeps=on_repeat == "keep")
        return await known_before.send(write, answer)

    async def _bring_in_step(
        self,
        session: Session[Any] | str,
        commit: EncodedCommit,
        receipt: Receipt,
        events: Sequence[SessionEvent[Any]],
    ) -> None:
        if not isinstance(session, str) and session._baseline is not None:
            await apply_receipt(session, commit, receipt, events, self._limits)

    async def _committed(self, key: SessionKey, commit: EncodedCommit) -> Receipt:
        return await self._guarded(key, lambda: self._backend.commit(key, commit))

    async def _guarded(self, key: SessionKey, write: Callable[[], Awaitable[ResultT]]) -> ResultT:
        try:
            return await self._finished(write())
        except SessionConflict as conflict:
            await conflicts.add_missed_events(conflict, self._backend, key, self._limits)
            raise

    def _finished(self, write: Awaitable[ResultT]) -> Awaitable[ResultT]:
        return finish(write, patience=self._limits.cancel_seconds)

    async def _hidden_events(self, key: SessionKey, receipt: Receipt) -> list[SessionEvent[Any]]:
        retraction = StoredRetraction(receipt.revision, receipt.last_seq, tuple(receipt.hidden))
        hidden = following.read_ranges(self._backend, key, self._limits, retraction)
        return [event async for event in hidden]

    async def _parent(self, parent: Session[Any] | str | None) -> Parent | None:
        if parent is None:
            return None
        key, creation_id = self._named(parent)
        loaded = (await self._backend.load([key], last=0, whole_head=False))[0]
        if loaded is None or creation_id not in (None, loaded.head.creation_id):
            raise SessionNotFound(
                key.id, f"no session {key.id!r} to be the parent: save the parent first, in the same namespace"
            )
        head = loaded.head
        if head.depth >= DEEPEST_TREE:
            raise InvalidSessionOperation(
                f"session {key.id!r} is {head.depth} levels deep, and {DEEPEST_TREE} are allowed: "
                "start a new root and name the old one in its properties",
                session_id=key.id,
            )
        return Parent(key.id, head.creation_id, head.root_id, head.depth)


def _checked_change(change: Any) -> SessionChange:
    if not isinstance(change, SessionChange):
        raise InvalidSessionOperation(f"change={shown(change)} is none: pass a SessionChange")
    return change


def _check_policy(on_repeat: str) -> None:
    if on_repeat not in ("refuse", "keep"):
        raise InvalidSessionOperation(f"on_repeat={shown(on_repeat)} is unknown: take 'refuse' or 'keep'")
