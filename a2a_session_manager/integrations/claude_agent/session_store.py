"""ClaudeSessionStore: the SessionStore of claude-agent-sdk over sessions of ours."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from a2a_session_manager.active.opening import open_session
from a2a_session_manager.concurrency.retries import retry_if_unknown
from a2a_session_manager.exceptions import (
    SessionAlreadyExists,
    SessionConflict,
    SessionNotFound,
    StoreUnavailable,
)
from a2a_session_manager.identifiers import hidden_id
from a2a_session_manager.integrations.claude_agent.border import main_id, sdk_errors, transcript_id
from a2a_session_manager.integrations.claude_agent.entries import ENTRY, event_of, ids_of
from a2a_session_manager.integrations.claude_agent.transcripts import Transcript, folded, transcript_in
from a2a_session_manager.integrations.foreign_ids import parts_of, prefix_of
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.sync import SyncSessionManager
from a2a_session_manager.sync.any_loop import AnyLoop

if TYPE_CHECKING:
    from claude_agent_sdk import (
        SessionKey,
        SessionListSubkeysKey,
        SessionStoreEntry,
        SessionStoreListEntry,
        SessionSummaryEntry,
    )

# A line of a transcript, and the event that holds it.
_Line = tuple[Any, SessionEvent[Any]]

_TRIES: Final = 64
_PAGE: Final = 100
_MOST_KNOWN: Final = 64


class _Known(NamedTuple):
    """A main transcript as it was read or written last; a guarded commit tells when that is late."""

    session: Session[Any]
    revision: int
    transcript: Transcript | None


class ClaudeSessionStore:
    """The `SessionStore` of claude-agent-sdk: `ClaudeAgentOptions(session_store=ClaudeSessionStore(sessions))`.

    A main transcript is a session, and those of its sub-agents are children of it; `session_id` tells their ids, by
    which `sessions.usage(id, tree=True)` sums up what all of them cost. An entry with a `uuid` is stored once, however
    often it comes, and comes back as it was given. Works under asyncio and trio.

    Raises ValueError for a key or an entry that cannot be stored, and ClaudeSDKError for all else, with our error as
    the cause.

    Args:
        sessions: the manager of the store, also one of a namespace, or a SyncSessionManager; it stays open.
    """

    def __init__(self, sessions: SessionManager | SyncSessionManager) -> None:
        self._loop = AnyLoop(sessions)
        self._sessions = self._loop.sessions
        self._last_mtime = 0
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._unsure: dict[str, tuple[list[Any], list[str]]] = {}  # batches of which it is not known whether they came

    def session_id(self, project_key: str, session_id: str, subpath: str | None = None) -> str:
        """Return the id of our session for a transcript; `subpath` is that of a sub-agent's. Raises ValueError."""
        with sdk_errors():
            return transcript_id({"project_key": project_key, "session_id": session_id, "subpath": subpath})

    async def append(self, key: SessionKey, entries: list[SessionStoreEntry]) -> None:
        """Append `entries` in one commit, in their order, but for those whose `uuid` is known.

        Of a main transcript, the summary is brought up to date in the same commit. The SDK sends a batch again when
        this has failed: the one that failed last is recognised, and what of it came is not appended twice, even without
        a `uuid`.
        """
        if entries:
            with sdk_errors():
                await self._loop.wait(self._append(key, entries))

    async def load(self, key: SessionKey) -> list[SessionStoreEntry] | None:
        """Return all entries of a transcript, as they were appended; None for one that was never written."""
        with sdk_errors():
            return await self._loop.wait(self._load(transcript_id(key)))

    async def list_sessions(self, project_key: str) -> list[SessionStoreListEntry]:
        """Return the main transcripts of a project with the time of their last append, in milliseconds, in no order."""
        found = await self._transcripts(project_key)
        return [{"session_id": session_id, "mtime": transcript.mtime} for session_id, transcript in found]

    async def list_session_summaries(self, project_key: str) -> list[SessionSummaryEntry]:
        """Return the SDK's summary of each main transcript of a project, in no order."""
        found = await self._transcripts(project_key)
        return [
            {"session_id": session_id, "mtime": transcript.mtime, "data": transcript.data}
            for session_id, transcript in found
        ]

    async def delete(self, key: SessionKey) -> None:
        """Delete a transcript; with a main one, those of its sub-agents. When there is none, nothing happens."""
        with sdk_errors():
            self._known.pop(transcript_id(key), None)
            deleting = self._sessions.delete(transcript_id(key), children="cascade")
            await self._loop.wait(deleting)

    async def list_subkeys(self, key: SessionListSubkeysKey) -> list[str]:
        """Return the subpaths of a main transcript, in the order they were made."""
        with sdk_errors():
            return await self._loop.wait(self._subpaths(main_id(key)))

    async def _append(self, key: SessionKey, entries: list[SessionStoreEntry]) -> None:
        session_id = transcript_id(key)
        sent, ids = self._unsure.pop(session_id, ([], []))
        if sent != entries:
            ids = ids_of(entries)
        batch = [(entry, event_of(entry, event_id)) for entry, event_id in zip(entries, ids, strict=True)]
        try:
            if key.get("subpath") is None:
                await self._append_to_main(session_id, key, batch)
            else:
                await self._append_to_child(session_id, main_id(key), [event for _, event in batch])
        except BaseException:
            self._unsure[session_id] = (list(entries), ids)
            raise

    async def _append_to_main(self, session_id: str, key: SessionKey, batch: Sequence[_Line]) -> None:
        store = self._sessions.store
        for _ in range(_TRIES):
            write_id = hidden_id()
            known = self._known.pop(session_id, None) or await self._look(session_id)
            try:
                if known is None:
                    after = self._folded(None, key, batch)
                    creating = partial(store.create, session_id, change=_change(after, batch), write_id=write_id)
                    session = await retry_if_unknown(creating)
                    known = _Known(session, session.revision, after)
                elif new := await self._new(known.session, batch):
                    after = self._folded(known.transcript, key, new)
                    committing = partial(
                        store.commit,
                        known.session,
                        _change(after, new),
                        expected_revision=known.revision,
                        write_id=write_id,
                        on_repeat="keep",
                    )
                    known = _Known(known.session, (await retry_if_unknown(committing)).revision, after)
            except (SessionAlreadyExists, SessionConflict, SessionNotFound):
                continue  # another writer was faster: the summary goes on from theirs
            self._known[session_id] = known
            if len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
            return
        raise _crowded(session_id)

    async def _append_to_child(self, session_id: str, parent_id: str, events: Sequence[SessionEvent[Any]]) -> None:
        store = self._sessions.store
        for _ in range(_TRIES):
            try:
                await retry_if_unknown(partial(store.append, session_id, *events, on_repeat="keep"))
                return
            except SessionNotFound:
                pass
            # Its main transcript may be written later; until it is, it is not listed.
            await open_session(store, parent_id)
            try:
                change = SessionChange(events=events)
                creating = partial(store.create, session_id, parent_id=parent_id, change=change, write_id=hidden_id())
                await retry_if_unknown(creating)
                return
            except (SessionAlreadyExists, SessionNotFound):
                continue
        raise _crowded(session_id)

    async def _new(self, session: Session[Any], batch: Sequence[_Line]) -> list[_Line]:
        """Return the lines that are not stored yet; what others store meanwhile moves the session's revision."""
        known = await self._sessions.store.events_by_id(session, *(event.id for _, event in batch))
        return [line for line, stored in zip(batch, known, strict=True) if stored is None]

    async def _look(self, session_id: str) -> _Known | None:
        session = await self._sessions.store.get(session_id, last=0)
        return None if session is None else _Known(session, session.revision, transcript_in(session.state, session_id))

    def _folded(self, before: Transcript | None, key: SessionKey, batch: Sequence[_Line]) -> Transcript:
        after = folded(before, key, [entry for entry, _ in batch], at_least=self._last_mtime + 1)
        self._last_mtime = after.mtime
        return after

    async def _load(self, session_id: str) -> list[SessionStoreEntry] | None:
        try:
            events = await self._sessions.events(session_id, type=ENTRY)
        except SessionNotFound:
            return None
        return [event.message for event in events] or None

    async def _transcripts(self, project_key: str) -> list[tuple[str, Transcript]]:
        with sdk_errors():
            return await self._loop.wait(self._read_transcripts(prefix_of(project_key)))

    async def _read_transcripts(self, prefix: str) -> list[tuple[str, Transcript]]:
        """Return the main transcripts that were written to, each with the SDK's id."""
        found: list[tuple[str, Transcript]] = []
        cursor: str | None = None
        while True:
            page = await self._sessions.list_page(prefix, cursor=cursor, limit=_PAGE, roots_only=True)
            for session in await self._sessions.get_many(page.session_ids):
                transcript = None if session is None else transcript_in(session.state, session.id)
                if session is not None and transcript is not None:
                    found.append((parts_of(session.id)[1], transcript))
            cursor = page.cursor
            if cursor is None:
                return found

    async def _subpaths(self, session_id: str) -> list[str]:
        try:
            children = await self._sessions.children(session_id)
        except SessionNotFound:
            return []
        return [parts[2] for parts in map(parts_of, children) if len(parts) == 3]


def _change(after: Transcript, batch: Sequence[_Line]) -> SessionChange:
    return SessionChange(events=[event for _, event in batch], set_state=after.as_state())


def _crowded(session_id: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"transcript {session_id!r} was written to by others {_TRIES} times in turn: append it again"
    )
