"""CheckpointLog: checkpoints and writes in the logs of sessions, one for each checkpoint namespace of a thread."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from a2a_session_manager.active.opening import open_session
from a2a_session_manager.concurrency.retries import retry_if_unknown
from a2a_session_manager.exceptions import (
    CorruptSession,
    InvalidEvent,
    SessionAlreadyExists,
    SessionConflict,
    SessionNotFound,
    StoreUnavailable,
)
from a2a_session_manager.identifiers import derived_id, hidden_id
from a2a_session_manager.integrations.langgraph.border import Place
from a2a_session_manager.integrations.langgraph.drafts import Draft, Put
from a2a_session_manager.integrations.langgraph.encoding import Encoder, digest, newer
from a2a_session_manager.integrations.langgraph.lists import KnownLists, ListRef, items_of, lines_before
from a2a_session_manager.integrations.langgraph.records import (
    CHECKPOINT,
    WRITES,
    Record,
    Ref,
    channels_of,
    record_in,
    writes_message,
)
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.models.session_event import SessionEvent

_STATE_KEY: Final = "langgraph"
_TRIES: Final = 64
_AT_ONCE: Final = 16  # batches of writes that are looked for with their checkpoint
_IDS_AT_ONCE: Final = 1_000
_REMEMBERED: Final = 1_024


class Head(NamedTuple):
    """Where a session is: its revision, and the greatest id of its checkpoints."""

    revision: int
    latest: str | None


class CheckpointLog:
    """Reads and writes what `LangGraphSaver` keeps; see there."""

    def __init__(self, sessions: SessionManager, encoder: Encoder) -> None:
        self.sessions = sessions
        self._store = sessions.store
        self._encoder = encoder
        self._lists = KnownLists()
        self._heads: OrderedDict[str, Head] = OrderedDict()
        self._refs: OrderedDict[tuple[str, str], Mapping[str, Ref]] = OrderedDict()
        self._next_writes: OrderedDict[tuple[str, str], int] = OrderedDict()

    async def put(self, place: Place, put: Put) -> None:
        """Store a checkpoint in one commit, with the values that are new in it."""
        session_id, taken = place.session_id, set[str]()
        before = await self._refs_of(place, put.parent_id)
        for list_ref in channels_of(before)[1]:
            if self._lists.get(session_id, list_ref) is None:
                await self._items(session_id, [list_ref])
        for _ in range(_TRIES):
            draft = Draft(self._encoder, self._lists, session_id, put, before, taken)
            if place.namespace and draft.usages:  # of a subgraph: the answers are the thread's, which has them once
                await self._append_usages(place, draft.usages)
            try:
                clash = await self._commit_draft(place, put.id, draft)
            except InvalidEvent:
                clash = await self._known(session_id, draft.events)
                if not clash - taken:
                    raise
            except (SessionAlreadyExists, SessionConflict, SessionNotFound):
                self._heads.pop(session_id, None)
                continue
            if clash:
                taken |= clash
                continue
            draft.remember()
            _keep(self._refs, (session_id, put.id), draft.refs)
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
            number = self._next_writes.get((session_id, checkpoint_id), 0)
            _keep(self._next_writes, (session_id, checkpoint_id), number + 1)
            event: SessionEvent[Any] = SessionEvent(id=_writes_id(checkpoint_id, number), message=message, type=WRITES)
            try:
                stored = await self._append(place, event)
            except InvalidEvent:
                if not await self._known(session_id, [event]):
                    raise
                continue  # another process has written there
            if not stored.retracted:
                return

    async def find(
        self, place: Place, checkpoint_id: str | None, *, hidden: bool = False
    ) -> tuple[Record, list[Any]] | None:
        """Return a checkpoint, or that with the greatest id, and what was written to it; None when it is not there.

        With `hidden`, also one that was deleted.
        """
        session_id = place.session_id
        if checkpoint_id is None:
            head = await self._read_head(session_id)
            if head is None or head.latest is None:
                return None
            checkpoint_id = head.latest
        try:
            record, writes = await self._read(session_id, checkpoint_id, hidden=hidden)
        except SessionNotFound:
            return None
        return None if record is None else (record, writes)

    async def values(self, place: Place, record: Record) -> dict[str, Any]:
        """Return the values of the channels at a checkpoint."""
        session_id = place.session_id
        plain, lists = channels_of(record.refs)
        _keep(self._refs, (session_id, record.id), record.refs)
        items = await self._items(session_id, lists, plain)
        found: dict[str, Any] = {}
        for channel, ref in record.refs.items():
            if isinstance(ref, str):
                found[channel] = self._encoder.decode(items[ref]["value"])
            else:
                found[channel] = [self._encoder.decode(item) for item in items_of(ref, items)]
        return found

    async def records(self, session_id: str) -> dict[str, Record]:
        """Return the checkpoints of a session by id, the greatest id first; of one that was put again, the last."""
        try:
            events = await self.sessions.events(session_id, type=CHECKPOINT)
        except SessionNotFound:
            return {}
        found = {record.id: record for record in (record_in(event.message, session_id) for event in events)}
        return dict(sorted(found.items(), reverse=True))

    async def remove(self, session_id: str, checkpoint_ids: Iterable[str]) -> None:
        """Let checkpoints of a session vanish, with their writes; the values that others refer to stay."""
        removed = set(checkpoint_ids)
        for _ in range(_TRIES):
            head = await self._read_head(session_id)
            if head is None:
                return
            events = [
                *await self.sessions.events(session_id, type=CHECKPOINT),
                *await self.sessions.events(session_id, type=WRITES),
            ]
            gone = [event.id for event in events if _checkpoint_of(event) in removed]
            if not gone:
                return
            left = [_checkpoint_of(event) for event in events if event.type == CHECKPOINT and event.id not in set(gone)]
            change = SessionChange(retraction=Retraction(event_ids=gone), set_state=_state(max(left, default=None)))
            try:
                await self._commit(session_id, change, expected_revision=head.revision)
            except SessionConflict:
                continue
            self._heads.pop(session_id, None)
            return
        raise _crowded(session_id)

    async def copy(self, source: Place, target: Place) -> None:
        """Copy all that is visible, the checkpoints last; doing it again adds what is missing."""
        events = await self.sessions.events(source.session_id)
        copies = [
            SessionEvent(id=each.id, message=each.message, source=each.source, type=each.type, timestamp=each.timestamp)
            for each in events
            if each.token_usage is None
        ]
        copies.sort(key=lambda each: each.type == CHECKPOINT)
        for at in range(0, len(copies), _IDS_AT_ONCE):
            await self._append(target, *copies[at : at + _IDS_AT_ONCE])
        checkpoints = [_checkpoint_of(each) for each in copies if each.type == CHECKPOINT]
        for _ in range(_TRIES):
            head = await self._read_head(target.session_id)
            if head is None or not checkpoints:
                return
            change = SessionChange(set_state=_state(max(*checkpoints, head.latest or "")))
            try:
                await self._commit(target.session_id, change, expected_revision=head.revision)
                return
            except SessionConflict:
                continue
        raise _crowded(target.session_id)

    def forget(self, session_id: str) -> None:
        """Forget what is remembered of a session and those below it, as they are deleted."""
        remembered: tuple[OrderedDict[Any, Any], ...] = (self._heads, self._refs, self._next_writes)
        for known in remembered:
            for key in [key for key in known if _is_of(key, session_id)]:
                del known[key]
        self._lists = KnownLists()

    async def _commit_draft(self, place: Place, checkpoint_id: str, draft: Draft) -> set[str]:
        """Commit a draft; return the ids of its events under which something else was stored, and hidden since."""
        session_id = place.session_id
        head = self._heads.get(session_id) or await self._read_head(session_id)
        events = draft.events if place.namespace else [*draft.events, *draft.usages]
        if head is None:
            change = SessionChange(events=events, set_state=_state(checkpoint_id))
            await self._create(place, change)
            _keep(self._heads, session_id, Head(1, checkpoint_id))
            return set()
        latest = max(checkpoint_id, head.latest or "")
        change = SessionChange(events=events, set_state=_state(latest))
        result = await self._commit(session_id, change, expected_revision=head.revision)
        _keep(self._heads, session_id, Head(result.revision, latest))
        return {event.id for event in result.events if event.retracted}

    async def _commit(self, session_id: str, change: SessionChange, *, expected_revision: int) -> Any:
        commit = partial(
            self._store.commit, session_id, change, expected_revision=expected_revision, write_id=hidden_id()
        )
        return await retry_if_unknown(commit)

    async def _append(self, place: Place, *events: SessionEvent[Any]) -> SessionEvent[Any]:
        """Append events to the session of a place, which is made if need be; return the last one."""
        for _ in range(_TRIES):
            change = SessionChange(events=events)
            try:
                result = await retry_if_unknown(partial(self._store.commit, place.session_id, change))
            except SessionNotFound:
                try:
                    await self._create(place, change)
                    return events[-1]
                except (SessionAlreadyExists, SessionNotFound):
                    continue
            known = self._heads.get(place.session_id)
            if known is not None and result.revision == known.revision + 1:  # and nobody else's commit in between
                _keep(self._heads, place.session_id, Head(result.revision, known.latest))
            return result.events[-1]
        raise _crowded(place.session_id)

    async def _append_usages(self, place: Place, usages: Sequence[SessionEvent[Any]]) -> None:
        await self._append(Place(place.thread_id), *usages)

    async def _create(self, place: Place, change: SessionChange) -> None:
        if place.parent_id is not None:
            await open_session(self._store, place.parent_id)
        create = partial(
            self._store.create, place.session_id, parent_id=place.parent_id, change=change, write_id=hidden_id()
        )
        await retry_if_unknown(create)

    async def _read_head(self, session_id: str) -> Head | None:
        session = await self._store.get(session_id, last=0)
        if session is None:
            return None
        state = session.state.get(_STATE_KEY) or {"v": 1, "latest": None}
        if state.get("v") != 1:
            raise newer(session_id)
        head = Head(session.revision, state["latest"])
        _keep(self._heads, session_id, head)
        return head

    async def _refs_of(self, place: Place, checkpoint_id: str | None) -> Mapping[str, Ref]:
        if checkpoint_id is None:
            return {}
        known = self._refs.get((place.session_id, checkpoint_id))
        if known is not None:
            return known
        found = await self.find(place, checkpoint_id, hidden=True)
        return {} if found is None else found[0].refs

    async def _read(self, session_id: str, checkpoint_id: str, *, hidden: bool) -> tuple[Record | None, list[Any]]:
        record: Record | None = None
        writes: list[Any] = []
        at, is_all_of_record, is_all_of_writes = 0, False, False
        while not (is_all_of_record and is_all_of_writes):
            records = [_numbered(f"c:{checkpoint_id}", number) for number in range(2 * at, 2 * at + 2)]
            batches = [_writes_id(checkpoint_id, number) for number in range(_AT_ONCE * at, _AT_ONCE * (at + 1))]
            found = await self._store.events_by_id(session_id, *map(_event_id, records), *batches)
            for event in found[:2]:
                if event is not None and (hidden or not event.retracted):
                    record = record_in(event.message, session_id)
            writes += [event.message for event in found[2:] if event is not None and (hidden or not event.retracted)]
            is_all_of_record = is_all_of_record or None in found[:2]
            is_all_of_writes = is_all_of_writes or None in found[2:]
            at += 1
        return record, writes

    async def _items(self, session_id: str, lists: Sequence[ListRef], plain: Sequence[str] = ()) -> dict[str, Any]:
        """Return the messages of the events of values, by event id, with all that the lists are made of."""
        messages: dict[str, Any] = {}
        wanted = [*plain, *(event_id for ref in lists for event_id in ref.ids)]
        while wanted:
            for at in range(0, len(wanted), _IDS_AT_ONCE):
                ids = wanted[at : at + _IDS_AT_ONCE]
                found = await self._store.events_by_id(session_id, *ids)
                for event_id, event in zip(ids, found, strict=True):
                    if event is None:
                        raise CorruptSession(
                            session_id, f"{session_id!r} has lost a value that a checkpoint refers to: {event_id!r}"
                        )
                    messages[event_id] = event.message
            bases = [lines_before(messages[each]) for each in wanted if each.endswith(":0") and each.startswith("l:")]
            further = dict.fromkeys(each for base in bases if base is not None for each in base.ids)
            wanted = [each for each in further if each not in messages]
        for ref in lists:
            self._lists.remember(session_id, ref, [digest(item) for item in items_of(ref, messages)])
        return messages

    async def _known(self, session_id: str, events: Sequence[SessionEvent[Any]]) -> set[str]:
        try:
            found = await self._store.events_by_id(session_id, *(event.id for event in events))
        except SessionNotFound:
            return set()
        return {event.id for event in found if event is not None}


def _state(latest: str | None) -> dict[str, Any]:
    return {_STATE_KEY: {"v": 1, "latest": latest}}


def _numbered(name: str, number: int) -> str:
    return f"{name}#{number}" if number else name


def _event_id(name: str) -> str:
    return name if len(name) <= 400 else f"{name[:2]}{derived_id(name)}"


def _writes_id(checkpoint_id: str, number: int) -> str:
    return _event_id(f"w:{checkpoint_id}#{number}")


def _checkpoint_of(event: SessionEvent[Any]) -> str:
    """Return the checkpoint that an event of it or its writes belongs to."""
    if event.type == CHECKPOINT:
        return str(event.message["id"])
    return event.id[2:].rpartition("#")[0]


def _keep(known: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > _REMEMBERED:
        known.popitem(last=False)


def _is_of(key: Any, session_id: str) -> bool:
    known = key if isinstance(key, str) else key[0]
    return bool(known == session_id or known.startswith(f"{session_id}/"))


def _crowded(session_id: str) -> StoreUnavailable:
    return StoreUnavailable(f"{session_id!r} was written to by others {_TRIES} times in turn: try again")
