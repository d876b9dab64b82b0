"""Records to sessions: decoding that lets the loop breathe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from a2a_session_manager.concurrency.slices import Slices
from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.limits import StoreLimits
from a2a_session_manager.models.clock import moment
from a2a_session_manager.models.event_message import MessageColumns
from a2a_session_manager.models.fields_set import model_of
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_metadata import SessionMetadata
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.models.sync_state import SyncState
from a2a_session_manager.models.token_summary import NO_SPEND, TokenSummary
from a2a_session_manager.models.token_tally import TokenTally
from a2a_session_manager.protocols import SessionStore
from a2a_session_manager.storage import ranges
from a2a_session_manager.storage.codec import decode_event, decode_value, event_model
from a2a_session_manager.storage.message_codec import decode_block, decode_messages
from a2a_session_manager.storage.read_records import HeadRecord, LoadedSession, LogTail, StoredEvent
from a2a_session_manager.storage.records import Counters, Range, StoredRun, Totals
from a2a_session_manager.storage.run_codec import decode_run

# Decoded in one go: some tenths of a millisecond.
_MESSAGES_A_BATCH = 128
_BYTES_A_BATCH = 64_000
_BYTES_A_LOOK = 4_000  # a look at the clock each: to decode so much takes a tenth of a millisecond
_BYTES_A_BLOCK = 2 * _BYTES_A_BATCH  # a larger one is divided, which costs more than it is worth for a little more


async def load_session(
    loaded: LoadedSession,
    store: SessionStore,
    limits: StoreLimits,
    *,
    is_partial: bool,
    message_type: Any = None,
) -> Session[Any]:
    """Return the session that the records hold, which remembers `store`. Raises CorruptSession."""
    head, session_id = loaded.head, loaded.head.key.id
    model: type[Session[Any]] = Session if message_type is None else Session[message_type]
    events = await decode_events(loaded.events, session_id, limits, message_type=message_type) if loaded.events else []
    properties = await decode_values(head.properties, session_id, "properties", limits) if head.properties else {}
    fields = {
        "id": session_id,
        "parent_id": head.parent_id,
        "child_ids": list(loaded.child_ids),
        "metadata": _metadata(head, properties),
        "state": await decode_values(head.state, session_id, "state", limits) if head.state else {},
        "runs": await decode_runs(head.runs.values(), session_id) if head.runs else [],
        "events": events,
    }
    session = model_of(model, fields, set(fields))
    totals = await summary(head.totals, head.run_totals) if head.totals or head.run_totals else NO_SPEND
    # Not by pydantic's `__setattr__`, which takes ten times as long.
    object.__setattr__(session, "_sync", _sync_state(head, events, totals, store, is_partial=is_partial))
    return session


async def load_sessions(
    loaded: Iterable[LoadedSession | None], store: SessionStore, limits: StoreLimits, *, is_partial: bool
) -> list[Session[Any] | None]:
    """Return the sessions as `load_session` does, None for None. Raises CorruptSession."""
    sessions: list[Session[Any] | None] = []
    slices = Slices()
    for each in loaded:
        sessions.append(None if each is None else await load_session(each, store, limits, is_partial=is_partial))
        if slices.is_over():
            await slices.give_way()
    return sessions


async def decode_events(
    stored: Iterable[StoredEvent],
    session_id: str,
    limits: StoreLimits,
    *,
    hidden: Sequence[Range] = (),
    message_type: Any = None,
) -> list[SessionEvent[Any]]:
    """Return events from bytes, marked `retracted` where `hidden` says so. Raises CorruptSession."""
    decoder = EventDecoder(session_id, limits, hidden=hidden, message_type=message_type)
    return [decoder.decode_now(event) or await decoder.decode(event) for event in stored]


async def load_tail(tail: LogTail, session_id: str, limits: StoreLimits) -> MessageColumns:
    """Return the messages of a tail's events. Raises CorruptSession."""
    if not tail.blocks:
        return await load_messages(tail.seqs, tail.records, session_id, limits)
    messages = MessageColumns()
    slices = Slices()
    first = 0
    for block in tail.blocks:
        seqs = tail.seqs[first : first + block.length]
        first += block.length
        if len(block.data) <= min(_BYTES_A_BLOCK, limits.inline_bytes):
            messages.extend(decode_block(seqs, block.data, session_id))
        else:
            messages.extend(await load_messages(seqs, block.data.split(b"\t"), session_id, limits))
        if slices.is_over():
            await slices.give_way()
    return messages


async def load_messages(
    seqs: Sequence[int], records: Sequence[bytes], session_id: str, limits: StoreLimits
) -> MessageColumns:
    """Return the messages of events from their bytes. Raises CorruptSession."""
    if len(records) <= _MESSAGES_A_BATCH and sum(map(len, records)) <= min(_BYTES_A_BATCH, limits.inline_bytes):
        return decode_messages(seqs, records, session_id)  # one batch: the steps below would add a quarter
    messages = MessageColumns()
    slices = Slices()
    for batch in _batches(list(map(len, records))):
        here, data = seqs[batch], records[batch]
        if len(data[0]) > limits.inline_bytes:  # then it is alone
            messages.extend(await in_thread(decode_messages, here, data, session_id))
        else:
            messages.extend(decode_messages(here, data, session_id))
        if slices.is_over():
            await slices.give_way()
    return messages


def _batches(sizes: Sequence[int]) -> Iterator[slice]:
    """Yield which records make a batch; one that is larger than a batch may be makes one of its own."""
    start = 0
    while start < len(sizes):
        size = sum(sizes[start : start + _MESSAGES_A_BATCH])
        end = min(start + _MESSAGES_A_BATCH, len(sizes))
        while size > _BYTES_A_BATCH and end - start > 1:
            end -= 1
            size -= sizes[end]
        yield slice(start, end)
        start = end


class EventDecoder:
    """Makes events of bytes one by one, in slices that let the loop breathe, large ones in a thread."""

    def __init__(
        self, session_id: str, limits: StoreLimits, *, hidden: Sequence[Range] = (), message_type: Any = None
    ) -> None:
        self._session_id = session_id
        self._limits = limits
        self._hidden = hidden
        self._model = event_model(message_type)
        self._slices = Slices()
        self._unclocked_bytes = 0

    async def decode(self, stored: StoredEvent) -> SessionEvent[Any]:
        """Return the event, marked `retracted` where it is among the hidden ones. Raises CorruptSession."""
        if self._slices.is_over():
            await self._slices.give_way()
        if len(stored.data) > self._limits.inline_bytes:
            return await in_thread(self._decoded, stored)
        return self._decoded(stored)

    def decode_now(self, stored: StoredEvent) -> SessionEvent[Any] | None:
        """Return the event as `decode` does, without a coroutine; None when that is needed, for the loop's sake."""
        size = len(stored.data)
        self._unclocked_bytes += size
        if size > self._limits.inline_bytes or (self._unclocked_bytes > _BYTES_A_LOOK and self._is_over()):
            return None
        return self._decoded(stored)

    def _is_over(self) -> bool:
        self._unclocked_bytes = 0
        return self._slices.is_over()

    def _decoded(self, stored: StoredEvent) -> SessionEvent[Any]:
        seq, _, data = stored
        retracted = bool(self._hidden) and ranges.contains(self._hidden, seq)
        return decode_event(data, self._session_id, seq, retracted=retracted, model=self._model)


async def decode_values(values: Mapping[str, bytes], session_id: str, what: str, limits: StoreLimits) -> dict[str, Any]:
    """Return state or properties from bytes. Raises CorruptSession."""
    decoded = {}
    slices = Slices()
    for key, data in values.items():
        if len(data) > limits.inline_bytes:
            decoded[key] = await in_thread(decode_value, data, session_id, f"{what}.{key}")
        else:
            decoded[key] = decode_value(data, session_id, f"{what}.{key}")
        if slices.is_over():
            await slices.give_way()
    return decoded


async def decode_runs(stored: Iterable[StoredRun], session_id: str) -> list[SessionRun]:
    """Return runs from bytes. Raises CorruptSession."""
    runs = []
    slices = Slices()
    for run in stored:
        runs.append(decode_run(run, session_id))
        if slices.is_over():
            await slices.give_way()
    return runs


async def summary(totals: Totals, run_totals: Mapping[str, Counters] | None = None) -> TokenSummary:
    """Return the totals of the records as the model that callers read."""
    by_model: dict[str, dict[str, TokenTally]] = {}
    by_run: dict[str, TokenTally] = {}
    slices = Slices()
    for (model, source), counters in totals.items():
        by_model.setdefault(model, {})[source] = TokenTally(**counters)
        if slices.is_over():
            await slices.give_way()
    for run_id, counters in (run_totals or {}).items():
        by_run[run_id] = TokenTally(**counters)
        if slices.is_over():
            await slices.give_way()
    return TokenSummary.model_construct(by_model=by_model, by_run=by_run)


def _metadata(head: HeadRecord, properties: dict[str, Any]) -> SessionMetadata:
    fields = {
        "created_at": moment(head.created_at),
        "updated_at": moment(head.updated_at),
        "properties": properties,
    }
    # `updated_at` is not among the fields given as long as no user assigns one.
    return model_of(SessionMetadata, fields, {"created_at", "properties"})


def _sync_state(
    head: HeadRecord, events: list[SessionEvent[Any]], totals: TokenSummary, store: SessionStore, *, is_partial: bool
) -> SyncState:
    return SyncState(
        store=store,
        session_id=head.key.id,
        creation_id=head.creation_id,
        parent_id=head.parent_id,
        root_id=head.root_id,
        forked_from=head.forked_from,
        created_at=head.created_at,
        updated_at=head.updated_at,
        tag=head.tag,
        revision=head.revision,
        last_seq=head.last_seq,
        events=list(events),
        state=head.state,
        properties=head.properties,
        runs={run_id: run.data for run_id, run in head.runs.items()},
        totals=totals,
        is_partial=is_partial,
        earlier_events=head.last_seq - _hidden_events(head) - len(events),
    )


def _hidden_events(head: HeadRecord) -> int:
    return ranges.size(head.hidden) if head.hidden_events is None else head.hidden_events
