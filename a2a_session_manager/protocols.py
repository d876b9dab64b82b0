"""SessionStore: the promises that every store keeps, and that callers may rely on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, Self, TypeVar, overload

from a2a_session_manager.models.change import CommitResult, SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.models.token_summary import TokenSummary

MessageT = TypeVar("MessageT")
ChildPolicy = Literal["refuse", "cascade"]
# Of an event whose id is stored already with other content: raise InvalidEvent, or keep what is stored.
RepeatPolicy = Literal["refuse", "keep"]


class SessionPage(NamedTuple):
    """One page of a listing; hand `cursor` back for the next one, None says that this was the last."""

    session_ids: list[str]
    cursor: str | None


class EventsPage(NamedTuple):
    """One page of a session's events; `next_after` asks for the next one, None says that this was the last."""

    events: list[SessionEvent[Any]]
    next_after: int | None


class SessionStore(Protocol):
    """Keeps sessions. Every write is one atomic step and survives repetition: an event's id and a `write_id`
    are remembered exactly, for ever, and a known one answers with its first result.

    An event whose id is known answers as it is stored, marked `is_repeat`, with its old seq. Content that differs in
    message (as JSON values), source, type or `task_id` is InvalidEvent, and nothing is written, unless
    `on_repeat="keep"` says that what is stored counts. Of two events of one id in one commit, the first is stored.

    Where a verb takes a session, an id means whichever session has it now; a Session means the one that was
    read, is refused once that is gone, and is in step with the store when the verb returns.

    Every verb raises InvalidSessionOperation on a bad id or limit before it does anything, CorruptSession on
    damage, StoreUnavailable on outage; one that takes a session raises SessionNotFound where there is none, but
    for `get`, `get_many` and `delete`. One that writes raises InvalidEvent for what cannot be stored, StoreFull
    where there is no room, SessionConflict where `expected_revision` is late; then nothing was written. `last`
    and `limit`: 0 brings nothing, None brings all.
    """

    def namespace(self, name: str) -> SessionStore:
        """Return a view of one namespace: the same verbs on sessions of their own. It needs no closing."""

    async def create(
        self,
        id: str | None = None,
        *,
        parent_id: Session[Any] | str | None = None,
        change: SessionChange | None = None,
        write_id: str | None = None,
    ) -> Session[Any]:
        """Create a session holding `change`; raise SessionAlreadyExists, or SessionNotFound for the parent."""

    @overload
    async def get(self, session_id: str, *, last: int | None = None) -> Session[Any] | None: ...
    @overload
    async def get(
        self, session_id: str, *, last: int | None = None, message_type: type[MessageT]
    ) -> Session[MessageT] | None: ...
    async def get(self, session_id: str, *, last: int | None = None, message_type: Any = None) -> Session[Any] | None:
        """Return the session with its visible events, or the newest `last` of them; None when absent.

        A bounded read brings the unfinished runs and the last 20, and no child ids.
        """

    async def get_many(self, session_ids: Sequence[str], *, last: int | None = 0) -> list[Session[Any] | None]:
        """Return several sessions in the order asked, None for each that is absent."""

    async def save(self, session: Session[Any], *, expected_revision: int | None = None) -> None:
        """Commit what changed since the session was read, or create it; then it is in step with the store.

        What was read through another store over the same data is the same session. A session read elsewhere is created.
        Raises SessionAlreadyExists for a hand-made session whose id is taken, SessionNotFound when the one it
        was read from is gone, InvalidSessionOperation when stored events were removed, moved or replaced.
        """

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

    async def append(
        self,
        session: Session[Any] | str,
        *events: SessionEvent[Any],
        expected_revision: int | None = None,
        on_repeat: RepeatPolicy = "refuse",
    ) -> list[SessionEvent[Any]]:
        """Append events at a cost that does not grow with the session; return them with their `seq`."""

    async def retract(
        self,
        session: Session[Any] | str,
        *event_ids: str,
        last: int | None = None,
        after: int | None = None,
        write_id: str | None = None,
    ) -> list[SessionEvent[Any]]:
        """Hide events and return those this call hid, oldest first; one event is hidden only once.

        Chosen in exactly one way: by ids, the `last` ones that are visible, or those with a seq above `after`.
        Raises InvalidSessionOperation otherwise, and for an id that was never appended.
        """

    async def delete(
        self,
        session: Session[Any] | str,
        *,
        children: ChildPolicy = "refuse",
        expected_revision: int | None = None,
    ) -> None:
        """Delete the session, and with `cascade` all below it; absent is fine. Nothing brings it back.

        `refuse` raises InvalidSessionOperation when it has children. `expected_revision` guards the session itself,
        not those below it: SessionConflict, and nothing is deleted, when it has another one by then.
        """

    async def cut_damaged_tail(self, session_id: str) -> int:
        """Go on without the damaged end of a session: what a CorruptSession names, after a look at the backups.

        Everything from the first damaged byte on is moved out of the way, never removed, and the number of bytes is
        returned: 0 where nothing is damaged, and on stores that have no such way out (all but the file store, which
        moves them into `ID.cut` beside the log). The session then goes on behind its last whole commit; what was cut
        counts no more, and its ids are free again. Raises SessionNotFound, and CorruptSession when it is no way out.
        """

    async def list_sessions(self, prefix: str = "") -> list[str]:
        """Return all ids that start with `prefix`, in the store's own stable order."""

    async def list_page(
        self, prefix: str = "", *, cursor: str | None = None, limit: int = 100, roots_only: bool = False
    ) -> SessionPage:
        """Return one page of ids. A session present throughout appears exactly once over all pages."""

    def iter_sessions(
        self, prefix: str = "", *, roots_only: bool = False, page_size: int = 100
    ) -> AsyncGenerator[str, None]:
        """Iterate over all ids, a page at a time."""

    async def events(
        self,
        session: Session[Any] | str,
        *,
        after: int = 0,
        limit: int | None = None,
        include_retracted: bool = False,
        message_type: Any = None,
    ) -> list[SessionEvent[Any]]:
        """Return visible events with a seq above `after`, oldest first. Raises SessionNotFound."""

    async def events_page(
        self, session: Session[Any] | str, *, after: int = 0, limit: int = 100, include_retracted: bool = False
    ) -> EventsPage:
        """Return a page of events: up to `limit`, fewer where they are large, one at least. Raises SessionNotFound."""

    async def runs(self, session_id: str) -> list[SessionRun]:
        """Return all runs, in the order they were first committed. Raises SessionNotFound."""

    async def children(self, session_id: str) -> list[str]:
        """Return all child ids in creation order. Raises SessionNotFound."""

    async def children_page(self, session_id: str, *, cursor: str | None = None, limit: int = 100) -> SessionPage:
        """Return one page of child ids in creation order. Raises SessionNotFound."""

    async def tree(self, session_id: str) -> list[tuple[str, str | None]]:
        """Return (id, parent id) of every session of the tree that `session_id` is in, in creation order."""

    async def usage(self, session: Session[Any] | str, *, tree: bool = False) -> TokenSummary:
        """Return what the session spent, with `tree` what it and all below it spent.

        A root's tree keeps the spend of deleted sessions; below the root they are gone from the sum.
        """

    def follow(self, session: Session[Any] | str, *, after: int = 0) -> AsyncGenerator[SessionEvent[Any], None]:
        """Yield every event with a seq above `after`, then each new one as it is committed: no gap, no double.

        A retraction appears in its place as the hidden event with `retracted=True`; one made right at
        `after` may be told again. Ends with SessionNotFound when the session is deleted or expires, and with
        SessionConflict when it goes back in time (a restore, a failover that lost commits) or has no event `after`.
        """

    async def aclose(self) -> None:
        """Finish what is under way and release what the store opened; later verbs raise StoreUnavailable."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None: ...
