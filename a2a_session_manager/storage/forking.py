"""`fork`: a session that goes on from an event of another one, which it names as its source and never copies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from a2a_session_manager.concurrency.cancellation import finish
from a2a_session_manager.exceptions import (
    InvalidSessionOperation,
    SessionAlreadyExists,
    SessionManagerError,
    SessionNotFound,
)
from a2a_session_manager.identifiers import checked_id, hidden_id, new_id, shown
from a2a_session_manager.models import arguments
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.clock import now_micros
from a2a_session_manager.models.event_message import MessageTail
from a2a_session_manager.models.forked_from import ForkedFrom
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.protocols import ForkEnding, SessionStore
from a2a_session_manager.storage import heads, ranges, reads, writes
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit
from a2a_session_manager.storage.copy_snapshot import copy_in
from a2a_session_manager.storage.detaching import copy_session
from a2a_session_manager.storage.encoding import encode_commit
from a2a_session_manager.storage.fork_rules import ForkDraft, cut, no_point, point_in, taken_over, with_values_of
from a2a_session_manager.storage.loading import load_messages, load_session
from a2a_session_manager.storage.read_records import HeadRecord, LoadedSession, StoredEvent
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.target import Target

# An ending is asked about so many messages at first, and about so many times as many when it wants more.
_FIRST_LOOK: Final = 16
_FACTOR: Final = 4

# A seq, the id of an event, or None for the newest visible event.
Point = int | str | None


@dataclass(frozen=True, slots=True)
class ForkRequest:
    """What a fork is to be; see SessionStore.fork for each field.

    `written_at`, in microseconds since the epoch, is when a fork that is imported was made; None for now.
    """

    at: Point
    new_id: str | None = None
    properties: Mapping[str, Any] | None = None
    ending: ForkEnding | None = None
    detached: bool = False
    written_at: int | None = None

    def __post_init__(self) -> None:
        arguments.flag("detached", self.detached)
        if self.properties is not None:
            arguments.values("properties", self.properties)
        if isinstance(self.at, str):
            checked_id(self.at, "event id")

    def check_point(self, session_id: str) -> None:
        """Raise InvalidSessionOperation for what is neither a seq, nor an event id, nor None."""
        at: Any = self.at
        if at is None or isinstance(at, str):
            return
        if isinstance(at, bool) or not isinstance(at, int) or at < 1:
            raise InvalidSessionOperation(
                f"at={shown(at)} is no event of session {session_id!r}, whose first one has the seq 1: take the seq or "
                "the id of an event that it shows, or create a session to begin anew",
                session_id=session_id,
            )


async def fork_session(store: SessionStore, source: Target, request: ForkRequest) -> Session[Any]:
    """Create the fork that `request` asks for, or return it when it was made before."""
    request.check_point(source.key.id)
    fork_id = new_id() if request.new_id is None else request.new_id
    key = SessionKey(source.key.namespace, checked_id(fork_id, "session id"))
    new = source._replace(key=key, creation_id=None, lease=None)
    try:
        seq = await _seq_of(source, request.at) if isinstance(request.at, str) else request.at
        if request.detached:
            if seq is None and request.new_id is not None:
                seq = await _begun_point(new, source)
            head, events = await _read(source, seq, request)
            return await copy_session(store, source, new, head, request.properties, events)
        draft = await _drafted(new, source, seq, request)
        # One that is imported has times of its own.
        is_new = request.written_at is None
        making = source.backend.fork_at_once(source.key, new.key, draft) if is_new else None
        found = None if making is None else await finish(making, patience=source.limits.cancel_seconds)
        if isinstance(found, HeadRecord):
            return await load_session(LoadedSession(found), store, source.limits, is_partial=True)
        head, events = await _read(source, seq, request, found)
        return await _created(store, new, head, events, request, draft)
    except (InvalidSessionOperation, SessionAlreadyExists, SessionNotFound):
        # An earlier call may have made it; since then, its source may have become another, or gone.
        made = None if request.new_id is None else await _made_before(new, source, request)
        if made is None:
            raise
        return await load_session(LoadedSession(made), store, source.limits, is_partial=True)


async def _begun_point(new: Target, source: Target) -> int | None:
    """Return where a copy ends that an earlier call has begun: the newest event may be another one by now."""
    found = await reads.find_head(new)
    copy = None if found is None else copy_in(found)
    if copy is None or copy.id != source.key.id:
        return None
    current = await reads.find_head(source)
    return copy.seq if current is not None and current.creation_id == copy.creation_id else None


async def _drafted(new: Target, source: Target, seq: int | None, request: ForkRequest) -> ForkDraft:
    last, marks = (0, ()) if request.ending is None else (_FIRST_LOOK, request.ending.marks)
    commit = EncodedCommit(written_at=now_micros(), write_id=hidden_id())
    if request.properties:
        change = SessionChange(set_properties=request.properties)
        commit = await encode_commit(new, (), change, write_id=commit.write_id)
    if request.written_at is not None:
        commit.written_at = request.written_at
    return ForkDraft(source.creation_id, seq, last, marks, hidden_id(), commit)


async def _read(
    source: Target, seq: int | None, request: ForkRequest, loaded: LoadedSession | None = None
) -> tuple[HeadRecord, list[SessionEvent[Any]]]:
    """Return the source's head, cut at the event where the fork begins, and the events that the fork begins with."""
    backend, key, _, creation_id = source[:4]
    last = 0 if request.ending is None else _FIRST_LOOK
    while True:
        loaded = loaded or await backend.load_until(key, seq=seq, last=last)
        if loaded is None or creation_id not in (None, loaded.head.creation_id):
            raise SessionNotFound(key.id)
        head = cut(loaded.head, point_in(loaded.head, seq))
        if request.ending is None:
            return head, []
        stored = list(loaded.events)
        data = b"".join([event.data for event in stored])
        if not any(mark in data for mark in request.ending.marks):
            return head, []
        events = request.ending(await _tail(head, stored, source))
        if events is not None:
            return head, list(events)
        last, loaded = last * _FACTOR, None


async def _seq_of(source: Target, event_id: str) -> int:
    found = await source.backend.find_events(source.key, [event_id], max_bytes=1)
    if found is None or source.creation_id not in (None, found.creation_id):
        raise SessionNotFound(source.key.id)
    event = found.events.get(event_id)
    if event is None:
        raise no_point(source.key.id, f"holds no event {event_id!r}")
    return event.seq


async def _tail(head: HeadRecord, stored: list[StoredEvent], source: Target) -> MessageTail:
    seqs, records = [event.seq for event in stored], [event.data for event in stored]
    messages = await load_messages(seqs, records, source.key.id, source.limits)
    return MessageTail(messages, head.last_seq - ranges.size(head.hidden) - len(stored))


async def _created(
    store: SessionStore,
    new: Target,
    source: HeadRecord,
    events: list[SessionEvent[Any]],
    request: ForkRequest,
    draft: ForkDraft,
) -> Session[Any]:
    commit = draft.commit
    if events:
        change = SessionChange(events=events, set_properties=request.properties or {})
        commit = await encode_commit(new, events, change, write_id=commit.write_id)
        commit.written_at = draft.commit.written_at
    commit = with_values_of(source, commit)
    fork, parent = taken_over(source, source.last_seq)
    # The first event of its own moves the activity to its time: that may be this very one.
    active_at = None if request.written_at is None else request.written_at - 1
    creation = Creation(draft.creation_id, commit.written_at, parent, active_at, fork)
    receipt, _ = await writes.send(new, commit, events, creation=creation)
    if receipt.is_repeat:  # the reply to an earlier try was lost
        head = await reads.load_head(new)
        return await load_session(LoadedSession(head), store, new.limits, is_partial=True)
    head = heads.made_head(new.key, creation, commit, receipt)
    stored = [StoredEvent(seq, 1, event.data) for seq, event in zip(receipt.seqs, commit.events, strict=True)]
    return await load_session(LoadedSession(head, stored), store, new.limits, is_partial=True)


async def _made_before(new: Target, source: Target, request: ForkRequest) -> HeadRecord | None:
    """Return the head of the fork that an earlier call has made of the same point, None when there is none."""
    head = await reads.find_head(new)
    made_of = None if head is None else _made_of(head, request)
    if head is None or made_of is None or made_of.id != source.key.id:
        return None
    if source.creation_id not in (None, made_of.creation_id):
        return None
    current = await reads.find_head(source)
    if current is not None and current.creation_id != made_of.creation_id:
        return None
    if isinstance(request.at, str):
        try:
            return head if await _seq_of(new, request.at) == made_of.seq else None
        except SessionManagerError:
            return None
    return head if request.at in (None, made_of.seq) else None


def _made_of(head: HeadRecord, request: ForkRequest) -> ForkedFrom | None:
    """Return what a session is a fork or, where that was asked for, a whole copy of."""
    if not request.detached:
        return head.forked_from
    copy = copy_in(head)
    return ForkedFrom(copy.id, copy.creation_id, copy.seq) if copy is not None and copy.whole else None
