"""CheckpointReader: checkpoints, the values of their channels, and what was written to them, as they are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from a2a_session_manager.exceptions import CorruptSession, SessionNotFound
from a2a_session_manager.integrations.langgraph.border import Place
from a2a_session_manager.integrations.langgraph.encoding import Encoded, Encoder, digest, newer
from a2a_session_manager.integrations.langgraph.lists import Item, ListRef, items_of, lines_before
from a2a_session_manager.integrations.langgraph.records import (
    CHECKPOINT,
    STATE_KEY,
    Record,
    Ref,
    channels_of,
    event_id,
    numbered,
    record_in,
    writes_id,
)
from a2a_session_manager.integrations.langgraph.remembered import Head, Remembered, keep
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.session_event import SessionEvent

_AT_ONCE: Final = 16  # batches of writes that are looked for with their checkpoint
_IDS_AT_ONCE: Final = 1_000


class CheckpointReader:
    """Reads what a CheckpointLog has written, and remembers of it what the next commit needs."""

    def __init__(self, sessions: SessionManager, encoder: Encoder, remembered: Remembered) -> None:
        self._sessions = sessions
        self._store = sessions.store
        self._encoder = encoder
        self._remembered = remembered

    async def find(
        self, place: Place, checkpoint_id: str | None, *, hidden: bool = False
    ) -> tuple[Record, list[Any]] | None:
        """Return a checkpoint, or that with the greatest id, and what was written to it; None when it is not there.

        With `hidden`, also one that was deleted.
        """
        session_id = place.session_id
        if checkpoint_id is None:
            head = await self.read_head(session_id)
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
        keep(self._remembered.refs, (session_id, record.id), record.refs)
        items = await self.items(session_id, lists, plain)
        found: dict[str, Any] = {}
        for channel, ref in record.refs.items():
            if isinstance(ref, str):
                found[channel] = self._encoder.decode(items[ref]["value"])
            else:
                found[channel] = self._list(session_id, ref, items_of(ref, items))
        return found

    async def records(self, session_id: str) -> dict[str, Record]:
        """Return the checkpoints of a session by id, the greatest id first; of one that was put again, the last."""
        try:
            events = await self._sessions.events(session_id, type=CHECKPOINT)
        except SessionNotFound:
            return {}
        found = {record.id: record for record in (record_in(event.message, session_id) for event in events)}
        return dict(sorted(found.items(), reverse=True))

    async def read_head(self, session_id: str) -> Head | None:
        """Return where a session is; None when there is none. Raises CorruptSession for one of a newer release."""
        session = await self._store.get(session_id, last=0)
        if session is None:
            return None
        state = session.state.get(STATE_KEY) or {"v": 1, "latest": None}
        if state.get("v") != 1:
            raise newer(session_id)
        return self._remembered.met(session, state["latest"])

    async def refs_of(self, place: Place, checkpoint_id: str | None) -> Mapping[str, Ref]:
        """Return where the values of a checkpoint lie, also of one that was deleted."""
        if checkpoint_id is None:
            return {}
        known = self._remembered.refs.get((place.session_id, checkpoint_id))
        if known is not None:
            return known
        found = await self.find(place, checkpoint_id, hidden=True)
        return {} if found is None else found[0].refs

    async def _read(self, session_id: str, checkpoint_id: str, *, hidden: bool) -> tuple[Record | None, list[Any]]:
        record: Record | None = None
        writes: list[Any] = []
        at, is_all_of_record, is_all_of_writes = 0, False, False
        while not (is_all_of_record and is_all_of_writes):
            records = [numbered(f"c:{checkpoint_id}", number) for number in range(2 * at, 2 * at + 2)]
            batches = [writes_id(checkpoint_id, number) for number in range(_AT_ONCE * at, _AT_ONCE * (at + 1))]
            found = await self._store.events_by_id(session_id, *map(event_id, records), *batches)
            for event in found[:2]:
                if event is not None and (hidden or not event.retracted):
                    record = record_in(event.message, session_id)
            writes += [event.message for event in found[2:] if event is not None and (hidden or not event.retracted)]
            is_all_of_record = is_all_of_record or None in found[:2]
            is_all_of_writes = is_all_of_writes or None in found[2:]
            at += 1
        return record, writes

    async def items(self, session_id: str, lists: Sequence[ListRef], plain: Sequence[str] = ()) -> dict[str, Any]:
        """Return the messages of the events of values, by event id, with all that the lists are made of."""
        messages: dict[str, Any] = {}
        wanted = [*plain, *(each for ref in lists for each in ref.ids)]
        while wanted:
            for at in range(0, len(wanted), _IDS_AT_ONCE):
                ids = wanted[at : at + _IDS_AT_ONCE]
                found = await self._store.events_by_id(session_id, *ids)
                for name, event in zip(ids, found, strict=True):
                    if event is None:
                        raise CorruptSession(
                            session_id, f"{session_id!r} has lost a value that a checkpoint refers to: {name!r}"
                        )
                    messages[name] = event.message
            bases = [lines_before(messages[each]) for each in wanted if each.endswith(":0") and each.startswith("l:")]
            further = dict.fromkeys(each for base in bases if base is not None for each in base.ids)
            wanted = [each for each in further if each not in messages]
        for ref in lists:
            known = [Item(digest(item)) for item in items_of(ref, messages)]
            self._remembered.lists.remember(session_id, ref, known)
        return messages

    async def known_ids(self, session_id: str, events: Sequence[SessionEvent[Any]]) -> set[str]:
        """Return the ids among those of these events under which something is stored."""
        try:
            found = await self._store.events_by_id(session_id, *(event.id for event in events))
        except SessionNotFound:
            return set()
        return {event.id for event in found if event is not None}

    def _list(self, session_id: str, ref: ListRef, encoded: Sequence[Encoded]) -> list[Any]:
        """Return the values of a list, and remember how they look: what is put next begins with most of them."""
        values = [self._encoder.decode(item) for item in encoded]
        known = self._remembered.lists.get(session_id, ref)
        if known is not None:
            looking = [
                item._replace(look=self._encoder.look_of(value)) for item, value in zip(known, values, strict=True)
            ]
            self._remembered.lists.remember(session_id, ref, looking)
        return values
