"""SessionStore: the promises that every store keeps, and that callers may rely on."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from a2a_session_manager.protocols.finding import SearchableStore
from a2a_session_manager.protocols.reading import ReadableStore
from a2a_session_manager.protocols.upkeep import MaintainableStore
from a2a_session_manager.protocols.writing import WritableStore


class SessionStore(WritableStore, ReadableStore, SearchableStore, MaintainableStore, Protocol):
    """Keeps sessions. Every write is one atomic step, and may be sent again: the store remembers each event id and
    each `write_id` for as long as the session lives, and answers a known one with its first result.

    An event whose id is known comes back as it is stored, marked `is_repeat`, with its old seq. When its content
    differs in message (as JSON values), source, type or `task_id`, the verb raises InvalidEvent and writes nothing,
    unless `on_repeat="keep"` says that what is stored counts. Of two events of one id in one commit, the first is
    stored.

    These parameters mean the same in every verb:

    Args:
        session: the session's id means whichever session has that id now. A Session means the very one that was read:
            the verb raises SessionNotFound once it is deleted, even if its id was given to another one since, and a
            verb that writes brings it in step with the store.
        id, session_id: a non-empty string of up to 512 characters, in any script.
        expected_revision: the revision that the session must still have; SessionConflict otherwise. None: no guard.
        write_id: names the commit, so that sending it again changes nothing. None: each call is a commit of its own.
        last: how many of the newest visible events to load. 0 loads none, None all.
        limit: how many items to return at most. 0 returns none, None (where it is allowed) all.
        after: a seq; only events with a higher one are meant. Seqs start at 1, so 0 means from the beginning.
        cursor: the `cursor` of the page before, None for the first page. Cursors are opaque.
        message_type: the type to read messages as: a pydantic model, or anything else that pydantic validates. A
            message that does not fit stays plain JSON, and its event's `message_error` says why. None: plain JSON.

    Every verb raises InvalidSessionOperation for an argument that cannot be meant, before it does anything;
    CorruptSession for stored data that is damaged; StoreUnavailable when the store cannot be reached or is closed. A
    verb that takes a session raises SessionNotFound when there is none, except `get`, `get_many` and `delete`. A verb
    that writes raises InvalidEvent for what cannot be stored, StoreFull when there is no room, and SessionConflict when
    `expected_revision` is not the current one. After these three nothing was written; after StoreUnavailable the write
    may have happened, and may be sent again with the same ids.
    """

    def namespace(self, name: str) -> SessionStore:
        """Return a view of one namespace: the same verbs on sessions of its own. It needs no closing.

        `name` is anything that an id may be. On a view it names a namespace inside that of the view, up to 8 deep: a
        view leads down, and never to the namespace above it or one beside it. "" is the namespace of the view itself,
        or of a store the default one. Raises InvalidSessionOperation for anything else.
        """

    async def aclose(self) -> None:
        """Finish the writes that are under way and release what the store opened.

        A client that was handed in stays open. Later verbs raise StoreUnavailable.
        """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None: ...
