"""CheckpointLog: checkpoints and writes in the logs of sessions, one for each checkpoint namespace of a thread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from a2a_session_manager.active.opening import open_session
from a2a_session_manager.concurrency.retries import retry_if_unknown
from a2a_session_manager.exceptions import (
    InvalidEvent,
    SessionAlreadyExists,
    SessionConflict,
    SessionNotFound,
    StoreUnavailable,
)
from a2a_session_manager.identifiers import hidden_id
from a2a_session_manager.integrations.langgraph.border import Place
from a2a_session_manager.integrations.langgraph.checkpoint_reads import CheckpointReader
from a2a_session_manager.integrations.langgraph.drafts import Draft, Put
from a2a_session_manager.integrations.langgraph.encoding import Encoder
from a2a_session_manager.integrations.langgraph.records import (
    CHECKPOINT,
    WRITES,
    Ref,
    as_state,
    channels_of,
    checkpoint_of,
    writes_id,
    writes_message,
)
from a2a_session_manager.integrations.langgraph.remembered import Head, Remembered, keep
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.models.compaction import compaction_in
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent

_TRIES: Final = 64
_IDS_AT_ONCE: Final = 1_000


class CheckpointLog:
    """Writes what `LangGraphSaver` keeps; see there. `reads` finds it again."""

    def __init__(self, sessions: SessionManager, encoder: Encoder) -> None:
        self._sessions = sessions
        self._store = sessions.store
        self._encoder = encoder
        self._remembered = Remembered()
        self.reads = CheckpointReader(sessions, encoder, self._remembered)

    async def put(self, place: Place, put: Put) -> None:
        """Store a checkpoint in one commit, with the values that are new in it."""
        session_id, taken = place.session_id, set[str]()
        if session_id not in self._remembered.heads and await self.reads.read_head(session_id) is None:
            self._remembered.forget(session_id)  # what is remembered is of a thread that is gone
        before = await self.reads.refs_of(place, put.parent_id)
        for _ in range(_TRIES):
            try:
                await self._know_lists(session_id, before)
                draft = Draft(self._encoder, self._remembered.lists, session_id, put, before, taken)
                if place.namespace and draft.usages:  # of a subgraph: the answers are the thread's, which has them once
                    await self._append_usages(place, draft.usages)
                clash = await self._commit_draft(place, put.id, draft)
            except InvalidEvent:
                clash = await self.reads.known_ids(session_id, draft.events)
                if not clash - taken:
                    raise
            except (SessionAlreadyExists, SessionConflict, SessionNotFound):
                # Another process was faster, or the thread is gone, in which case all that it had is new again.
                if await self.reads.read_head(session_id) is None:
                    self._remembered.forget(session_id)
                before = await self.reads.refs_of(place, put.parent_id)
                continue
            if clash:
                taken |= clash
                continue
            draft.remember()
            keep(self._remembered.refs, (session_id, put.id), draft.refs)
            return
        raise _crowded(session_id)

    async def put_writes(
        self, place: Place, checkpoint_id: str, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str
    ) -> None:
        """Store the writes of a task in one event; which of several with one number counts is decided when reading."""
        session_id = place.session_id
        encoded = [(channel, self._encoder.encode(value)) for channel, value in writes]
        message = writes_message(encoded, task_id, task_path)
        if any(number < 0 for number, _, _ in message["writes"]):
            message["nonce"] = hidden_id()  # the last of these counts, also where it says what an earlier one did
        while True:
            number = self._remembered.next_writes.get((session_id, checkpoint_id), 0)
            keep(self._remembered.next_writes, (session_id, checkpoint_id), number + 1)
            event: SessionEvent[Any] = SessionEvent(id=writes_id(checkpoint_id, number), message=message, type=WRITES)
            try:
                stored = await self._append(place, event)
            except InvalidEvent:
                if not await self.reads.known_ids(session_id, [event]):
                    raise
                continue  # another process has written there
            if not stored.retracted:
                return

    async def remove(self, session_id: str, checkpoint_ids: Iterable[str]) -> None:
        """Let checkpoints of a session vanish, with their writes; the values that others refer to stay."""
        removed = set(checkpoint_ids)
        for _ in range(_TRIES):
            head = await self.reads.read_head(session_id)
            if head is None:
                return
            events = [
                *await self._sessions.events(session_id, type=CHECKPOINT),
                *await self._sessions.events(session_id, type=WRITES),
            ]
            gone = [event.id for event in events if checkpoint_of(event) in removed]
            if not gone:
                return
            left = [checkpoint_of(event) for event in events if event.type == CHECKPOINT and event.id not in set(gone)]
            change = SessionChange(retraction=Retraction(event_ids=gone), set_state=as_state(max(left, default=None)))
            try:
                await self._commit(head, change)
            except (SessionConflict, SessionNotFound):
                continue
            self._remembered.heads.pop(session_id, None)
            return
        raise _crowded(session_id)

    async def copy(self, source: Place, target: Place) -> None:
        """Copy all that is visible, the checkpoints last; doing it again adds what is missing."""
        events = await self._sessions.events(source.session_id)
        copies = [
            SessionEvent(id=each.id, message=each.message, source=each.source, type=each.type, timestamp=each.timestamp)
            for each in events
            if each.token_usage is None and compaction_in(each.type, each.metadata) is None  # of the source's own
        ]
        copies.sort(key=lambda each: each.type == CHECKPOINT)
        for at in range(0, len(copies), _IDS_AT_ONCE):
            await self._append(target, *copies[at : at + _IDS_AT_ONCE])
        checkpoints = [checkpoint_of(each) for each in copies if each.type == CHECKPOINT]
        for _ in range(_TRIES):
            head = await self.reads.read_head(target.session_id)
            if head is None or not checkpoints:
                return
            change = SessionChange(set_state=as_state(max(*checkpoints, head.latest or "")))
            try:
                await self._commit(head, change)
                return
            except (SessionConflict, SessionNotFound):
                continue
        raise _crowded(target.session_id)

    def forget(self, session_id: str) -> None:
        """Forget what is remembered of a session and those below it, as they are deleted."""
        self._remembered.forget(session_id)

    async def _know_lists(self, session_id: str, refs: Mapping[str, Ref]) -> None:
        """Remember the items of the lists that a checkpoint goes on from."""
        for list_ref in channels_of(refs)[1]:
            if self._remembered.lists.get(session_id, list_ref) is None:
                await self.reads.items(session_id, [list_ref])

    async def _commit_draft(self, place: Place, checkpoint_id: str, draft: Draft) -> set[str]:
        """Commit a draft; return the ids of its events under which something else was stored, and hidden since."""
        session_id = place.session_id
        head = self._remembered.heads.get(session_id) or await self.reads.read_head(session_id)
        events = draft.events if place.namespace else [*draft.events, *draft.usages]
        if head is None:
            if draft.goes_on:  # from values that are not there any more
                raise SessionNotFound(session_id)
            change = SessionChange(events=events, set_state=as_state(checkpoint_id))
            self._remembered.met(await self._create(place, change), checkpoint_id)
            return set()
        latest = max(checkpoint_id, head.latest or "")
        change = SessionChange(events=events, set_state=as_state(latest))
        result = await self._commit(head, change)
        keep(self._remembered.heads, session_id, Head(head.session, latest))
        return {event.id for event in result.events if event.retracted}

    async def _commit(self, head: Head, change: SessionChange) -> Any:
        revision = head.session.revision
        commit = partial(self._store.commit, head.session, change, expected_revision=revision, write_id=hidden_id())
        try:
            return await retry_if_unknown(commit)
        finally:
            head.session._let_events_go()

    async def _append(self, place: Place, *events: SessionEvent[Any]) -> SessionEvent[Any]:
        """Append events to the session of a place, which is made if need be; return the last one."""
        for _ in range(_TRIES):
            change = SessionChange(events=events)
            known = self._remembered.heads.get(place.session_id)
            session: Session[Any] | str = place.session_id if known is None else known.session
            try:
                result = await retry_if_unknown(partial(self._store.commit, session, change))
                if known is not None:
                    known.session._let_events_go()
                return result.events[-1]
            except SessionNotFound:
                if known is not None:  # There may be another one of that id by now.
                    self._remembered.forget(place.session_id)
                    continue
                try:
                    await self._create(place, change)
                    return events[-1]
                except (SessionAlreadyExists, SessionNotFound):
                    continue
        raise _crowded(place.session_id)

    async def _append_usages(self, place: Place, usages: Sequence[SessionEvent[Any]]) -> None:
        await self._append(Place(place.thread_id), *usages)

    async def _create(self, place: Place, change: SessionChange) -> Session[Any]:
        if place.parent_id is not None:
            await open_session(self._store, place.parent_id)
        create = partial(
            self._store.create, place.session_id, parent_id=place.parent_id, change=change, write_id=hidden_id()
        )
        return await retry_if_unknown(create)


def _crowded(session_id: str) -> StoreUnavailable:
    return StoreUnavailable(f"{session_id!r} was written to by others {_TRIES} times in turn: try again")
