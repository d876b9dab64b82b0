"""Session: a conversation's data, with two verbs that read the sessions above and below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self

from pydantic import ConfigDict, Field, PrivateAttr

import a2a_session_manager.hierarchy as hierarchy  # not by from: the package would import all that is public
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.hierarchy import TreeReader
from a2a_session_manager.identifiers import Identifier, new_id
from a2a_session_manager.models import sync_state
from a2a_session_manager.models.checked import CheckedModel
from a2a_session_manager.models.clock import moment
from a2a_session_manager.models.compaction import compaction_in
from a2a_session_manager.models.forked_from import ForkedFrom
from a2a_session_manager.models.session_event import MessageT, SessionEvent, decides_context, spent_by
from a2a_session_manager.models.session_metadata import SessionMetadata
from a2a_session_manager.models.session_run import RunStatus, SessionRun
from a2a_session_manager.models.sync_state import SyncState
from a2a_session_manager.models.token_summary import TokenSummary
from a2a_session_manager.models.token_tally import TokenTally, summed

# The name is that of 0.1.
NO_RUN = "no_run"

_GONE = {
    "add_child": "children link themselves: create them with parent_id=session.id",
    "remove_child": "a parent never changes: delete the child instead",
    "update_token_usage": "put token_usage on the event; token_summary follows by itself",
}


class Session(CheckedModel, Generic[MessageT]):
    """One conversation, as a plain object: nothing is stored before `await store.save(session)`.

    You may change its lists and dicts; `save` commits what changed since the session was read.

    Attributes:
        id: a random one unless given.
        parent_id: the session that this one is below; it never changes.
        child_ids: in creation order. A read with `last=` leaves them out.
        metadata: the times and the properties.
        state: JSON values under string keys, which the agent works with.
        runs: in the order in which they were first committed. A read with `last=` brings the unfinished ones and the 20
            newest.
        events: the visible ones, oldest first. A read with `last=n` brings the newest n.
    """

    model_config = ConfigDict(extra="forbid")

    id: Identifier = Field(default_factory=new_id)
    parent_id: Identifier | None = None
    child_ids: list[str] = Field(default_factory=list)
    metadata: SessionMetadata = Field(default_factory=SessionMetadata)
    state: dict[str, Any] = Field(default_factory=dict)
    runs: list[SessionRun] = Field(default_factory=list)
    events: list[SessionEvent[MessageT]] = Field(default_factory=list)

    # Slots, which a copy takes along and nothing dumps, compares or pickles: every write reads them, and pydantic's
    # private attributes take microseconds to find. None until something is put in.
    __slots__ = ("_pending_save", "_sync")

    if TYPE_CHECKING:
        _sync: SyncState | None = PrivateAttr(default=None)
        # A save whose outcome is not known yet: the store that sent it sends the same bytes again first.
        _pending_save: Any = PrivateAttr(default=None)

    def add_event(self, event: SessionEvent[MessageT]) -> None:
        """Add an event at the end of this object's list; `save` appends it to the stored session."""
        self.events.append(event)

    @property
    def active_run(self) -> SessionRun | None:
        """The newest run whose status is running, or None."""
        return next((run for run in reversed(self.runs) if run.status is RunStatus.RUNNING), None)

    @property
    def last_update_time(self) -> datetime:
        """The time of the last activity known here: that of the last commit, or of an event added since."""
        return max([self.metadata.updated_at, *(event.timestamp for event in self.events[-1:])])

    @property
    def token_summary(self) -> TokenSummary:
        """What the session spent: as it was read, plus the usage of events added since. Hidden events count.

        Of an event that is not saved yet, what its response adds is known as far as the earlier usages of it are here.
        """
        summary = TokenSummary() if self._sync is None else self._sync.totals
        saved = () if self._sync is None else self._sync.events
        return summary.plus_all(spent_by(self._unsaved_events(), before=saved))

    @property
    def usage_by_model(self) -> dict[str, TokenTally]:
        """What the session spent by the name of the model; "" stands for requests without one."""
        return self.token_summary.usage_by_model

    @property
    def total_tokens(self) -> int:
        """Input and output tokens of all requests."""
        return self.token_summary.total_tokens

    @property
    def total_cost(self) -> Decimal:
        """US dollars; a lower bound while `token_summary.is_lower_bound`."""
        return self.token_summary.total_estimated_cost_usd

    def get_token_usage_by_source(self) -> Mapping[str, TokenSummary]:
        """Return what the session spent by the value of the EventSource, and each by model."""
        return self.token_summary.by_source

    def get_token_usage_by_run(self) -> Mapping[str, TokenTally]:
        """Return what the session spent by the id of the run, and as `no_run` what belongs to none.

        After a read with `last=`, only the runs that it brought are there, without `no_run`.
        """
        summary = self.token_summary
        if self.is_partial:
            return summary.by_run
        return {NO_RUN: summary.total - summed(summary.by_run.values()), **summary.by_run}

    @property
    def context_size(self) -> int | None:
        """The input and output tokens of the newest request among `events`, which is how full the model's context is.

        That is not what was spent, which is the sum of all requests. A usage without any tokens says nothing of it.
        None when no event here has another one, when the newest is a sum of several requests, and when a compaction
        comes after it: the next request will tell.
        """
        event: SessionEvent[Any] | None = next(filter(decides_context, reversed(self.events)), None)
        if event is None or event.token_usage is None or compaction_in(event.type, event.metadata) is not None:
            return None
        return event.token_usage.context_size

    @property
    def revision(self) -> int:
        """The revision that this object has seen everything up to, for `expected_revision=`; 0 before it is stored.

        It does not advance over a commit of another writer that this object has not seen: read the session again then.
        """
        return 0 if self._sync is None else self._sync.revision

    @property
    def last_seq(self) -> int:
        """The seq that this object has seen all events up to; 0 before the session is stored."""
        return 0 if self._sync is None else self._sync.last_seq

    @property
    def root_id(self) -> str | None:
        """The id of the root of the session's tree, which is its own for a root; None for a child not yet stored."""
        if self._sync is not None:
            return self._sync.root_id
        return self.id if self.parent_id is None else None

    @property
    def forked_from(self) -> ForkedFrom | None:
        """Where a fork begins: its events up to there are another session's. None for any other session.

        A fork's `parent_id` names the session that has stored the last one of these events.
        """
        return None if self._sync is None else self._sync.forked_from

    @property
    def is_partial(self) -> bool:
        """Whether only the newest events were read, by `last=`."""
        return self._sync is not None and self._sync.is_partial

    @property
    def earlier_events(self) -> int:
        """How many visible events a read with `last=` left out, at the time of the read."""
        return 0 if self._sync is None else self._sync.earlier_events

    @property
    def creation_id(self) -> str | None:
        """Names this incarnation of the id: one created after a deletion has another. None before it is stored."""
        return None if self._sync is None else self._sync.creation_id

    async def ancestors(self, *, store: TreeReader | None = None, last: int | None = 0) -> list[Session[Any]]:
        """Return the parent, its parent, and so on, nearest first, each with its newest `last` events.

        `store` is the one to read from: by default the one that this session was read from, or the current one if it
        was made by hand. Raises SessionNotFound when an ancestor is missing.
        """
        return await hierarchy.ancestors(self, self._store(store), last=last)

    async def descendants(self, *, store: TreeReader | None = None, last: int | None = 0) -> list[Session[Any]]:
        """Return all sessions below, depth first, siblings in creation order, each with its newest `last` events.

        `store` is the one to read from: by default the one that this session was read from, or the current one if it
        was made by hand. Raises SessionNotFound when this session is not stored.
        """
        return await hierarchy.descendants(self, self._store(store), last=last)

    def _store(self, store: TreeReader | None) -> TreeReader:
        if store is not None:
            return store
        return hierarchy.current_store() if self._sync is None else self._sync.store

    def _unsaved_events(self) -> list[SessionEvent[MessageT]]:
        return self.events if self._sync is None else self.events[len(self._sync.events) :]

    def _take_next(
        self, new: Sequence[SessionEvent[MessageT]], *, revision: int, last_seq: int, tag: str, updated_at: int
    ) -> bool:
        """Take in, in one step, a commit that was made now and holds nothing but the `new` events.

        Returns False, and does nothing, unless it is the one after the last commit seen, its events are few, and no
        later event was seen, nor was any hidden.
        """
        sync = self._sync
        if sync is None or revision != sync.revision + 1 or last_seq != sync.last_seq + len(new):
            return False
        count = len(sync.events)
        if len(new) > sync_state.EVENTS_AT_ONCE or (count and (sync.events[-1].seq or 0) > sync.last_seq):
            return False
        if (sync.retracted and sync.retracted[-1][1] > sync.last_seq) or sync.counted_to > sync.last_seq:
            return False
        self.events[count:count] = new
        sync.events += new
        for event in new:  # here and not by a call, since most have no usage
            if event.token_usage is not None:
                sync.totals = sync.totals.plus_all(spent_by(new))
                break
        sync.revision, sync.last_seq, sync.tag = revision, last_seq, tag
        sync.updated_at = max(sync.updated_at, updated_at)
        sync.changes += 1
        self._put_times(sync)
        return True

    def _let_events_go(self) -> None:
        """Keep all that guards need, but no events: a handle that many commits go through would hold them all."""
        self.events = []
        if self._sync is not None:
            self._sync.events = []

    def _put_times(self, sync: SyncState) -> None:
        """Let the metadata say the times that are stored; one that a user assigns later is among its fields set."""
        metadata = self.metadata
        metadata.__dict__["created_at"] = moment(sync.created_at)
        metadata.__dict__["updated_at"] = moment(sync.updated_at)
        metadata.__pydantic_fields_set__.discard("updated_at")

    def __copy__(self) -> Self:
        return self._with_sync(super().__copy__())

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return self._with_sync(super().__deepcopy__(memo))

    def _with_sync(self, copy: Self) -> Self:
        copy._sync = None if self._sync is None else self._sync.copied()
        copy._pending_save = self._pending_save
        return copy

    if not TYPE_CHECKING:  # so that type checkers report the names that are gone

        def __getattr__(self, name: str) -> Any:
            if name in Session.__slots__:
                return None
            if name in _GONE:
                _refuse(name)
            return super().__getattr__(name)


class _GoneName(InvalidSessionOperation, AttributeError):
    """A name of 0.1: `hasattr` says no, and whoever uses it reads the remedy."""


def _refuse(name: str) -> NoReturn:
    raise _GoneName(f"Session.{name} is gone since 0.2: {_GONE[name]}")
