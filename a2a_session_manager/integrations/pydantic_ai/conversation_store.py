"""PydanticAIConversationStore: the ConversationStore of pydantic-ai over sessions of ours."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from pydantic_ai.conversation_store import (
    ConversationConflict,
    ConversationEntry,
    ConversationRecord,
    ConversationStore,
)

from a2a_session_manager.concurrency.retries import retry_if_unknown
from a2a_session_manager.exceptions import (
    InvalidSessionOperation,
    SessionAlreadyExists,
    SessionConflict,
    SessionNotFound,
    StoreUnavailable,
)
from a2a_session_manager.identifiers import hidden_id
from a2a_session_manager.integrations.pydantic_ai.border import user_errors
from a2a_session_manager.integrations.pydantic_ai.histories import copied, hiding, path_to, reaches
from a2a_session_manager.integrations.pydantic_ai.messages import entry_of, event_of, is_message
from a2a_session_manager.integrations.pydantic_ai.records import (
    ALL_CONVERSATIONS,
    STATE_KEY,
    as_state,
    record_of,
    session_of,
)
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent

_TRIES: Final = 64
_PAGE: Final = 100
_REMEMBERED: Final = 10_000


class PydanticAIConversationStore(ConversationStore):
    """Conversations of pydantic-ai, for `store.load` and `store.save`, and as `conversation_store=` of its UI adapters.

    A conversation is a session, which `session_id` tells; its messages are events, each stored once, with the usage of
    each response, so that `sessions.usage(id)` says what was spent. `chat.messages()` shows the history that counts;
    that of a branch which was left is hidden. A fork is a fork of ours, which shares what is before it, and begins at
    nothing spent.

    Deleting a conversation deletes its messages, unless another one was forked from it: then they stay, hidden, until
    the last of these is deleted with `sessions.delete(…, children="cascade")`.

    Raises UserError, with our error as the cause, for what cannot be stored, or read by this release; our
    StoreUnavailable and StoreFull when the store cannot be reached, or is full.

    Args:
        sessions: the manager of the store, also one of a namespace; it stays open.
    """

    def __init__(self, sessions: SessionManager) -> None:
        self._sessions = sessions
        self._store = sessions.store
        self._homes: OrderedDict[str, str] = OrderedDict()  # in which session an entry is

    def session_id(self, conversation_id: str) -> str:
        """Return the id of our session for a conversation. Raises UserError for what cannot be one."""
        with user_errors():
            return session_of(conversation_id)

    async def read_record(self, conversation_id: str) -> ConversationRecord | None:
        """Return the record of a conversation; None when there is none."""
        with user_errors():
            session_id = session_of(conversation_id)
            return self._known(record_of(await self._store.get(session_id, last=0)))

    async def read_records(self, *, scope: str | None = None, limit: int | None = None) -> Sequence[ConversationRecord]:
        """Return the newest `limit` records, or those of a `scope`, newest first. The heads of all are read."""
        found: list[ConversationRecord] = []
        cursor: str | None = None
        with user_errors():
            while True:
                page = await self._sessions.list_page(ALL_CONVERSATIONS, cursor=cursor, limit=_PAGE)
                records = map(record_of, await self._sessions.get_many(page.session_ids))
                found += [each for each in records if each is not None and scope in (None, each.scope)]
                cursor = page.cursor
                if cursor is None:
                    break
        found.sort(key=lambda record: record.updated_at, reverse=True)
        for record in found[:limit]:
            self._known(record)
        return found[:limit]

    async def write_record(
        self,
        record: ConversationRecord,
        *,
        new_entries: Sequence[ConversationEntry] = (),
        expected_revision: str | None,
    ) -> None:
        """Store a record and its `new_entries` in one commit; of a new fork in two, the record last.

        Raises ConversationConflict when the stored record has another revision than `expected_revision`, which is None
        for one that is new, or when `head_id` is not there.
        """
        with user_errors():
            session_id = session_of(record.conversation_id)
            for _ in range(_TRIES):
                session = await self._store.get(session_id, last=0)
                stored = record_of(session)
                if (None if stored is None else stored.revision) != expected_revision:
                    raise ConversationConflict(record.conversation_id)
                try:
                    if session is None:
                        session = await self._begun(session_id, record, new_entries)
                    if session is not None:
                        await self._write(session, stored, record, new_entries)
                except (SessionAlreadyExists, SessionConflict, SessionNotFound):
                    continue  # another commit was faster; whether it matters is seen by the record
                self._known(record)
                self._at_home(session_id, *(entry.id for entry in new_entries))
                return
            raise StoreUnavailable(f"{session_id!r} was written to by others {_TRIES} times in turn: save it again")

    async def delete_record(self, conversation_id: str, *, expected_revision: str) -> None:
        """Delete a conversation with its messages; one that others were forked from keeps them, hidden.

        Raises ConversationConflict when the stored record has another revision than `expected_revision`.
        """
        with user_errors():
            session_id = session_of(conversation_id)
            for _ in range(_TRIES):
                session = await self._store.get(session_id, last=0)
                stored = record_of(session)
                if session is None or stored is None or stored.revision != expected_revision:
                    raise ConversationConflict(conversation_id)
                try:
                    await self._delete(session)
                except SessionConflict:
                    continue
                return
            raise StoreUnavailable(f"{session_id!r} was written to by others {_TRIES} times in turn: delete it again")

    async def read_entry(self, entry_id: str) -> ConversationEntry:
        """Return the entry with this id. Raises LookupError when there is none.

        Where it lies is known for the conversations that were read or saved through this object; of another one, all
        conversations are asked.
        """
        with user_errors():
            home = await self._home_of(entry_id)
            [event] = await self._store.events_by_id(home, entry_id)
            if event is None or not is_message(event):
                raise LookupError(entry_id)
            return entry_of(event, home)

    async def read_history(self, head_id: str | None, *, limit: int | None = None) -> list[ConversationEntry]:
        """Return the entries up to `head_id`, oldest first, or only the last `limit` of them.

        Raises LookupError when one of them is not there.
        """
        if head_id is None or limit == 0:
            return []
        with user_errors():
            home = self._homes.get(head_id)
            path = None if home is None else await self._read_path(home, head_id, limit)
            if home is None or path is None:  # not known, or deleted meanwhile, and perhaps in a fork
                home = await self._home_of(head_id)
                path = await self._read_path(home, head_id, limit)
            if path is None:
                raise LookupError(head_id)
            self._at_home(home, *(event.id for event in path))
            return [entry_of(event, home) for event in path]

    async def _read_path(self, home: str, head_id: str, limit: int | None) -> list[SessionEvent[Any]] | None:
        """Return the last `limit` events of a history as a session has them; None where it has not all of them."""
        if limit is not None:
            tail = await self._store.get(home, last=limit)
            found = path_to(head_id, [] if tail is None else tail.events, limit)
            if found is not None:
                return found
        try:
            return path_to(head_id, await self._sessions.events(home, include_retracted=True), limit)
        except SessionNotFound:
            return None

    async def _begun(
        self, session_id: str, record: ConversationRecord, new_entries: Sequence[ConversationEntry]
    ) -> Session[Any] | None:
        """Make the session of a conversation; return the one that its record has yet to be written to, if any."""
        if record.head_id is None or any(entry.id == record.head_id for entry in new_entries):
            change = SessionChange(events=_events(new_entries), set_state=as_state(record))
            await retry_if_unknown(partial(self._store.create, session_id, change=change, write_id=hidden_id()))
            return None
        source = await self._source_of(record)
        if source is None:
            raise ConversationConflict(record.conversation_id)
        try:
            return await retry_if_unknown(partial(self._store.fork, source, at=record.head_id, new_id=session_id))
        except InvalidSessionOperation:  # it was left by a branch, or the tree is too deep
            copies = [copied(event) for event in await self._path_in(source, record.head_id)]
            change = SessionChange(events=copies, set_state=as_state(record))
            await retry_if_unknown(partial(self._store.create, session_id, change=change, write_id=hidden_id()))
            return None

    async def _write(
        self,
        session: Session[Any],
        stored: ConversationRecord | None,
        record: ConversationRecord,
        new_entries: Sequence[ConversationEntry],
    ) -> None:
        events = _events(new_entries)
        before = None if stored is None else stored.head_id
        first = new_entries[0].parent_id if new_entries else record.head_id
        retraction = restoration = None
        if stored is None or first != before:  # it goes on from elsewhere
            everything = await self._sessions.events(session, include_retracted=True)
            if not reaches(record.head_id, [*everything, *events]):
                raise ConversationConflict(record.conversation_id)
            retraction, restoration = hiding(record.head_id, everything, events)
        elif record.head_id not in (before, *(entry.id for entry in new_entries)):
            raise ConversationConflict(record.conversation_id)
        change = SessionChange(
            events=events, set_state=as_state(record), retraction=retraction, restoration=restoration
        )
        commit = partial(self._store.commit, session, change, expected_revision=session.revision, write_id=hidden_id())
        await retry_if_unknown(commit)

    async def _delete(self, session: Session[Any]) -> None:
        try:
            await self._store.delete(session, expected_revision=session.revision)
        except InvalidSessionOperation:  # others were forked from it, and need its messages
            change = SessionChange(unset_state=[STATE_KEY], retraction=Retraction(after=0))
            commit = partial(
                self._store.commit, session, change, expected_revision=session.revision, write_id=hidden_id()
            )
            await retry_if_unknown(commit)

    async def _source_of(self, record: ConversationRecord) -> str | None:
        """Return the session that a fork's history lies in."""
        candidates = [session_of(record.forked_from)] if record.forked_from is not None else []
        if record.head_id is not None and record.head_id in self._homes:
            candidates.append(self._homes[record.head_id])
        for candidate in candidates:
            if await self._has(candidate, str(record.head_id)):
                return candidate
        return None

    async def _home_of(self, entry_id: str) -> str:
        home = self._homes.get(entry_id)
        if home is not None and await self._has(home, entry_id):
            return home
        async for session_id in self._sessions.iter_sessions(ALL_CONVERSATIONS):
            if await self._has(session_id, entry_id):
                self._at_home(session_id, entry_id)
                return session_id
        raise LookupError(entry_id)

    async def _has(self, session_id: str, entry_id: str) -> bool:
        try:
            [event] = await self._store.events_by_id(session_id, entry_id)
        except SessionNotFound:
            return False
        return event is not None

    async def _path_in(self, session_id: str, head_id: str) -> list[SessionEvent[Any]]:
        path = path_to(head_id, await self._sessions.events(session_id, include_retracted=True), None)
        if path is None:
            raise LookupError(head_id)
        return path

    def _known(self, record: ConversationRecord | None) -> ConversationRecord | None:
        """Remember where the histories of a record end."""
        if record is not None:
            tips = [tip for tip in (record.head_id, *record.branches) if tip is not None]
            self._at_home(session_of(record.conversation_id), *tips)
        return record

    def _at_home(self, session_id: str, *entry_ids: str) -> None:
        for entry_id in entry_ids:
            self._homes[entry_id] = session_id
            self._homes.move_to_end(entry_id)
        while len(self._homes) > _REMEMBERED:
            self._homes.popitem(last=False)


def _events(entries: Sequence[ConversationEntry]) -> list[SessionEvent[Any]]:
    return [event_of(entry.message, entry.id, entry.parent_id) for entry in entries]
